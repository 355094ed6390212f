"""Distributions of real numbers that others are cases of, or that are made of others."""

from __future__ import annotations

import math

from gradserve.ir.builder import Builder, Value
from gradserve.numpy import probability, rare, special
from gradserve.numpy.scipy.continuous import normal, positive
from gradserve.numpy.scipy.distributions import Distribution, at, between, enter

_FROM_0 = between(0.0, math.inf)
_ONE = at(1.0)


def curved(g: Builder, y: Value, c: Value) -> Value:
    """log(1 - c y) / c, and -y at c = 0."""
    return rare.unboxed(g, g.neg(y), c)


def _exponential(g: Builder, y: Value, c: Value) -> Value:
    return g.exp(curved(g, y, c))


def _extreme(g: Builder, y: Value, c: Value) -> Value:
    logarithm = curved(g, y, c)
    return g.sub(g.mul(g.sub(1.0, c), logarithm), g.exp(logarithm))


def _up_to(g: Builder, c: Value) -> tuple[Value, Value]:
    """The support of a generalised extreme value."""
    end = g.div(1.0, g.select(g.eq(c, 0), 1.0, c))
    low = g.select(g.lt(c, 0), end, -math.inf)
    return low, g.select(g.gt(c, 0), end, math.inf)


def _from_0(g: Builder, c: Value) -> tuple[Value, Value]:
    """The support of a generalised distribution of Pareto."""
    end = g.neg(g.div(1.0, g.select(g.lt(c, 0), c, -1.0)))
    return g.zeros(c.type), g.select(g.lt(c, 0), end, math.inf)


def _late(g: Builder, y: Value, c: Value) -> Value:
    return g.neg(rare.unboxed(g, y, c))


def _quantile_of_pareto(g: Builder, w: Value, c: Value) -> Value:
    return g.mul(w, special.exprel(g.mul(c, w)))


def _is_number(g: Builder, c: Value) -> Value:
    return g.is_finite(c)


def _chi(g: Builder, y: Value, df: Value) -> Value:
    half = g.mul(df, 0.5)
    size = g.add(g.mul(g.sub(half, 1.0), math.log(2)), g.gammaln(half))
    return g.sub(g.sub(special.xlogy(g.sub(df, 1.0), y), g.mul(g.mul(y, y), 0.5)), size)


def _half_square(g: Builder, y: Value) -> Value:
    return g.mul(g.mul(y, y), 0.5)


def _root(g: Builder, x: Value) -> Value:
    return g.sqrt(g.mul(x, 2.0))


def _general_normal(g: Builder, y: Value, beta: Value) -> Value:
    size = g.sub(g.log(g.mul(beta, 0.5)), g.gammaln(g.div(1.0, beta)))
    return g.sub(size, g.pow(g.abs(y), beta))


def _general_normal_below(g: Builder, y: Value, beta: Value) -> Value:
    tail = g.mul(g.emit("gammaincc", g.div(1.0, beta), g.pow(g.abs(y), beta)), 0.5)
    return g.select(g.lt(y, 0), tail, g.sub(1.0, tail))


def _delayed(g: Builder, y: Value, k: Value) -> Value:
    """The logarithm of the normal part of a normal number with an exponential one, whose mean is k."""
    rate = g.div(1.0, k)
    return g.add(g.mul(rate, g.sub(g.mul(rate, 0.5), y)), probability.log_ndtr(g.sub(y, rate)))


def _johnson(g: Builder, y: Value, a: Value, b: Value) -> Value:
    return g.add(a, g.mul(b, g.asinh(y)))


def _rises(g: Builder, a: Value, b: Value) -> Value:
    return g.logical_and(g.gt(b, 0), g.eq(a, a))


def _triangle(g: Builder, y: Value, c: Value) -> Value:
    rising = g.lt(y, c)
    side = g.select(rising, y, g.sub(1.0, y))
    return g.log(g.div(g.mul(side, 2.0), g.select(rising, c, g.select(g.eq(c, 1.0), 1.0, g.sub(1.0, c)))))


