"""The builder that the optimiser writes with: it orders operands, and knows how often what it has written is read."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph, Node
from gradserve.ir.op import Op, OpSet

FEW_NODES = 16
"""Of a function that is written out wherever it is called."""
ROOM = 4096
"""Nodes of larger functions that are written in the places of calls, of one graph."""


class Rewriter(Builder):
    """Gives an order to the operands of commutative ops, so that x y and y x fall together."""

    def __init__(self, op_set: OpSet, graph: Graph) -> None:
        """For writing this graph anew."""
        super().__init__(op_set)
        self._read = [0] * len(graph.value_types)
        """How often each value of the graph is read."""
        for node in graph.nodes:
            for k in node.operands:
                self._read[k] += 1
        for output in graph.outputs:
            self._read[output.value] += 1
        self._reads: dict[int, int] = {}
        self._room = ROOM

    def extend(self, values: list[Value], made: Sequence[Value]) -> None:
        """Adds what the next values of the graph are now to those of the values before."""
        for value in made:
            self._reads[value.index] = self._reads.get(value.index, 0) + self._read[len(values)]
            values.append(value)

    def read_of(self, node: Node, first: int) -> Sequence[int]:
        """Which results of a call of functions are read at all, the first of them being this value of the graph.

        Of other nodes none is told: only such calls may leave the others out.
        """
        if not node.op.calls_functions:
            return ()
        return [k for k in range(len(node.types)) if self._read[first + k]]

    def is_read_once(self, value: Value) -> bool:
        """Whether a value stands for one of the graph that a single node reads, and for no other."""
        return self._reads.get(value.index) == 1

    def take_room(self, function: Graph) -> bool:
        """Whether a function may be written in the place of a call, which takes room from others if it is large."""
        nodes = len(function.nodes)
        if nodes <= FEW_NODES:
            return True
        if nodes > self._room:
            return False
        self._room -= nodes
        return True

    def apply(self, op: Op, operands: Sequence[Value]) -> tuple[Value, ...]:
        """The results of the op."""
        if op.commutative and len(operands) == 2 and _is_before(operands[1], operands[0]):
            operands = operands[::-1]
        return super().apply(op, operands)


def is_read_once(g: Builder, value: Value) -> bool:
    """Whether nothing but one node reads a value, where that is known."""
    return isinstance(g, Rewriter) and g.is_read_once(value)


def has_room(g: Builder, function: Graph) -> bool:
    """Whether a function may be written in the place of a call; where nobody counts, any may."""
    return not isinstance(g, Rewriter) or g.take_room(function)


def _is_before(x: Value, y: Value) -> bool:
    """Whether x stands before y: inputs and constants come first, whenever they were met."""
    if (x.producer is None) is (y.producer is None):
        return x.index < y.index
    return x.producer is None
