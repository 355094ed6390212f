"""How large a graph may be; looked at before any work that grows with it."""

from __future__ import annotations

from dataclasses import dataclass

from gradserve.ir.errors import LimitExceeded
from gradserve.ir.graph import Graph, Literal


@dataclass(frozen=True, slots=True)
class GraphLimits:
    """The largest graph that is taken."""

    nodes: int = 100_000
    """Nodes, those of functions counted at every node that calls them."""
    depth: int = 16
    """How deep functions call functions."""
    inputs: int = 10_000
    outputs: int = 10_000
    constants: int = 10_000
    values: int = 200_000
    """Inputs, constants and results of nodes together."""
    operands: int = 1_000_000
    """Operands of all nodes together."""
    origins: int = 100_000
    name_length: int = 1024
    """Characters of one name or file name."""
    inline_bytes: int = 256 << 20
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
    nodes, depth = _extent(graph, {})
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


def _extent(graph: Graph, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Nodes with those of functions, and how deep functions call functions."""
    found = known.get(id(graph))
    if found is None:
        called = [_extent(f, known) for node in graph.nodes for f in node.op.functions.values()]
        depth = 1 + max(depth for _, depth in called) if called else 0
        found = known[id(graph)] = len(graph.nodes) + sum(nodes for nodes, _ in called), depth
    return found
