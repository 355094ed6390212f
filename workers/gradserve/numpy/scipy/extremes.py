"""Distributions of extremes, of lifetimes and of sizes with heavy tails, most of them elementary throughout."""

from __future__ import annotations

import math

from gradserve.ir.builder import Builder, Value
from gradserve.numpy import special
from gradserve.numpy.scipy.continuous import positive
from gradserve.numpy.scipy.distributions import Distribution, at, between, enter

_FROM_0 = between(0.0, math.inf)
_ONE = at(1.0)


def _weibull(g: Builder, y: Value, c: Value) -> Value:
    return g.sub(g.add(g.log(c), special.xlogy(g.sub(c, 1), y)), g.pow(y, c))


def _power(g: Builder, y: Value, c: Value) -> Value:
    return g.neg(g.pow(y, c))


def _square(g: Builder, y: Value) -> Value:
    return g.mul(y, y)


def _log_logistic(g: Builder, y: Value, c: Value) -> Value:
    """By the logarithm of y^-c, which may overflow; inf or less at 0, by c."""
    return g.sub(g.sub(g.log(c), special.xlogy(g.sub(1.0, c), y)), g.mul(g.logaddexp(0.0, g.mul(c, g.log(y))), 2.0))


def _odds(g: Builder, q: Value, c: Value) -> Value:
    return g.exp(g.div(special.logit(q), c))


