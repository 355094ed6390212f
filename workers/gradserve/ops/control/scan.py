"""A function called step after step, each time on what it made the last time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.errors import NumericalFailure
from gradserve.ir.graph import Graph
from gradserve.ir.guards import Guard
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, TensorType
from gradserve.ops.control.calling import Calling, Function, output_types, require_signature
from gradserve.ops.control.conditions import compared
from gradserve.ops.family import require
from gradserve.ops.registry import builder, register

T = TypeVar("T")

_STEPS = TensorType(ElementType.INT64)
_GOES_ON = TensorType(ElementType.BOOL)


@register
@dataclass(frozen=True)
class Scan(Calling):
    """Loops: `body` maps carries and a row of each scanned array to new carries and a row of each stacked result.

    The operands are how many steps to do, the first carries, the scanned arrays, whose leading axis has `length` rows,
    and what all steps share. The results are the last carries and the stacked rows; rows of steps that are not done
    are 0. Steps go from the first row to the last, or with `reverse` back from the last step to be done.

    If it `stops`, the body has one more output before all others, whether to go on, and the first result is the number
    of steps that were done. A loop that would go on after `length` steps is refused: what it carries is not its result.
    """

    name = "scan"
    calls_functions = ("body",)
    constraints = {
        "C1": "the number of steps is an int64 scalar",
        "C2": "the body takes the carries, a row of each scanned array, and what is shared",
        "C3": "the body gives the carries in the types in which it takes them, after the truth value if it stops",
        "C4": "scanned arrays have `length` rows",
        "C5": "length and counts are not negative, and there are as many operands as they say",
    }
    body: Graph
    length: int
    carries: int
    scanned: int
    reverse: bool
    stops: bool

    def coerce(self, g: Builder, operands: Sequence[Operand]) -> tuple[Value, ...]:
        """The operands, the number of steps as an int64."""
        steps, *others = (g.lift(operand) for operand in operands)
        return (g.convert(steps, ElementType.INT64), *others)

    @property
    def calls(self) -> int:
        """The number of rows."""
        return self.length

    @property
    def guards(self) -> tuple[Guard, ...]:
        """Whoever stops by a condition has to come to its end."""
        return (UNENDED,) if self.stops else ()

    def parts(self, operands: Sequence[T]) -> tuple[T, tuple[T, ...], tuple[T, ...], tuple[T, ...]]:
        """The number of steps, the carries, the scanned arrays, and what is shared."""
        steps, *others = operands
        rows = self.carries + self.scanned
        return steps, tuple(others[: self.carries]), tuple(others[self.carries : rows]), tuple(others[rows:])

    def result_parts(self, results: Sequence[T]) -> tuple[tuple[T, ...], tuple[T, ...], tuple[T, ...]]:
        """The number of steps done, if there is one, the carries, and the stacked rows."""
        first = int(self.stops)
        return (
            tuple(results[:first]),
            tuple(results[first : first + self.carries]),
            tuple(results[first + self.carries :]),
        )

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        """The number of steps if it stops, the types of the carries, and those of rows with a leading axis."""
        counts = min(self.length, self.carries, self.scanned)
        require(counts >= 0, "C5", "a length or a count is negative")
        least = 1 + self.carries + self.scanned
        require(len(types) >= least, "C5", f"there are {len(types)} operands, not {least} or more")
        steps, carries, scanned, shared = self.parts(types)
        require(steps == _STEPS, "C1", f"the number of steps is {steps}, not {_STEPS}")
        for type_ in scanned:
            fits = type_.rank > 0 and type_.shape[0] == self.length
            require(fits, "C4", f"{type_} has no leading axis of {self.length} rows")
        rows = [type_.with_shape(type_.shape[1:]) for type_ in scanned]
        require_signature(self.body, [*carries, *rows, *shared], "C2")
        given = output_types(self.body)
        wanted = [_GOES_ON] * self.stops + list(carries)
        text = f"the body gives {', '.join(map(str, given))}; {', '.join(map(str, wanted))} have to come first"
        require(given[: len(wanted)] == wanted, "C3", text)
        stacked = [type_.with_shape((self.length, *type_.shape)) for type_ in given[len(wanted) :]]
        return (*[_STEPS] * self.stops, *carries, *stacked)

    def run(self, xp: Any, functions: Mapping[str, Function], *arrays: Array) -> list[Array]:
        """The results, step after step; the loop is Python's, so that any namespace serves."""
        steps, carries, scanned, shared = self.parts(arrays)
        first, count, goes_on = int(self.stops), min(int(steps), self.length), True
        rows: dict[int, Sequence[Array]] = {}
        for row in range(count - 1, -1, -1) if self.reverse else range(count):
            if not goes_on:
                break
            outputs = functions["body"](*carries, *(array[row, ...] for array in scanned), *shared)
            goes_on = not self.stops or bool(outputs[0])
            carries, rows[row] = tuple(outputs[first : first + self.carries]), outputs[first + self.carries :]
        stacked = []
        for k, type_ in enumerate(output_types(self.body)[first + self.carries :]):
            dtype = type_.element_type.dtype_in(xp)
            nothing = xp.zeros(type_.lengths, dtype=dtype)
            made = [rows[row][k] if row in rows else nothing for row in range(self.length)]
            stacked.append(xp.stack(made) if made else xp.zeros((0, *type_.lengths), dtype=dtype))
        done = len(rows) + self.cut_off(len(rows), goes_on, int(steps))
        return [*[xp.asarray(done, dtype=xp.int64)] * self.stops, *carries, *stacked]

    def cut_off(self, done: Any, goes_on: Any, steps: Any) -> Any:
        """Whether a loop that has done all its rows would go on, which counts as one more step: the guard's mark."""
        return (done == self.length) & goes_on & (steps > 0)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Both directions, no carry, no row, fewer steps than rows, none at all, and an end that depends on numbers."""
        w, rows = np.array([0.5, -1.5]), np.array([[0.5, 1.0], [-1.0, 2.0], [0.25, -0.5]])
        for dtype in (np.dtype(np.float64), np.dtype(np.float32)):
            recurrence, doubling = _recurrence(ElementType.of(dtype)), _doubling(ElementType.of(dtype))
            real = [x.astype(dtype) for x in (w, rows, w + 1.0)]
            for reverse in (False, True):
                scan = cls(recurrence, length=3, carries=1, scanned=1, reverse=reverse, stops=False)
                for steps in (3, 2, 0):
                    yield Sample(scan, (np.array(steps), *real))
            nothing = cls(recurrence, length=0, carries=1, scanned=1, reverse=False, stops=False)
            yield Sample(nothing, (np.array(0), real[0], real[1][:0], real[2]))
            stopping = cls(doubling, length=8, carries=1, scanned=0, reverse=False, stops=True)
            yield Sample(stopping, (np.array(8), np.array(0.75, dtype), np.array(10.0, dtype)))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """A bound below the steps that are needed, and none at all."""
        for length in (3, 0):
            stopping = cls(_doubling(ElementType.FLOAT64), length, carries=1, scanned=0, reverse=False, stops=True)
            yield "R1", Sample(stopping, (np.array(8), np.array(0.75), np.array(10.0)))


def _would_go_on(op: Scan, _xp: Any, _operands: Sequence[Any], results: Sequence[Any]) -> Any:
    return results[0] > op.length


def _still_true(op: Scan, operands: Sequence[Array], results: Sequence[Array], _first: tuple[int, ...]) -> str:
    """The refusal with what the condition compares, as far as that follows from what is carried and shared."""
    shown = compared(op.body, _known(op, operands, results))
    return UNENDED.description.format(where=f"({op.length} steps{shown and f'; {shown}'})")


def _known(op: Scan, operands: Sequence[Array], results: Sequence[Array]) -> dict[int, Array]:
    """The values of the body that are known once all steps are done: what it gave last, and what is shared."""
    *_, shared = op.parts(operands)
    _, carries, _ = op.result_parts(results)
    known = dict(enumerate(shared, start=op.carries + op.scanned))
    given = {output.value: carry for output, carry in zip(op.body.outputs[1:], carries, strict=False)}
    return {value: array for value, array in given.items() if value >= op.carries + op.scanned} | known


UNENDED = Guard(
    "R1",
    "the condition of a loop still holds at its bound {where}, so its result is unfinished; "
    "give a larger `most`, or on_most='report'",
    NumericalFailure,
    _would_go_on,
    of="while_loop",
    detail=_still_true,
)
"""A loop that was cut off."""


def _recurrence(element_type: ElementType) -> Graph:
    """The carry is a mean of itself and of a product; a row is what was added, squared."""
    g = builder()
    vector = TensorType(element_type, (2,))
    carry, row, shared = (g.input(name, vector) for name in ("x0", "x1", "x2"))
    added = g.sin(row * shared + carry)
    return g.build({"y0": carry * 0.5 + added, "y1": added * added})


def _doubling(element_type: ElementType) -> Graph:
    """Doubles the carry as long as it is below a bound."""
    g = builder()
    scalar = TensorType(element_type)
    carry, bound = g.input("x0", scalar), g.input("x1", scalar)
    twice = carry * 2.0
    return g.build({"y0": g.lt(twice, bound), "y1": twice, "y2": twice * bound})
