"""How the error probability is spent by those that look at a few planned moments, and how many samples a target takes.

The first look is where the pilot says that the tolerance will be met, and has most of the probability; looks after it
share the rest. Their sum is the whole, so the interval at which one stops covers with the confidence asked for. Without
a tolerance the end is fixed beforehand, and every interval is the plain one.
"""

from __future__ import annotations

import math

from gradserve.estimation.looks import Target
from gradserve.estimation.running import widening

FIRST = 0.8
"""The share of the error probability that the first look has."""
_GROWTH = 1.1
_LEAST = 3
"""Samples that have a spread at all."""
_NEVER = 1e9
"""Standard deviations for each half of an interval that no number of samples brings down to that."""


def probability(target: Target, look: int) -> float:
    """What look 1, 2, ... may spend."""
    alpha = 1 - target.confidence
    if not target.stops_early:
        return alpha
    return alpha * FIRST if look == 1 else alpha * (1 - FIRST) * 0.5 ** (look - 1)


def allowed(target: Target, value: float) -> float:
    """Half the interval that meets the target at an estimate of that size; 0 if there is no tolerance."""
    return max(target.absolute_tolerance, target.relative_tolerance * abs(value))


def needed(target: Target, look: int, deviation: float, value: float) -> float:
    """The samples with this standard deviation that are predicted to meet the target at a look; infinite for never."""
    within = allowed(target, value)
    if target.stops_early and deviation == 0:  # even of zeros, of which no other size is within a share
        return _LEAST
    if not (within > 0 and deviation <= _NEVER * within):
        return math.inf
    alpha, count = probability(target, look), 2.0
    for _ in range(50):
        more = max(2.0, (widening(alpha, math.ceil(count)) * deviation / within) ** 2)
        if abs(more - count) < 0.5:
            break
        count = (more + count) / 2  # the widening falls with the count, so plain iteration swings
    return math.ceil(max(count, more)) + 1


def further(wanted: float, count: int) -> float:
    """The samples at the next look: those wanted, and enough more than there are to be worth a look."""
    return max(wanted, math.ceil(count * _GROWTH), count + 4)
