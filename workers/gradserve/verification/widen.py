"""A graph in double precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Constant, Graph, Literal
from gradserve.ir.op import Op
from gradserve.ir.types import ElementType
from gradserve.ops import builder
from gradserve.ops.elementwise.conversion import Convert

_DOUBLE = {ElementType.FLOAT32: ElementType.FLOAT64, ElementType.COMPLEX64: ElementType.COMPLEX128}
"""By elements of single precision those of double precision."""


def is_single(graph: Graph) -> bool:
    """Whether any value of the graph is in single precision."""
    return any(t.element_type in _DOUBLE for each in (graph, *graph.functions) for t in each.value_types)


def epsilon_of(graph: Graph) -> float:
    """The spacing, at 1, of the least precise numbers that the graph computes with."""
    return float(np.finfo(np.float32 if is_single(graph) else np.float64).eps)


def widened(graph: Graph) -> Graph:
    """The graph in double precision; itself if it is."""
    return widen(graph) if is_single(graph) else graph


def widen(graph: Graph) -> Graph:
    """The graph with every float32 value as float64: the function whose rounded version the graph computes.

    Differences of single-precision values keep three or four digits; those of this graph keep ten or more, at the very
    same point, as single-precision arguments are double-precision numbers too.
    """
    g = builder()
    values = [
        g.input(i.name, i.type.with_element_type(_DOUBLE.get(i.type.element_type, i.type.element_type)))
        for i in graph.inputs
    ]
    values += [_constant(g, constant) for constant in graph.constants]
    for node in graph.nodes:
        g.origin = node.origin
        values += _apply(g, _wide(node.op), [values[k] for k in node.operands])
    return g.finished({o.name: values[o.value] for o in graph.outputs})


def _constant(g: Builder, constant: Constant) -> Value:
    wide = _DOUBLE.get(constant.type.element_type)
    if wide is None:
        return g.constant(constant)
    if isinstance(constant, Literal):
        return g.constant(Literal(constant.array.astype(wide.dtype)))
    return g.convert(g.constant(constant), wide)


def _wide(op: Op) -> Op:
    """The op with every attribute that says float32 saying float64, and with its functions in double precision."""
    said = {name: each for name, each in op.attributes().items() if isinstance(each, ElementType)}
    changes = {name: _DOUBLE[each] for name, each in said.items() if each in _DOUBLE}
    return (replace(op, **changes) if changes else op).with_functions(widen)


def _apply(g: Builder, op: Op, operands: Sequence[Value]) -> tuple[Value, ...]:
    """The results of the op; a conversion between equal types is left out."""
    if isinstance(op, Convert):
        return (g.convert(operands[0], op.infer(operands[0].type)[0].element_type),)
    return g.apply(op, operands)
