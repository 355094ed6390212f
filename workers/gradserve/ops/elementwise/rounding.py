"""Whole numbers and signs: what a real number keeps when its fraction or its magnitude is dropped."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.ir.builder import Builder, Value
from gradserve.ir.records import dataclass
from gradserve.ops.elementwise.pieces import Quotients, Signed, Whole
from gradserve.ops.family import DIVISION, Binary, Discrete, Elementwise
from gradserve.ops.registry import register


@register
@dataclass(frozen=True)
class Sign(Discrete, Elementwise):
    """-1, 0 or 1 by the sign of x."""

    name = "sign"
    pieces = Signed()
    spectral_function = "sign"
    function = "sign"
    points = ((1.5, -2.0, 0.125),)
    kinks = ((0.0, -0.0),)

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where x is 0: it jumps. The derivative is 0, as everywhere."""
        return g.eq(operands[0], 0)

    def margin(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """The size of x."""
        return g.abs(operands[0])


class ToWhole(Discrete, Elementwise):
    """A whole number near x."""

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where x is whole: it jumps. The derivative is 0, as everywhere."""
        return g.eq(operands[0], outputs[0])

    def margin(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """The distance from the nearest whole number."""
        return g.abs(g.sub(operands[0], g.round(operands[0])))


@register
@dataclass(frozen=True)
class Floor(ToWhole):
    """The largest whole number not above x."""

    name = "floor"
    pieces = Whole(1.0)
    function = "floor"
    points = ((1.5, -2.5, 0.9),)
    kinks = ((0.0, -3.0),)


@register
@dataclass(frozen=True)
class Ceil(ToWhole):
    """The smallest whole number not below x."""

    name = "ceil"
    pieces = Whole(0.0)
    function = "ceil"
    points = ((1.5, -2.5, 0.9),)
    kinks = ((0.0, -3.0),)


@register
@dataclass(frozen=True)
class Round(Discrete, Elementwise):
    """The nearest whole number; of two equally near, the even one."""

    name = "round"
    pieces = Whole(0.5)
    function = "round"
    points = ((1.4, -2.3, 0.9),)
    kinks = ((0.5, -1.5, 2.5),)

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where x is in the middle of two whole numbers: it jumps. The derivative is 0, as everywhere."""
        return g.eq(g.abs(g.sub(operands[0], outputs[0])), 0.5)

    def margin(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """The distance from the middle between the two nearest whole numbers."""
        return g.sub(0.5, g.abs(g.sub(operands[0], outputs[0])))


@register
@dataclass(frozen=True)
class Remainder(Binary):
    """x - floor(x / y) y, which has the sign of y."""

    name = "remainder"
    pieces = Quotients()
    function = "remainder"
    flops = DIVISION
    points = ((7.5, -7.5, 7.5, -7.5, 0.5), (2.0, 2.0, -2.0, -2.0, 3.0))
    kinks = ((6.0, 0.0), (2.0, 1.5))
    integers = ((7, -3, 0, 2), (2, 5, -4, -2))

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """For z = x mod y: dz = dx - q dy, with the quotient q taken from z, as floor(x / y) may round across."""
        if k == 0:
            return dx
        x, divisor = operands
        return g.mul(g.neg(g.round(g.div(g.sub(x, y), divisor))), dx)

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where the quotient is whole: it jumps. The derivative is that on the side of the value."""
        return g.eq(outputs[0], 0)
