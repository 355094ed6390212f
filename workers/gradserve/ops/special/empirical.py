"""How far the distribution of points may be from that of their law: the functions of Kolmogorov and Smirnov."""

from __future__ import annotations

import math

import numpy as np

from gradserve.ir.builder import Builder, Value

_LEAST = 0.02
"""Below this the probability is 1 to the last bit."""
_MIDDLE = 0.82
_FAR = tuple((k, 2.0 * k * k) for k in range(1, 7))
_NEAR = tuple(((2 * k + 1) * math.pi) ** 2 / 8.0 for k in range(4))


def _sides(g: Builder, y: Value) -> tuple[Value, Value, Value, Value]:
    """Whether the series of small and of large numbers are to be taken, and the numbers for them."""
    inside, large = g.gt(y, _LEAST), g.ge(y, _MIDDLE)
    near = g.logical_and(inside, g.logical_not(large))
    return near, large, g.select(near, y, _MIDDLE), g.select(large, y, _MIDDLE)


def kolmogorov(g: Builder, y: Value) -> Value:
    """2 (exp(-2 y^2) - exp(-8 y^2) + exp(-18 y^2) - ...); at small y the series that Jacobi's theta function gives."""
    near, large, low, high = _sides(g, y)
    square, inverse = g.mul(high, high), g.div(-1.0, g.mul(low, low))
    above, below = g.zeros(y.type), g.zeros(y.type)
    for k, rate in reversed(_FAR):
        above = g.add(above, g.mul(g.exp(g.mul(square, -rate)), 2.0 * (-1.0) ** (k - 1)))
    for rate in reversed(_NEAR):
        below = g.add(below, g.exp(g.mul(inverse, rate)))
    small = g.sub(1.0, g.div(g.mul(below, math.sqrt(2.0 * math.pi)), low))
    return g.select(large, above, g.select(near, small, g.select(g.eq(y, y), 1.0, y)))


def kolmogorov_slope(g: Builder, y: Value) -> Value:
    """The derivative of `kolmogorov`, term by term."""
    near, large, low, high = _sides(g, y)
    square, inverse = g.mul(high, high), g.div(1.0, g.mul(low, low))
    above, below = g.zeros(y.type), g.zeros(y.type)
    for k, rate in reversed(_FAR):
        above = g.add(above, g.mul(g.exp(g.mul(square, -rate)), 8.0 * k * k * (-1.0) ** k))
    for rate in reversed(_NEAR):
        bend = g.sub(1.0, g.mul(inverse, 2.0 * rate))
        below = g.add(below, g.mul(g.exp(g.mul(inverse, -rate)), bend))
    small = g.mul(g.mul(below, inverse), math.sqrt(2.0 * math.pi))
    return g.select(large, g.mul(above, high), g.select(near, small, g.zeros(y.type)))


def smirnov(g: Builder, count: int, d: Value) -> Value:
    """d times the sum of C(n, v) (d + v/n)^(v-1) (1 - d - v/n)^(n-v) over v up to n (1 - d); NaN outside [0, 1]."""
    inside = g.logical_and(g.gt(d, 0.0), g.lt(d, 1.0))
    at = g.select(inside, d, 0.5)
    terms, _ = _terms(g, count, at)
    found = g.mul(g.reduce_sum(terms, axes=(d.type.rank,)), at)
    ends = g.select(g.eq(d, 0.0), 1.0, g.select(g.eq(d, 1.0), 0.0, g.full(d.type, math.nan)))
    return g.select(inside, found, ends)


def smirnov_slope(g: Builder, count: int, d: Value) -> Value:
    """The derivative of `smirnov`, term by term."""
    terms, slopes = _terms(g, count, d)
    each = g.mul(terms, g.add(g.mul(slopes, g.reshape(d, (*d.shape, 1))), 1.0))
    return g.reduce_sum(each, axes=(d.type.rank,))


def _terms(g: Builder, count: int, d: Value) -> tuple[Value, Value]:
    """The terms of the sum, on a further axis, and the derivatives of their logarithms."""
    v = np.arange(count + 1.0)
    ways = np.array([math.lgamma(count + 1.0) - math.lgamma(k + 1.0) - math.lgamma(count - k + 1.0) for k in v])
    kind = d.type.element_type
    places = g.add(g.reshape(d, (*d.shape, 1)), g.constant(v / count, kind))
    rest = g.sub(1.0, places)
    some = g.gt(rest, 0.0)
    left = g.select(some, rest, 1.0)
    before, after = g.constant(v - 1.0, kind), g.constant(count - v, kind)
    size = g.add(g.add(g.mul(g.log(places), before), g.mul(g.log(left), after)), g.constant(ways, kind))
    slope = g.sub(g.div(before, places), g.div(after, left))
    return g.select(some, g.exp(size), 0.0), g.select(some, slope, 0.0)
