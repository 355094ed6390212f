"""Functions of one real variable that are taken of symmetric matrices: values, slopes between points, Taylor series.

Everything is written for any array namespace `xp`, element by element.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

from gradserve.ir.records import dataclass

Parity: TypeAlias = Literal["odd", "even", "neither"]


@dataclass(frozen=True)
class ScalarFunction:
    """A function f with what its divided differences of any order are made of; `p` is its parameter."""

    value: Callable[[Any, Any, float], Any]
    """f(x), from xp, x and p."""
    slope: Callable[[Any, Any, Any, float], Any]
    """(f(a) - f(b)) / (a - b) without cancellation, f'(a) where a = b.

    At a kink it is what the op of that name takes for a derivative: 0 of abs, 1/2 of max(x, 0). Where there is none it
    is infinite or NaN.
    """
    series: Callable[[Any, Any, float], Iterator[Any]] | None = None
    """The coefficients of (x - c)^m in turn, from xp, c and p; None if f is made of straight pieces."""
    radius: Callable[[Any, Any], Any] = lambda xp, c: xp.ones_like(c)
    """A length at c on which the series converges fast."""
    parity: Parity = "neither"
    kink_at_zero: bool = False
    """Whether f is not smooth at 0, so that values that are zero to rounding must be taken for zero."""


def _quotient(xp: Any, numerator: Any, gap: Any, limit: Any) -> Any:
    """numerator / gap, and the limit where there is no gap."""
    closed = gap == 0
    return xp.where(closed, limit, numerator / xp.where(closed, xp.ones_like(gap), gap))


def _sinc(xp: Any, x: Any) -> Any:
    return _quotient(xp, xp.sin(x), x, xp.ones_like(x))


def _sinhc(xp: Any, x: Any) -> Any:
    return _quotient(xp, xp.sinh(x), x, xp.ones_like(x))


def _exp_slope(xp: Any, a: Any, b: Any, p: float) -> Any:
    """Taken from the greater of the two, so that nothing overflows that need not."""
    gap = -xp.abs(a - b)
    return xp.exp(xp.maximum(a, b)) * _quotient(xp, xp.expm1(gap), gap, xp.ones_like(gap))


def _exp_series(xp: Any, c: Any, p: float) -> Iterator[Any]:
    return _derivatives(lambda m: xp.exp(c))


def _derivatives(derivative: Callable[[int], Any]) -> Iterator[Any]:
    """Taylor coefficients from derivatives."""
    m = 0
    while True:
        yield derivative(m) * (1.0 / math.factorial(m))
        m += 1


def _log_slope(xp: Any, a: Any, b: Any, p: float) -> Any:
    gap = a - b
    return _quotient(xp, xp.log1p(gap / b), gap, 1.0 / b)


def _log_series(xp: Any, c: Any, p: float) -> Iterator[Any]:
    yield xp.log(c)
    power = 1.0 / c
    for m in _counting(1):
        yield power * (1.0 / m)
        power = -power / c


def _counting(start: int) -> Iterator[int]:
    m = start
    while True:
        yield m
        m += 1


def _log1p_slope(xp: Any, a: Any, b: Any, p: float) -> Any:
    return _log_slope(xp, 1.0 + a, 1.0 + b, p)


def _log1p_series(xp: Any, c: Any, p: float) -> Iterator[Any]:
    return _log_series(xp, 1.0 + c, p)


def _power_slope(xp: Any, a: Any, b: Any, p: float) -> Any:
    """b^p ((a/b)^p - 1) / (a - b); the plain quotient where b = 0."""
    gap = a - b
    apart = xp.expm1(p * xp.log1p(gap / b))
    near = b**p * _quotient(xp, apart, gap, p / b)
    return xp.where(b == 0, _quotient(xp, a**p - b**p, gap, xp.full_like(a, math.nan)), near)


def _power_series(xp: Any, c: Any, p: float) -> Iterator[Any]:
    coefficient = c**p
    for m in _counting(1):
        yield coefficient
        coefficient = coefficient * ((p - m + 1) / m) / c


def _sqrt_slope(xp: Any, a: Any, b: Any, p: float) -> Any:
    return 1.0 / (xp.sqrt(a) + xp.sqrt(b))


def _reciprocal_series(xp: Any, c: Any, p: float) -> Iterator[Any]:
    return _power_series(xp, c, -1.0)


def _tanh_slope(xp: Any, a: Any, b: Any, p: float) -> Any:
    """tanh a - tanh b = tanh(a - b) (1 - tanh a tanh b)."""
    gap = a - b
    return _quotient(xp, xp.tanh(gap), gap, xp.ones_like(gap)) * (1.0 - xp.tanh(a) * xp.tanh(b))


def _tanh_series(xp: Any, c: Any, p: float) -> Iterator[Any]:
    """From t' = 1 - t^2."""
    return _riccati(xp.tanh(c), 1.0, 0.0, -1.0)


def _riccati(start: Any, constant: float, linear: float, square: float) -> Iterator[Any]:
    """The series of the solution of y' = constant + linear y + square y^2 that begins with `start`."""
    terms = [start]
    while True:
        yield terms[-1]
        m = len(terms) - 1
        slope = linear * terms[m] + square * sum(terms[j] * terms[m - j] for j in range(m + 1))
        terms.append((slope + constant * (m == 0)) * (1.0 / (m + 1)))


