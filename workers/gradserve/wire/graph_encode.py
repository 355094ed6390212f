"""Graphs to protobuf messages."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from gradserve.ir.graph import Graph, Literal, Node
from gradserve.ir.op import attribute_types
from gradserve.ir.types import Array, ElementType, Shape
from gradserve.v1 import graph_pb2, graph_service_pb2
from gradserve.wire.tensors import encode_constant
from gradserve.wire.types import NUMBER_OF, encode_shape, encode_type

INLINE_LIMIT = 1 << 20
"""Bytes of a constant up to which it travels inside its graph."""

CASES: dict[Any, str] = {
    bool: "boolean",
    int: "integer",
    float: "real",
    str: "word",
    ElementType: "element_type",
    tuple[int, ...]: "integers",
    Shape: "lengths",
}
"""The field of an attribute's message, by the type that the op declares."""


def encode_graph(graph: Graph, inline_limit: int = INLINE_LIMIT) -> graph_pb2.Graph:
    """The message of a correct graph. Constants of more than `inline_limit` bytes are named by digest."""
    table = {function: k for k, function in enumerate(graph.functions)}
    message = _encode(graph, inline_limit, table)
    nodes = [node for each in (graph, *table) for node in each.nodes]
    message.op_set_version = max((node.op.since for node in nodes), default=1)
    message.functions.extend(_encode(function, sys.maxsize, table) for function in table)
    return message


def _encode(graph: Graph, inline_limit: int, table: Mapping[Graph, int]) -> graph_pb2.Graph:
    return graph_pb2.Graph(
        inputs=[graph_pb2.Input(name=i.name, type=encode_type(i.type)) for i in graph.inputs],
        constants=[encode_constant(constant, inline_limit) for constant in graph.constants],
        nodes=[_encode_node(node, table) for node in graph.nodes],
        outputs=[graph_pb2.Output(name=o.name, value=o.value) for o in graph.outputs],
        origins=[
            graph_pb2.Origin(node=k, file=node.origin.file, line=node.origin.line)
            for k, node in enumerate(graph.nodes)
            if node.origin
        ],
    )


def large_constants(graph: Graph, inline_limit: int = INLINE_LIMIT) -> dict[str, Array]:
    """The elements, by digest, of the constants that `encode_graph` leaves to the blob store."""
    return {c.digest: c.array for c in graph.constants if isinstance(c, Literal) and c.array.nbytes > inline_limit}


def encode_signature(graph: Graph) -> graph_service_pb2.Signature:
    """The message of a graph's signature."""
    return graph_service_pb2.Signature(
        inputs=[graph_pb2.Input(name=name, type=encode_type(t)) for name, t in graph.input_types.items()],
        outputs=[graph_pb2.Input(name=name, type=encode_type(t)) for name, t in graph.output_types.items()],
    )


def _encode_node(node: Node, table: Mapping[Graph, int]) -> graph_pb2.Node:
    kinds = attribute_types(type(node.op))
    return graph_pb2.Node(
        op=node.op.name,
        operands=node.operands,
        attributes={name: _encode_attribute(CASES[kinds[name]], v) for name, v in node.op.attributes().items()},
        functions=[table[function] for function in node.op.functions.values()],
        types=[encode_type(t) for t in node.types],
    )


def _encode_attribute(case: str, value: Any) -> graph_pb2.Attribute:
    if case == "lengths":
        return graph_pb2.Attribute(lengths=graph_pb2.Lengths(values=encode_shape(value)))
    if case == "integers":
        return graph_pb2.Attribute(integers=graph_pb2.Integers(values=value))
    if case == "element_type":
        return graph_pb2.Attribute(element_type=NUMBER_OF[value])
    return graph_pb2.Attribute(**{case: value})
