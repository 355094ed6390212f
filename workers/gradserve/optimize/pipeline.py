"""The optimiser: a graph is built anew, node by node, through folding and simplification.

Common subexpressions fall together and dead code falls away in the builder, which is where they cannot be forgotten.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from gradserve.autodiff.walk import declare_inputs, leaves
from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph, Node
from gradserve.ops import builder
from gradserve.optimize.calls import called
from gradserve.optimize.factors import shared_factors
from gradserve.optimize.fold import fold
from gradserve.optimize.inverses import without_inverses
from gradserve.optimize.simplify import simplify

MAX_PASSES = 4
_NODES_BETWEEN_CHECKS = 500


def _go_on() -> None:
    """Lets a long optimisation continue."""


def optimize(graph: Graph, check: Callable[[], None] = _go_on) -> Graph:
    """A graph with the same inputs and outputs that computes the same with fewer or cheaper nodes.

    Results may differ in the last bits, never with the workers or the batch. `check` is called now and then; what it
    raises ends the work.
    """
    graph = _simplified(graph, check)
    shared = shared_factors(without_inverses(graph))
    return graph if shared is graph else _simplified(shared, check)


def _simplified(graph: Graph, check: Callable[[], None]) -> Graph:
    for _ in range(MAX_PASSES):
        rebuilt = _rebuild(graph, check)
        if rebuilt.nodes == graph.nodes:
            break
        graph = rebuilt
    return graph


def _rebuild(graph: Graph, check: Callable[[], None]) -> Graph:
    g = builder()
    values = leaves(g, graph, declare_inputs(g, graph))
    read = {k for node in graph.nodes for k in node.operands} | {output.value for output in graph.outputs}
    for position, (node, results) in enumerate(graph.numbered_nodes()):
        if position % _NODES_BETWEEN_CHECKS == 0:
            check()
        g.origin = node.origin
        wanted = [k for k, value in enumerate(results) if value in read]
        values += _node(g, node, tuple(values[k] for k in node.operands), wanted)
    return g.build({o.name: values[o.value] for o in graph.outputs})


@functools.lru_cache(maxsize=256)
def _optimized(function: Graph) -> Graph:
    """A function that a node calls, optimised; each is met again in every pass."""
    return optimize(function)


def _node(g: Builder, node: Node, operands: tuple[Value, ...], read: Sequence[int]) -> tuple[Value, ...]:
    """The results of a node of which some are read, by the first of: folding, a simpler form, the op itself."""
    op = node.op.with_functions(_optimized)
    if op.commutative:
        operands = tuple(sorted(operands, key=lambda operand: operand.index))  # so that x y and y x fall together
    folded = fold(g, op, operands)
    if folded is not None:
        return folded
    simpler = simplify(g, op, operands)
    if simpler is not None:
        return (simpler,)
    return called(g, op, operands, read) or g.apply(op, operands)
