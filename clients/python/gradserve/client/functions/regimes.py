"""Functions with jumps and kinks as smooth ones: each piece that they are made of goes on beyond its ends.

What jumps, a comparison or a whole number, has a kink, as `np.maximum`, or is chosen by such, stays on the piece that
it is told, one number for each element: all of these are the regime. NaN is no piece: there the function is as it is.
What chooses within loops, or by rules of its own, is always as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradserve.client.functions.lifted import OfVector
from gradserve.ir.builder import Value
from gradserve.ir.graph import Graph, Node
from gradserve.ir.op import Op
from gradserve.ir.pieces import Pieces
from gradserve.ir.types import ElementType, TensorType
from gradserve.numpy.recorder import Recorder
from gradserve.ops.control.cond import Cond
from gradserve.ops.family import Discrete
from gradserve.ops.indexing.sorting import Searchsorted


class Regimes:
    """A function of a vector and others, of which the first so many inputs move on the way, in its regimes."""

    def __init__(self, of: OfVector, moving: int) -> None:
        """Of a traced function, which has no regimes if it has neither jumps nor kinks in what moves.

        Places in tables by the last of what moves and constants are left as they are: what is read there has mostly
        kinks alone, and many of them.
        """
        self._of = of
        graph = _without_choices(of.lifted.graph)
        others = set(_watched(graph, of.lifted.moving - {moving - 1}))
        watched = [
            k
            for k in _watched(graph, set(range(moving)))
            if k in others or not isinstance(graph.nodes[k].op, Searchsorted)
        ]
        self.size = sum(graph.nodes[k].types[0].size for k in watched)
        """How many numbers a regime has."""
        self.jumps_by_others = any(isinstance(graph.nodes[k].op, Discrete) for k in {*watched} & others)
        """Whether it jumps by anything but the last of what moves, and constants."""
        if watched:
            self._rate, self._on, self._gaps = (
                _Writing(graph, watched, count).graph(what) for count, what in ((1, _results), (1, _actual), (2, _gaps))
            )

    def rate(self, regime: Any, vector: Any, *known: Any) -> Any:
        """What the function returns in a regime, leaf by leaf as one vector."""
        return np.concatenate([np.ravel(leaf) for leaf in self._of.written(self._rate, vector, known, regime)])

    def on(self, regime: Any, vector: Any, *known: Any) -> Any:
        """The regime that follows from what the operands are in another one, or are if that is NaN."""
        return self._of.written(self._on, vector, known, regime)[0]

    def gaps(self, regime: Any, other: Any, vector: Any, *known: Any) -> Any:
        """For each number of a regime what is 0 where it changes to that of another one."""
        return self._of.written(self._gaps, vector, known, regime, other)[0]


class _Met(NamedTuple):
    """One application of an op of pieces."""

    pieces: Pieces
    operands: list[Value]
    actual: Value
    """The pieces that its operands are on."""
    given: list[Value]
    """Those of the regimes that are given, in its shape."""


class _Writing:
    """The nodes of a graph written down again, as they are in a regime if there is one."""

    def __init__(self, graph: Graph, watched: Sequence[int], count: int) -> None:
        """Of a graph whose pieces these nodes have, with so many regimes given after its inputs."""
        self.g = g = Recorder()
        inputs = [g.input(i.name, i.type) for i in graph.inputs]
        size = sum(graph.nodes[k].types[0].size for k in watched)
        regimes = [g.input(f"regime{k}", TensorType(ElementType.FLOAT64, (size,))) for k in range(count)]
        self._inputs = [*inputs, *regimes]
        self.met: list[_Met] = []
        self._place = 0
        wanted = set(watched)
        values = [*inputs, *map(g.constant, graph.constants)]
        for k, node in enumerate(graph.nodes):
            g.origin = node.origin
            operands = [values[n] for n in node.operands]
            results = g.apply(node.op, operands)
            values += [self._piece(node.op, operands, results[0], regimes)] if k in wanted else results
        self.outputs = [values[output.value] for output in graph.outputs]

    def _piece(self, op: Op, operands: list[Value], result: Value, regimes: Sequence[Value]) -> Value:
        start, self._place = self._place, self._place + result.type.size
        g = self.g
        parts = [g.emit("slice", r, starts=(start,), stops=(self._place,), strides=(1,)) for r in regimes]
        given = [g.reshape(part, result.type.shape) for part in parts]
        assert op.pieces is not None
        self.met.append(_Met(op.pieces, operands, op.pieces.on(g, op, operands, result), given))
        return g.select(g.ne(given[0], given[0]), result, op.pieces.continued(g, op, operands, given[0]))

    def graph(self, what: Callable[[_Writing], Sequence[Value]]) -> Graph:
        """The graph of the inputs and regimes that gives this."""
        return self.g.build({f"y{k}": value for k, value in enumerate(what(self))}, self._inputs)

    def row(self, values: Sequence[Value]) -> Value:
        """Values of all that was met, in one vector."""
        flat = [self.g.convert(self.g.reshape(v, (v.type.size,)), ElementType.FLOAT64) for v in values]
        return flat[0] if len(flat) == 1 else self.g.emit("concatenate", *flat, axis=0)


def _results(writing: _Writing) -> Sequence[Value]:
    return writing.outputs


def _actual(writing: _Writing) -> Sequence[Value]:
    return [writing.row([met.actual for met in writing.met])]


def _gaps(writing: _Writing) -> Sequence[Value]:
    return [writing.row([met.pieces.gap(writing.g, met.operands, *met.given) for met in writing.met])]


def _watched(graph: Graph, moving: set[int]) -> list[int]:
    """The nodes of pieces whose operands are real and depend on what moves."""
    types, moved, found = graph.value_types, set(moving), []
    first = len(graph.inputs) + len(graph.constants)
    for k, node in enumerate(graph.nodes):
        if not moved.isdisjoint(node.operands):
            moved.update(range(first, first + len(node.types)))
            if node.op.pieces is not None and all(types[n].is_real for n in node.operands):
                found.append(k)
        first += len(node.types)
    return found


def _without_choices(graph: Graph) -> Graph:
    """The graph with both ways of each choice between functions written out, where there is something to watch."""
    if not any(isinstance(node.op, Cond) for node in graph.nodes):
        return graph
    g = Recorder()
    inputs = [g.input(i.name, i.type) for i in graph.inputs]
    outputs = _spread(g, graph, inputs)
    return g.build({output.name: value for output, value in zip(graph.outputs, outputs, strict=True)}, inputs)


def _spread(g: Recorder, graph: Graph, arguments: Sequence[Value]) -> list[Value]:
    values = [*arguments, *map(g.constant, graph.constants)]
    for node in graph.nodes:
        g.origin = node.origin
        operands = [values[k] for k in node.operands]
        op = node.op
        if isinstance(op, Cond) and _may_be_spread(op):
            truth, *others = operands
            then, otherwise = (_spread(g, function, others) for function in (op.then, op.otherwise))
            values += [g.select(truth, x, y) for x, y in zip(then, otherwise, strict=True)]
        else:
            values += g.apply(op, operands)
    return [values[output.value] for output in graph.outputs]


def _may_be_spread(op: Cond) -> bool:
    """Whether something in either function is of pieces, and neither refuses anything."""
    nodes = [node for function in op.functions.values() for node in _all(function)]
    return any(node.op.pieces is not None for node in nodes) and not any(node.op.guards for node in nodes)


def _all(graph: Graph) -> list[Node]:
    return [each for node in graph.nodes for each in (node, *(n for f in node.op.functions.values() for n in _all(f)))]
