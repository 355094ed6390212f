"""The noise in computed values: ECNoise (Moré and Wild, SIAM J. Sci. Comput. 33, 2011).

Differences of order k of a smooth function at equally spaced points vanish like the k-th power of the spacing, while
those of noise do not: sigma^2 = (k!)^2 / (2k)! times the mean square of the k-th differences, as soon as three
successive orders give the same sigma and the differences change sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradserve.ir.types import Array

WINDOW = 7
"""Points of one window."""
SPACINGS = (2.0**-36, 2.0**-28, 2.0**-20, 2.0**-12, 2.0**-4)
"""Spacings to try: the smallest ones at which the values differ are the right ones."""
EPSILON = float(np.finfo(np.float64).eps)
_ALIKE = 8.0
_SPREAD = 4.0
"""The most by which the sigmas of three successive orders may differ."""


@dataclass(frozen=True, slots=True)
class Noise:
    """The noise in one window of values."""

    sigma: float
    """Its standard deviation."""
    detected: bool
    """Whether three orders agree on it; otherwise it is the least sigma of all orders, mostly an upper bound."""


def window_noise(values: Array) -> Noise | None:
    """The noise in values at equally spaced points.

    None if half of the values equal their neighbours, or all lie on one polynomial exactly: the spacing is too small to
    see anything.
    """
    scale = float(np.ldexp(0.5, np.frexp(np.abs(values).max())[1]))  # a power of two, so that dividing by it is exact
    if 2 * np.count_nonzero(np.diff(values) == 0) >= len(values) - 1:
        return None
    gamma, differences = 1.0, values / scale
    sigmas, signs_change = [], []
    for k in range(1, len(values)):
        differences = np.diff(differences)
        gamma *= 0.5 * k / (2 * k - 1)
        sigmas.append(scale * float(np.sqrt(gamma * np.mean(np.square(differences)))))
        signs_change.append(bool(differences.min() < 0 < differences.max()))
    for k in range(len(values) - 3):
        if signs_change[k] and max(sigmas[k : k + 3]) <= _SPREAD * min(sigmas[k : k + 3]):
            return Noise(sigmas[k], detected=True)
    return Noise(min(sigmas), detected=False) if min(sigmas) else None


def noise_steps(spacings: Sequence[float] = SPACINGS) -> Array:
    """Steps from the point at which `noise_level` wants values: one window for each side and spacing."""
    places = np.arange(1, WINDOW + 1)
    return np.concatenate([sign * spacing * places for sign in (1.0, -1.0) for spacing in spacings])


def unsettled(windows: Array) -> list[int]:
    """The sides whose noise is not told yet by windows (2, spacings, WINDOW); those that were not asked for are NaN."""
    return [side for side, each in enumerate(windows) if not _is_told(_heard(each))]


def noise_level(values: Array, origin: float) -> float:
    """The standard deviation of the noise in a loss near its value `origin`.

    Never below the rounding of the value itself. The two sides are looked at apart, so that a kink at the point is no
    noise; if one is much louder than the other, something else is near there, and the quieter one
    counts; otherwise the louder one.
    """
    windows = values.reshape(2, -1, WINDOW)
    floor = EPSILON * abs(origin)
    sides = [sigma for side in windows if (sigma := _side_noise(side)) is not None]
    if not sides:
        return floor
    alike = max(sides) <= _ALIKE * min(sides)
    return max(floor, max(sides) if alike else min(sides))


def _side_noise(windows: Array) -> float | None:
    """The noise at the smallest spacing where values differ; None if they never do or are not finite.

    Where it is not detected there, the next spacing is asked: steps may fall in with those of rounding.
    """
    found = _heard(windows)
    if found and found[-1].detected:
        return found[-1].sigma
    return min((noise.sigma for noise in found), default=None)


def _heard(windows: Array) -> list[Noise]:
    """What the first windows tell in which values differ: up to one that detects noise, or two."""
    found: list[Noise] = []
    for window in windows:
        noise = window_noise(window) if np.isfinite(window).all() else None
        if noise is not None:
            found.append(noise)
        if _is_told(found):
            break
    return found


def _is_told(found: Sequence[Noise]) -> bool:
    """Whether further windows would change nothing."""
    return len(found) == 2 or any(noise.detected for noise in found)
