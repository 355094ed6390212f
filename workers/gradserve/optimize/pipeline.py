"""The optimiser: a graph is built anew, node by node, through folding and simplification.

Common subexpressions fall together and dead code falls away in the builder, which is where they cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable

from gradserve.autodiff.walk import declare_inputs, leaves
from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph, Node
from gradserve.ops import builder
from gradserve.optimize.fold import fold
from gradserve.optimize.simplify import simplify

MAX_PASSES = 4
_NODES_BETWEEN_CHECKS = 500
COMMUTATIVE = frozenset({"add", "mul", "maximum", "minimum", "eq", "ne", "logical_and", "logical_or", "logical_xor"})


def _go_on() -> None:
    """Lets a long optimisation continue."""


def optimize(graph: Graph, check: Callable[[], None] = _go_on) -> Graph:
    """A graph with the same inputs and outputs that computes the same with fewer or cheaper nodes.

    Results may differ in the last bits, never with the workers or the batch. `check` is called now and then; what it
    raises ends the work.
    """
    for _ in range(MAX_PASSES):
        rebuilt = _rebuild(graph, check)
        if rebuilt.nodes == graph.nodes:
            break
        graph = rebuilt
    return graph


def _rebuild(graph: Graph, check: Callable[[], None]) -> Graph:
    g = builder()
    values = leaves(g, graph, declare_inputs(g, graph))
    for position, node in enumerate(graph.nodes):
        if position % _NODES_BETWEEN_CHECKS == 0:
            check()
        g.origin = node.origin
        values += _node(g, node, tuple(values[k] for k in node.operands))
    return g.build({o.name: values[o.value] for o in graph.outputs})


def _node(g: Builder, node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...]:
    """The results of a node, by the first of: folding, a simpler form, the op itself."""
    if node.op.name in COMMUTATIVE:
        operands = tuple(sorted(operands, key=lambda operand: operand.index))  # so that x y and y x fall together
    folded = fold(g, node.op, operands)
    if folded is not None:
        return folded
    simpler = simplify(g, node.op, operands)
    if simpler is not None:
        return (simpler,)
    return g.apply(node.op, operands)
