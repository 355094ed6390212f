"""Limits of derivatives at a point from several directions, with error bounds.

Where a function is smooth on every side of a point its derivatives have a limit along every ray, and the error of those
at a step h is a power series in h: a Richardson table cancels the leading powers. Where all limits agree they are
the derivative: a continuous function whose derivative has a limit is differentiable there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.verification.directions import scales
from gradserve.verification.finite_differences import COLUMNS, RATIO, steps_of

PAIRS = 6
"""Pairs of opposite directions: each sees both sides of every single kink, and several what lies between kinks."""
EXPONENTS = range(1, 10)
"""The steps are 4**-k for these k: 1/4 to 4e-6."""
_OCTAVES = 4.0
"""How far apart the components of a direction may be, in powers of 2."""
TOLERANCE = 1e-4
"""The largest error bound of a limit, relative to the largest derivative around."""
_SAFETY = 4.0
_ROUNDING = 64.0
_PURPOSE = int.from_bytes(hashlib.sha256(b"limits at kinks").digest()[:8], "little")


@dataclass(frozen=True, eq=False)
class Limit:
    """The limits of an array along all directions."""

    value: Array
    bound: Array
    """The bound on the error of each element; infinite where the limits differ or none was found."""
    low: Array
    """The least of the limits along single directions."""
    high: Array
    """The greatest."""


def displacements(point: Array) -> Array:
    """What is added to a point: (points, entries), direction after direction, for each of its steps, coarse to fine."""
    words = np.random.Philox(key=_PURPOSE).random_raw(PAIRS * len(point)).reshape(PAIRS, len(point))
    uniform = (words >> np.uint64(11)).astype(np.float64) / (1 << 53)
    rows = np.exp2(-_OCTAVES * uniform) * np.where(words & np.uint64(1), 1.0, -1.0)
    rows = np.concatenate([rows, -rows]) * scales(point)
    steps = steps_of(EXPONENTS)
    return np.asarray((rows[:, None, :] * steps[None, :, None]).reshape(len(rows) * len(steps), len(point)))


def limit(values: Array, epsilon: float) -> Limit:
    """The limit of an array from its values at all displacements, along the leading axis.

    `epsilon` is the spacing at 1 of the numbers that it was computed in. Limits that differ by no more than half of the
    digits of the largest derivative around count as one, and the bound says by how much they do.
    """
    levels = len(EXPONENTS)
    along = values.astype(np.float64).reshape(2 * PAIRS, levels, *values.shape[1:])
    found = [_one_sided(row, epsilon) for row in along]
    limits, bounds = (np.array(part) for part in zip(*found, strict=True))
    best = np.argmin(bounds, axis=0)[None]
    value = np.take_along_axis(limits, best, axis=0)[0]
    own = np.take_along_axis(bounds, best, axis=0)[0]
    apart = np.abs(limits - value)
    size = np.abs(np.where(np.isfinite(along), along, 0)).max(initial=0.0)
    agree = (apart <= bounds + own + np.sqrt(epsilon) * size).all(axis=0)
    bound = np.where(agree, np.maximum(own, apart.max(axis=0)), np.inf)
    bound = np.where(bound <= TOLERANCE * size + np.finfo(np.float64).tiny, bound, np.inf)
    return Limit(value, bound, limits.min(axis=0), limits.max(axis=0))


def _one_sided(values: Array, epsilon: float) -> tuple[Array, Array]:
    """The limit along one direction, and its bound, from values at falling steps."""
    with np.errstate(all="ignore"):
        table = _table(values)
        rounding = _ROUNDING * epsilon * np.abs(values).max(axis=0)
        best, bound = values[-1], np.full(values.shape[1:], np.inf)
        for level in range(1, len(table)):
            for order in range(1, len(table[level])):
                entry = table[level][order]
                around = [table[level][order - 1], table[level - 1][order - 1]]
                if level + 1 < len(table):
                    around.append(table[level + 1][order])  # agreement of coarse steps may be an accident
                error = np.max([np.abs(entry - other) for other in around], axis=0)
                better = error < bound
                best, bound = np.where(better, entry, best), np.where(better, error, bound)
    return best, _SAFETY * bound + rounding


def _table(values: Array) -> Sequence[Sequence[Array]]:
    """By level and order: the combinations in which one power more of the step cancels."""
    table: list[list[Array]] = []
    for level, value in enumerate(values):
        row = [value]
        for order in range(1, min(level + 1, COLUMNS)):
            row.append(row[-1] + (row[-1] - table[-1][order - 1]) / (RATIO**order - 1))
        table.append(row)
    return table
