"""Choices and loops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradserve.client.importers.lax import control
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.known import known_array
from gradserve.client.importers.lax.movement import permute
from gradserve.client.importers.onnx.table import Node, Result, axis_in, translates
from gradserve.ir.types import ElementType
from gradserve.numpy.recorder import Recorder


@translates("If")
def choose(n: Node, condition: Operand) -> Result:
    """The results of one of two graphs: where the condition is known, that one alone is read."""
    known = known_array(n.g, condition)
    truth = n.g.reshape(condition.value, ()) if known is None else n.g.constant(known.reshape(()))
    which = Operand(truth, condition.dtype)
    return control.choose(n.g, which, [_branch(n, name) for name in ("else_branch", "then_branch")])


def _branch(n: Node, name: str) -> Callable[[Recorder], list[Operand]]:
    return lambda g: n.reader.graph(g, n.get(name), n.scope, [])


@translates("Loop", known=(0, 1))
def loop(n: Node, trips: Operand | None, condition: Operand | None, *first: Operand) -> Result:
    """The last carries and the stacked results of a graph done a known number of times."""
    graph, count, go_on = n.get("body"), n.ints(0), n.array(1)
    if count is None or (go_on is not None and not go_on.all() and count[0]):
        raise n.refuse("how often this loop runs is not known", "export it with a number of steps and no other end")
    carried = len(first)
    yes = n.reader.constant(n.g, np.array(True))

    def step(g: Recorder, given: list[Operand]) -> list[Operand]:
        number, *carries = given
        made = n.reader.graph(g, graph, n.scope, [number, Operand(g.adopt(yes.value), yes.dtype), *carries])
        _require_going(n, g, made[0])
        return [*made[1 : 1 + carried], *made[1 + carried :]]

    rows = Operand(n.g.emit("iota", length=count[0], element_type=ElementType.INT64), np.dtype(np.int64))
    return _scanned(n, _with_rows_first(step, carried), list(first), [rows], count[0], False)


def _require_going(n: Node, g: Recorder, condition: Operand) -> None:
    found = known_array(g, condition)
    if found is None or not found.all():
        raise n.refuse("the loop ends by a condition that its steps compute", "export it with a known number of steps")


def _with_rows_first(step: control.Step, carried: int) -> control.Step:
    return lambda g, given: step(g, [*given[carried:], *given[:carried]])


def _scanned(
    n: Node, step: control.Step, carries: list[Operand], rows: list[Operand], count: int, backward: bool
) -> list[Operand]:
    """What `control.scan` gives, with the elements that the step's results have."""
    found: list[Operand] = []

    def seen(g: Recorder, given: list[Operand]) -> list[Operand]:
        made = step(g, given)
        found[:] = made
        return made

    values = control.scan(n.g, seen, carries, rows, count, backward)
    return [Operand(value, made.dtype) for value, made in zip(values, found, strict=True)]


@translates("Scan")
def scan(n: Node, *operands: Operand) -> Result:
    """The last carries and the stacked results of a graph done for each row of some operands."""
    if n.version < 9 or None in operands:
        raise n.refuse("this Scan is of an operator set before 9", "export the model with a newer set")
    graph, rows = n.get("body"), n.get("num_scan_inputs")
    carried = len(operands) - rows
    results = n.outputs - carried
    directions = n.get("scan_input_directions", [0] * rows)
    axes = n.get("scan_input_axes", [0] * rows)
    given = []
    for x, axis, turned in zip(operands[carried:], axes, directions, strict=True):
        order = [axis_in(axis, x.rank), *(k for k in range(x.rank) if k != axis_in(axis, x.rank))]
        moved = permute(n.g, x.value, order)
        given.append(Operand(n.g.emit("reverse", moved, axes=(0,)) if turned else moved, x.dtype))

    def step(g: Recorder, current: list[Operand]) -> list[Operand]:
        return n.reader.graph(g, graph, n.scope, current)

    made = _scanned(n, step, list(operands[:carried]), given, given[0].shape[0], False)
    ways = zip(
        made[carried:],
        n.get("scan_output_axes", [0] * results),
        n.get("scan_output_directions", [0] * results),
        strict=True,
    )
    stacked = []
    for x, axis, turned in ways:
        value = n.g.emit("reverse", x.value, axes=(0,)) if turned else x.value
        place = axis_in(axis, x.rank)
        order = [*range(1, place + 1), 0, *range(place + 1, x.rank)]
        stacked.append(Operand(permute(n.g, value, order), x.dtype))
    return [*made[:carried], *stacked]
