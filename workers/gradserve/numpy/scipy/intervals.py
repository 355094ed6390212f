"""Distributions on intervals, whose densities are elementary: densities alone."""

from __future__ import annotations

import math

from gradserve.ir.builder import Builder, Value
from gradserve.numpy import special
from gradserve.numpy.scipy.continuous import normal, positive
from gradserve.numpy.scipy.distributions import Distribution, Formula, at, between, enter
from gradserve.numpy.scipy.families import curved

_SHARES = between(0.0, 1.0)
_HALF = at(0.5)
_LOG_TAU = math.log(2 * math.pi)


def within(formula: Formula, *ends: float) -> Formula:
    """The formula of a support to which these ends do not belong."""

    def found(g: Builder, y: Value, *shapes: Value) -> Value:
        none = g.constant(False)
        for end in ends:
            none = g.logical_or(none, g.eq(y, end))
        return g.select(none, -math.inf, formula(g, g.select(none, 0.5, y), *shapes))

    return found


def _one_less_square(g: Builder, y: Value) -> Value:
    return g.mul(g.sub(1.0, y), g.add(1.0, y))


def _arcsine(g: Builder, y: Value) -> Value:
    return g.sub(g.mul(g.log(g.mul(y, g.sub(1.0, y))), -0.5), math.log(math.pi))


def _argus(g: Builder, y: Value, chi: Value) -> Value:
    size = g.mul(g.emit("gammainc", 1.5, g.mul(g.mul(chi, chi), 0.5)), 0.5)
    rest = _one_less_square(g, y)
    constant = g.sub(g.sub(g.mul(g.log(chi), 3.0), 0.5 * _LOG_TAU), g.log(size))
    powers = g.add(g.log(y), g.mul(g.log(rest), 0.5))
    return g.sub(g.add(constant, powers), g.mul(g.mul(g.mul(chi, chi), rest), 0.5))


def _bradford(g: Builder, y: Value, c: Value) -> Value:
    return g.sub(g.log(g.div(c, g.log1p(c))), g.log1p(g.mul(c, y)))


def _raised_cosine(g: Builder, y: Value) -> Value:
    return g.sub(g.log1p(g.cos(y)), _LOG_TAU)


def _half_logistic(g: Builder, y: Value, c: Value) -> Value:
    logarithm = curved(g, y, c)
    falls = g.mul(g.log1p(g.exp(logarithm)), -2.0)
    return g.add(g.add(g.mul(g.sub(1.0, c), logarithm), falls), math.log(2.0))


def _johnson(g: Builder, y: Value, a: Value, b: Value) -> Value:
    rest = g.sub(1.0, y)
    odds = g.sub(g.log(y), g.log(rest))
    return g.add(normal(g, g.add(a, g.mul(b, odds))), g.log(g.div(b, g.mul(y, rest))))


def _symmetric_beta(g: Builder, y: Value, c: Value) -> Value:
    half = g.mul(c, 0.5)
    return g.sub(special.xlogy(g.sub(half, 1.0), _one_less_square(g, y)), g.betaln(0.5, half))


def _semicircle(g: Builder, y: Value) -> Value:
    return g.add(g.mul(g.log(_one_less_square(g, y)), 0.5), math.log(2 / math.pi))


def _trapezoid(g: Builder, y: Value, c: Value, d: Value) -> Value:
    rising, falling = g.lt(y, c), g.gt(y, d)
    up = g.div(g.select(rising, y, 1.0), g.select(rising, c, 1.0))
    down = g.div(g.select(falling, g.sub(1.0, y), 1.0), g.select(falling, g.sub(1.0, d), 1.0))
    return g.add(g.log(g.mul(up, down)), g.log(g.div(2.0, g.add(g.sub(d, c), 1.0))))


def _is_trapezoid(g: Builder, c: Value, d: Value) -> Value:
    return g.logical_and(g.logical_and(g.ge(c, 0), g.le(d, 1)), g.ge(d, c))


def _power_up_to(g: Builder, y: Value, b: Value, c: Value) -> Value:
    size = g.log(g.div(b, g.neg(g.expm1(g.neg(g.mul(b, g.log(c)))))))
    return g.sub(size, g.mul(g.add(b, 1.0), g.log(y)))


