"""Distributions of what is normal around a point that is not the centre, and those by Bessel functions of an order."""

from __future__ import annotations

import math

from gradserve.ir.builder import Builder, Value
from gradserve.numpy import special
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.scipy.bessel_sums import log_sum
from gradserve.numpy.scipy.continuous import positive
from gradserve.numpy.scipy.distributions import Distribution, at, between, enter, known_numbers
from gradserve.numpy.scipy.intervals import within
from gradserve.numpy.special import by_orders
from gradserve.ops.special.noncentral import MOST, NormalMean

_FAR = 300.0


def _rice(g: Builder, y: Value, b: Value) -> Value:
    """log(y) - (y - b)^2 / 2 + log(exp(-b y) I0(b y))."""
    none = g.eq(y, 0)
    known, apart = g.select(none, 1.0, y), g.sub(y, b)
    scaled = g.log(g.emit("bessel_ie", g.mul(y, b), order=0.0))
    found = g.add(g.sub(g.log(known), g.mul(g.mul(apart, apart), 0.5)), scaled)
    return g.select(none, -math.inf, found)


def _off_centre(g: Builder, x: Value, b: Value, kind: int) -> Value:
    """Of the square of the distance, a noncentral chi-squared number of two degrees of freedom."""
    return g.emit("noncentral", x, g.mul(b, b), law="chi-squared", kind=kind, df=2.0, dfn=1.0)


def _below(g: Builder, y: Value, b: Value) -> Value:
    """With b up to 100, which is what noncentral numbers take, all is below 300."""
    near = g.minimum(y, _FAR)
    return _off_centre(g, g.mul(near, near), b, 0)


def _chi_squared(g: Builder, y: Value, df: Value, nc: Value) -> Value:
    half = g.mul(df, 0.5)
    power = special.xlogy(g.sub(half, 1.0), g.mul(y, 0.5))
    rest = g.add(g.mul(g.add(y, nc), 0.5), math.log(2.0))
    return g.add(g.sub(power, rest), log_sum(g, half, g.mul(g.mul(y, nc), 0.25)))


def _fisher(g: Builder, y: Value, dfn: Value, dfd: Value, nc: Value) -> Value:
    """Of the share s of the first in the sum: exp(-nc (1 - s) / 2) 1F1(-b, a, -nc s / 2) times a central density."""
    a, b = g.mul(dfn, 0.5), g.mul(dfd, 0.5)
    above = g.mul(dfn, y)
    whole = g.add(above, dfd)
    share, rest = g.div(above, whole), g.div(dfd, whole)
    sum_ = g.emit("hyp1f1", *g.align([g.neg(b), a, g.mul(g.mul(nc, share), -0.5)]))
    moved = g.sub(g.log(sum_), g.mul(g.mul(nc, rest), 0.5))
    powers = g.add(special.xlogy(g.sub(a, 1.0), share), g.mul(g.add(b, 1.0), g.log(rest)))
    return g.add(moved, g.sub(g.add(powers, g.log(g.div(dfn, dfd))), g.betaln(a, b)))


def _student(g: Builder, y: Value, df: Value, nc: Value) -> Value:
    """The mean of the root of a chi-squared number over its degrees, times a normal density."""

    def at_degrees(each: float) -> Value:
        if not 0 < each <= MOST:
            if each <= 0 or math.isnan(each):
                return g.full(y.type, 0.0)
            raise Unsupported(f"scipy.stats.nct of {each} degrees of freedom cannot be traced", f"{MOST:.0f} are most")
        return g.log(g.apply(NormalMean(each, 1), [y, nc])[0])

    return by_orders(g, "nct", df, [y, nc], at_degrees)


def _log_bessel(g: Builder, name: str, order: Value, x: Value) -> Value:
    """log(K(x)), of known orders."""
    scaled = by_orders(g, name, order, [x], lambda each: g.emit("bessel_ke", x, order=each))
    return g.sub(g.log(scaled), x)


def _hyperbolic(g: Builder, y: Value, p: Value, a: Value, b: Value) -> Value:
    rest = g.mul(g.sub(a, b), g.add(a, b))
    root, order = g.emit("hypot", *g.align([y, g.full(y.type, 1.0)])), g.constant(known_numbers(g, p) - 0.5)
    first = g.sub(g.mul(g.mul(g.log(rest), 0.5), p), g.mul(order, g.log(a)))
    size = g.sub(g.sub(first, 0.5 * math.log(2 * math.pi)), _log_bessel(g, "genhyperbolic", p, g.sqrt(rest)))
    found = g.add(g.mul(order, g.log(root)), _log_bessel(g, "genhyperbolic", order, g.mul(a, root)))
    return g.add(g.add(size, found), g.mul(b, y))


def _general_inverse_gauss(g: Builder, y: Value, p: Value, b: Value) -> Value:
    powers = g.sub(special.xlogy(g.sub(p, 1.0), y), g.mul(g.mul(b, g.add(y, g.div(1.0, y))), 0.5))
    return g.sub(powers, g.add(_log_bessel(g, "geninvgauss", p, b), math.log(2.0)))


def _or_above(g: Builder, nc: Value, *degrees: Value) -> Value:
    return g.logical_and(g.ge(nc, 0), positive(g, *degrees))


for _law in (
    Distribution(
        "ncx2",
        "the noncentral chi-squared distribution",
        _chi_squared,
        ("df", "nc"),
        (1.0, 1.0),
        lambda g, df, nc: g.logical_and(_or_above(g, nc, df), g.is_finite(df)),
        between(0.0, math.inf),
        at(1.0),
    ),
    Distribution(
        "ncf",
        "the noncentral distribution F",
        _fisher,
        ("dfn", "dfd", "nc"),
        (1.0, 1.0, 1.0),
        lambda g, dfn, dfd, nc: _or_above(g, nc, dfn, dfd),
        between(0.0, math.inf),
        at(1.0),
    ),
    Distribution(
        "nct",
        "Student's noncentral distribution, of degrees of freedom known while tracing",
        _student,
        ("df", "nc"),
        (1.0, 0.0),
        lambda g, df, nc: g.logical_and(g.gt(df, 0), g.eq(nc, nc)),
        known=("df",),
    ),
    Distribution(
        "genhyperbolic",
        "the generalised hyperbolic distribution, of p known while tracing",
        _hyperbolic,
        ("p", "a", "b"),
        (1.0, 1.0, 0.0),
        lambda g, p, a, b: g.logical_and(g.eq(p, p), g.lt(g.abs(b), a)),
        known=("p",),
    ),
    Distribution(
        "geninvgauss",
        "the generalised inverse Gaussian distribution, of p known while tracing",
        within(_general_inverse_gauss, 0.0),
        ("p", "b"),
        (1.0, 1.0),
        lambda g, p, b: g.logical_and(g.eq(p, p), g.gt(b, 0)),
        between(0.0, math.inf),
        at(1.0),
        known=("p",),
    ),
):
    enter(_law)

enter(
    Distribution(
        "rice",
        "Rice's distribution",
        _rice,
        ("b",),
        (1.0,),
        lambda g, b: g.ge(b, 0),
        between(0.0, math.inf),
        at(1.0),
        cdf=_below,
        sf=lambda g, y, b: g.sub(1.0, _below(g, y, b)),
        ppf=lambda g, q, b: g.sqrt(_off_centre(g, q, b, 1)),
        isf=lambda g, q, b: g.sqrt(_off_centre(g, g.sub(1.0, q), b, 1)),
    ),
)
