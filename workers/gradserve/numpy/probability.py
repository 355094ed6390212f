"""The normal distribution, the gamma function's derived functions, and entropies, as in scipy.special."""

from __future__ import annotations

import math
from typing import Any

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import integer, refuse, to_float
from gradserve.numpy.table import implements_special, own


@implements_special("ndtr")
def ndtr(g: Builder, x: Value) -> Value:
    """The probability that a standard normal variable is below x."""
    if x.type.is_complex:
        return g.emit("special_of_complex", x, kind="ndtr")
    return g.emit("ndtr", to_float(g, x))


@implements_special("log_ndtr")
def log_ndtr(g: Builder, x: Value) -> Value:
    """The logarithm of ndtr, by the scaled function where ndtr would vanish."""
    if x.type.is_complex:
        return g.emit("special_of_complex", x, kind="log_ndtr")
    value = to_float(g, x)
    scaled = g.mul(value, math.sqrt(0.5))
    below = g.lt(scaled, -0.5)
    low = g.select(below, scaled, -1.0)
    tail = g.sub(g.log(g.mul(g.erfcx(g.neg(low)), 0.5)), g.mul(low, low))
    return g.select(below, tail, g.log1p(g.neg(g.emit("ndtr", g.select(below, 0.0, g.neg(value))))))


@implements_special("ndtri")
def ndtri(g: Builder, x: Value) -> Value:
    """The number that a standard normal variable is below with probability x."""
    value = to_float(g, x)
    return g.mul(g.erfcinv(g.mul(value, 2.0)), -math.sqrt(2.0))


@implements_special("gammasgn")
def gammasgn(g: Builder, x: Value) -> Value:
    """The sign of the gamma function; NaN at its poles below 0."""
    value = to_float(g, x)
    whole = g.floor(value)
    parity = g.sub(1.0, g.mul(g.remainder(whole, 2.0), 2.0))
    below = g.select(g.logical_or(g.eq(whole, value), g.ne(value, value)), math.nan, parity)
    # A zero has the sign of the pole that it is approached from.
    at_zero = g.sign(g.div(1.0, g.select(g.eq(value, 0.0), value, 1.0)))
    return g.select(g.lt(value, 0.0), below, g.select(g.ne(value, value), math.nan, at_zero))


@implements_special("rgamma")
def rgamma(g: Builder, x: Value) -> Value:
    """1 / Gamma(x), which has no poles: below 1/2 by the reflection Gamma(1 - x) sin(pi x) / pi."""
    value = to_float(g, x)
    low = g.lt(value, 0.5)
    mirrored = g.select(low, value, 0.0)
    nearest = g.round(mirrored)
    parity = g.sub(1.0, g.mul(g.remainder(nearest, 2.0), 2.0))
    sine = g.mul(parity, g.sin(g.mul(g.sub(mirrored, nearest), math.pi)))
    reflected = g.mul(g.mul(g.gamma(g.sub(1.0, mirrored)), sine), 1.0 / math.pi)
    return g.select(low, reflected, g.div(1.0, g.gamma(g.select(low, 1.0, value))))


@implements_special("entr")
def entr(g: Builder, x: Value) -> Value:
    """-x log(x); 0 at 0, and -inf below."""
    value = to_float(g, x)
    positive = g.gt(value, 0.0)
    size = g.select(positive, value, 1.0)
    inside = g.neg(g.mul(size, g.log(size)))
    outside = g.select(g.eq(value, 0.0), 0.0, g.select(g.lt(value, 0.0), -math.inf, value))
    return g.select(positive, inside, outside)


@implements_special("rel_entr")
def rel_entr(g: Builder, x: Value, y: Value) -> Value:
    """x log(x / y); 0 at x = 0 with y at least 0, and inf where one is negative or y alone is 0."""
    a, b = g.align([to_float(g, v) for v in g.promote([x, y])])
    inside = g.logical_and(g.gt(a, 0.0), g.gt(b, 0.0))
    p, q = g.select(inside, a, 1.0), g.select(inside, b, 1.0)
    nothing = g.logical_and(g.eq(a, 0.0), g.ge(b, 0.0))
    unknown = g.ne(g.add(a, b), g.add(a, b))
    outside = g.select(nothing, 0.0, g.select(unknown, math.nan, g.constant(math.inf, a.type.element_type)))
    return g.select(inside, g.mul(p, g.sub(g.log(p), g.log(q))), outside)


@implements_special("kl_div")
def kl_div(g: Builder, x: Value, y: Value) -> Value:
    """x log(x / y) - x + y; y at x = 0 with y at least 0, and inf where one is negative or y alone is 0."""
    relative = rel_entr(x, y)
    inside = g.logical_and(g.gt(x, 0), g.gt(y, 0))
    nothing = g.logical_and(g.eq(x, 0), g.ge(y, 0))
    return g.select(inside, g.add(g.sub(relative, x), y), g.select(nothing, y, relative))


@own
def polygamma(g: Builder, n: Any, x: Any) -> Value:
    """The derivative of order n of digamma, n a whole number."""
    order, value = integer(n, "an order"), to_float(g, x)
    if order < 0:
        refuse(g, "polygamma", f"orders are at least 0, not {order}")
    if not order:
        return g.digamma(value)
    return g.mul(g.zeta(value, exponent=order + 1.0), (-1.0) ** (order + 1) * math.factorial(order))


@own
def multigammaln(g: Builder, a: Any, d: Any) -> Value:
    """The logarithm of the gamma function of positive definite matrices of dimension d."""
    dimension, value = integer(d, "a dimension"), to_float(g, a)
    if dimension < 1:
        refuse(g, "multigammaln", f"dimensions are at least 1, not {dimension}")
    total = g.gammaln(value)
    for k in range(1, dimension):
        total = g.add(total, g.gammaln(g.sub(value, k / 2)))
    return g.add(total, dimension * (dimension - 1) / 4 * math.log(math.pi))
