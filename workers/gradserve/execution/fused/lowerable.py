"""Which nodes have machine code, and about how much of it."""

from __future__ import annotations

import functools

from gradserve.execution.fused.elementwise import term_of
from gradserve.execution.fused.lowering import lowered
from gradserve.execution.fused.terms import NotLowered, Term, in_order, leaf
from gradserve.ir.budget import remembered
from gradserve.ir.graph import Graph, Node
from gradserve.ir.op import Op
from gradserve.ir.types import TensorType

_LOOP = 20
_USUAL_OPERANDS = 4
_MOST_OPERANDS = 128
"""Of a node with machine code: each is a loop of its own, and where it lies is found among all others."""
_UNKNOWN = lowered.dispatch(object)


def lowerable(graph: Graph, node: Node) -> bool:
    """Whether there is machine code for a node of a concrete graph: there is none for complex numbers."""
    op = node.op
    if len(node.operands) > _MOST_OPERANDS:
        return False
    if any(t.is_complex for t in node.types) or any(graph.value_types[k].is_complex for k in node.operands):
        return False
    if op.elementwise:
        terms = _terms(op, tuple(graph.value_types[k] for k in node.operands))
        return bool(terms) and terms[-1].element_type is node.types[0].element_type
    if lowered.dispatch(type(op)) is _UNKNOWN:
        return False
    return all(_whole(function) for function in op.functions.values())


@remembered
def _whole(function: Graph) -> bool:
    """Whether there is machine code for all nodes of a function, which several ops may call."""
    return all(lowerable(function, node) for node in function.nodes)


def weight(graph: Graph, node: Node) -> int:
    """About how many instructions a node with machine code takes; loops, which calls and most other ops are, most."""
    op = node.op
    if not op.elementwise:
        inner = sum(_weight(function) for function in op.functions.values())
        return 1 if op.view else _LOOP * max(1, len(node.operands) // _USUAL_OPERANDS) + inner
    terms = _terms(op, tuple(graph.value_types[k] for k in node.operands))
    return len(terms) + _LOOP * sum(term.operation == "call" for term in terms)


@remembered
def _weight(function: Graph) -> int:
    """That of a function, which several ops may call."""
    return sum(weight(function, node) for node in function.nodes)


@functools.lru_cache(maxsize=4096)
def _terms(op: Op, operands: tuple[TensorType, ...]) -> tuple[Term, ...]:
    """What an elementwise op computes for one element, the result last; nothing if it has no machine code.

    An op that may fail is left to those who can say so.
    """
    if not op.is_total(*operands):
        return ()
    try:
        return tuple(in_order([term_of(op, [leaf(k, t.element_type) for k, t in enumerate(operands)])]))
    except NotLowered:
        return ()
