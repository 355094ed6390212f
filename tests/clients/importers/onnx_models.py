"""ONNX models of a few nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def model(nodes, inputs, outputs=("y",), initialisers=None, opset=20, functions=(), domains=()) -> onnx.ModelProto:
    """A model of a few nodes; inputs are (name, shape) or (name, shape, elements)."""
    given = [helper.make_tensor_value_info(name, rest[1] if rest[1:] else FLOAT, rest[0]) for name, *rest in inputs]
    made = [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs]
    held = [numpy_helper.from_array(array, name) for name, array in (initialisers or {}).items()]
    graph = helper.make_graph(nodes, "small", given, made, held)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, functions=functions)


def node(op: str, operands: Sequence[str], results: Sequence[str] = ("y",), name: str = "n1", **attributes):
    return helper.make_node(op, list(operands), list(results), name=name, **attributes)


LINEAR = model(
    [node("Gemm", ["x", "layer.weight", "layer.bias"], transB=1)],
    [("x", ["batch", 3])],
    initialisers={"layer.weight": np.ones((2, 3), np.float32), "layer.bias": np.zeros(2, np.float32)},
)
