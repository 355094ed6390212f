"""The hypotenuse of two sides, how much longer than a side it is, and the cosine between the two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import Array
from gradserve.ops.family import DIVISION, Binary, RealElementwise
from gradserve.ops.registry import register


@dataclass(frozen=True)
class OfSides(RealElementwise, Binary):
    """A function of the sides x and y of a right triangle.

    A primitive for a numerical reason: no square overflows, and no derivative is a difference of near numbers.
    """

    flops = 4 * DIVISION
    points = ((0.5, 2.0, -1.0, -2.0), (1.0, -1.0, -0.5, 0.25))
    kinks = ((0.0, -0.0, float("inf"), 1.0), (0.0, 0.0, 1.0, float("-inf")))


@register
@dataclass(frozen=True)
class Hypot(OfSides):
    """The root of x^2 + y^2; at the origin its derivative is 0, as that of a norm."""

    name = "hypot"
    commutative = True
    function = "hypot"

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """The cosine of the angle with the side that moves."""
        return g.mul(cosine(g, operands[k], operands[1 - k]), dx)


@register
@dataclass(frozen=True)
class HypotExcess(OfSides):
    """The root of x^2 + y^2, less |y|; with all digits where x is small."""

    name = "hypot_excess"

    def impl(self, xp: Any, *arrays: Array) -> Any:
        x, y = arrays
        total = xp.hypot(x, y) + xp.abs(y)
        nothing = total == 0.0
        return xp.abs(x) * (xp.abs(x) / xp.where(nothing, xp.ones_like(total), total))

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """The cosine in x; in y it is less by one than that, the excess over the hypotenuse."""
        x, other = operands
        if k == 0:
            return g.mul(cosine(g, x, other), dx)
        long = g.emit("hypot", x, other)
        share = g.div(y, g.select(g.eq(long, 0.0), 1.0, long))
        return g.mul(g.mul(g.neg(g.sign(other)), share), dx)


@register
@dataclass(frozen=True)
class Cosine(OfSides):
    """x over the root of x^2 + y^2, and 0 at the origin."""

    name = "cosine"
    internal = True

    def impl(self, xp: Any, *arrays: Array) -> Any:
        x, y = arrays
        long = xp.hypot(x, y)
        return x / xp.where(long == 0.0, xp.ones_like(long), long)

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """dc = s (s dx - c dy) / h for the sine s and the hypotenuse h."""
        long = g.emit("hypot", *operands)
        sine = cosine(g, operands[1], operands[0])
        other = sine if k == 0 else g.neg(y)
        return g.mul(g.mul(sine, g.div(other, g.select(g.eq(long, 0.0), 1.0, long))), dx)


def cosine(g: Builder, x: Value, y: Value) -> Value:
    """x over the root of x^2 + y^2."""
    return g.apply(Cosine(), [x, y])[0]
