"""Functions of one real variable with their derivatives for mpmath, and where these are to be right.

Elementwise functions and functions made of several; each over the whole range of its type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np
import scipy.special as sc

from gradserve.client import functions as own
from gradserve.ir.types import Array

Points = Callable[[Any], Array]
mp.mp.dps = 80


@dataclass(frozen=True)
class Case:
    """A function in NumPy, its derivative in mpmath, and the points at which it is looked at."""

    function: Callable[[Any], Any]
    slope: Callable[[Any], Any]
    points: Points
    second: bool = True
    """Whether its second derivative has all digits as well."""


def _geometric(low: float, high: float, count: int) -> Array:
    return np.exp(np.linspace(np.log(low), np.log(high), count))


def real(info: Any) -> Array:
    """Of either sign, from the smallest normal numbers to the largest, closer together where functions bend."""
    tiny, big = 8 * float(info.tiny), float(info.max) / 8
    size = np.concatenate([_geometric(tiny, 1e-3, 8), _geometric(2e-3, 40, 24), _geometric(50, 900, 8), [1e8, big]])
    return np.concatenate([-size, size])


def positive(info: Any) -> Array:
    x = real(info)
    return x[x > 0]


def moderate(info: Any) -> Array:
    x = real(info)
    return x[np.abs(x) < 1e3]


def unit(info: Any) -> Array:
    x = np.concatenate([_geometric(8 * float(info.tiny), 0.5, 16), 1 - _geometric(float(info.eps), 0.4, 12)])
    return np.concatenate([-x, x])


def fraction(info: Any) -> Array:
    x = unit(info)
    return x[x > 0]


def from_one(info: Any) -> Array:
    return np.concatenate([1 + _geometric(float(info.eps), 1, 12), _geometric(2.5, float(info.max) / 8, 12)])


def above_minus_one(info: Any) -> Array:
    return np.concatenate([positive(info), -fraction(info)])


def middling(info: Any) -> Array:
    return _geometric(1e-20, 600 if info.bits == 64 else 60, 30)


def rising(info: Any) -> Array:
    return _geometric(0.01, 60, 25)


def angle(info: Any) -> Array:
    return np.concatenate([-_geometric(8 * float(info.tiny), 1e-3, 6), _geometric(1e-3, 1e6, 24)])


def shape(info: Any) -> Array:
    return _geometric(1e-100 if info.bits == 64 else 1e-15, 1e8, 30)


def bounded(low: float, high: float) -> Points:
    """Between two numbers, and in single precision nearer to 0."""
    return lambda info: np.linspace(low, high, 25) * (1.0 if info.bits == 64 else 0.3) + 0.01


def bell(x: Any) -> Any:
    return 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)


def density(x: Any) -> Any:
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def below(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def logistic(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x)) if x > -2000 else mp.exp(x)


def logistic_slope(x: Any) -> Any:
    e = mp.exp(-abs(x))
    return e / (1 + e) ** 2


def rise(step: float) -> Callable[[Any], Any]:
    return lambda x: mp.digamma(x) - mp.digamma(x + mp.mpf(step))


def leveled(x: Any) -> Any:
    return x / mp.sqrt(1 + x * x)


def beside_zero(function: Callable[..., Any], chosen: int) -> Callable[[Any], Any]:
    return lambda x: function(np.stack([x, 0 * x]), axis=0)[chosen]


CASES: dict[str, Case] = {
    "abs": Case(np.abs, mp.sign, real, second=False),
    "reciprocal": Case(np.reciprocal, lambda x: -1 / x**2, real),
    "square": Case(np.square, lambda x: 2 * x, real),
    "x^3": Case(lambda x: x**3, lambda x: 3 * x * x, moderate),
    "x^0.3": Case(lambda x: x**0.3, lambda x: mp.mpf(0.3) * x ** (mp.mpf(0.3) - 1), positive),
    "x^1.5": Case(lambda x: x**1.5, lambda x: mp.mpf(1.5) * mp.sqrt(x), positive),
    "x^-2": Case(lambda x: x**-2, lambda x: -2 / x**3, moderate),
    "3^x": Case(lambda x: 3.0**x, lambda x: mp.log(3) * mp.power(3, x), moderate),
    "sqrt": Case(np.sqrt, lambda x: 1 / (2 * mp.sqrt(x)), positive),
    "1/sqrt": Case(lambda x: 1 / np.sqrt(x), lambda x: -(x ** mp.mpf(-1.5)) / 2, middling),
    "cbrt": Case(np.cbrt, lambda x: 1 / (3 * mp.cbrt(abs(x)) ** 2), real),
    "exp": Case(np.exp, mp.exp, moderate),
    "exp2": Case(np.exp2, lambda x: mp.log(2) * mp.power(2, x), moderate),
    "exp10": Case(sc.exp10, lambda x: mp.log(10) * mp.power(10, x), moderate),
    "expm1": Case(np.expm1, mp.exp, moderate),
    "log": Case(np.log, lambda x: 1 / x, positive),
    "log2": Case(np.log2, lambda x: 1 / (x * mp.log(2)), positive),
    "log10": Case(np.log10, lambda x: 1 / (x * mp.log(10)), positive),
    "log1p": Case(np.log1p, lambda x: 1 / (1 + x), above_minus_one),
    "sin": Case(np.sin, mp.cos, angle),
    "cos": Case(np.cos, lambda x: -mp.sin(x), angle),
    "tan": Case(np.tan, lambda x: 1 / mp.cos(x) ** 2, angle),
    "sinh": Case(np.sinh, mp.cosh, moderate),
    "cosh": Case(np.cosh, mp.sinh, moderate),
    "tanh": Case(np.tanh, lambda x: 1 / mp.cosh(x) ** 2, real),
    "arcsin": Case(np.arcsin, lambda x: 1 / mp.sqrt((1 - x) * (1 + x)), unit),
    "arccos": Case(np.arccos, lambda x: -1 / mp.sqrt((1 - x) * (1 + x)), unit),
    "arctan": Case(np.arctan, lambda x: 1 / (1 + x * x), real, second=False),
    "arctan2 of x and 2": Case(lambda x: np.arctan2(x, 2.0), lambda x: 2 / (4 + x * x), moderate),
    "arctan2 of 2 and x": Case(lambda x: np.arctan2(2.0, x), lambda x: -2 / (4 + x * x), moderate),
    "arcsinh": Case(np.arcsinh, lambda x: 1 / mp.sqrt(1 + x * x), real),
    "arccosh": Case(np.arccosh, lambda x: 1 / mp.sqrt((x - 1) * (x + 1)), from_one),
    "arctanh": Case(np.arctanh, lambda x: 1 / ((1 - x) * (1 + x)), unit),
    "hypot of x and 1": Case(lambda x: np.hypot(x, 1.0), leveled, real),
    "hypot of x and 2 x": Case(lambda x: np.hypot(x, 2 * x), lambda x: mp.sqrt(5) * mp.sign(x), real, second=False),
    "pseudo-Huber": Case(lambda x: sc.pseudo_huber(1.0, x), leveled, real),
    "sqrt(1 + x^2) - 1": Case(lambda x: np.sqrt(1 + x**2) - 1, leveled, real),
    "expit": Case(sc.expit, logistic_slope, real),
    "log_expit": Case(sc.log_expit, lambda x: logistic(-x), real),
    "logit": Case(sc.logit, lambda x: 1 / (x * (1 - x)), fraction),
    "softplus": Case(own.softplus, logistic, real),
    "logaddexp": Case(lambda x: np.logaddexp(1.0, x), lambda x: logistic(x - 1), real),
    "erf": Case(sc.erf, bell, real),
    "erfc": Case(sc.erfc, lambda x: -bell(x), real),
    "erfcx": Case(
        sc.erfcx, lambda x: 2 * x * mp.exp(x * x) * mp.erfc(x) - 2 / mp.sqrt(mp.pi), bounded(-5, 30), second=False
    ),
    "erfinv": Case(sc.erfinv, lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(mp.erfinv(x) ** 2), unit, second=False),
    "ndtr": Case(sc.ndtr, density, real),
    "log_ndtr": Case(sc.log_ndtr, lambda x: density(x) / below(x), bounded(-40, 35), second=False),
    "gammaln": Case(sc.gammaln, mp.digamma, shape),
    "digamma": Case(sc.digamma, lambda x: mp.zeta(2, x), shape),
    "betaln of x and 1.5": Case(lambda x: sc.betaln(x, 1.5), rise(1.5), shape),
    "betaln of x and 0.001": Case(lambda x: sc.betaln(x, 1e-3), rise(1e-3), shape),
    "gammainc": Case(
        lambda x: sc.gammainc(2.5, x), lambda x: x ** mp.mpf(1.5) * mp.exp(-x) / mp.gamma(2.5), middling, second=False
    ),
    "betainc": Case(
        lambda x: sc.betainc(2.5, 3.5, x),
        lambda x: x ** mp.mpf(1.5) * (1 - x) ** mp.mpf(2.5) / mp.beta(2.5, 3.5),
        lambda i: np.linspace(0.001, 0.999, 25),
        second=False,
    ),
    "xlogy": Case(lambda x: sc.xlogy(x, 2.0), lambda x: mp.log(2), real, second=False),
    "xlog1py": Case(lambda x: sc.xlog1py(2.0, x), lambda x: 2 / (1 + x), above_minus_one),
    "kl_div": Case(lambda x: sc.kl_div(2.0, x), lambda x: 1 - 2 / x, lambda i: _geometric(1e-30, 1.5, 20)),
    "boxcox": Case(lambda x: sc.boxcox(x, 0.5), lambda x: 1 / mp.sqrt(x), positive),
    "softmax": Case(beside_zero(own.softmax, 0), logistic_slope, real, second=False),
    "log_softmax, own": Case(beside_zero(own.log_softmax, 0), lambda x: logistic(-x), real),
    "log_softmax, other": Case(beside_zero(own.log_softmax, 1), lambda x: -logistic(x), real),
    "logsumexp": Case(lambda x: own.logsumexp(np.stack([x, 0 * x]), axis=0), logistic, real),
    "gelu": Case(lambda x: x * sc.ndtr(x), lambda x: below(x) + x * density(x), lambda i: np.linspace(2, 12, 25)),
    "silu": Case(
        lambda x: x * sc.expit(x),
        lambda x: logistic(x) + x * logistic_slope(x),
        lambda i: _geometric(0.01, 60, 25),
        second=False,
    ),
    "1 - cos": Case(lambda x: 1 - np.cos(x), mp.sin, angle),
}
