"""What the condition of a loop compares, in numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gradserve.ir.graph import Graph, Literal, Node
from gradserve.ir.types import Array
from gradserve.ops.elementwise.comparison import Comparison, LogicalAnd, LogicalNot, LogicalOr


def compared(body: Graph, known: Mapping[int, Array]) -> str:
    """The first output of a function in numbers, such as `0.3 > 1e-12`, from some of its values.

    Empty where it compares no scalars, or depends on more than is known.
    """
    values, makers = dict(known), dict[int, Node]()
    literals = [constant.array if isinstance(constant, Literal) else None for constant in body.constants]
    values |= {k: array for k, array in enumerate(literals, start=len(body.inputs)) if array is not None}
    first = len(body.inputs) + len(body.constants)
    for node in body.nodes:
        made = range(first, first + len(node.types))
        first = made.stop
        makers |= dict.fromkeys(made, node)
        if all(k in values for k in node.operands) and not values.keys() >= set(made):
            values |= zip(made, node.op.numbers(*(values[k] for k in node.operands)), strict=True)
    return _written(body.outputs[0].value, makers, values)


def _written(value: int, makers: Mapping[int, Node], values: Mapping[int, Array]) -> str:
    node = makers.get(value)
    if node is None:
        return ""
    if isinstance(node.op, LogicalAnd | LogicalOr):
        parts = [_written(k, makers, values) for k in node.operands]
        return f" {node.op.joint} ".join(filter(None, parts))
    if isinstance(node.op, LogicalNot):
        inner = _written(node.operands[0], makers, values)
        return inner and f"not ({inner})"
    if not isinstance(node.op, Comparison) or any(k not in values or np.ndim(values[k]) for k in node.operands):
        return ""
    left, right = (f"{np.asarray(values[k]).item():.6g}" for k in node.operands)
    return f"{left} {node.op.sign} {right}"
