"""Distributions of real numbers, in their standard forms (SciPy's reference names the parameters)."""

from __future__ import annotations

import math
from typing import Any

from gradserve.ir.builder import Builder, Value
from gradserve.numpy import probability, special
from gradserve.numpy.scipy.distributions import Distribution, at, between, enter

_HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
_FROM_0 = between(0.0, math.inf)
_ONE = at(1.0)


def positive(g: Builder, *shapes: Value) -> Value:
    """Whether all shape parameters are."""
    result = g.gt(shapes[0], 0)
    for shape in shapes[1:]:
        result = g.logical_and(result, g.gt(shape, 0))
    return result


def normal(g: Builder, y: Value) -> Value:
    """The logarithm of the density of the standard normal distribution."""
    return g.sub(g.mul(g.mul(y, y), -0.5), _HALF_LOG_TAU)


def _students(g: Builder, y: Value, df: Value) -> Value:
    """By log1p; of infinitely many degrees it is normal, as of so many that the quotient vanishes."""
    finite = g.is_finite(df)
    known = g.select(finite, df, 1.0)
    size = g.add(g.betaln(0.5, g.mul(known, 0.5)), g.mul(g.log(known), 0.5))
    tail = g.mul(g.mul(g.add(known, 1), 0.5), g.log1p(g.div(g.mul(y, y), known)))
    return g.select(finite, g.neg(g.add(size, tail)), normal(g, y))


def _students_below(g: Builder, y: Value, df: Value) -> Value:
    """Near 0 by the series of Gauss's function, whose derivative is right there; elsewhere by the beta function's."""
    square = g.mul(y, y)
    near = g.logical_and(g.lt(square, 0.25), g.lt(square, g.mul(df, 0.05)))
    far = g.select(near, 1.0, y)
    tail = g.mul(g.emit("betainc", g.mul(df, 0.5), 0.5, g.div(df, g.add(df, g.mul(far, far)))), 0.5)
    outside = g.select(g.lt(far, 0), tail, g.sub(1.0, tail))
    close = g.select(near, y, 0.0)
    z = g.neg(g.div(g.mul(close, close), df))
    series: Any = 1.0
    for k in range(20, -1, -1):
        ratio = g.div(g.mul(g.add(g.mul(df, 0.5), 0.5 + k), (0.5 + k) / ((1.5 + k) * (k + 1))), 1.0)
        series = g.add(g.mul(g.mul(z, ratio), series), 1.0)
    slope = g.exp(g.neg(g.add(g.betaln(0.5, g.mul(df, 0.5)), g.mul(g.log(df), 0.5))))
    return g.select(near, g.add(g.mul(g.mul(close, slope), series), 0.5), outside)


def _gamma(g: Builder, y: Value, a: Value) -> Value:
    return g.sub(g.sub(special.xlogy(g.sub(a, 1), y), y), g.gammaln(a))


def _chi2(g: Builder, y: Value, df: Value) -> Value:
    half = g.mul(df, 0.5)
    power = special.xlogy(g.sub(half, 1), y)
    return g.sub(g.sub(g.sub(power, g.mul(y, 0.5)), g.gammaln(half)), g.mul(half, math.log(2)))


def _beta(g: Builder, y: Value, a: Value, b: Value) -> Value:
    powers = g.add(special.xlog1py(g.sub(b, 1), g.neg(y)), special.xlogy(g.sub(a, 1), y))
    return g.sub(powers, g.betaln(a, b))


def _lognormal(g: Builder, y: Value, s: Value) -> Value:
    """-inf at 0."""
    positive = g.gt(y, 0)
    logarithm = g.log(g.select(positive, y, 1.0))
    ratio = g.div(logarithm, s)
    inside = g.sub(g.sub(g.sub(g.mul(g.mul(ratio, ratio), -0.5), g.log(s)), logarithm), _HALF_LOG_TAU)
    return g.select(positive, inside, -math.inf)


def _inverse_gamma(g: Builder, y: Value, a: Value) -> Value:
    positive = g.gt(y, 0)
    safe = g.select(positive, y, 1.0)
    inside = g.sub(g.sub(g.mul(g.neg(g.add(a, 1)), g.log(safe)), g.gammaln(a)), g.div(1.0, safe))
    return g.select(positive, inside, -math.inf)


