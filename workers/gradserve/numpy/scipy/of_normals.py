"""Distributions that are made of the normal one, and of gamma distributed numbers, beyond the commonest."""

from __future__ import annotations

import math

from gradserve.ir.builder import Builder, Value
from gradserve.numpy import special
from gradserve.numpy.probability import log_ndtr
from gradserve.numpy.scipy.continuous import normal, positive
from gradserve.numpy.scipy.distributions import Distribution, at, between, enter

_FROM_0 = between(0.0, math.inf)
_ONE = at(1.0)


def _skewed(g: Builder, y: Value, a: Value) -> Value:
    return g.add(g.add(normal(g, y), math.log(2)), log_ndtr(g.mul(a, y)))


def _inverse_gauss(g: Builder, y: Value, mu: Value) -> Value:
    """-inf at 0."""
    above = g.gt(y, 0)
    safe = g.select(above, y, 1.0)
    apart = g.div(g.sub(safe, mu), mu)
    power = g.mul(g.add(g.log(safe), math.log(2 * math.pi) / 3), -1.5)
    return g.select(above, g.sub(power, g.div(g.mul(apart, apart), g.mul(safe, 2.0))), -math.inf)


def _inverse_gauss_tails(g: Builder, y: Value, mu: Value, side: float) -> tuple[Value, Value]:
    """The logarithms of the two terms of the probability to be below, or above."""
    root = g.div(1.0, g.sqrt(y))
    first = log_ndtr(g.mul(g.mul(root, g.div(g.sub(y, mu), mu)), side))
    return first, g.add(g.div(2.0, mu), log_ndtr(g.neg(g.mul(root, g.div(g.add(y, mu), mu)))))


def _inverse_gauss_below(g: Builder, y: Value, mu: Value) -> Value:
    first, second = _inverse_gauss_tails(g, y, mu, 1.0)
    return g.logaddexp(first, second)


def _inverse_gauss_above(g: Builder, y: Value, mu: Value) -> Value:
    first, second = _inverse_gauss_tails(g, y, mu, -1.0)
    return g.add(first, g.log1p(g.neg(g.exp(g.sub(second, first)))))


def _log_mass(g: Builder, low: Value, high: Value) -> Value:
    """The logarithm of the normal probability between two numbers, with all digits in both tails."""
    right, left = g.gt(low, 0), g.le(high, 0)
    tail = g.logical_or(right, left)
    near = g.select(right, g.neg(low), high)
    far = g.select(right, g.neg(high), low)
    outer = log_ndtr(g.select(tail, near, 1.0))
    in_tail = g.add(outer, g.log1p(g.neg(g.exp(g.sub(log_ndtr(g.select(tail, far, 0.0)), outer)))))
    below, above = g.emit("ndtr", g.select(tail, 0.0, low)), g.emit("ndtr", g.neg(g.select(tail, 1.0, high)))
    return g.select(tail, in_tail, g.log1p(g.neg(g.add(below, above))))


def _fishers(g: Builder, y: Value, n: Value, m: Value) -> Value:
    """F, of n and m degrees: by log1p, so that no power of degrees overflows."""
    half, other = g.mul(n, 0.5), g.mul(m, 0.5)
    ratio = g.div(n, m)
    kernel = special.xlogy(g.sub(half, 1), y)
    tail = g.mul(g.add(half, other), g.log1p(g.mul(ratio, y)))
    return g.sub(g.sub(g.add(g.mul(half, g.log(ratio)), kernel), tail), g.betaln(half, other))


def _share(g: Builder, y: Value, n: Value, m: Value) -> Value:
    part = g.mul(n, y)
    return g.div(part, g.add(m, part))


def _rest(g: Builder, y: Value, n: Value, m: Value) -> Value:
    return g.div(m, g.add(m, g.mul(n, y)))


for _law in (
    Distribution(
        "skewnorm",
        "the skew normal distribution",
        _skewed,
        ("a",),
        (0.0,),
        lambda g, a: g.is_finite(a),
    ),
    Distribution(
        "invgauss",
        "the inverse Gaussian distribution",
        _inverse_gauss,
        ("mu",),
        (1.0,),
        positive,
        _FROM_0,
        _ONE,
        logcdf=_inverse_gauss_below,
        cdf=lambda g, y, mu: g.exp(_inverse_gauss_below(g, y, mu)),
        logsf=_inverse_gauss_above,
        sf=lambda g, y, mu: g.exp(_inverse_gauss_above(g, y, mu)),
    ),
    Distribution(
        "truncnorm",
        "the normal distribution between a and b",
        lambda g, y, a, b: g.sub(normal(g, y), _log_mass(g, a, b)),
        ("a", "b"),
        (-1.0, 1.0),
        lambda g, a, b: g.lt(a, b),
        lambda _g, a, b: (a, b),
        lambda g, a, b: g.clip(0.0, a, b),
        logcdf=lambda g, y, a, b: g.sub(_log_mass(g, a, y), _log_mass(g, a, b)),
        cdf=lambda g, y, a, b: g.exp(g.sub(_log_mass(g, a, y), _log_mass(g, a, b))),
        logsf=lambda g, y, a, b: g.sub(_log_mass(g, y, b), _log_mass(g, a, b)),
        sf=lambda g, y, a, b: g.exp(g.sub(_log_mass(g, y, b), _log_mass(g, a, b))),
    ),
    Distribution(
        "f",
        "Fisher's distribution F",
        _fishers,
        ("dfn", "dfd"),
        (1.0, 1.0),
        positive,
        _FROM_0,
        _ONE,
        cdf=lambda g, y, n, m: g.emit("betainc", g.mul(n, 0.5), g.mul(m, 0.5), _share(g, y, n, m)),
        sf=lambda g, y, n, m: g.emit("betainc", g.mul(m, 0.5), g.mul(n, 0.5), _rest(g, y, n, m)),
    ),
):
    enter(_law)
