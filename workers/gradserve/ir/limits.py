"""How large a graph may be; looked at before any work that grows with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gradserve.ir.errors import LimitExceeded
from gradserve.ir.graph import Graph, Literal
from gradserve.ir.quantities import Amount, Bytes, Count
from gradserve.ir.records import dataclass


@dataclass(frozen=True, slots=True)
class GraphLimits:
    """The largest graph that is taken."""

    nodes: Count = 100_000
    """Nodes, those of functions counted at every node that calls them."""
    depth: Amount = 16
    """How deep functions call functions."""
    inputs: Count = 10_000
    """Inputs of a graph."""
    outputs: Count = 10_000
    """Outputs of a graph."""
    constants: Amount = 10_000
    """Constants of a graph."""
    values: Count = 200_000
    """Inputs, constants and results of nodes together, those of functions counted at every node that calls them."""
    operands: Amount = 400_000
    """Operands of all nodes together, counted in the same way."""
    origins: Amount = 100_000
    """Source lines that nodes were traced at."""
    name_length: Count = 1024
    """Characters of one name or file name."""
    inline_bytes: Bytes = 256 << 20
    """Elements of constants that travel inside the graph."""

    def require(self, **counts: int) -> None:
        """Refuses counts over the limits of the same names.

        Raises:
            LimitExceeded: one is; its name there is `graph_` and the name here.
        """
        for name, count in counts.items():
            limit = getattr(self, name)
            if count > limit:
                words = name.replace("_", " ")
                raise LimitExceeded(f"graph_{name}", f"{words} of the graph: {count}; the limit is {limit}")


DEFAULT_LIMITS = GraphLimits()


def require_within(graph: Graph, limits: GraphLimits) -> None:
    """Refuses a graph over the limits.

    Raises:
        LimitExceeded: naming the first limit that it exceeds.
    """
    whole, depth = extent(_table(graph))
    limits.require(
        nodes=whole.nodes,
        depth=depth,
        inputs=len(graph.inputs),
        outputs=len(graph.outputs),
        constants=len(graph.constants),
    )
    names = [i.name for i in graph.inputs] + [o.name for o in graph.outputs]
    names += [node.origin.file for node in graph.nodes if node.origin]
    limits.require(
        values=whole.values,
        operands=whole.operands,
        name_length=max(map(len, names), default=0),
        inline_bytes=sum(c.array.nbytes for c in graph.constants if isinstance(c, Literal)),
    )


class Size(NamedTuple):
    """How much there is in a graph: who writes a function where it is called writes all of this."""

    nodes: int
    values: int
    """Inputs, constants and results of nodes."""
    operands: int

    def with_called(self, called: Iterable[Size]) -> Size:
        """Together with functions, each as often as it is called."""
        return Size(*map(sum, zip(self, *called, strict=True)))


def extent(table: Iterable[tuple[Size, Iterable[int]]]) -> tuple[Size, int]:
    """How much there is, functions counted at every node that calls them, and how deep functions call functions.

    Args:
        table: for each function and at last the graph itself, how much there is in it alone, and for each call the
            position of what is called; such as are not before it do not count.
    """
    found: list[tuple[Size, int]] = []
    for own, calls in table:
        called = [found[k] for k in calls if k < len(found)]
        depth = 1 + max(depth for _, depth in called) if called else 0
        found.append((own.with_called(size for size, _ in called), depth))
    return found[-1]


def _table(graph: Graph) -> Iterator[tuple[Size, list[int]]]:
    position = {function: k for k, function in enumerate(graph.functions)}
    for each in (*graph.functions, graph):
        size = Size(len(each.nodes), len(each.value_types), sum(len(node.operands) for node in each.nodes))
        yield size, [position[f] for node in each.nodes for f in node.op.functions.values()]
