"""Incomplete gamma and beta functions, the probabilities of their distributions, and their inverses, the quantiles.

Derivatives in shapes are those of logarithms in the mean over the tail that the argument cuts off, the one on the side
where all terms have one sign.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradserve.ir.builder import Builder, Value
from gradserve.ir.formulas import formula
from gradserve.ir.records import dataclass
from gradserve.ops.family import Binary, RealElementwise, total
from gradserve.ops.registry import register
from gradserve.ops.special.erf import Special
from gradserve.ops.special.gammas import digamma_rise
from gradserve.ops.special.rare import OfScipy
from gradserve.ops.special.tails import BetaTail, GammaTail, beta_density, gamma_density


@formula
def gamma_by_shape(g: Builder, a: Value, x: Value) -> Value:
    """The derivative of gammainc in its shape; 0 at the ends."""
    below = g.lt(x, g.maximum(a, 1.0))
    inside = g.logical_and(g.gt(x, 0.0), g.is_finite(x))
    low, high = g.logical_and(below, inside), g.logical_and(g.logical_not(below), inside)
    psi, found = g.digamma(a), g.zeros(x.type)
    for chosen, upper, name in ((low, False, "gammainc"), (high, True, "gammaincc")):
        at = g.select(chosen, x, g.select(g.gt(a, 0), a, 1.0))
        distance = g.apply(GammaTail(1, upper), [a, at])[0]
        mean = g.sub(g.log(at) + distance if upper else g.log(at) - distance, psi)
        change = g.mul(g.emit(name, a, at), mean)
        found = g.select(chosen, g.neg(change) if upper else change, found)
    return found


@formula
def beta_by_shape(g: Builder, k: int, a: Value, b: Value, x: Value) -> Value:
    """The derivative of betainc in its shape number `k`; 0 at the ends."""
    below = g.le(g.mul(x, g.add(a, b)), a)
    inside = g.logical_and(g.gt(x, 0.0), g.lt(x, 1.0))
    sides = (
        (g.logical_and(below, inside), a, b, x, 1.0, k == 0),
        (g.logical_and(g.logical_not(below), inside), b, a, g.sub(1.0, x), -1.0, k == 1),
    )
    found = g.zeros(x.type)
    for chosen, p, q, end, sign, moves_p in sides:
        at = g.select(chosen, end, 0.5)
        whole = g.mul(g.emit("betainc", p, q, at), sign)
        if moves_p:
            near = g.sub(g.log(at), g.apply(BetaTail(1, 0), [p, q, at])[0])
            change = g.mul(whole, g.add(near, digamma_rise(g, p, q)))
        else:
            far = g.add(g.log1p(g.neg(at)), g.apply(BetaTail(0, 1), [p, q, at])[0])
            change = g.mul(whole, g.add(far, digamma_rise(g, q, p)))
        found = g.select(chosen, change, found)
    return found


class IncompleteGamma(Special, RealElementwise, Binary):
    """A regularised incomplete gamma function of a shape a and an argument x."""

    points = ((0.5, 3.0, 2.0, 1.0), (2.0, 0.25, 1.5, 0.5))
    kinks = ((1.0, 0.5, 3.0), (0.0, 0.0, math.inf))
    sign = 1.0

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """The density x^(a-1) exp(-x) / Gamma(a) dx, and the mean of log(t) - digamma(a) over what is below x da."""
        a, x = operands
        slope = gamma_density(g, a, x) if k else gamma_by_shape(g, a, x)
        return g.mul(g.mul(slope, self.sign), dx)


@register
@dataclass(frozen=True)
class Gammainc(IncompleteGamma):
    """The integral of t^(a-1) exp(-t) from 0 to x, divided by Gamma(a)."""

    name = "gammainc"
    function = "gammainc"


@register
@dataclass(frozen=True)
class Gammaincc(IncompleteGamma):
    """The integral of t^(a-1) exp(-t) from x to infinity, divided by Gamma(a)."""

    name = "gammaincc"
    function = "gammaincc"
    sign = -1.0


class InverseGamma(OfScipy, RealElementwise, Binary):
    """The argument at which an incomplete gamma function of a shape has a value."""

    points = ((0.5, 3.0, 2.0, 1.0), (0.2, 0.75, 0.5, 0.9))
    kinks = ((1.0, 0.5, 2.0), (0.0, 1.0, 2.0))
    sign = 1.0

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """What moves the value, divided by the density there."""
        a, _ = operands
        density = gamma_density(g, a, y)
        if k == 0:
            return g.mul(g.neg(g.div(gamma_by_shape(g, a, y), density)), dx)
        return g.mul(g.div(self.sign, density), dx)


@register
@dataclass(frozen=True)
class Gammaincinv(InverseGamma):
    """The x at which gammainc(a, x) has a value."""

    name = "gammaincinv"
    function = "gammaincinv"


@register
@dataclass(frozen=True)
class Gammainccinv(InverseGamma):
    """The x at which gammaincc(a, x) has a value."""

    name = "gammainccinv"
    function = "gammainccinv"
    sign = -1.0


@register
@dataclass(frozen=True)
class Betainc(Special, RealElementwise):
    """The integral of t^(a-1) (1-t)^(b-1) from 0 to x, divided by Beta(a, b)."""

    name = "betainc"
    function = "betainc"
    arity = 3
    points = ((0.5, 3.0, 2.0), (2.0, 0.75, 1.0), (0.25, 0.5, 0.75))
    kinks = ((1.0, 2.0), (1.0, 2.0), (0.0, 1.0))

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The density dx, and means of logarithms over what is below x da and db."""
        a, b, x = primals
        da, db, dx = tangents
        terms = [
            None if da is None else g.mul(beta_by_shape(g, 0, a, b, x), da),
            None if db is None else g.mul(beta_by_shape(g, 1, a, b, x), db),
            None if dx is None else g.mul(beta_density(g, a, b, x), dx),
        ]
        return (total(g, terms),)


@register
@dataclass(frozen=True)
class Betaincinv(OfScipy, RealElementwise):
    """The x at which betainc(a, b, x) has a value."""

    name = "betaincinv"
    function = "betaincinv"
    arity = 3
    points = ((0.5, 3.0, 2.0), (2.0, 0.75, 1.0), (0.25, 0.5, 0.75))
    kinks = ((1.0, 2.0), (1.0, 2.0), (0.0, 1.0))

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """What moves the value, divided by the density there."""
        (y,), (a, b, _), (da, db, dp) = outputs, primals, tangents
        moved = total(
            g,
            [
                dp,
                None if da is None else g.neg(g.mul(beta_by_shape(g, 0, a, b, y), da)),
                None if db is None else g.neg(g.mul(beta_by_shape(g, 1, a, b, y), db)),
            ],
        )
        return (None if moved is None else g.div(moved, beta_density(g, a, b, y)),)
