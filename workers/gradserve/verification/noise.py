"""The noise in computed values: ECNoise (Moré and Wild, SIAM J. Sci. Comput. 33, 2011).

Differences of order k of a smooth function at equally spaced points vanish like the k-th power of the spacing, while
those of noise do not: sigma^2 = (k!)^2 / (2k)! times the mean square of the k-th differences, as soon as three
successive orders give the same sigma and the differences change sign.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradserve.ir.records import dataclass
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
    """The sides whose noise is not told yet by windows (2, spacings, WINDOW); those that were not asked for are NaN.

    Where one is told to be much louder than the other, that is the quieter one, until it has been heard twice. Where
    nothing is heard on either, one of them is listened to again first, and the other only if that is not rounding.
    """
    heard = [_heard(each) for each in windows]
    untold = [side for side, found in enumerate(heard) if not _is_told(found)]
    sigmas = [sigma for found in heard if (sigma := _sigma(found)) is not None]
    asked = int(np.count_nonzero(~np.isnan(windows).all(axis=(0, 2))))
    if not sigmas and asked == 1:
        return untold[:1]
    if len(sigmas) == 1 and asked == 2 and not _windows(windows[:, 0]):
        return [] if _are_alike([*sigmas, EPSILON * float(np.nanmax(np.abs(windows)))]) else untold
    if untold or len(sigmas) < 2 or _are_alike(sigmas):
        return untold
    quiet = int(np.argmin(sigmas))
    return [] if len(_windows(windows[quiet])) > 1 else [quiet]


def noise_level(values: Array, origin: float) -> float:
    """The standard deviation of the noise in a loss near its value `origin`.

    Never below the rounding of the value itself. The two sides are looked at apart, so that a kink at the point is no
    noise; if one is much louder than the other, something else is near there, and the quieter one
    counts, unless its own next window is as loud: noise may be smooth by chance. Otherwise the louder one counts.
    """
    windows = values.reshape(2, -1, WINDOW)
    floor = EPSILON * abs(origin)
    sides = [(sigma, k) for k, side in enumerate(windows) if (sigma := _sigma(_heard(side))) is not None]
    if not sides:
        return floor
    (least, quiet), (most, _) = min(sides), max(sides)
    again = [noise.sigma for noise in _windows(windows[quiet])[:2]]
    return max(floor, most if _are_alike([max(again), most]) else least)


def _windows(side: Array) -> list[Noise]:
    """What the windows of a side tell in which values differ, from the smallest spacing on."""
    found = [window_noise(window) for window in side if np.isfinite(window).all()]
    return [noise for noise in found if noise is not None]


def _heard(side: Array) -> list[Noise]:
    """The first of them: up to one that detects noise, or two, as steps may fall in with those of rounding."""
    found = _windows(side)[:2]
    return found[:1] if found and found[0].detected else found


def _is_told(heard: Sequence[Noise]) -> bool:
    """Whether further windows would change nothing."""
    return len(heard) == 2 or any(noise.detected for noise in heard)


def _sigma(heard: Sequence[Noise]) -> float | None:
    """The noise of a side: that which is detected, or the least that is not; None if values never differ."""
    if heard and heard[-1].detected:
        return heard[-1].sigma
    return min((noise.sigma for noise in heard), default=None)


def _are_alike(sigmas: Sequence[float]) -> bool:
    return max(sigmas) <= _ALIKE * min(sigmas)
