"""Rice's distribution, of the distance of a normal point of the plane from one that is not its centre."""

from __future__ import annotations

import math

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.scipy.distributions import Distribution, at, between, enter

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
