"""Means of logarithms over tails of gamma and beta distributions: how probabilities move with shapes.

A mean of s^j over a tail of a density that is proportional to exp(a s) moves with a by the covariance of s^j and s, so
all derivatives are made of further means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.formulas import formula
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType
from gradserve.ops.family import TRANSCENDENTAL, Binary, RealElementwise, total
from gradserve.ops.registry import register
from gradserve.ops.special.rare import OfScipy

LIMITS = {ElementType.FLOAT64: (160.0, 2800.0), ElementType.FLOAT32: (30.0, 340.0)}
"""Shapes up to which the gamma function is finite, and arguments up to which exp(-x / 4) is normal."""
_NODES = 100


class Tail(OfScipy):
    """A mean over a tail, by quadrature."""

    internal = True
    flops = 2 * _NODES * TRANSCENDENTAL


@register
@dataclass(frozen=True)
class GammaTail(Tail, RealElementwise, Binary):
    """The mean of |log(t / x)|^order over t in a gamma distribution of shape a, above x or below."""

    order: int
    upper: bool

    name = "gamma_tail"
    function = "gamma_tail"
    points = ((0.5, 3.0, 2.5, 20.0), (0.4, 2.0, 2.5, 18.0))

    def chosen(self, xp: Any) -> Callable[..., Any]:
        return partial(super().chosen(xp), order=self.order, upper=self.upper)

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """The covariance with s = |log(t / x)| da, and what moves at the end of the tail dx; opposite below x."""
        if not self.order:
            return None
        a, x = operands
        if k == 0:
            further, first = (g.apply(replace(self, order=n), [a, x])[0] for n in (self.order + 1, 1))
            slope = g.sub(further, g.mul(y, first))
        else:
            whole = g.emit("gammaincc" if self.upper else "gammainc", a, x)
            before = g.apply(replace(self, order=self.order - 1), [a, x])[0]
            slope = g.sub(g.mul(g.div(gamma_density(g, a, x), whole), y), g.div(g.mul(before, float(self.order)), x))
        return g.mul(slope if self.upper else g.neg(slope), dx)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Both tails, some orders; scalars, nothing."""
        a, x = (np.array(column) for column in cls.points)
        for order, upper in ((1, False), (1, True), (2, True), (0, False)):
            yield Sample(cls(order, upper), (a, x))
        yield Sample(cls(1, False), (a[0], x[0]))
        yield Sample(cls(1, True), (np.zeros((2, 0)), np.zeros((2, 0))))


@register
@dataclass(frozen=True)
class BetaTail(Tail, RealElementwise):
    """The mean of log(x / t)^order log((1 - t) / (1 - x))^other over t below x in a beta distribution of a and b."""

    order: int
    other: int

    name = "beta_tail"
    function = "beta_tail"
    arity = 3
    points = ((0.5, 3.0, 2.0), (2.0, 0.75, 1.0), (0.15, 0.5, 0.6))

    def chosen(self, xp: Any) -> Callable[..., Any]:
        return partial(super().chosen(xp), order=self.order, other=self.other)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """Less the covariance with log(x / t) da, that with log((1 - t) / (1 - x)) db, and what moves at x dx."""
        (y,), (a, b, x) = outputs, primals
        if not self.order and not self.other:
            return (None,)

        def mean(order: int, other: int) -> Value:
            return g.apply(BetaTail(order, other), [a, b, x])[0]

        terms: list[Value | None] = []
        if tangents[0] is not None:
            slope = g.sub(g.mul(y, mean(1, 0)), mean(self.order + 1, self.other))
            terms.append(g.mul(slope, tangents[0]))
        if tangents[1] is not None:
            slope = g.sub(mean(self.order, self.other + 1), g.mul(y, mean(0, 1)))
            terms.append(g.mul(slope, tangents[1]))
        if tangents[2] is not None:
            slope = g.neg(g.mul(g.div(beta_density(g, a, b, x), g.emit("betainc", a, b, x)), y))
            if self.order:
                slope = g.add(slope, g.div(g.mul(mean(self.order - 1, self.other), float(self.order)), x))
            if self.other:
                less = g.mul(mean(self.order, self.other - 1), float(self.other))
                slope = g.add(slope, g.div(less, g.sub(1.0, x)))
            terms.append(g.mul(slope, tangents[2]))
        return (total(g, terms),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Some orders; scalars, nothing."""
        operands = tuple(np.array(column) for column in cls.points)
        for order, other in ((1, 0), (0, 1), (1, 1), (0, 0)):
            yield Sample(cls(order, other), operands)
        yield Sample(cls(1, 0), tuple(x[0] for x in operands))
        yield Sample(cls(0, 1), tuple(np.zeros((2, 0)) for _ in operands))


@formula
def gamma_density(g: Builder, a: Value, x: Value) -> Value:
    """x^(a-1) exp(-x) / Gamma(a)."""
    lowered = g.sub(a, 1.0)
    exponent = g.sub(g.sub(times_log(g, lowered, x), x), g.gammaln(a))
    # The rounding of a large exponent costs digits; powers and the gamma function do not while they are finite.
    finite, normal = LIMITS[a.type.element_type]
    few = g.logical_and(g.lt(a, finite), g.lt(x, normal))
    small, at = g.select(few, lowered, 1.0), g.select(few, x, 1.0)
    root = g.mul(g.pow(at, g.mul(small, 0.25)), g.exp(g.mul(at, -0.25)))
    square = g.mul(root, root)
    density = g.mul(g.div(square, g.gamma(g.select(few, a, 1.0))), square)
    return g.select(few, density, g.exp(exponent))


@formula
def beta_density(g: Builder, a: Value, b: Value, x: Value) -> Value:
    """x^(a-1) (1-x)^(b-1) / Beta(a, b)."""
    p, q, other = g.sub(a, 1.0), g.sub(b, 1.0), g.sub(1.0, x)
    logarithm = g.sub(g.add(times_log(g, p, x), times_log(g, q, other)), g.betaln(a, b))
    finite, _ = LIMITS[a.type.element_type]
    few = g.logical_and(g.lt(a, finite), g.lt(b, finite))  # as above
    powers = g.mul(g.pow(x, g.select(few, p, 1.0)), g.pow(other, g.select(few, q, 1.0)))
    density = g.div(powers, g.emit("beta", g.select(few, a, 1.0), g.select(few, b, 1.0)))
    return g.select(few, density, g.exp(logarithm))


def times_log(g: Builder, x: Value, y: Value) -> Value:
    """x log(y), and 0 at x = y = 0, where it stands for y^0."""
    vanishes = g.logical_and(g.eq(x, 0.0), g.eq(y, 0.0))
    return g.mul(x, g.log(g.select(vanishes, 1.0, y)))
