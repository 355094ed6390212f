"""Adaptive quadrature over the unit interval by the pair of Gauss and Kronrod.

The rule of 15 points and its error estimate are those of QUADPACK (Piessens, de Doncker-Kapenga, Ueberhuber and
Kahaner, 1983): the interval with the largest error is halved until their sum is small enough.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gradserve.client.functions.control import scan
from gradserve.client.functions.until import OnMost, until

_HALF_NODES = np.array(
    [
        *(0.99145537112081263921, 0.94910791234275852453, 0.86486442335976907279, 0.74153118559939443986),
        *(0.58608723546769113029, 0.40584515137739716691, 0.20778495500789846760, 0.0),
    ]
)
_HALF_WEIGHTS = np.array(
    [
        *(0.02293532201052922496, 0.06309209262997855329, 0.10479001032225018384, 0.14065325971552591875),
        *(0.16900472663926790283, 0.19035057806478540991, 0.20443294007529889241, 0.20948214108472782801),
    ]
)
_HALF_GAUSS = np.array([0.12948496616886969327, 0.27970539148927666790, 0.38183005050511894495, 0.41795918367346938776])

NODES = np.concatenate([-_HALF_NODES, _HALF_NODES[-2::-1]])
"""Where the rule of Kronrod looks, between -1 and 1."""
WEIGHTS = np.concatenate([_HALF_WEIGHTS, _HALF_WEIGHTS[-2::-1]])
"""Its weights."""
GAUSS = np.zeros(15)
"""Those of the rule of Gauss, at every second node."""
GAUSS[1::2] = [*_HALF_GAUSS, *_HALF_GAUSS[-2::-1]]


class Cut(NamedTuple):
    """An integral over the unit interval, cut into parts of which the first `count` are in use."""

    value: Any
    error: Any
    count: Any
    low: Any
    high: Any
    converged: Any


def integrated(
    measured: Callable[[Any, Any], Any], shape: tuple[int, ...], goals: Any, most: int, on_most: OnMost
) -> Cut:
    """The integral from 0 to 1 of what is measured in parts; the worst one is halved until all errors are small."""
    rtol, atol = goals
    numbers = np.arange(most)

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        low, high, values, errors, count = state
        worst = np.argmax(errors)
        a, b = np.take(low, worst), np.take(high, worst)
        middle = 0.5 * (a + b)
        lows, highs = np.stack([a, middle]), np.stack([middle, b])
        both = scan(lambda _, ends: (None, measured(*ends)), None, (lows, highs)).rows

        def placed(rows: Any, new: Any) -> Any:
            masks = [np.reshape(numbers == k, (most, *[1] * (rows.ndim - 1))) for k in (worst, count)]
            return np.where(masks[0], new[0], np.where(masks[1], new[1], rows))

        return placed(low, lows), placed(high, highs), placed(values, both[0]), placed(errors, both[1]), count + 1

    def ended(state: tuple[Any, ...]) -> Any:
        _, _, values, errors, _ = state
        error = np.sum(errors)
        return np.isfinite(error) & (error <= np.maximum(atol, rtol * np.max(np.abs(np.sum(values, axis=0)))))

    value, error = measured(np.zeros(()), np.ones(()))
    first = numbers == 0
    init = (
        np.zeros(most),
        np.where(first, 1.0, 0.0),
        np.where(np.reshape(first, (most, *[1] * len(shape))), value, 0.0),
        np.where(first, error, 0.0),
        np.int64(1),
    )
    (low, high, values, errors, count), _, converged = until(ended, step, init, most - 1, on_most)
    return Cut(np.sum(values, axis=0), np.sum(errors), count, low, high, converged)


def measure(at: Callable[[Any], Any], shape: tuple[int, ...], low: Any, high: Any) -> tuple[Any, Any]:
    """The integral over a part, and QUADPACK's estimate of its error."""
    half, middle = 0.5 * (high - low), 0.5 * (low + high)
    values = scan(lambda _, node: (None, at(middle + half * node)), None, NODES).rows

    def summed(weights: Any, rows: Any) -> Any:
        return np.reshape(weights @ np.reshape(rows, (NODES.size, -1)), shape)

    value = summed(WEIGHTS, values)
    spread = half * summed(WEIGHTS, np.abs(values - 0.5 * value))
    error = half * np.abs(value - summed(GAUSS, values))
    varies = spread > 0
    share = error / np.where(varies, spread, 1.0)
    error = np.where(varies, spread * np.minimum(1.0, (200.0 * share) ** 1.5), error)
    rounding = 50 * np.finfo(np.float64).eps * half * summed(WEIGHTS, np.abs(values))
    return half * value, np.max(np.maximum(error, rounding))
