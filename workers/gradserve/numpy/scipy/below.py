"""Probabilities to be below and above a number, of distributions whose densities are elsewhere: closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.probability import log_ndtr
from gradserve.numpy.scipy import intervals, lifetimes, of_normals, off_centre, tails  # noqa: F401  (they enter these)
from gradserve.numpy.scipy.distributions import LAWS, Formula, enter

_HALF_TURN = 1.0 / math.pi


def _below(g: Builder, y: Value) -> Value:
    return g.emit("ndtr", y)


def _by_sides(below: Callable[..., Any], above: Callable[..., Any]) -> tuple[Formula, Formula]:
    """The probability to be below a number that is not above 0, and to be above one that is, of distances."""

    def cdf(g: Builder, y: Value, *shapes: Value) -> Value:
        left = g.le(y, 0.0)
        low, high = below(g, g.select(left, -y, 0.0), *shapes), above(g, g.select(left, 0.0, y), *shapes)
        return g.select(left, low, 1.0 - high)

    def sf(g: Builder, y: Value, *shapes: Value) -> Value:
        left = g.le(y, 0.0)
        low, high = below(g, g.select(left, -y, 0.0), *shapes), above(g, g.select(left, 0.0, y), *shapes)
        return g.select(left, 1.0 - low, high)

    return cdf, sf


def _alike(beyond: Callable[..., Any]) -> tuple[Formula, Formula]:
    return _by_sides(beyond, beyond)


def _asymmetric(g: Builder, y: Value, k: Value) -> Value:
    return g.exp(-y / k) * (k * k / (1.0 + k * k))


def _asymmetric_above(g: Builder, y: Value, k: Value) -> Value:
    return g.exp(-y * k) / (1.0 + k * k)


def _leaning(sign: float) -> Callable[..., Any]:
    def beyond(g: Builder, y: Value, a: Value) -> Value:
        side = 1.0 + sign * a
        return side * (0.5 - _HALF_TURN * g.atan(y / side))

    return beyond


def _of_powers(g: Builder, y: Value, c: Value) -> Value:
    """The share of a power between two ends of one that falls as y^-c."""
    return -g.expm1(-c * g.log(y))


def _between_weibulls(g: Builder, y: Value, c: Value, a: Value, b: Value) -> tuple[Value, Value]:
    first, here, last = (g.pow(end, c) for end in (a, y, b))
    whole = -g.expm1(first - last)
    return -g.expm1(first - here) / whole, -g.exp(first - here) * g.expm1(here - last) / whole


def _general_gamma(names: tuple[str, str]) -> Formula:
    def formula(g: Builder, y: Value, a: Value, c: Value) -> Value:
        power = g.pow(y, c)
        return g.select(g.gt(c, 0.0), g.emit(names[0], a, power), g.emit(names[1], a, power))

    return formula


def _log_of_rest(g: Builder, x: Value) -> Value:
    """log(1 - exp(-x))."""
    small = g.lt(x, math.log(2.0))
    near, far = g.select(small, x, 1.0), g.select(small, 1.0, x)
    return g.select(small, g.log(-g.expm1(-near)), g.log1p(-g.exp(-far)))


def _semicircle(g: Builder, y: Value) -> Value:
    return 0.5 + _HALF_TURN * (y * g.sqrt((1.0 - y) * (1.0 + y)) + g.asin(y))


def _of_share(g: Builder, y: Value, a: Value, b: Value) -> Value:
    whole = a + b
    return 0.5 * (1.0 + y / g.sqrt(whole + y * y))


def _spread(g: Builder, y: Value, c: Value) -> Value:
    root = g.sqrt(y)
    return (root - 1.0 / root) / c


def _johnson(g: Builder, y: Value, a: Value, b: Value) -> Value:
    return a + b * (g.log(y) - g.log1p(-y))


PROBABILITIES: dict[str, tuple[Formula, Formula]] = {
    "alpha": (
        lambda g, y, a: g.exp(log_ndtr(a - 1.0 / y) - log_ndtr(a)),
        lambda g, y, a: (_below(g, a) - _below(g, a - 1.0 / y)) / _below(g, a),
    ),
    "anglit": (
        lambda g, y: g.pow(g.sin(y + math.pi / 4), 2.0),
        lambda g, y: g.pow(g.cos(y + math.pi / 4), 2.0),
    ),
    "arcsine": (
        lambda g, y: 2 * _HALF_TURN * g.asin(g.sqrt(y)),
        lambda g, y: 2 * _HALF_TURN * g.asin(g.sqrt(1.0 - y)),
    ),
    "betaprime": (
        lambda g, y, a, b: g.emit("betainc", a, b, y / (1.0 + y)),
        lambda g, y, a, b: g.emit("betainc", b, a, 1.0 / (1.0 + y)),
    ),
    "bradford": (
        lambda g, y, c: g.log1p(c * y) / g.log1p(c),
        lambda g, y, c: g.log1p(c * (1.0 - y) / (1.0 + c * y)) / g.log1p(c),
    ),
    "burr": (
        lambda g, y, c, d: g.exp(-d * g.logaddexp(0.0, -c * g.log(y))),
        lambda g, y, c, d: -g.expm1(-d * g.logaddexp(0.0, -c * g.log(y))),
    ),
    "cosine": (
        lambda g, y: (math.pi + y + g.sin(y)) * (0.5 * _HALF_TURN),
        lambda g, y: (math.pi - y - g.sin(y)) * (0.5 * _HALF_TURN),
    ),
    "dgamma": _alike(lambda g, y, a: 0.5 * g.emit("gammaincc", a, y)),
    "dweibull": _alike(lambda g, y, c: 0.5 * g.exp(-g.pow(y, c))),
    "exponpow": (
        lambda g, y, b: -g.expm1(-g.expm1(g.pow(y, b))),
        lambda g, y, b: g.exp(-g.expm1(g.pow(y, b))),
    ),
    "exponweib": (
        lambda g, y, a, c: g.exp(a * _log_of_rest(g, g.pow(y, c))),
        lambda g, y, a, c: -g.expm1(a * _log_of_rest(g, g.pow(y, c))),
    ),
    "fatiguelife": (
        lambda g, y, c: _below(g, _spread(g, y, c)),
        lambda g, y, c: _below(g, -_spread(g, y, c)),
    ),
    "foldcauchy": (
        lambda g, y, c: _HALF_TURN * (g.atan(y - c) + g.atan(y + c)),
        lambda g, y, c: _HALF_TURN * (g.atan2(1.0, y - c) + g.atan2(1.0, y + c)),
    ),
    "foldnorm": (
        lambda g, y, c: _below(g, y - c) - _below(g, -y - c),
        lambda g, y, c: _below(g, c - y) + _below(g, -y - c),
    ),
    "gengamma": (_general_gamma(("gammainc", "gammaincc")), _general_gamma(("gammaincc", "gammainc"))),
    "gibrat": (lambda g, y: _below(g, g.log(y)), lambda g, y: _below(g, -g.log(y))),
    "halfgennorm": (
        lambda g, y, b: g.emit("gammainc", 1.0 / b, g.pow(y, b)),
        lambda g, y, b: g.emit("gammaincc", 1.0 / b, g.pow(y, b)),
    ),
    "jf_skew_t": (
        lambda g, y, a, b: g.emit("betainc", a, b, _of_share(g, y, a, b)),
        lambda g, y, a, b: g.emit("betainc", b, a, 1.0 - _of_share(g, y, a, b)),
    ),
    "johnsonsb": (
        lambda g, y, a, b: _below(g, _johnson(g, y, a, b)),
        lambda g, y, a, b: _below(g, -_johnson(g, y, a, b)),
    ),
    "kappa3": (
        lambda g, y, a: g.exp(-g.log1p(a * g.pow(y, -a)) / a),
        lambda g, y, a: -g.expm1(-g.log1p(a * g.pow(y, -a)) / a),
    ),
    "laplace_asymmetric": _by_sides(_asymmetric, _asymmetric_above),
    "levy_l": (
        lambda g, y: g.emit("erf", 1.0 / g.sqrt(-2.0 * y)),
        lambda g, y: g.emit("erfc", 1.0 / g.sqrt(-2.0 * y)),
    ),
    "loggamma": (
        lambda g, y, c: g.emit("gammainc", c, g.exp(y)),
        lambda g, y, c: g.emit("gammaincc", c, g.exp(y)),
    ),
    "mielke": (
        lambda g, y, k, s: g.exp(-(k / s) * g.logaddexp(0.0, -s * g.log(y))),
        lambda g, y, k, s: -g.expm1(-(k / s) * g.logaddexp(0.0, -s * g.log(y))),
    ),
    "moyal": (
        lambda g, y: g.emit("erfc", g.exp(-0.5 * y) * math.sqrt(0.5)),
        lambda g, y: g.emit("erf", g.exp(-0.5 * y) * math.sqrt(0.5)),
    ),
    "powerlognorm": (
        lambda g, y, c, s: -g.expm1(c * log_ndtr(-g.log(y) / s)),
        lambda g, y, c, s: g.exp(c * log_ndtr(-g.log(y) / s)),
    ),
    "powernorm": (
        lambda g, y, c: -g.expm1(c * log_ndtr(-y)),
        lambda g, y, c: g.exp(c * log_ndtr(-y)),
    ),
    "rdist": (
        lambda g, y, c: g.emit("betainc", 0.5 * c, 0.5 * c, 0.5 + 0.5 * y),
        lambda g, y, c: g.emit("betainc", 0.5 * c, 0.5 * c, 0.5 - 0.5 * y),
    ),
    "semicircular": (_semicircle, lambda g, y: _semicircle(g, -y)),
    "skewcauchy": _by_sides(_leaning(-1.0), _leaning(1.0)),
    "truncpareto": (
        lambda g, y, b, c: _of_powers(g, y, b) / _of_powers(g, c, b),
        lambda g, y, b, c: g.pow(y, -b) * _of_powers(g, c / y, b) / _of_powers(g, c, b),
    ),
    "truncweibull_min": (
        lambda g, y, *shapes: _between_weibulls(g, y, *shapes)[0],
        lambda g, y, *shapes: _between_weibulls(g, y, *shapes)[1],
    ),
}
"""By distribution: the probability to be below a number inside, and to be above it."""

_LOGARITHMS_ABOVE: dict[str, Formula] = {
    "powerlognorm": lambda g, y, c, s: c * log_ndtr(-g.log(y) / s),
    "powernorm": lambda _g, y, c: c * log_ndtr(-y),
}
"""Of those that are too small to be taken of the probability."""

for _name, (_cdf, _sf) in PROBABILITIES.items():
    enter(replace(LAWS[_name], cdf=_cdf, sf=_sf, logsf=_LOGARITHMS_ABOVE.get(_name)))
