"""Functions of several pieces: which one an operand is on, what that one is beyond its ends, and where it ends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Op
from gradserve.ir.types import ElementType
from gradserve.ops.family import expand


class Ordered:
    """Comparisons, which are true on one piece and false on the other."""

    def on(self, g: Builder, op: Op, operands: Sequence[Value], result: Value) -> Value:
        """1 where it is true, and 0."""
        return g.convert(result, ElementType.FLOAT64)

    def continued(self, g: Builder, op: Op, operands: Sequence[Value], piece: Value) -> Value:
        """Whether that piece is the true one."""
        return g.gt(piece, 0.5)

    def gap(self, g: Builder, operands: Sequence[Value], piece: Value, other: Value) -> Value:
        """The difference of the operands."""
        return g.sub(*operands)


class Signed:
    """The sign of a number."""

    def on(self, g: Builder, op: Op, operands: Sequence[Value], result: Value) -> Value:
        """The sign itself."""
        return g.convert(result, ElementType.FLOAT64)

    def continued(self, g: Builder, op: Op, operands: Sequence[Value], piece: Value) -> Value:
        """The sign of the piece."""
        return g.convert(piece, operands[0].type.element_type)

    def gap(self, g: Builder, operands: Sequence[Value], piece: Value, other: Value) -> Value:
        """The number."""
        return operands[0]


class Whole(Signed):
    """Whole numbers near a number, which jump `beyond` so much above the lesser of two neighbours."""

    def __init__(self, beyond: float) -> None:
        """How far: 1 for a number that is rounded down, 0 for one rounded up."""
        self._beyond = beyond

    def gap(self, g: Builder, operands: Sequence[Value], piece: Value, other: Value) -> Value:
        """The distance from where the whole number changes first on the way from one to the other."""
        first = g.select(g.gt(other, piece), piece, g.sub(piece, 1.0))
        return g.sub(operands[0], g.convert(g.add(first, self._beyond), operands[0].type.element_type))


class Quotients:
    """Remainders, by the whole part of the quotient."""

    def on(self, g: Builder, op: Op, operands: Sequence[Value], result: Value) -> Value:
        """The whole part, taken from the remainder: that of the rounded quotient may be another."""
        x, divisor = operands
        return g.convert(g.round(g.div(g.sub(x, result), divisor)), ElementType.FLOAT64)

    def continued(self, g: Builder, op: Op, operands: Sequence[Value], piece: Value) -> Value:
        """What is left without so many times the divisor."""
        x, divisor = operands
        return g.sub(x, g.mul(g.convert(piece, x.type.element_type), divisor))

    def gap(self, g: Builder, operands: Sequence[Value], piece: Value, other: Value) -> Value:
        """How much more the quotient is than the whole number between."""
        x, divisor = operands
        between = g.select(g.gt(other, piece), g.add(piece, 1.0), piece)
        return g.sub(g.div(x, divisor), g.convert(between, x.type.element_type))


class Larger:
    """The one of two operands that comes first in an order; where they are equal, the op is as it is."""

    def on(self, g: Builder, op: Op, operands: Sequence[Value], result: Value) -> Value:
        """1 if it is the first operand, -1 if it is the second, else 0."""
        x, y = operands
        first = g.logical_and(g.eq(result, x), g.ne(x, y))
        second = g.logical_and(g.eq(result, y), g.ne(x, y))
        return g.select(first, 1.0, g.select(second, -1.0, 0.0))

    def continued(self, g: Builder, op: Op, operands: Sequence[Value], piece: Value) -> Value:
        """That operand."""
        (whole,) = g.apply(op, operands)
        x, y = operands
        return g.select(g.gt(piece, 0.0), x, g.select(g.lt(piece, 0.0), y, whole))

    def gap(self, g: Builder, operands: Sequence[Value], piece: Value, other: Value) -> Value:
        """The difference of the operands."""
        return g.sub(*operands)


class Size:
    """The size of a number; at 0, the op is as it is."""

    def on(self, g: Builder, op: Op, operands: Sequence[Value], result: Value) -> Value:
        """The sign of the number."""
        return g.convert(g.sign(operands[0]), ElementType.FLOAT64)

    def continued(self, g: Builder, op: Op, operands: Sequence[Value], piece: Value) -> Value:
        """The number, or its negative."""
        (whole,) = g.apply(op, operands)
        (x,) = operands
        return g.select(g.gt(piece, 0.0), x, g.select(g.lt(piece, 0.0), g.neg(x), whole))

    def gap(self, g: Builder, operands: Sequence[Value], piece: Value, other: Value) -> Value:
        """The number."""
        return operands[0]


class Between:
    """A number between two bounds."""

    def on(self, g: Builder, op: Op, operands: Sequence[Value], result: Value) -> Value:
        """1 above, -1 below, and 0 inside and where a bound is met."""
        x, low, high = operands
        return g.select(g.gt(x, high), 1.0, g.select(g.lt(x, low), -1.0, 0.0))

    def continued(self, g: Builder, op: Op, operands: Sequence[Value], piece: Value) -> Value:
        """The bound, or the number."""
        x, low, high = operands
        return g.select(g.gt(piece, 0.0), high, g.select(g.lt(piece, 0.0), low, x))

    def gap(self, g: Builder, operands: Sequence[Value], piece: Value, other: Value) -> Value:
        """How much more the number is than the bound that is passed."""
        x, low, high = operands
        upper = g.gt(g.add(piece, other), 0.0)
        return g.sub(x, g.select(upper, high, low))


class Truncated(Signed):
    """Whole numbers without the fraction of a number."""

    def __init__(self, element_type: ElementType) -> None:
        """Of which type they are."""
        self._element_type = element_type

    def continued(self, g: Builder, op: Op, operands: Sequence[Value], piece: Value) -> Value:
        """The number of the piece."""
        return g.convert(piece, self._element_type)

    def gap(self, g: Builder, operands: Sequence[Value], piece: Value, other: Value) -> Value:
        """The distance from the whole number where another begins, further from 0 or nearer to it."""
        up, down = g.ge(piece, 0.0), g.gt(piece, 0.0)
        above = g.select(up, g.add(piece, 1.0), piece)
        below = g.select(down, piece, g.sub(piece, 1.0))
        (x,) = operands
        return g.sub(x, g.convert(g.select(g.gt(other, piece), above, below), x.type.element_type))


class Places(Signed):
    """The place of an extreme element along an axis."""

    def __init__(self, axis: int) -> None:
        """Along this one."""
        self._axis = axis

    def continued(self, g: Builder, op: Op, operands: Sequence[Value], piece: Value) -> Value:
        """The place of the piece."""
        return g.convert(piece, ElementType.INT64)

    def gap(self, g: Builder, operands: Sequence[Value], piece: Value, other: Value) -> Value:
        """The difference of the elements in the two places."""
        return g.sub(*(self._element(g, operands[0], place) for place in (other, piece)))

    def _element(self, g: Builder, x: Value, place: Value) -> Value:
        numbers = np.arange(x.shape[self._axis], dtype=np.float64)
        along = g.reshape(
            g.constant(numbers), tuple(numbers.size if k == self._axis else 1 for k in range(x.type.rank))
        )
        wanted = g.eq(along, expand(g, place, (self._axis,), x.type.shape))
        return g.emit("reduce_sum", g.select(wanted, x, g.zeros(x.type)), axes=(self._axis,))


class Counted(Signed):
    """How many of ascending numbers are before others."""

    def continued(self, g: Builder, op: Op, operands: Sequence[Value], piece: Value) -> Value:
        """The count of the piece."""
        return g.convert(piece, ElementType.INT64)

    def gap(self, g: Builder, operands: Sequence[Value], piece: Value, other: Value) -> Value:
        """How much more a number is than the one that is passed."""
        x, v = operands
        passed = g.select(g.gt(other, piece), piece, g.sub(piece, 1.0))
        place = g.clip(g.convert(passed, ElementType.INT64), 0, int(x.type.size) - 1)
        return g.sub(v, g.emit("gather", x, place, axis=0))
