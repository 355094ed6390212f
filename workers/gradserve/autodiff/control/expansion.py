"""Power series of ops that call functions: functions of all coefficients of their inputs, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gradserve.autodiff.coefficients import Coefficients
from gradserve.autodiff.control.functions import names_of, parameters
from gradserve.autodiff.series import expanded, whole
from gradserve.autodiff.spectral import invariant
from gradserve.ir.budget import remembered
from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph
from gradserve.ops import builder
from gradserve.ops.control.cond import Cond
from gradserve.ops.control.once import Checkpoint
from gradserve.ops.control.scan import Scan


class Expanded:
    """A function as one of coefficients: of inputs that move all of them, of others the first."""

    def __init__(self, graph: Graph, moving: Sequence[bool], order: int) -> None:
        """Expands it."""
        self._inner = g = builder()
        types = [i.type for i in graph.inputs]
        own = iter(parameters(g, [t for t, moves in zip(types, moving, strict=True) for _ in _orders(moves, order)]))
        inputs = [[next(own) for _ in _orders(moves, order)] for moves in moving]
        plain = invariant(graph, names_of(graph, moving), forward=True, again=order > 1)
        self._found = expanded(g, plain, inputs, order)
        self._made: dict[tuple[bool, ...], Graph] = {}
        self.moves = [any(x is not None for x in coefficients[1:]) for coefficients in self._found]
        """Whether each output moves."""

    def graph(self, moving: Sequence[bool]) -> Graph:
        """The function; of outputs that move all coefficients follow each other, zeros among them."""
        made = self._made.get((*moving,))
        if made is None:
            made = self._made[(*moving,)] = self._written(moving)
        return made

    def _written(self, moving: Sequence[bool]) -> Graph:
        g, results = self._inner, []
        for coefficients, moves in zip(self._found, moving, strict=True):
            (first, *others) = coefficients
            assert first is not None
            results.append(first)
            if moves:
                results += [g.zeros(first.type) if x is None else x for x in others]
        return g.build({f"y{k}": value for k, value in enumerate(results)})


@remembered
def _expanded(graph: Graph, moving: Sequence[bool], order: int) -> Expanded:
    """The expansion of a function whose inputs move, for all who call it."""
    return Expanded(graph, moving, order)


@whole.register
def _(op: Cond, g: Builder, operands: Sequence[Coefficients], order: int) -> list[list[Value | None]]:
    (truth, *_), *others = operands
    moving = [_moves(x) for x in others]
    both = [_expanded(graph, moving, order) for graph in (op.then, op.otherwise)]
    moved = [a or b for a, b in zip(both[0].moves, both[1].moves, strict=True)]
    flat = _flat(g, others, moving, order)
    assert truth is not None
    return _apart(g.apply(Cond(*(one.graph(moved) for one in both)), [truth, *flat]), moved, order)


@whole.register
def _(op: Checkpoint, g: Builder, operands: Sequence[Coefficients], order: int) -> list[list[Value | None]]:
    moving = [_moves(x) for x in operands]
    found = _expanded(op.function, moving, order)
    results = g.apply(Checkpoint(found.graph(found.moves)), _flat(g, operands, moving, order))
    return _apart(results, found.moves, order)


@whole.register
def _(op: Scan, g: Builder, operands: Sequence[Coefficients], order: int) -> list[list[Value | None]]:
    (steps, *_), *others = operands
    moving = [_moves(x) for x in others]
    first = int(op.stops)
    while True:
        body = _expanded(op.body, moving, order)
        late = [k for k in range(op.carries) if body.moves[first + k] and not moving[k]]
        if not late:
            break
        moving = [moves or k in late for k, moves in enumerate(moving)]
    moved = [False] * first + moving[: op.carries] + body.moves[first + op.carries :]
    counts = [len(_orders(moves, order)) for moves in moving]
    rows = op.carries + op.scanned
    scan = replace(
        op, body=body.graph(moved), carries=sum(counts[: op.carries]), scanned=sum(counts[op.carries : rows])
    )
    assert steps is not None
    return _apart(g.apply(scan, [steps, *_flat(g, others, moving, order)]), moved, order)


def _moves(coefficients: Coefficients) -> bool:
    return any(x is not None for x in coefficients[1:])


def _orders(moves: bool, order: int) -> range:
    return range(order + 1 if moves else 1)


def _flat(g: Builder, operands: Sequence[Coefficients], moving: Sequence[bool], order: int) -> list[Value]:
    """The coefficients of all operands one after the other, zeros among them."""
    found = []
    for coefficients, moves in zip(operands, moving, strict=True):
        value = coefficients[0]
        assert value is not None
        chosen = [coefficients[k] for k in _orders(moves, order)]
        found += [g.zeros(value.type) if x is None else x for x in chosen]
    return found


def _apart(results: Sequence[Value], moved: Sequence[bool], order: int) -> list[list[Value | None]]:
    """The coefficients of each result."""
    left = iter(results)
    return [[next(left) for _ in _orders(moves, order)] for moves in moved]