def _logistic(g: Builder, y: Value) -> Value:
    size = g.neg(g.abs(y))
    return g.sub(size, g.mul(g.log1p(g.exp(size)), 2.0))


def _vonmises(g: Builder, y: Value, kappa: Value) -> Value:
    scaled = g.emit("bessel_ie", kappa, order=0.0)
    return g.sub(g.sub(g.mul(kappa, g.sub(g.cos(y), 1.0)), math.log(2 * math.pi)), g.log(scaled))


def _log_sigmoid(g: Builder, y: Value) -> Value:
    return g.neg(g.logaddexp(0, g.neg(y)))


def _ndtr(g: Builder, y: Value) -> Value:
    return g.emit("ndtr", y)


def _arc(g: Builder, y: Value) -> Value:
    """The cdf of Cauchy's distribution, with all digits where it is small."""
    return g.div(g.atan2(1.0, g.neg(y)), math.pi)


def _laplace_below(g: Builder, y: Value) -> Value:
    low = g.lt(y, 0)
    small = g.mul(g.exp(g.neg(g.abs(y))), 0.5)
    return g.select(low, small, g.sub(1.0, small))


def _laplace_quantile(g: Builder, q: Value) -> Value:
    below = g.lt(q, 0.5)
    size = g.log(g.mul(g.select(below, q, g.sub(1.0, q)), 2.0))
    return g.select(below, size, g.neg(size))


def _cotangent(g: Builder, q: Value) -> Value:
    """Of half turns, with all digits where it is large."""
    angle = g.mul(q, math.pi)
    return g.div(g.cos(angle), g.sin(angle))


