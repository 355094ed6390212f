"""The gamma function and its relatives: digamma, zeta, beta, binomial coefficients; the exponential integral."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.formulas import formula
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.family import Binary, RealElementwise, Unary, require
from gradserve.ops.registry import register
from gradserve.ops.special.erf import Special


@register
@dataclass(frozen=True)
class Gamma(Special, Unary):
    """The gamma function: (x - 1)! at whole x."""

    name = "gamma"
    function = "gamma"
    points = ((0.5, 3.0, -1.5, 6.25),)
    kinks = ((0.0, -1.0, 200.0, math.inf),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """dy = y digamma(x) dx."""
        return g.mul(g.mul(y, g.digamma(x)), dx)


@register
@dataclass(frozen=True)
class Gammaln(Special, Unary):
    """The logarithm of the absolute value of the gamma function, which does not overflow."""

    name = "gammaln"
    function = "gammaln"
    points = ((0.5, 3.0, -1.5, 50.0),)
    kinks = ((0.0, -1.0, math.inf),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """dy = digamma(x) dx."""
        return g.mul(g.digamma(x), dx)


@register
@dataclass(frozen=True)
class Digamma(Special, Unary):
    """The derivative of the logarithm of the gamma function."""

    name = "digamma"
    function = "digamma"
    points = ((0.5, 3.0, -1.5, 50.0),)
    kinks = ((0.0, -1.0, math.inf),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """dy = zeta(2, x) dx."""
        return g.mul(g.zeta(x, exponent=2.0), dx)


FAR = -1e4
"""Where sums are no longer begun at x."""


@register
@dataclass(frozen=True)
class Zeta(Special, Unary):
    """Hurwitz's zeta function: the sum of (k + x)^-exponent over k = 0, 1, 2, ...; below 0 for whole exponents only.

    The derivatives of digamma are its multiples.
    """

    exponent: float

    name = "zeta"
    function = "zeta"
    points = ((0.5, 3.0, 50.0),)
    kinks = ((0.0, -1.0, math.inf),)
    constraints = {**Special.constraints, "C4": "the exponent is above 1"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        results = super().infer(*types)
        require(self.exponent > 1.0, "C4", f"the sum with exponent {self.exponent} has no limit")
        return results

    def chosen(self, xp: Any) -> Callable[..., Any]:
        return partial(super().chosen(xp), self.exponent)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        """The sum; far below 0 by what lacks in the sum over all whole numbers, which has period 1."""
        (x,) = arrays
        far = x < FAR
        near = self.chosen(xp)(xp.where(far, xp.ones_like(x), x))
        return xp.where(far, self.far(xp, xp.where(far, x, FAR * xp.ones_like(x))), near)

    def far(self, xp: Any, x: Array) -> Any:
        """The sum for an x below 0, where routines go from x to 0 step by step: for ever, if x is so far out."""
        zeta, sign = self.chosen(xp), 1.0 if self.exponent % 2.0 == 0.0 else -1.0
        if not self.exponent.is_integer():
            return xp.nan * x
        rest = x - xp.floor(x)
        pole = rest == 0.0
        inside = xp.where(pole, 0.5 * xp.ones_like(x), rest)
        found = zeta(inside) + sign * (zeta(1.0 - inside) - zeta(1.0 - x))
        return xp.where(pole, xp.inf * xp.ones_like(x), found)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """dy = -s zeta(s + 1, x) dx for the exponent s."""
        return g.mul(g.mul(g.zeta(x, exponent=self.exponent + 1.0), -self.exponent), dx)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Whole exponents and another one; a scalar, nothing, poles."""
        (points,), (kinks,) = cls.points, cls.kinks
        yield Sample(cls(2.0), (np.array(points),))
        yield Sample(cls(3.5), (np.array(points),))
        yield Sample(cls(4.0), (np.array(points[0]),))
        yield Sample(cls(2.0), (np.zeros((2, 0)),))
        yield Sample(cls(2.0), (np.array(kinks),), differentiable=False)
        for exponent in (2.0, 3.0, 2.5):
            yield Sample(cls(exponent), (np.array([-1e4 - 0.25, -1e7 - 0.5, -1e300, 2.0]),), differentiable=False)