def _triangle_below(g: Builder, y: Value, c: Value) -> Value:
    rising = g.lt(y, c)
    rest = g.sub(1.0, y)
    above = g.div(g.mul(rest, rest), g.select(rising, 1.0, g.sub(1.0, c)))
    return g.select(rising, g.div(g.mul(y, y), g.select(rising, c, 1.0)), g.sub(1.0, above))


def _softplus(g: Builder, y: Value) -> Value:
    return g.logaddexp(0.0, g.neg(y))


def _nakagami(g: Builder, y: Value, nu: Value) -> Value:
    size = g.sub(g.add(special.xlogy(nu, nu), math.log(2)), g.gammaln(nu))
    return g.sub(g.add(size, special.xlogy(g.sub(g.mul(nu, 2.0), 1.0), y)), g.mul(nu, g.mul(y, y)))


def _levy(g: Builder, y: Value) -> Value:
    return g.sub(g.sub(-0.5 * math.log(2 * math.pi), g.mul(g.log(y), 1.5)), g.div(0.5, y))


def _uneven(g: Builder, y: Value, kappa: Value) -> Value:
    rate = g.select(g.lt(y, 0), g.div(1.0, kappa), g.neg(kappa))
    return g.sub(g.mul(y, rate), g.log(g.add(kappa, g.div(1.0, kappa))))


def _fraction(g: Builder, c: Value) -> Value:
    return g.logical_and(g.ge(c, 0), g.le(c, 1))


def _ppf_of_extreme(g: Builder, y: Value, c: Value) -> Value:
    return g.mul(y, special.exprel(g.neg(g.mul(c, y))))


