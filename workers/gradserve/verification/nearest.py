"""The nearest irregularity along a direction: its kind and its distance, from differences at many steps.

What the right difference quotient is more than the left one, J(h) = (f(h) - 2 f(0) + f(-h)) / h, is a series in odd
powers of h where a function is smooth. A kink, a jump or a cusp at a distance t adds what its own J is: nothing for
steps below t, and above it something that no power of h resembles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.verdicts import Irregularity
from gradserve.verification.finite_differences import RATIO, SIGNAL, Differences, plain

_Shape: TypeAlias = Callable[[Array, Array], Array]

FEWEST = 5
"""Audible steps without which nothing is told."""
_PER_OCTAVE = 2
_FINER, _ROUNDS = 4, 4
_ALLOWED = 0.02
"""The part of J that may be left unexplained, of the terms that are not fitted."""
_POWERS = (1, 3)
_SMOOTH = (1, 3, 5, 7)
_CANCELLING = 64.0
"""The size of a power, in units of the largest J, from which on it is taken for an imitation."""
_RIDGE = 1e-13
_BEYOND, _CLEARLY_BEYOND = 2, 1.5
"""The third longest step must be so many times the distance: what one or two steps show, powers might as well."""
_CLEARLY, _CONFIRMATIONS = 4.0, 2


@dataclass(frozen=True, slots=True)
class Nearest:
    """What is nearest to the point where a loss is not smooth."""

    kind: Irregularity = Irregularity.NONE
    distance: float = np.inf
    """In steps along the direction."""


def nearest(differences: Differences) -> Nearest:
    """What explains the differences at all but the coarsest steps: nothing but smoothness, or one irregularity.

    Steps are left out from the coarsest on until one of the two does.
    """
    quotients = plain(differences)
    steps, jumps, noise = quotients.steps, quotients.jumps, quotients.noise
    usable = np.isfinite(jumps)
    unit = float(np.abs(jumps[usable]).max(initial=0.0)) or 1.0  # so that no square overflows
    steps, jumps, noise = steps[usable], jumps[usable] / unit, noise[usable] / unit
    around = np.maximum(np.abs(jumps), np.abs(np.r_[0.0, jumps[:-1]]) / RATIO)
    allowed = SIGNAL * noise + _ALLOWED * around
    for first in range(len(steps) - FEWEST + 1):
        window = slice(first, None)
        if np.count_nonzero(np.abs(jumps[window]) > allowed[window]) < FEWEST:
            break
        if _is_smooth(steps[window], jumps[window], allowed[window]):
            break
        found = _best(steps[window], jumps[window], allowed[window])
        if found is not None:
            return found
    return Nearest()


def _best(steps: Array, jumps: Array, allowed: Array) -> Nearest | None:
    """The irregularity that explains all, if one does; that which leaves least."""
    octaves = np.log2(steps[0] / steps[-1])
    coarse = np.r_[0.0, steps[-1] * np.exp2(np.arange(0.0, octaves, 1 / _PER_OCTAVE))]
    farthest = steps[_BEYOND] / _CLEARLY_BEYOND
    best, found = 1.0, None
    for shape, kind in _KINDS.items():

        def misfits(distances: Array, shape: _Shape = shape) -> Array:
            return _misfits(steps, jumps, allowed, shape(steps, distances[:, None]))

        distance = float(coarse[np.argmin(misfits(coarse))])
        width = 1 / _PER_OCTAVE
        for _ in range(_ROUNDS if distance else 1):
            close = distance * np.exp2(np.linspace(-width, width, 2 * _FINER + 1))
            left = misfits(close)
            distance, width = float(close[np.argmin(left)]), width / _FINER
        if left.min() < best and distance < farthest:
            best, found = float(left.min()), Nearest(kind, np.inf if kind is Irregularity.NONE else distance)
    return found


def _bend(steps: Array, t: Array) -> Array:
    """J of the square of what x is above t: the second derivative jumps."""
    return np.asarray(np.maximum(0.0, steps - t) ** 2 / steps)


def _kink(steps: Array, t: Array) -> Array:
    return np.asarray(np.maximum(0.0, steps - t) / steps)


def _jump(steps: Array, t: Array) -> Array:
    return np.asarray((steps > t) / steps)


def _power(exponent: float) -> _Shape:
    """J of a power of |x - t|."""

    def shape(steps: Array, t: Array) -> Array:
        around = np.abs(steps - t) ** exponent + (steps + t) ** exponent - 2 * t**exponent
        return np.asarray(around / steps)

    return shape


_KINDS: Mapping[_Shape, Irregularity] = {
    _bend: Irregularity.NONE,
    _power(1.5): Irregularity.NONE,
    _kink: Irregularity.KINK,
    _jump: Irregularity.JUMP,
    _power(0.5): Irregularity.CUSP,
}
"""What J may hold beside a smooth part; where the derivative exists, as in the first two, nothing is irregular."""


def _is_smooth(steps: Array, jumps: Array, allowed: Array) -> bool:
    """Whether powers explain all, as many as there are parameters otherwise, none far larger than their sum."""
    left, shares = _fit(jumps, allowed, np.stack([steps**power for power in _SMOOTH])[None])
    largest = float((shares * allowed[:, None]).max())
    return bool(left[0] <= 1 and largest <= _CANCELLING * float(np.abs(jumps).max()))


def _misfits(steps: Array, jumps: Array, allowed: Array, signatures: Array) -> Array:
    """For each signature, the most that it leaves with a smooth part; infinite if not heard at several steps."""
    smooth = np.stack([steps**power for power in _POWERS])
    terms = np.concatenate([np.broadcast_to(smooth, (len(signatures), *smooth.shape)), signatures[:, None]], axis=1)
    left, shares = _fit(jumps, allowed, terms)
    heard = (shares[:, :, -1] > _CLEARLY).sum(axis=1) >= _CONFIRMATIONS
    return np.asarray(np.where(heard, left, np.inf))


def _fit(jumps: Array, allowed: Array, terms: Array) -> tuple[Array, Array]:
    """For each set of terms what its best combination leaves at most, and the terms' sizes in it, (sets, steps, terms).

    Both in units of what is allowed.
    """
    weights = 1 / np.maximum(allowed, np.finfo(float).tiny)
    columns = np.swapaxes(terms * weights, 1, 2)
    sizes = np.linalg.norm(columns, axis=1, keepdims=True)
    columns = columns / np.where(sizes > 0, sizes, 1.0)
    wanted = (jumps * weights)[:, None]
    rows = np.swapaxes(columns, 1, 2)
    fitted = np.linalg.solve(rows @ columns + _RIDGE * np.eye(columns.shape[2]), rows @ wanted)
    return np.abs(columns @ fitted - wanted).max(axis=(1, 2)), np.abs(columns * np.swapaxes(fitted, 1, 2))
