"""Steps that stay where the loss is finite: shrunk, or to one side alone."""

from __future__ import annotations

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.verification.finite_differences import RATIO

EXPONENTS = np.arange(4, 540, 4)
"""The steps 4**-k at which the loss is looked at, from afar to the smallest numbers there are."""

_CLEARLY = 4096.0
_ULPS = 2.0
_FEWEST = 4


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a direction may be followed."""

    scale: float
    """What its steps are to be multiplied by, so that all of them are finite: a power of 4."""
    both: bool
    """Whether that is so on both sides."""


def steps() -> Array:
    """Steps at which `reach` wants values: to the right, then to the left."""
    sizes = np.power(RATIO, -EXPONENTS.astype(np.float64))
    return np.concatenate([sizes, -sizes])


def reach(values: Array) -> Reach | None:
    """How far the loss is finite, from its values at `steps`; None if not at all."""
    sides = [_first_finite(side) for side in np.split(values, 2)]
    known = [exponent for exponent in sides if exponent is not None]
    if not known:
        return None
    # The coarsest step of a measurement is 1/4 already.
    return Reach(RATIO ** -(max(known) - 1.0), len(known) == 2)


def inwards(vector: Array, point: Array) -> Array:
    """The direction with every entry at 0 moving upwards: into the domain of roots and logarithms."""
    return np.where(point == 0, np.abs(vector), vector)


def moves(vector: Array, point: Array) -> Array:
    """For each entry, whether the first steps along a vector move it by more than rounding does."""
    return np.abs(vector) > _CLEARLY * np.spacing(np.abs(point))


def exponents(vector: Array, point: Array, most: range) -> range:
    """Those of the steps that move every entry of the vector by some units in its last place, as many as there are."""
    moved = vector != 0
    with np.errstate(over="ignore"):
        room = float(np.min(np.abs(vector[moved]) / np.spacing(np.abs(point[moved])), initial=np.inf))
    levels = int(min(np.log(room / _ULPS) / np.log(RATIO), len(most)))
    return range(most.start, most.start + max(levels, _FEWEST))


def _first_finite(values: Array) -> int | None:
    """The exponent from which on all values are finite."""
    finite = np.isfinite(values)
    if not finite[-1]:
        return None
    last_bad = np.flatnonzero(~finite)
    return int(EXPONENTS[last_bad[-1] + 1 if len(last_bad) else 0])
