"""The optimiser: a graph is built anew, node by node, through folding and simplification.

Common subexpressions fall together and dead code falls away in the builder, which is where they cannot be forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

from gradserve.autodiff.walk import declare_inputs, leaves
from gradserve.ir.budget import of_equal
from gradserve.ir.builder import Application, Builder, Value
from gradserve.ir.graph import Graph, Node
from gradserve.ir.op import Op
from gradserve.ir.records import dataclass
from gradserve.ir.types import TensorType
from gradserve.ops import OP_SET
from gradserve.optimize.calls import called
from gradserve.optimize.factors import shared_factors
from gradserve.optimize.fold import fold
from gradserve.optimize.inverses import without_inverses
from gradserve.optimize.rewriter import Rewriter
from gradserve.optimize.simplify import simplify

MAX_PASSES = 4
REACH = 4
"""How many nodes, one behind the other, a rule looks at."""
FEW = 500
"""Another pass is not worth its time for one small node in so many."""
SMALL = 1 << 14
"""Operations and bytes of an application, from which on it is worth as many small ones as it has of these."""
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
    """The graph simplified again and again, until nothing changes; only what is new is looked at again."""
    rebuilt = _rebuild(graph, None, check)
    for _ in range(MAX_PASSES - 1):
        if not rebuilt.is_worth_a_pass:
            break
        rebuilt = _rebuild(rebuilt.graph, rebuilt.open, check)
    return rebuilt.graph


@dataclass(frozen=True, slots=True)
class _Rebuilt:
    """A graph, and which of its nodes may be simplified further."""

    graph: Graph
    open: Sequence[bool]

    @property
    def is_worth_a_pass(self) -> bool:
        """Whether nodes are open that are many or dear."""
        types, most = self.graph.value_types, len(self.graph.nodes)
        worth = 0.0
        for node, is_open in zip(self.graph.nodes, self.open, strict=False):
            if is_open:
                worth += FEW * _smalls(node, [types[k] for k in node.operands])
                if worth > most:
                    return True
        return False


def _smalls(node: Node, operands: Sequence[TensorType]) -> float:
    """How many small nodes a node is worth; of what is unknown before it is bound, and of calls, any number."""
    if node.op.calls_functions or not all(type_.is_concrete for type_ in (*operands, *node.types)):
        return math.inf
    cost = node.op.cost(operands, node.types)
    return 1.0 + (cost.flops + cost.bytes) // SMALL


def _rebuild(graph: Graph, open_: Sequence[bool] | None, check: Callable[[], None]) -> _Rebuilt:
    """The graph with rules applied to nodes that are open, and to those that see a change from where they stand.

    Rules are applied to all nodes if none are said to be open.
    """
    g = Rewriter(OP_SET, graph)
    values = leaves(g, graph, declare_inputs(g, graph))
    seen = None if open_ is None else _Seen(open_, len(values))
    made: set[int] = set()
    """The values that rules have made."""
    for position, node in enumerate(graph.nodes):
        if position % _NODES_BETWEEN_CHECKS == 0:
            check()
        g.origin = node.origin
        operands = tuple([values[k] for k in node.operands])
        found = None
        if seen is None or seen.shows(position, node):
            before = g.count
            found = _rewritten(g, node.op, operands, g.read_of(node, len(values)))
            if found is not None:
                made.update(range(before, g.count))
        if seen is not None:
            seen.note(node, found is not None)
        g.extend(values, g.apply(node.op, operands) if found is None else found)
    outputs = {o.name: values[o.value] for o in graph.outputs}
    built = g.build(outputs)
    needed = g.needed(outputs.values())
    rebuilt = _Rebuilt(built, [_is_open(g, application, made) for application in needed] if made else [False])
    g.release()
    return rebuilt


class _Seen:
    """From where nodes stand, they see changes that are not far behind them."""

    def __init__(self, open_: Sequence[bool], leaves: int) -> None:
        """Of a graph with so many inputs and constants, none of which change."""
        self._open = open_
        self._distances = [REACH] * leaves
        """Of each value, how far the nearest change is behind it."""

    def shows(self, position: int, node: Node) -> bool:
        """Whether the node is open, or a change is near."""
        if self._open[position]:
            return True
        distances = self._distances
        for k in node.operands:  # noqa: SIM110  # a generator takes longer than all of it
            if distances[k] < REACH:
                return True
        return False

    def note(self, node: Node, changed: bool) -> None:
        """Goes on to the next node."""
        near, distances = 0 if changed else REACH, self._distances
        if not changed:
            for k in node.operands:
                if distances[k] < near:
                    near = distances[k] + 1
        for _ in node.types:
            distances.append(near)


def _is_open(g: Builder, made: Application, new: Collection[int]) -> bool:
    """Whether a rule applies to what a rule has made; of calls too much may depend on who still reads their results."""
    if made.op.calls_functions:
        return bool(new)
    return made.results[0].index in new and _rewritten(g, made.op, made.operands, ()) is not None


@of_equal(256)
def _optimized(function: Graph) -> Graph:
    """A function that a node calls, optimised; each is met again in every pass.

    Itself if nothing is better: what is the same is told at once, what is equal only after all of it is compared.
    """
    found = optimize(function)
    return function if found == function else found


def _rewritten(g: Builder, op: Op, operands: tuple[Value, ...], read: Sequence[int]) -> tuple[Value, ...] | None:
    """The results of a node of which some are read, by folding or in a simpler form; None if it stays as it is."""
    folded = fold(g, op, operands)
    if folded is not None:
        return folded
    simpler = simplify(g, op, operands)
    if simpler is not None:
        return (simpler,)
    if not op.calls_functions:
        return None
    inside = op.with_functions(_optimized)
    return called(g, inside, operands, read) or (None if inside == op else g.apply(inside, operands))