def _weibull_between(g: Builder, y: Value, c: Value, a: Value, b: Value) -> Value:
    first, last = g.pow(a, c), g.pow(b, c)
    size = g.sub(g.log(g.neg(g.expm1(g.sub(first, last)))), first)
    return g.sub(g.add(g.log(c), special.xlogy(g.sub(c, 1.0), y)), g.add(g.pow(y, c), size))


def _wrapped(g: Builder, y: Value, c: Value) -> Value:
    apart = g.add(g.sub(1.0, g.mul(g.mul(c, g.cos(y)), 2.0)), g.mul(c, c))
    return g.sub(g.log(g.div(_one_less_square(g, c), apart)), _LOG_TAU)


def _vonmises(g: Builder, y: Value, kappa: Value) -> Value:
    scaled = g.emit("bessel_ie", kappa, order=0.0)
    return g.sub(g.sub(g.mul(kappa, g.sub(g.cos(y), 1.0)), _LOG_TAU), g.log(scaled))


def _is_share(g: Builder, c: Value) -> Value:
    return g.logical_and(g.gt(c, 0), g.lt(c, 1))


for _law in (
    Distribution(
        "anglit",
        "the cosine's arch",
        lambda g, y: g.log(g.cos(g.mul(y, 2.0))),
        support=between(-math.pi / 4, math.pi / 4),
    ),
    Distribution("arcsine", "the squared sine of a uniform angle", _arcsine, support=_SHARES, middle=_HALF),
    Distribution(
        "argus", "the distribution ARGUS", within(_argus, 0.0, 1.0), ("chi",), (1.0,), positive, _SHARES, _HALF
    ),
    Distribution("bradford", "the distribution of Bradford", _bradford, ("c",), (1.0,), positive, _SHARES, _HALF),
    Distribution("cosine", "the raised cosine", _raised_cosine, support=between(-math.pi, math.pi)),
    Distribution(
        "genhalflogistic",
        "the generalised half-logistic distribution",
        _half_logistic,
        ("c",),
        (1.0,),
        positive,
        lambda g, c: (g.zeros(c.type), g.div(1.0, c)),
        lambda g, c: g.div(0.5, c),
    ),
    Distribution(
        "johnsonsb",
        "Johnson's bounded distribution",
        within(_johnson, 0.0, 1.0),
        ("a", "b"),
        (0.0, 1.0),
        lambda g, a, b: g.logical_and(g.gt(b, 0), g.eq(a, a)),
        _SHARES,
        _HALF,
    ),
    Distribution(
        "rdist", "a symmetric beta distribution", _symmetric_beta, ("c",), (2.0,), positive, between(-1.0, 1.0)
    ),
    Distribution("semicircular", "Wigner's semicircle", _semicircle, support=between(-1.0, 1.0)),
    Distribution(
        "trapezoid",
        "the distribution whose density is a trapezoid",
        _trapezoid,
        ("c", "d"),
        (0.25, 0.75),
        _is_trapezoid,
        _SHARES,
        _HALF,
    ),
    Distribution(
        "truncpareto",
        "Pareto's distribution up to c",
        _power_up_to,
        ("b", "c"),
        (1.0, 2.0),
        lambda g, b, c: g.logical_and(g.gt(b, 0), g.gt(c, 1)),
        lambda g, _b, c: (g.full(c.type, 1.0), c),
        lambda g, _b, c: g.mul(g.add(c, 1.0), 0.5),
    ),
    Distribution(
        "truncweibull_min",
        "Weibull's distribution between a and b",
        _weibull_between,
        ("c", "a", "b"),
        (1.0, 1.0, 2.0),
        lambda g, c, a, b: g.logical_and(g.logical_and(g.ge(a, 0), g.gt(b, a)), g.gt(c, 0)),
        lambda _g, _c, a, b: (a, b),
        lambda g, _c, a, b: g.mul(g.add(a, b), 0.5),
    ),
    Distribution(
        "vonmises_line",
        "the distribution of von Mises on one turn",
        _vonmises,
        ("kappa",),
        (1.0,),
        lambda g, kappa: g.ge(kappa, 0),
        between(-math.pi, math.pi),
    ),
    Distribution(
        "wrapcauchy",
        "Cauchy's distribution around a circle",
        _wrapped,
        ("c",),
        (0.5,),
        _is_share,
        between(0.0, 2 * math.pi),
        at(1.0),
    ),
):
    enter(_law)