def _logistic(xp: Any, x: Any, p: float) -> Any:
    return 0.5 * (1.0 + xp.tanh(0.5 * x))


def _logistic_slope(xp: Any, a: Any, b: Any, p: float) -> Any:
    return 0.25 * _tanh_slope(xp, 0.5 * a, 0.5 * b, p)


def _logistic_series(xp: Any, c: Any, p: float) -> Iterator[Any]:
    """From y' = y - y^2."""
    return _riccati(_logistic(xp, c, p), 0.0, 1.0, -1.0)


def _straight(
    value: Callable[[Any, Any], Any], limit: Callable[[Any, Any], Any], at_zero: float = math.nan
) -> Callable[..., Any]:
    """The slope of a function made of straight pieces that meet at 0, where it is `at_zero`."""

    def slope(xp: Any, a: Any, b: Any, p: float) -> Any:
        at_rest = xp.where(a == 0, xp.full_like(a, at_zero), limit(xp, a))
        return _quotient(xp, value(xp, a) - value(xp, b), a - b, at_rest)

    return slope


def _positive(xp: Any, x: Any) -> Any:
    return xp.maximum(x, xp.zeros_like(x))


def _from_zero(xp: Any, c: Any) -> Any:
    return xp.abs(c)


FUNCTIONS: Mapping[str, ScalarFunction] = {
    "abs": ScalarFunction(
        value=lambda xp, x, p: xp.abs(x),
        slope=_straight(lambda xp, x: xp.abs(x), lambda xp, x: xp.sign(x), at_zero=0.0),
        parity="even",
        kink_at_zero=True,
    ),
    "cos": ScalarFunction(
        value=lambda xp, x, p: xp.cos(x),
        slope=lambda xp, a, b, p: -xp.sin(0.5 * (a + b)) * _sinc(xp, 0.5 * (a - b)),
        series=lambda xp, c, p: _derivatives(lambda m: xp.cos(c + m * (math.pi / 2))),
        parity="even",
    ),
    "cosh": ScalarFunction(
        value=lambda xp, x, p: xp.cosh(x),
        slope=lambda xp, a, b, p: xp.sinh(0.5 * (a + b)) * _sinhc(xp, 0.5 * (a - b)),
        series=lambda xp, c, p: _derivatives(lambda m: xp.sinh(c) if m % 2 else xp.cosh(c)),
        parity="even",
    ),
    "exp": ScalarFunction(value=lambda xp, x, p: xp.exp(x), slope=_exp_slope, series=_exp_series),
    "expm1": ScalarFunction(value=lambda xp, x, p: xp.expm1(x), slope=_exp_slope, series=_exp_series),
    "log": ScalarFunction(
        value=lambda xp, x, p: xp.log(x),
        slope=_log_slope,
        series=_log_series,
        radius=_from_zero,
        kink_at_zero=True,
    ),
    "log1p": ScalarFunction(
        value=lambda xp, x, p: xp.log1p(x),
        slope=_log1p_slope,
        series=_log1p_series,
        radius=lambda xp, c: xp.abs(1.0 + c),
    ),
    "logistic": ScalarFunction(value=_logistic, slope=_logistic_slope, series=_logistic_series),
    "positive": ScalarFunction(
        value=lambda xp, x, p: _positive(xp, x),
        slope=_straight(_positive, lambda xp, x: xp.where(x > 0, xp.ones_like(x), xp.zeros_like(x)), at_zero=0.5),
        kink_at_zero=True,
    ),
    "power": ScalarFunction(
        value=lambda xp, x, p: x**p,
        slope=_power_slope,
        series=_power_series,
        radius=_from_zero,
        kink_at_zero=True,
    ),
    "reciprocal": ScalarFunction(
        value=lambda xp, x, p: 1.0 / x,
        slope=lambda xp, a, b, p: -1.0 / (a * b),
        series=_reciprocal_series,
        radius=_from_zero,
        parity="odd",
        kink_at_zero=True,
    ),
    "sign": ScalarFunction(
        value=lambda xp, x, p: xp.sign(x),
        slope=_straight(lambda xp, x: xp.sign(x), lambda xp, x: xp.zeros_like(x)),
        parity="odd",
        kink_at_zero=True,
    ),
    "sin": ScalarFunction(
        value=lambda xp, x, p: xp.sin(x),
        slope=lambda xp, a, b, p: xp.cos(0.5 * (a + b)) * _sinc(xp, 0.5 * (a - b)),
        series=lambda xp, c, p: _derivatives(lambda m: xp.sin(c + m * (math.pi / 2))),
        parity="odd",
    ),
    "sinh": ScalarFunction(
        value=lambda xp, x, p: xp.sinh(x),
        slope=lambda xp, a, b, p: xp.cosh(0.5 * (a + b)) * _sinhc(xp, 0.5 * (a - b)),
        series=lambda xp, c, p: _derivatives(lambda m: xp.cosh(c) if m % 2 else xp.sinh(c)),
        parity="odd",
    ),
    "sqrt": ScalarFunction(
        value=lambda xp, x, p: xp.sqrt(x),
        slope=_sqrt_slope,
        series=lambda xp, c, p: _power_series(xp, c, 0.5),
        radius=_from_zero,
        kink_at_zero=True,
    ),
    "tanh": ScalarFunction(value=lambda xp, x, p: xp.tanh(x), slope=_tanh_slope, series=_tanh_series, parity="odd"),
}
"""By name. `power` has its exponent for a parameter; the others do not look at it."""
