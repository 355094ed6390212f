"""The logarithm of a sum of Bessel's kind in its argument and in its order: of what is off the centre."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from gradserve.ir.builder import Builder, Value

_SHIFT = 20
"""Steps from an order to one at which the expansion has all digits."""
_TERMS = 9


def _polynomials(count: int) -> list[list[float]]:
    """The coefficients of Debye's polynomials, U_k(p) = p^k times one in p^2: those of the latter (DLMF 10.41.9)."""
    u, found = [Fraction(1)], []
    for k in range(count + 1):
        found.append([float(c) for c in u[k::2]])
        following = [Fraction(0)] * (len(u) + 3)
        for n, c in enumerate(u):
            following[n + 1] += c * Fraction(n, 2) + c / (8 * (n + 1))
            following[n + 3] -= c * Fraction(n, 2) + 5 * c / (8 * (n + 3))
        u = following
    return found


_DEBYE = _polynomials(_TERMS)


def log_sum(g: Builder, b: Value, x: Value) -> Value:
    """The logarithm of the sum of x^j / (j! Gamma(b + j)), of b above 0 and x of at least 0.

    At the orders b + 20 and b + 21 it is expanded, and the ratio of two neighbours, r(b) = b + x / r(b + 1), leads
    down from there: all terms are positive.
    """
    last = _expanded(g, g.add(b, float(_SHIFT)), x)
    ratio = g.exp(g.sub(last, _expanded(g, g.add(b, _SHIFT + 1.0), x)))
    for k in range(_SHIFT - 1, -1, -1):
        ratio = g.add(g.add(b, float(k)), g.div(x, ratio))
        last = g.add(last, g.log(ratio))
    return last


def _expanded(g: Builder, b: Value, x: Value) -> Value:
    """By the expansion of Bessel's function I of order b - 1 that holds for all arguments alike (DLMF 10.41.3)."""
    nu = g.sub(b, 1.0)
    root = g.sqrt(g.add(g.div(g.mul(x, 4.0), g.mul(nu, nu)), 1.0))
    p, square = g.div(1.0, root), g.div(1.0, g.mul(root, root))
    step, series = g.div(p, nu), g.zeros(root.type)
    for coefficients in reversed(_DEBYE):
        series = g.add(g.mul(series, step), _polynomial(g, square, coefficients))
    power = g.mul(nu, g.add(root, g.log(g.div(2.0, g.mul(nu, g.add(root, 1.0))))))
    return g.add(g.sub(power, g.mul(g.log(g.mul(g.mul(nu, root), 2 * math.pi)), 0.5)), g.log(series))


def _polynomial(g: Builder, x: Value, coefficients: list[float]) -> Any:
    found: Any = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        found = g.add(g.mul(x, found), c)
    return found