for _law in (
    Distribution(
        "weibull_min",
        "Weibull's distribution",
        _weibull,
        ("c",),
        (1.0,),
        positive,
        _FROM_0,
        _ONE,
        cdf=lambda g, y, c: g.neg(g.expm1(_power(g, y, c))),
        sf=lambda g, y, c: g.exp(_power(g, y, c)),
        logsf=_power,
        ppf=lambda g, q, c: g.pow(g.neg(g.log1p(g.neg(q))), g.div(1.0, c)),
        isf=lambda g, q, c: g.pow(g.neg(g.log(q)), g.div(1.0, c)),
    ),
    Distribution(
        "pareto",
        "Pareto's distribution",
        lambda g, y, b: g.sub(g.log(b), g.mul(g.add(b, 1), g.log(y))),
        ("b",),
        (1.0,),
        positive,
        between(1.0, math.inf),
        at(2.0),
        cdf=lambda g, y, b: g.neg(g.expm1(g.mul(g.neg(b), g.log(y)))),
        sf=lambda g, y, b: g.pow(y, g.neg(b)),
        ppf=lambda g, q, b: g.exp(g.neg(g.div(g.log1p(g.neg(q)), b))),
        isf=lambda g, q, b: g.pow(q, g.div(-1.0, b)),
    ),
    Distribution(
        "gumbel_r",
        "Gumbel's distribution of greatest numbers",
        lambda g, y: g.sub(g.neg(y), g.exp(g.neg(y))),
        cdf=lambda g, y: g.exp(g.neg(g.exp(g.neg(y)))),
        sf=lambda g, y: g.neg(g.expm1(g.neg(g.exp(g.neg(y))))),
        logcdf=lambda g, y: g.neg(g.exp(g.neg(y))),
        ppf=lambda g, q: g.neg(g.log(g.neg(g.log(q)))),
        isf=lambda g, q: g.neg(g.log(g.neg(g.log1p(g.neg(q))))),
    ),
    Distribution(
        "rayleigh",
        "Rayleigh's distribution",
        lambda g, y: g.sub(g.log(y), g.mul(g.mul(y, y), 0.5)),
        support=_FROM_0,
        middle=_ONE,
        cdf=lambda g, y: g.neg(g.expm1(g.mul(g.mul(y, y), -0.5))),
        sf=lambda g, y: g.exp(g.mul(g.mul(y, y), -0.5)),
        logsf=lambda g, y: g.mul(g.mul(y, y), -0.5),
        ppf=lambda g, q: g.sqrt(g.mul(g.log1p(g.neg(q)), -2.0)),
        isf=lambda g, q: g.sqrt(g.mul(g.log(q), -2.0)),
    ),
    Distribution(
        "gumbel_l",
        "Gumbel's distribution of least numbers",
        lambda g, y: g.sub(y, g.exp(y)),
        cdf=lambda g, y: g.neg(g.expm1(g.neg(g.exp(y)))),
        sf=lambda g, y: g.exp(g.neg(g.exp(y))),
        logsf=lambda g, y: g.neg(g.exp(y)),
        ppf=lambda g, q: g.log(g.neg(g.log1p(g.neg(q)))),
        isf=lambda g, q: g.log(g.neg(g.log(q))),
    ),
    Distribution(
        "lomax",
        "Lomax's distribution, Pareto's less 1",
        lambda g, y, c: g.sub(g.log(c), g.mul(g.add(c, 1), g.log1p(y))),
        ("c",),
        (1.0,),
        positive,
        _FROM_0,
        _ONE,
        cdf=lambda g, y, c: g.neg(g.expm1(g.mul(g.neg(c), g.log1p(y)))),
        sf=lambda g, y, c: g.exp(g.mul(g.neg(c), g.log1p(y))),
        logsf=lambda g, y, c: g.mul(g.neg(c), g.log1p(y)),
        ppf=lambda g, q, c: g.expm1(g.neg(g.div(g.log1p(g.neg(q)), c))),
        isf=lambda g, q, c: g.expm1(g.neg(g.div(g.log(q), c))),
    ),
    Distribution(
        "fisk",
        "the log-logistic distribution",
        _log_logistic,
        ("c",),
        (1.0,),
        positive,
        _FROM_0,
        _ONE,
        cdf=lambda g, y, c: g.logistic(g.mul(c, g.log(y))),
        sf=lambda g, y, c: g.logistic(g.neg(g.mul(c, g.log(y)))),
        ppf=_odds,
        isf=lambda g, q, c: g.div(1.0, _odds(g, q, c)),
    ),
    Distribution(
        "halfcauchy",
        "the size of a number of Cauchy's distribution",
        lambda g, y: g.sub(math.log(2 / math.pi), g.log1p(_square(g, y))),
        support=_FROM_0,
        middle=_ONE,
        cdf=lambda g, y: g.mul(g.atan(y), 2 / math.pi),
        sf=lambda g, y: g.mul(g.atan2(1.0, y), 2 / math.pi),
        ppf=lambda g, q: g.tan(g.mul(q, math.pi / 2)),
        isf=lambda g, q: g.div(1.0, g.tan(g.mul(q, math.pi / 2))),
    ),
    Distribution(
        "maxwell",
        "Maxwell's distribution of speeds",
        lambda g, y: g.sub(g.add(g.mul(g.log(y), 2.0), 0.5 * math.log(2 / math.pi)), g.mul(_square(g, y), 0.5)),
        support=_FROM_0,
        middle=_ONE,
        cdf=lambda g, y: g.emit("gammainc", 1.5, g.mul(_square(g, y), 0.5)),
        sf=lambda g, y: g.emit("gammaincc", 1.5, g.mul(_square(g, y), 0.5)),
    ),
    Distribution(
        "gompertz",
        "Gompertz's distribution",
        lambda g, y, c: g.sub(g.add(g.log(c), y), g.mul(c, g.expm1(y))),
        ("c",),
        (1.0,),
        positive,
        _FROM_0,
        _ONE,
        cdf=lambda g, y, c: g.neg(g.expm1(g.neg(g.mul(c, g.expm1(y))))),
        sf=lambda g, y, c: g.exp(g.neg(g.mul(c, g.expm1(y)))),
        logsf=lambda g, y, c: g.neg(g.mul(c, g.expm1(y))),
        ppf=lambda g, q, c: g.log1p(g.neg(g.div(g.log1p(g.neg(q)), c))),
        isf=lambda g, q, c: g.log1p(g.neg(g.div(g.log(q), c))),
    ),
    Distribution(
        "invweibull",
        "the inverse of Weibull's distribution",
        lambda g, y, c: g.sub(g.sub(g.log(c), g.mul(g.add(c, 1.0), g.log(y))), g.pow(y, g.neg(c))),
        ("c",),
        (1.0,),
        positive,
        _FROM_0,
        _ONE,
        cdf=lambda g, y, c: g.exp(g.neg(g.pow(y, g.neg(c)))),
        sf=lambda g, y, c: g.neg(g.expm1(g.neg(g.pow(y, g.neg(c))))),
        logcdf=lambda g, y, c: g.neg(g.pow(y, g.neg(c))),
        ppf=lambda g, q, c: g.pow(g.neg(g.log(q)), g.div(-1.0, c)),
    ),
    Distribution(
        "burr12",
        "Burr's twelfth distribution",
        lambda g, y, c, d: g.sub(
            g.add(g.log(g.mul(c, d)), special.xlogy(g.sub(c, 1.0), y)),
            g.mul(g.add(d, 1.0), g.log1p(g.pow(y, c))),
        ),
        ("c", "d"),
        (1.0, 1.0),
        positive,
        _FROM_0,
        _ONE,
        cdf=lambda g, y, c, d: g.neg(g.expm1(g.neg(g.mul(d, g.log1p(g.pow(y, c)))))),
        sf=lambda g, y, c, d: g.exp(g.neg(g.mul(d, g.log1p(g.pow(y, c))))),
        logsf=lambda g, y, c, d: g.neg(g.mul(d, g.log1p(g.pow(y, c)))),
    ),
):
    enter(_law)