for _law in (
    Distribution(
        "norm",
        "the normal distribution",
        normal,
        cdf=_ndtr,
        sf=lambda g, y: _ndtr(g, g.neg(y)),
        logcdf=lambda _g, y: probability.log_ndtr(y),
        logsf=lambda g, y: probability.log_ndtr(g.neg(y)),
        ppf=lambda _g, q: probability.ndtri(q),
        isf=lambda g, q: g.neg(probability.ndtri(q)),
    ),
    Distribution(
        "t",
        "Student's distribution",
        _students,
        ("df",),
        (1.0,),
        positive,
        cdf=_students_below,
        sf=lambda g, y, df: _students_below(g, g.neg(y), df),
        ppf=lambda g, q, df: g.emit("stdtrit", df, q),
        isf=lambda g, q, df: g.neg(g.emit("stdtrit", df, q)),
    ),
    *(
        Distribution(
            name,
            "the gamma distribution",
            _gamma,
            ("a",),
            (1.0,),
            positive,
            _FROM_0,
            _ONE,
            cdf=lambda g, y, a: g.emit("gammainc", a, y),
            sf=lambda g, y, a: g.emit("gammaincc", a, y),
            ppf=lambda g, q, a: g.emit("gammaincinv", a, q),
            isf=lambda g, q, a: g.emit("gammainccinv", a, q),
        )
        for name in ("gamma", "erlang")
    ),
    Distribution(
        "chi2",
        "the chi-squared distribution",
        _chi2,
        ("df",),
        (1.0,),
        positive,
        _FROM_0,
        _ONE,
        cdf=lambda g, y, df: g.emit("gammainc", g.mul(df, 0.5), g.mul(y, 0.5)),
        sf=lambda g, y, df: g.emit("gammaincc", g.mul(df, 0.5), g.mul(y, 0.5)),
        ppf=lambda g, q, df: g.mul(g.emit("gammaincinv", g.mul(df, 0.5), q), 2.0),
        isf=lambda g, q, df: g.mul(g.emit("gammainccinv", g.mul(df, 0.5), q), 2.0),
    ),
    Distribution(
        "beta",
        "the beta distribution",
        _beta,
        ("a", "b"),
        (1.0, 1.0),
        positive,
        between(0.0, 1.0),
        at(0.5),
        cdf=lambda g, y, a, b: g.emit("betainc", a, b, y),
        sf=lambda g, y, a, b: g.emit("betainc", b, a, g.sub(1.0, y)),
        ppf=lambda g, q, a, b: g.emit("betaincinv", a, b, q),
        isf=lambda g, q, a, b: g.sub(1.0, g.emit("betaincinv", b, a, q)),
    ),
    Distribution(
        "expon",
        "the exponential distribution",
        lambda g, y: g.neg(y),
        support=_FROM_0,
        middle=_ONE,
        cdf=lambda g, y: g.neg(g.expm1(g.neg(y))),
        sf=lambda g, y: g.exp(g.neg(y)),
        logsf=lambda g, y: g.neg(y),
        ppf=lambda g, q: g.neg(g.log1p(g.neg(q))),
        isf=lambda g, q: g.neg(g.log(q)),
    ),
    Distribution(
        "laplace",
        "Laplace's distribution",
        lambda g, y: g.sub(-math.log(2), g.abs(y)),
        cdf=_laplace_below,
        sf=lambda g, y: _laplace_below(g, g.neg(y)),
        ppf=_laplace_quantile,
        isf=lambda g, q: g.neg(_laplace_quantile(g, q)),
    ),
    Distribution(
        "cauchy",
        "Cauchy's distribution",
        lambda g, y: g.sub(-math.log(math.pi), g.log1p(g.mul(y, y))),
        cdf=_arc,
        sf=lambda g, y: _arc(g, g.neg(y)),
        ppf=lambda g, q: g.neg(_cotangent(g, q)),
        isf=_cotangent,
    ),
    Distribution(
        "lognorm",
        "the lognormal distribution",
        _lognormal,
        ("s",),
        (1.0,),
        positive,
        _FROM_0,
        _ONE,
        cdf=lambda g, y, s: _ndtr(g, g.div(g.log(y), s)),
        sf=lambda g, y, s: _ndtr(g, g.neg(g.div(g.log(y), s))),
        logcdf=lambda g, y, s: probability.log_ndtr(g.div(g.log(y), s)),
        logsf=lambda g, y, s: probability.log_ndtr(g.neg(g.div(g.log(y), s))),
        ppf=lambda g, q, s: g.exp(g.mul(s, probability.ndtri(q))),
        isf=lambda g, q, s: g.exp(g.mul(g.neg(s), probability.ndtri(q))),
    ),
    Distribution(
        "uniform",
        "the uniform distribution on [loc, loc + scale]",
        lambda g, y: g.mul(y, 0.0),
        support=between(0.0, 1.0),
        middle=at(0.5),
        cdf=lambda _g, y: y,
        sf=lambda g, y: g.sub(1.0, y),
        ppf=lambda _g, q: q,
    ),
    Distribution(
        "logistic",
        "the logistic distribution",
        _logistic,
        cdf=lambda g, y: g.logistic(y),
        sf=lambda g, y: g.logistic(g.neg(y)),
        logcdf=_log_sigmoid,
        logsf=lambda g, y: _log_sigmoid(g, g.neg(y)),
        ppf=lambda _g, q: special.logit(q),
        isf=lambda g, q: g.neg(special.logit(q)),
    ),
    Distribution(
        "halfnorm",
        "the size of a standard normal number",
        lambda g, y: g.add(normal(g, y), math.log(2)),
        support=_FROM_0,
        middle=_ONE,
        cdf=lambda g, y: g.erf(g.mul(y, math.sqrt(0.5))),
        sf=lambda g, y: g.erfc(g.mul(y, math.sqrt(0.5))),
        ppf=lambda g, q: g.mul(g.emit("erfinv", q), math.sqrt(2)),
        isf=lambda g, q: g.mul(g.erfcinv(q), math.sqrt(2)),
    ),
    Distribution(
        "invgamma",
        "the inverse of a gamma distributed number",
        _inverse_gamma,
        ("a",),
        (1.0,),
        positive,
        _FROM_0,
        _ONE,
        cdf=lambda g, y, a: g.emit("gammaincc", a, g.div(1.0, y)),
        sf=lambda g, y, a: g.emit("gammainc", a, g.div(1.0, y)),
        ppf=lambda g, q, a: g.div(1.0, g.emit("gammainccinv", a, q)),
        isf=lambda g, q, a: g.div(1.0, g.emit("gammaincinv", a, q)),
    ),
    Distribution("vonmises", "von Mises's distribution of angles", _vonmises, ("kappa",), (1.0,), positive),
):
    enter(_law)
