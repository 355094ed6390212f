"""Inverse functions: each moves with what it is made from as its equation says, by the slopes at the result."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import TensorType
from gradserve.ops.family import Binary, RealElementwise, Unary, require
from gradserve.ops.registry import register
from gradserve.ops.special.empirical import kolmogorov_slope, smirnov_slope
from gradserve.ops.special.erf import Special
from gradserve.ops.special.rare import OfScipy


@register
@dataclass(frozen=True)
class NdtriExp(OfScipy, Unary):
    """The number that a standard normal variable is below with probability exp(x)."""

    name = "ndtri_exp"
    function = "ndtri_exp"
    points = ((-0.5, -3.0, -0.3, -40.0),)
    kinks = ((0.0, 1.0, -math.inf),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """exp(x) over the density at y, dx; below 0 by the scaled function, in which no squares cancel."""
        below = g.lt(y, 0.0)
        low = g.erfcx(g.mul(g.select(below, y, 0.0), -math.sqrt(0.5)))
        high = g.select(below, 0.0, y)
        up = g.exp(g.add(g.select(below, 0.0, x), g.mul(g.mul(high, high), 0.5)))
        slope = g.select(below, g.mul(low, math.sqrt(0.5 * math.pi)), g.mul(up, math.sqrt(2.0 * math.pi)))
        return g.mul(slope, dx)


@register
@dataclass(frozen=True)
class Wrightomega(OfScipy, Unary):
    """Wright's function omega: the w with w + log(w) = x."""

    name = "wrightomega"
    function = "wrightomega"
    points = ((-0.5, 3.0, 0.0, 50.0),)
    kinks = ((-math.inf, math.inf),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """w / (1 + w) dx."""
        near = g.lt(y, 1e300)
        w = g.select(near, y, 1.0)
        return g.mul(g.select(near, g.div(w, g.add(w, 1.0)), 1.0), dx)


@register
@dataclass(frozen=True)
class Kolmogi(OfScipy, Unary):
    """The y at which Kolmogorov's distribution has a probability to be above it."""

    name = "kolmogi"
    function = "kolmogi"
    points = ((0.5, 0.25, 0.9, 0.75),)
    kinks = ((0.0, 1.0, 2.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """What moves the probability, over the slope at y."""
        return g.div(dx, kolmogorov_slope(g, y))


_POINT_FLOPS = 3000.0
"""As measured: 2.4 us for each point."""


@register
@dataclass(frozen=True)
class Smirnovi(OfScipy, Unary):
    """The d at which Smirnov's distribution of a number of points has a probability to be above it."""

    count: int

    name = "smirnovi"
    function = "smirnovi"
    points = ((0.5, 0.25, 0.7, 0.4),)
    constraints = {**Special.constraints, "C4": "there are 1 to 10,000 points"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        results = super().infer(*types)
        require(1 <= self.count <= 10_000, "C4", f"there are {self.count} points")
        return results

    @property
    def flops(self) -> float:  # type: ignore[override]
        """SciPy looks for d, by sums over the points."""
        return _POINT_FLOPS * self.count

    def chosen(self, xp: Any) -> Callable[..., Any]:
        return partial(super().chosen(xp), float(self.count))

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """What moves the probability, over the slope at d."""
        return g.div(dx, smirnov_slope(g, self.count, y))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Some counts, a scalar, nothing."""
        points = np.array(cls.points[0])
        yield Sample(cls(3), (points,))
        yield Sample(cls(1), (points[0],))
        yield Sample(cls(2), (np.zeros((2, 0)),))


_NEAR = 0.5
_TERMS = 16


@register
@dataclass(frozen=True)
class Tklmbda(OfScipy, RealElementwise, Binary):
    """The probability that a number of Tukey's distribution lambda, (p^l - (1 - p)^l) / l of a uniform p, is below x.

    So it is the inverse of that.
    """

    name = "tklmbda"
    function = "tklmbda"
    points = ((0.5, -1.0, 0.3, 0.7), (0.7, -0.5, 0.0, 1.5))
    kinks = ((math.inf, 5.0, -2.0), (1.0, 1.0, 0.5))

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """1 / (p^(l-1) + (1-p)^(l-1)) dx, and less the change of the quantile with l, times this, dl."""
        _, power = operands
        inside = g.logical_and(g.gt(y, 0.0), g.lt(y, 1.0))
        p, lowered = g.select(inside, y, 0.5), g.sub(power, 1.0)
        rest = g.sub(1.0, p)
        density = g.select(inside, g.div(1.0, g.add(g.pow(p, lowered), g.pow(rest, lowered))), 0.0)
        if k == 0:
            return g.mul(density, dx)
        change = g.sub(_by_power(g, p, power), _by_power(g, rest, power))
        return g.mul(g.neg(g.mul(density, change)), dx)


def _by_power(g: Builder, p: Value, power: Value) -> Value:
    """The derivative of (p^l - 1) / l in l: log(p)^2 (u exp(u) - exp(u) + 1) / u^2 at u = l log(p)."""
    logarithm = g.log(p)
    u = g.mul(power, logarithm)
    near = g.lt(g.abs(u), _NEAR)
    t, series, far = g.select(near, u, 0.0), g.zeros(u.type), g.select(near, 1.0, u)
    for k in range(_TERMS, -1, -1):
        series = g.add(g.mul(t, series), 1.0 / (math.factorial(k) * (k + 2)))
    quotient = g.div(g.sub(g.mul(far, g.exp(far)), g.expm1(far)), g.mul(far, far))
    return g.mul(g.mul(logarithm, logarithm), g.select(near, series, quotient))
