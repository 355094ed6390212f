"""Slopes of other functions as ops of their own: written by what these ops are made of, they would lose digits.

Where a function levels off, its slope is the small difference of numbers near each other; and a square in an exponent
is rounded before it is multiplied by its own size. No derivative of these ops, of whatever order, overflows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.ops.family import TRANSCENDENTAL, Binary, RealElementwise, Unary
from gradserve.ops.registry import register

NEAR = 15 / 16
"""The square of tanh(x) up to which one less it has nearly all digits."""


@register
@dataclass(frozen=True)
class OneMinusSquare(Unary):
    """1 - x^2 as (1 - x)(1 + x), which loses no digits near 1; its slope, -2x, loses none near 0."""

    name = "one_minus_square"
    takes_complex = True
    internal = True
    flops = 3.0
    points = ((0.5, -2.0, 0.0),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        (x,) = arrays
        return (1.0 - x) * (1.0 + x)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """-2 x dx."""
        return g.mul(g.mul(x, -2.0), dx)


@register
@dataclass(frozen=True)
class TanhSlope(RealElementwise, Binary):
    """1 / cosh(x)^2 for y = tanh(x): 1 - y^2, or where that is small from x, with all digits."""

    name = "tanh_slope"
    internal = True
    flops = 3.0
    points = ((0.5, -2.0, 0.0, 3.0, 30.0), (0.25, -0.5, 0.0, math.tanh(3.0), 1.0))
    kinks = ((np.inf, -np.inf, 800.0), (1.0, -1.0, 1.0))

    def impl(self, xp: Any, *arrays: Array) -> Any:
        x, y = arrays
        square = y * y
        return xp.where(square <= NEAR, 1.0 - square, self.far(xp, x))

    @staticmethod
    def far(xp: Any, x: Array) -> Any:
        """1 / cosh(x)^2 at any x."""
        return 4.0 * logistic_slope(xp, 2.0 * x)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """ds = -2 y dy, dy = s dx if the slope s comes from x."""
        (s,), (_, y), (dx, dy) = outputs, primals, tangents
        if dx is None and dy is None:
            return (None,)
        near = g.le(g.mul(y, y), NEAR)
        from_x = 0.0 if dx is None else g.mul(s, dx)
        moved = g.select(near, 0.0 if dy is None else dy, from_x)
        return (g.mul(g.mul(y, -2.0), moved),)


@register
@dataclass(frozen=True)
class LogisticSlope(Unary):
    """The slope of the logistic function, exp(-|x|) / (1 + exp(-|x|))^2."""

    name = "logistic_slope"
    internal = True
    flops = TRANSCENDENTAL + 6.0
    points = ((0.5, -2.0, 0.0, 6.0, 40.0),)
    kinks = ((np.inf, -np.inf, 800.0, -800.0),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return logistic_slope(xp, arrays[0])

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """dy = -tanh(x / 2) y dx: no difference of near numbers around 0."""
        return g.mul(g.mul(g.neg(g.tanh(g.mul(x, 0.5))), y), dx)


def logistic_slope(xp: Any, x: Array) -> Any:
    """The slope of the logistic function at x, of arrays."""
    e = xp.exp(-xp.abs(x))
    return e / ((1.0 + e) * (1.0 + e))


@register
@dataclass(frozen=True)
class Bell(Unary):
    """exp(-x^2 / scale) for a scale of 1 or 2, with all digits: the rounding of x^2 would cost x^2 of them."""

    scale: float

    name = "bell"
    internal = True
    flops = 2 * TRANSCENDENTAL + 8.0
    points = ((0.5, -2.0, 0.0, 3.3),)
    kinks = ((np.inf, -np.inf, 30.0),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        (x,) = arrays
        # The square of `coarse` is exact, and what is left of x^2 is small.
        x = xp.clip(x, -64.0, 64.0)
        coarse = xp.round(x * 16.0) / 16.0
        rest = (x - coarse) * (x + coarse)
        return xp.exp(coarse * coarse / -self.scale) * xp.exp(rest / -self.scale)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """dy = -2 x y / scale dx, and 0 where y has vanished."""
        vanished = g.eq(y, 0.0)
        return g.mul(g.mul(g.select(vanished, 0.0, g.mul(x, -2.0 / self.scale)), y), dx)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Both scales; a scalar, nothing, far out."""
        (points,), (kinks,) = cls.points, cls.kinks
        for scale in (1.0, 2.0):
            yield Sample(cls(scale), (np.array(points),))
        yield Sample(cls(1.0), (np.array(points[0]),))
        yield Sample(cls(2.0), (np.zeros((2, 0)),))
        yield Sample(cls(1.0), (np.array(kinks),), differentiable=False)
