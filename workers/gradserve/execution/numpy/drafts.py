"""The nodes of a graph that become steps: without what NumPy does by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gradserve.execution.numpy.kernels.table import entry
from gradserve.ir.budget import looking
from gradserve.ir.graph import Graph, Node
from gradserve.ir.shapes import broadcast_shape
from gradserve.ir.types import Shape, TensorType
from gradserve.ops.movement.shapes import BroadcastTo


class Draft(NamedTuple):
    """A node with the values that its step reads, and its position in the graph."""

    node: Node
    operands: tuple[int, ...]
    results: tuple[int, ...]
    position: int


def drafts_of(graph: Graph) -> list[Draft]:
    """The nodes without the broadcasts that NumPy does by itself, and without what only those needed."""
    source: dict[int, int] = {}
    drafts = []
    types, first = graph.value_types, graph.first_node_value
    for position, node in enumerate(looking(graph.nodes)):
        op, operands = node.op, node.operands
        if type(op) is BroadcastTo:
            source[first] = source.get(operands[0], operands[0])
        if source and entry(type(op)).broadcasts and not source.keys().isdisjoint(operands):
            operands = _unspread(operands, source, types, node.types[0].shape)
        drafts.append(Draft(node, operands, tuple(range(first, first + len(node.types))), position))
        first += len(node.types)
    return _needed(graph, drafts)


def _unspread(
    operands: tuple[int, ...], source: dict[int, int], types: Sequence[TensorType], shape: Shape
) -> tuple[int, ...]:
    """The operands before their broadcasts, as long as together they still have the shape of the result."""
    bare = [source.get(k, k) for k in operands]
    if tuple(bare) != operands and not _covers([types[k].lengths for k in bare], shape):
        full = next((k for k, operand in enumerate(operands) if bare[k] != operand), None)
        if full is not None:
            bare[full] = operands[full]
    return tuple(bare)


def _covers(shapes: Sequence[tuple[int, ...]], shape: Shape) -> bool:
    """Whether arrays of these shapes broadcast to `shape` and to nothing smaller."""
    return max(map(len, shapes)) == len(shape) and broadcast_shape(shapes) == shape


def _needed(graph: Graph, drafts: list[Draft]) -> list[Draft]:
    live = {o.value for o in graph.outputs}
    kept = []
    for draft in reversed(drafts):
        if not live.isdisjoint(draft.results):
            live.update(draft.operands)
            kept.append(draft)
    return kept[::-1]
