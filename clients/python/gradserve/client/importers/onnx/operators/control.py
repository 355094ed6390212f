"""Choices and loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gradserve.client.importers.lax import control
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.known import known_array
from gradserve.client.importers.lax.movement import permute
from gradserve.client.importers.onnx.entries import Entry, Form, form_of, in_row, of_row
from gradserve.client.importers.onnx.operators.sequences import stacked
from gradserve.client.importers.onnx.table import Node, Result, axis_in, translates
from gradserve.ir.errors import GradserveError, Untraceable
from gradserve.ir.types import ElementType
from gradserve.numpy.recorder import Recorder


@translates("If")
def choose(n: Node, condition: Operand) -> Result:
    """The results of one of two graphs: where the condition is known, that one alone is read."""
    known = known_array(n.g, condition)
    truth = n.g.reshape(condition.value, ()) if known is None else n.g.constant(known.reshape(()))
    forms: list[Form] = []

    def branch(name: str) -> Callable[[Recorder], list[Operand]]:
        def results(g: Recorder) -> list[Operand]:
            made = n.reader.graph(g, n.get(name), n.scope, [])
            forms.append(form_of(made))
            if forms[-1] != forms[0]:
                raise n.refuse("its branches make sequences of different lengths", "make them alike, or arrays")
            return in_row(made)

        return results

    made = control.choose(n.g, Operand(truth, condition.dtype), [branch("else_branch"), branch("then_branch")])
    return of_row(made, forms[0])


class _Ends(Exception):
    """A loop ends by a condition that its steps compute."""


@translates("Loop", known=(0,), sequences=True)
def loop(n: Node, trips: Operand | None, condition: Operand | None, *first: Entry) -> Result:
    """The last carries and the stacked results of a graph done a known number of times, or as long as it says."""
    count = max((n.ints(0) or (MOST_STEPS + 1,))[0], 0)
    begins = known_array(n.g, condition) if condition is not None else None
    if begins is not None and not begins.all():
        count = 0
    arrays = [x for x in first if isinstance(x, Operand)]
    if condition is not None and begins is None:
        return _bounded(n, arrays, count)
    refused: Untraceable | None = None
    if trips is not None and len(arrays) == len(first):
        try:
            return _counted(n, arrays, count)
        except _Ends:
            pass
        except Untraceable as error:  # of what may be known in each of its steps
            refused = error
    try:
        return _unrolled(n, first, count)
    except _Ends:
        return _bounded(n, arrays, count)
    except GradserveError as error:
        raise refused or error from None


MOST_STEPS = 10_000
"""Of a loop that is written out step by step, or that a condition ends."""


def _counted(n: Node, first: Sequence[Entry], count: int) -> Sequence[Entry]:
    """A loop of so many steps, all of which are done."""
    carried, yes = len(first), n.reader.constant(n.g, np.array(True))

    def step(g: Recorder, given: list[Operand]) -> list[Operand]:
        number, *carries = given
        made = n.reader.graph(g, n.get("body"), n.scope, [number, Operand(g.adopt(yes.value), yes.dtype), *carries])
        going = known_array(g, _array(n, made[0]))
        if going is None or not going.all():
            raise _Ends
        return [_array(n, each) for each in made[1:]]

    rows = Operand(n.g.emit("iota", length=count, element_type=ElementType.INT64), np.dtype(np.int64))
    return _scanned(n, _with_rows_first(step, carried), [_array(n, x) for x in first], [rows], count, False)


def _array(n: Node, entry: Entry) -> Operand:
    if not isinstance(entry, Operand):
        raise n.refuse("its steps make sequences of arrays", "make arrays, which are stacked")
    return entry


def _unrolled(n: Node, first: Sequence[Entry], count: int) -> Sequence[Entry]:
    """The steps of a loop one after the other, each with what is known of it: sequences, and whether it goes on."""
    going, carries, rows = n.reader.constant(n.g, np.array(True)), list(first), list[list[Operand]]()
    for number in range(count):
        if number >= MOST_STEPS:
            raise n.refuse(f"this loop goes on for more than {MOST_STEPS} steps", "export it with fewer")
        step = n.reader.constant(n.g, np.array(number, np.int64))
        condition, *made = n.reader.graph(n.g, n.get("body"), n.scope, [step, going, *carries])
        carries = made[: len(first)]
        rows.append([_array(n, each) for each in made[len(first) :]])
        goes_on = known_array(n.g, _array(n, condition))
        if goes_on is None:
            raise _Ends
        if not goes_on.all():
            break
    columns = [Operand(stacked(n, column), column[0].dtype) for column in zip(*rows, strict=True)]
    if n.outputs > len(carries) + len(columns):
        raise n.refuse("it does no step, and what it stacks has no known shape", "leave the loop out")
    return [*carries, *columns]


def _bounded(n: Node, first: list[Operand], count: int) -> list[Operand]:
    """The last carries of a loop that ends by what its steps compute, but after so many steps at the latest."""
    if count > MOST_STEPS or n.outputs > len(first) or any(not isinstance(x, Operand) for x in n.operands[2:]):
        raise n.refuse(
            "the loop ends by a condition that its steps compute",
            f"export it with a known number of steps, or with at most {MOST_STEPS} and no stacked results",
        )

    def go_on(g: Recorder, given: list[Operand]) -> list[Operand]:
        number, going, *_ = given
        return [Operand(g.logical_and(g.reshape(going.value, ()), g.lt(number.value, count)), going.dtype)]

    def step(g: Recorder, given: list[Operand]) -> list[Operand]:
        number, *_ = given
        made = n.reader.graph(g, n.get("body"), n.scope, [*given])
        return [Operand(g.add(number.value, 1), number.dtype), *(_array(n, each) for each in made)]

    given = n.operands[1] if isinstance(n.operands[1], Operand) else n.reader.constant(n.g, np.array(True))
    number = n.reader.constant(n.g, np.array(0, np.int64))
    values = control.while_loop(n.g, go_on, step, [number, given, *first], count)
    return [Operand(value, x.dtype) for value, x in zip(values[2:], first, strict=True)]


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
    if not 1 <= rows <= len(operands):
        raise ValueError(f"{rows} of its {len(operands)} operands cannot be scanned")
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
        return [_array(n, each) for each in n.reader.graph(g, graph, n.scope, [*current])]

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
