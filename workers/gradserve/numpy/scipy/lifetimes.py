"""Distributions whose densities are elementary, which others are cases of or mirror images of: densities alone."""

from __future__ import annotations

import math

from gradserve.ir.builder import Builder, Value
from gradserve.numpy import special
from gradserve.numpy.scipy.continuous import positive
from gradserve.numpy.scipy.distributions import Distribution, Formula, at, between, enter

_FROM_0 = between(0.0, math.inf)
_ONE = at(1.0)
_ROOT = 0.5 * math.log(2.0 * math.pi)


def _above_0(formula: Formula) -> Formula:
    """The formula of a support to which 0 does not belong."""

    def found(g: Builder, y: Value, *shapes: Value) -> Value:
        none = g.eq(y, 0)
        return g.select(none, -math.inf, formula(g, g.select(none, 1.0, y), *shapes))

    return found


def _log_weibull(g: Builder, y: Value, c: Value) -> Value:
    """Of a positive number."""
    return g.sub(g.add(g.log(c), special.xlogy(g.sub(c, 1.0), y)), g.pow(y, c))


def _general_gamma(g: Builder, y: Value, a: Value, c: Value) -> Value:
    """Of negative powers nothing is at 0."""
    none = g.logical_and(g.eq(y, 0), g.lt(c, 0))
    at, size = g.select(none, 1.0, y), g.sub(g.log(g.abs(c)), g.gammaln(a))
    found = g.sub(g.add(size, special.xlogy(g.sub(g.mul(c, a), 1.0), at)), g.pow(at, c))
    return g.select(none, -math.inf, found)


def _beta_prime(g: Builder, y: Value, a: Value, b: Value) -> Value:
    powers = g.sub(special.xlogy(g.sub(a, 1.0), y), special.xlog1py(g.add(a, b), y))
    return g.sub(powers, g.betaln(a, b))


def _half_logistic(g: Builder, y: Value) -> Value:
    return g.sub(g.sub(math.log(2.0), y), g.mul(g.log1p(g.exp(g.neg(y))), 2.0))


def _secant(g: Builder, y: Value) -> Value:
    size = g.abs(y)
    return g.sub(g.sub(math.log(2.0 / math.pi), size), g.log1p(g.exp(g.mul(size, -2.0))))


def _fatigue(g: Builder, y: Value, c: Value) -> Value:
    square = g.mul(g.sub(y, 1.0), g.sub(y, 1.0))
    size = g.sub(g.log(g.add(y, 1.0)), g.add(g.log(g.mul(c, 2.0)), g.mul(g.log(y), 1.5)))
    return g.sub(g.sub(size, _ROOT), g.div(square, g.mul(g.mul(g.mul(c, c), y), 2.0)))


def _folded_normal(g: Builder, y: Value, c: Value) -> Value:
    """By the logarithm of two bells."""
    far, near = (g.mul(g.mul(each, each), -0.5) for each in (g.add(y, c), g.sub(y, c)))
    return g.sub(g.logaddexp(far, near), _ROOT)


def _log_gamma(g: Builder, y: Value, c: Value) -> Value:
    return g.sub(g.sub(g.mul(c, y), g.exp(y)), g.gammaln(c))


def _reciprocal(g: Builder, y: Value, a: Value, b: Value) -> Value:
    return g.neg(g.add(g.log(y), g.log(g.log(g.div(b, a)))))


def _moyal(g: Builder, y: Value) -> Value:
    return g.sub(g.mul(g.add(y, g.exp(g.neg(y))), -0.5), _ROOT)


def _inverse_gauss(g: Builder, y: Value) -> Value:
    """Of the mean 1."""
    square = g.mul(g.sub(y, 1.0), g.sub(y, 1.0))
    return g.sub(g.sub(g.mul(g.log(y), -1.5), _ROOT), g.div(square, g.mul(y, 2.0)))


def _late_exponential(g: Builder, y: Value, b: Value) -> Value:
    return g.sub(g.neg(y), g.log(g.neg(g.expm1(g.neg(b)))))


def _both_ways(g: Builder, y: Value, a: Value) -> Value:
    size = g.abs(y)
    return g.sub(g.sub(special.xlogy(g.sub(a, 1.0), size), size), g.add(g.gammaln(a), math.log(2.0)))


def _gibrat(g: Builder, y: Value) -> Value:
    logarithm = g.log(y)
    return g.sub(g.sub(g.mul(g.mul(logarithm, logarithm), -0.5), logarithm), _ROOT)


