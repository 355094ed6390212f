"""Zeta functions in their exponents, by Euler's and Maclaurin's sum: derivatives follow term by term."""

from __future__ import annotations

import math

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.table import implements_special

_SHIFT = 10.0
_MOST = 60.0
"""Above it 2^-s is all of zeta(s) - 1."""
_BERNOULLI = (
    *(1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730),
    *(7 / 6, -3617 / 510, 43867 / 798, -174611 / 330, 854513 / 138, -236364091 / 2730),
)
"""B_2, B_4, ..."""


@implements_special("zetac")
def zetac(g: Builder, x: Value) -> Value:
    """zeta(x) - 1, with all digits where it is small; below 0 by reflection, and infinite at 1."""
    return less_one(g, x)


def less_one(g: Builder, x: Value) -> Value:
    """zeta(x) - 1 of every real x."""
    left, far, pole = g.lt(x, 0), g.gt(x, _MOST), g.eq(x, 1)
    known = g.logical_not(g.logical_or(far, pole))
    at = g.select(known, g.select(left, g.sub(1.0, x), x), 2.0)
    right = _summed(g, at, g.full(x.type, 2.0))
    within = g.select(left, x, 0.0)
    # zeta(x) = 2 (2 pi)^(x - 1) sin(pi x / 2) Gamma(1 - x) zeta(1 - x), and the sine by turns.
    half = g.mul(within, 0.5)
    nearest = g.round(half)
    sine = g.sin(g.mul(g.sub(half, nearest), math.pi))
    parity = g.sub(1.0, g.mul(g.remainder(nearest, 2.0), 2.0))
    size = g.mul(g.exp(g.mul(g.sub(within, 1.0), math.log(2 * math.pi))), 2.0)
    whole = g.mul(g.mul(g.gamma(g.sub(1.0, within)), g.mul(sine, parity)), g.mul(size, g.add(right, 1.0)))
    found = g.select(left, g.sub(whole, 1.0), right)
    found = g.select(far, g.exp(g.mul(g.select(far, x, _MOST), -math.log(2.0))), found)
    return g.select(pole, math.inf, g.select(g.eq(x, -math.inf), math.nan, found))


def hurwitz(g: Builder, s: Value, q: Value) -> Value:
    """The sum of (k + q)^-s, of an exponent above 1 and a q above 0; infinite at exponent 1, NaN beyond."""
    known = g.logical_and(g.gt(s, 1), g.gt(q, 0))
    found = _summed(g, g.select(known, s, 2.0), g.select(known, q, 1.0))
    return g.select(known, found, g.select(g.logical_and(g.eq(s, 1), g.eq(q, q)), math.inf, math.nan))


def _summed(g: Builder, s: Value, q: Value) -> Value:
    """The sum of (k + q)^-s, of an exponent of at least 0 and other than 1: terms, and the rest by its integral."""
    places = g.add(g.reshape(q, (*q.shape, 1)), g.constant(np.arange(_SHIFT), s.type.element_type))
    rate = g.neg(g.reshape(s, (*s.shape, 1)))
    passed = g.reduce_sum(g.exp(g.mul(rate, g.log(places))), axes=(s.type.rank,))
    base = g.add(q, _SHIFT)
    last = g.exp(g.neg(g.mul(s, g.log(base))))
    rest = g.mul(last, g.add(g.div(base, g.sub(s, 1.0)), 0.5))
    rising, series, square = g.div(s, base), g.zeros(s.type), g.mul(base, base)
    for k, bernoulli in enumerate(_BERNOULLI):
        series = g.add(series, g.mul(rising, bernoulli / math.factorial(2 * k + 2)))
        further = g.mul(g.add(s, 2.0 * k + 1.0), g.add(s, 2.0 * k + 2.0))
        rising = g.mul(rising, g.div(further, square))
    return g.add(g.add(passed, rest), g.mul(last, series))