@register
@dataclass(frozen=True)
class Betaln(Special, RealElementwise, Binary):
    """The logarithm of the absolute value of the beta function, Gamma(x) Gamma(y) / Gamma(x + y).

    A primitive for a numerical reason: for x much greater than y the logarithms of the gamma functions cancel.
    """

    name = "betaln"
    function = "betaln"
    points = ((0.5, 3.0, 2.5), (2.0, 0.25, 1.5))
    kinks = ((0.0, 1.0), (1.0, 0.0))

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """(digamma(x) - digamma(x + y)) dx, and likewise for y."""
        return g.mul(g.neg(digamma_rise(g, operands[k], operands[1 - k])), dx)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Far apart as well."""
        yield from super().samples()
        yield Sample(cls(), (np.array([50.0, 2.5, 1e3]), np.array([1.5, 100.0, 0.5])))


@register
@dataclass(frozen=True)
class Beta(Special, RealElementwise, Binary):
    """The beta function, Gamma(x) Gamma(y) / Gamma(x + y)."""

    name = "beta"
    function = "beta"
    points = ((0.5, 3.0, 2.5), (2.0, 0.25, 1.5))
    kinks = ((0.0, 1.0, -7.0), (1.0, 0.0, 2.0))

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """For z = Beta(x, y): dz = z (digamma(x) - digamma(x + y)) dx, and likewise for y."""
        return g.mul(g.mul(y, g.neg(digamma_rise(g, operands[k], operands[1 - k]))), dx)


_FAR = 16.0
_BERNOULLI = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760)
"""B_2k / 2k, the coefficients in digamma(x) = log x - 1 / (2 x) - sum_k (B_2k / 2k) x^-2k."""


@formula
def digamma_rise(g: Builder, x: Value, step: Value) -> Value:
    """digamma(x + step) - digamma(x), term by term, so that nothing cancels where the step is small.

    That is the rise further on, at x + n, and the sum of step / ((x + k)(x + k + step)) over k below n.
    """
    far = g.logical_and(g.gt(x, 0.0), g.gt(step, 0.0))
    near = g.sub(g.digamma(g.add(x, step)), g.digamma(x))
    first, length = g.select(far, x, 1.0), g.select(far, step, 1.0)
    places = g.add(g.reshape(first, (*x.shape, 1)), g.constant(np.arange(_FAR), x.type.element_type))
    beyond = g.add(places, g.reshape(length, (*x.shape, 1)))
    terms = g.div(g.div(g.reshape(length, (*x.shape, 1)), places), beyond)
    passed = g.reduce_sum(terms, axes=(x.type.rank,))
    base = g.add(first, _FAR)
    growth = g.log1p(g.div(length, base))
    rise = g.sub(growth, g.div(g.expm1(g.neg(growth)), g.mul(base, 2.0)))
    inverse = g.div(1.0, base)
    square, falling = g.mul(inverse, inverse), g.expm1(g.mul(growth, -2.0))
    power, fall = square, falling
    for coefficient in _BERNOULLI:
        rise = g.sub(rise, g.mul(g.mul(power, coefficient), fall))
        # The next x^-2k and its relative fall; products have short Taylor series, powers long ones.
        power, fall = g.mul(power, square), g.add(falling, g.mul(fall, g.add(falling, 1.0)))
    return g.select(far, g.add(passed, rise), near)


@register
@dataclass(frozen=True)
class Binom(Special, RealElementwise, Binary):
    """The binomial coefficient of real x and y, Gamma(x + 1) / (Gamma(y + 1) Gamma(x - y + 1))."""

    name = "binom"
    function = "binom"
    points = ((5.5, 3.0, 10.0), (2.0, 0.25, 3.5))
    kinks = ((-1.0, 3.0), (1.0, 4.0))

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """For z: z (digamma(x + 1) - digamma(x - y + 1)) dx and z (digamma(x - y + 1) - digamma(y + 1)) dy."""
        n, count = operands
        rest = g.add(g.sub(n, count), 1.0)
        slope = digamma_rise(g, rest, count) if k == 0 else g.sub(g.digamma(rest), g.digamma(g.add(count, 1.0)))
        return g.mul(g.mul(y, slope), dx)


@register
@dataclass(frozen=True)
class Poch(Special, RealElementwise, Binary):
    """The rising factorial, Gamma(x + y) / Gamma(x)."""

    name = "poch"
    function = "poch"
    points = ((5.5, 3.0, 0.5), (2.0, 0.25, 3.5))
    kinks = ((-1.0, 3.0), (1.0, 400.0))

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """For z: z (digamma(x + y) - digamma(x)) dx and z digamma(x + y) dy."""
        x, step = operands
        slope = digamma_rise(g, x, step) if k == 0 else g.digamma(g.add(x, step))
        return g.mul(g.mul(y, slope), dx)


@register
@dataclass(frozen=True)
class Expi(Special, Unary):
    """The exponential integral: that of exp(t) / t from -infinity to x, its principal value where x is above 0.

    At x below 0 it is -Gamma(0, -x), an incomplete gamma function that has no regularised form.
    """

    name = "expi"
    function = "expi"
    points = ((0.5, -2.0, 3.0, -0.25),)
    kinks = ((0.0, math.inf, -math.inf, -800.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """dy = exp(x) / x dx."""
        return g.mul(g.div(g.exp(x), x), dx)