for _law in (
    Distribution(
        "genextreme",
        "generalised extreme values",
        _extreme,
        ("c",),
        (0.0,),
        _is_number,
        _up_to,
        cdf=lambda g, y, c: g.exp(g.neg(_exponential(g, y, c))),
        sf=lambda g, y, c: g.neg(g.expm1(g.neg(_exponential(g, y, c)))),
        logcdf=lambda g, y, c: g.neg(_exponential(g, y, c)),
        ppf=lambda g, q, c: _ppf_of_extreme(g, g.neg(g.log(g.neg(g.log(q)))), c),
        isf=lambda g, q, c: _ppf_of_extreme(g, g.neg(g.log(g.neg(g.log1p(g.neg(q))))), c),
    ),
    Distribution(
        "genpareto",
        "Pareto's generalised distribution",
        lambda g, y, c: g.mul(g.add(c, 1.0), _late(g, y, c)),
        ("c",),
        (0.0,),
        _is_number,
        _from_0,
        at(0.0),
        cdf=lambda g, y, c: g.neg(g.expm1(_late(g, y, c))),
        sf=lambda g, y, c: g.exp(_late(g, y, c)),
        logsf=_late,
        ppf=lambda g, q, c: _quantile_of_pareto(g, g.neg(g.log1p(g.neg(q))), c),
        isf=lambda g, q, c: _quantile_of_pareto(g, g.neg(g.log(q)), c),
    ),
    Distribution(
        "chi",
        "the root of a chi-squared number",
        _chi,
        ("df",),
        (1.0,),
        positive,
        _FROM_0,
        _ONE,
        cdf=lambda g, y, df: g.emit("gammainc", g.mul(df, 0.5), _half_square(g, y)),
        sf=lambda g, y, df: g.emit("gammaincc", g.mul(df, 0.5), _half_square(g, y)),
        ppf=lambda g, q, df: _root(g, g.emit("gammaincinv", g.mul(df, 0.5), q)),
        isf=lambda g, q, df: _root(g, g.emit("gammainccinv", g.mul(df, 0.5), q)),
    ),
    Distribution(
        "gennorm",
        "the generalised normal distribution",
        _general_normal,
        ("beta",),
        (1.0,),
        positive,
        cdf=_general_normal_below,
        sf=lambda g, y, beta: _general_normal_below(g, g.neg(y), beta),
    ),
    Distribution(
        "exponnorm",
        "a normal number with an exponential one",
        lambda g, y, k: g.sub(_delayed(g, y, k), g.log(k)),
        ("K",),
        (1.0,),
        positive,
        cdf=lambda g, y, k: g.sub(g.emit("ndtr", y), g.exp(_delayed(g, y, k))),
        sf=lambda g, y, k: g.add(g.emit("ndtr", g.neg(y)), g.exp(_delayed(g, y, k))),
    ),
    Distribution(
        "johnsonsu",
        "Johnson's unbounded distribution",
        lambda g, y, a, b: g.sub(g.add(normal(g, _johnson(g, y, a, b)), g.log(b)), g.mul(g.log1p(g.mul(y, y)), 0.5)),
        ("a", "b"),
        (0.0, 1.0),
        _rises,
        cdf=lambda g, y, a, b: g.emit("ndtr", _johnson(g, y, a, b)),
        sf=lambda g, y, a, b: g.emit("ndtr", g.neg(_johnson(g, y, a, b))),
        ppf=lambda g, q, a, b: g.sinh(g.div(g.sub(probability.ndtri(q), a), b)),
        isf=lambda g, q, a, b: g.sinh(g.div(g.neg(g.add(probability.ndtri(q), a)), b)),
    ),
    Distribution(
        "triang",
        "the distribution whose density is a triangle",
        _triangle,
        ("c",),
        (0.5,),
        _fraction,
        between(0.0, 1.0),
        at(0.5),
        cdf=_triangle_below,
    ),
    Distribution(
        "powerlaw",
        "a power of a uniform number",
        lambda g, y, a: g.add(g.log(a), special.xlogy(g.sub(a, 1.0), y)),
        ("a",),
        (1.0,),
        positive,
        between(0.0, 1.0),
        at(0.5),
        cdf=lambda g, y, a: g.pow(y, a),
        logcdf=lambda g, y, a: g.mul(a, g.log(y)),
        ppf=lambda g, q, a: g.pow(q, g.div(1.0, a)),
    ),
    Distribution(
        "genlogistic",
        "the generalised logistic distribution",
        lambda g, y, c: g.sub(g.sub(g.log(c), y), g.mul(g.add(c, 1.0), _softplus(g, y))),
        ("c",),
        (1.0,),
        positive,
        cdf=lambda g, y, c: g.exp(g.neg(g.mul(c, _softplus(g, y)))),
        sf=lambda g, y, c: g.neg(g.expm1(g.neg(g.mul(c, _softplus(g, y))))),
        logcdf=lambda g, y, c: g.neg(g.mul(c, _softplus(g, y))),
    ),
    Distribution(
        "nakagami",
        "the distribution of Nakagami",
        _nakagami,
        ("nu",),
        (1.0,),
        positive,
        _FROM_0,
        _ONE,
        cdf=lambda g, y, nu: g.emit("gammainc", nu, g.mul(nu, g.mul(y, y))),
        sf=lambda g, y, nu: g.emit("gammaincc", nu, g.mul(nu, g.mul(y, y))),
        ppf=lambda g, q, nu: g.sqrt(g.div(g.emit("gammaincinv", nu, q), nu)),
    ),
    Distribution(
        "levy",
        "the distribution of Levy",
        _levy,
        support=_FROM_0,
        middle=_ONE,
        cdf=lambda g, y: g.erfc(g.sqrt(g.div(0.5, y))),
        sf=lambda g, y: g.erf(g.sqrt(g.div(0.5, y))),
    ),
    Distribution("laplace_asymmetric", "Laplace's uneven distribution", _uneven, ("kappa",), (1.0,), positive),
):
    enter(_law)
