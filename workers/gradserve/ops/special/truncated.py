"""Means over gamma and beta distributions or parts of them, by quadrature: what shapes do to probabilities.

Each mean is one of s^j u^k over a tail, s and u the distances of logarithms from the end of the tail, which are not
negative: nothing cancels. They are integrals over s from 0 on, of integrands that fall off like exponentials, which the
substitution s = scale exp(v - exp(-v)) makes sums with equal steps of v (Takahasi and Mori, 1974).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradserve.ir.types import Array

_STEP = 1 / 16
_PLACES = np.arange(-4.5, 6.0, _STEP)
_NODES = np.exp(_PLACES - np.exp(-_PLACES))
_WEIGHTS = _NODES * (1.0 + np.exp(-_PLACES))


def gamma_tail(a: Array, x: Array, order: int, upper: bool) -> Any:
    """The mean of |log(t / x)|^order over a gamma distribution of shape a on one side of x."""
    a, x = (np.asarray(v, np.float64)[..., None] for v in np.broadcast_arrays(a, x))
    with np.errstate(all="ignore"):
        rate = np.maximum(np.abs(x - a), np.sqrt(np.maximum(np.minimum(x, a), 0.0)))
        rate = rate if upper else np.where(x <= 1.0, np.minimum(rate, a), rate)
        s = _NODES / np.where(rate > 0, rate, 1.0)
        logs = a * s - x * np.expm1(s) if upper else -a * s - x * np.expm1(-s)
        return _mean(logs, s, s**order)


def beta_tail(a: Array, b: Array, x: Array, order: int, other: int) -> Any:
    """The mean of log(x / t)^order log((1 - t) / (1 - x))^other over a beta distribution below x."""
    a, b, x = (np.asarray(v, np.float64)[..., None] for v in np.broadcast_arrays(a, b, x))
    with np.errstate(all="ignore"):
        odds = x / (1.0 - x)
        bend = np.sqrt(np.maximum(b, 0.0) * odds / (1.0 - x))
        rate = np.maximum(np.abs(a - (b - 1.0) * odds), bend)
        s = _NODES / np.where(rate > 0, rate, 1.0)
        u = np.log1p(-odds * np.expm1(-s))
        return _mean((b - 1.0) * u - a * s, s, s**order * u**other)


_ROUND = np.arange(-4.5, 9.0, 0.1)
_AROUND = _ROUND - np.expm1(-_ROUND)
_AROUND_WEIGHTS = 0.1 * (1.0 + np.exp(-_ROUND))


def normal_mean(t: Array, nc: Array, df: float, power: int) -> Any:
    """The mean of s^power times the normal density at t s - nc, of s^2 as a chi-squared number over its degrees df.

    By equal steps of the logarithm of s about its peak, that grow where it falls off slowly, towards 0.
    """
    t, nc = (np.asarray(v, np.float64)[..., None] for v in np.broadcast_arrays(t, nc))
    with np.errstate(all="ignore"):
        a, size, turn = df + power, df + t * t, t * nc
        root = np.sqrt(turn * turn + 4.0 * size * a)
        peak = np.where(turn > 0, turn + root, 4.0 * size * a / (root - turn)) / (2.0 * size)
        width = 1.0 / np.sqrt(size * peak * peak + a)
        s = peak * np.exp(width * _AROUND)
        logs = a * np.log(s) - 0.5 * df * s * s - 0.5 * (t * s - nc) ** 2
        own = 0.5 * df * math.log(0.5 * df) - math.lgamma(0.5 * df) + 0.5 * math.log(2.0 / math.pi)
        return width[..., 0] * np.sum(_AROUND_WEIGHTS * np.exp(logs + own), axis=-1)


def _mean(logs: Array, s: Array, values: Array) -> Any:
    """Of values, by the logarithms of a density over s."""
    weights = s * (_WEIGHTS / _NODES) * np.exp(logs - np.max(logs, axis=-1, keepdims=True))
    return np.sum(np.where(weights > 0, weights * values, 0.0), axis=-1) / np.sum(weights, axis=-1)