def _first_below(g: Builder, a: Value, b: Value) -> Value:
    return g.logical_and(g.gt(a, 0), g.lt(a, b))


for _law in (
    Distribution(
        "weibull_max",
        "Weibull's distribution of greatest numbers",
        lambda g, y, c: _log_weibull(g, g.neg(y), c),
        ("c",),
        (1.0,),
        positive,
        between(-math.inf, 0.0),
        at(-1.0),
        cdf=lambda g, y, c: g.exp(g.neg(g.pow(g.neg(y), c))),
        sf=lambda g, y, c: g.neg(g.expm1(g.neg(g.pow(g.neg(y), c)))),
        logcdf=lambda g, y, c: g.neg(g.pow(g.neg(y), c)),
        ppf=lambda g, q, c: g.neg(g.pow(g.neg(g.log(q)), g.div(1.0, c))),
    ),
    Distribution(
        "dweibull",
        "Weibull's distribution on both sides of 0",
        lambda g, y, c: g.sub(_log_weibull(g, g.abs(y), c), math.log(2.0)),
        ("c",),
        (1.0,),
        positive,
        middle=_ONE,
    ),
    Distribution(
        "dgamma", "the gamma distribution on both sides of 0", _both_ways, ("a",), (1.0,), positive, middle=_ONE
    ),
    Distribution(
        "gengamma",
        "the generalised gamma distribution",
        _general_gamma,
        ("a", "c"),
        (1.0, 1.0),
        lambda g, a, c: g.logical_and(g.gt(a, 0), g.ne(c, 0)),
        _FROM_0,
        _ONE,
    ),
    Distribution(
        "betaprime",
        "the beta distribution's odds",
        _above_0(_beta_prime),
        ("a", "b"),
        (1.0, 1.0),
        positive,
        _FROM_0,
        _ONE,
    ),
    Distribution(
        "halflogistic",
        "the size of a logistic number",
        _half_logistic,
        support=_FROM_0,
        middle=_ONE,
        cdf=lambda g, y: g.tanh(g.mul(y, 0.5)),
        sf=lambda g, y: g.mul(g.logistic(g.neg(y)), 2.0),
    ),
    Distribution(
        "hypsecant",
        "the hyperbolic secant distribution",
        _secant,
        cdf=lambda g, y: g.mul(g.atan(g.exp(y)), 2.0 / math.pi),
        sf=lambda g, y: g.mul(g.atan(g.exp(g.neg(y))), 2.0 / math.pi),
    ),
    Distribution(
        "fatiguelife",
        "the distribution of Birnbaum and Saunders",
        _above_0(_fatigue),
        ("c",),
        (1.0,),
        positive,
        _FROM_0,
        _ONE,
    ),
    Distribution("moyal", "Moyal's distribution", _moyal),
    Distribution("gibrat", "Gibrat's distribution, a log-normal one", _above_0(_gibrat), support=_FROM_0, middle=_ONE),
    Distribution(
        "wald",
        "Wald's distribution, an inverse Gaussian one of mean 1",
        _above_0(_inverse_gauss),
        support=_FROM_0,
        middle=_ONE,
    ),
    Distribution(
        "foldnorm",
        "the size of a normal number of mean c",
        _folded_normal,
        ("c",),
        (1.0,),
        lambda g, c: g.ge(c, 0),
        _FROM_0,
        _ONE,
    ),
    Distribution("loggamma", "the logarithm of a gamma number", _log_gamma, ("c",), (1.0,), positive),
    *(
        Distribution(
            name,
            "numbers whose logarithms are uniform",
            _reciprocal,
            ("a", "b"),
            (1.0, 2.0),
            _first_below,
            lambda _g, a, b: (a, b),
            lambda _g, a, _b: a,
            cdf=lambda g, y, a, b: g.div(g.log(g.div(y, a)), g.log(g.div(b, a))),
            ppf=lambda g, q, a, b: g.mul(a, g.pow(g.div(b, a), q)),
        )
        for name in ("loguniform", "reciprocal")
    ),
    Distribution(
        "truncexpon",
        "the exponential distribution up to b",
        _late_exponential,
        ("b",),
        (1.0,),
        positive,
        lambda g, b: (g.zeros(b.type), b),
        lambda g, b: g.mul(b, 0.5),
        cdf=lambda g, y, b: g.div(g.expm1(g.neg(y)), g.expm1(g.neg(b))),
    ),
):
    enter(_law)
