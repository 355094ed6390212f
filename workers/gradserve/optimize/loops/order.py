"""Orders of nodes in which steps of a loop lie next to each other, and what they only read lies before them."""

from __future__ import annotations

from collections import defaultdict

from gradserve.ir.canonical import in_order
from gradserve.ir.graph import Graph
from gradserve.ops.movement.placement import Slice
from gradserve.ops.movement.shapes import Reshape

_EARLY = 2
_VIEWS = (Slice, Reshape)


def with_early_views(graph: Graph) -> Graph:
    """An equal graph whose slices follow at once what they are taken of.

    `w[k]` in step k is another op at every step: between the steps it would hide that they are the same.
    """
    return _reordered(graph, [False] * len(graph.nodes))


def with_early_nodes(graph: Graph) -> Graph:
    """As `with_early_views`, and what takes few nodes from inputs and constants comes before all others.

    What steps compute from data alone is there once for all steps with the same data, and so in some of them only.
    """
    depths = [0] * graph.first_node_value
    early = []
    for node in graph.nodes:
        depth = max([depths[k] for k in node.operands], default=0) + (type(node.op) not in _VIEWS)
        depths += [depth] * len(node.types)
        early.append(depth <= _EARLY)
    return _reordered(graph, early)


def _reordered(graph: Graph, early: list[bool]) -> Graph:
    """The graph with what is early before all other nodes, and slices behind what they are taken of."""
    followers = _followers(graph)
    starts = graph.first_values
    moved = {position for positions in followers.values() for position in positions}
    others = sorted((k for k in range(len(graph.nodes)) if k not in moved), key=lambda k: not early[k])
    order: list[int] = []

    def follow(values: range) -> None:
        stack = [position for value in reversed(values) for position in reversed(followers.get(value, ()))]
        while stack:
            position = stack.pop()
            order.append(position)
            stack += reversed(followers.get(starts[position], ()))

    follow(range(graph.first_node_value))
    for position in others:
        order.append(position)
        follow(range(starts[position], starts[position] + len(graph.nodes[position].types)))
    return (
        graph if order == sorted(order) else in_order(graph, order, graph.constants, [*range(len(graph.value_types))])
    )


def _followers(graph: Graph) -> dict[int, list[int]]:
    """By a value, the positions of the slices of it, and of what only reshapes a slice."""
    followers: defaultdict[int, list[int]] = defaultdict(list)
    slices: set[int] = set()
    for position, (node, first) in enumerate(zip(graph.nodes, graph.first_values, strict=True)):
        kind = type(node.op)
        if kind is Slice or (kind is Reshape and node.operands[0] in slices):
            followers[node.operands[0]].append(position)
            slices.add(first)
    return followers
