"""How large a graph may be; looked at before any work that grows with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gradserve.ir.errors import LimitExceeded
from gradserve.ir.graph import Graph, Literal
from gradserve.ir.quantities import Amount, Bytes, Count


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
    """Inputs, constants and results of nodes together."""
    operands: Amount = 1_000_000
    """Operands of all nodes together."""
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
    nodes, depth = extent(_table(graph))
    limits.require(
        nodes=nodes,
        depth=depth,
        inputs=len(graph.inputs),
        outputs=len(graph.outputs),
        constants=len(graph.constants),
    )
    names = [i.name for i in graph.inputs] + [o.name for o in graph.outputs]
    names += [node.origin.file for node in graph.nodes if node.origin]
    limits.require(
        values=graph.first_node_value + sum(len(node.types) for node in graph.nodes),
        operands=sum(len(node.operands) for node in graph.nodes),
        name_length=max(map(len, names), default=0),
        inline_bytes=sum(c.array.nbytes for c in graph.constants if isinstance(c, Literal)),
    )


def extent(table: Iterable[tuple[int, Iterable[int]]]) -> tuple[int, int]:
    """Nodes, those of functions counted at every node that calls them, and how deep functions call functions.

    Args:
        table: for each function and at last the graph itself, the number of its nodes, and for each call the position
            of what is called; such as are not before it do not count.
    """
    found: list[tuple[int, int]] = []
    for count, calls in table:
        called = [found[k] for k in calls if k < len(found)]
        depth = 1 + max(depth for _, depth in called) if called else 0
        found.append((count + sum(nodes for nodes, _ in called), depth))
    return found[-1]


def _table(graph: Graph) -> Iterator[tuple[int, list[int]]]:
    position = {function: k for k, function in enumerate(graph.functions)}
    for each in (*graph.functions, graph):
        yield len(each.nodes), [position[f] for node in each.nodes for f in node.op.functions.values()]
