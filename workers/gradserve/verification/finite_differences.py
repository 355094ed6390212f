"""Derivatives from differences: Richardson tables that carry their weights, so that every entry knows its own noise.

Central differences of a smooth loss have errors in even powers of the step, one-sided ones in all powers. A table
combines differences at steps h, h/4, h/16, ... so that the leading powers cancel. Every entry of it is a fixed linear
combination of loss values: the sum of w_i f(x + h_i d). Its error is bounded by two terms,

    truncation: how far it is from the two entries it was combined from,
    noise:      sigma times the root of the sum of squares of w_i,

and the entry with the least bound is the answer (Ridders 1982; Moré and Wild 2012 for the noise).
"""

from __future__ import annotations

import enum
import functools

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array

RATIO = 4.0
"""Each step is this many times smaller than the one before. A power of two keeps steps exact; 4 rather than 2 because
the noise grows less in combining and fewer evaluations reach as far."""
COLUMNS = 5
"""The most powers of the step that are cancelled, plus one."""
NOISE_FACTOR = 3.0
"""Standard deviations of noise in a bound."""
SAFETY = 4.0
"""What the sum of truncation and noise is multiplied by to make a bound."""
SIGNAL = 24.0
"""Standard deviations of noise above which a difference counts as heard."""
_LAST_BITS = 8.0
_VISIBLE = 1e3
_LEVELS = 3
"""Steps that tell a power."""


class Side(enum.Enum):
    """The points that a difference uses."""

    BOTH = "both"
    RIGHT = "right"
    LEFT = "left"
    SECOND = "second"
    """Both, for the second derivative."""


@dataclass(frozen=True, eq=False)
class Table:
    """The entries of a Richardson table, as linear combinations of f(x + h d) - f(x) and f(x - h d) - f(x)."""

    weights: Array
    """(entries, 2 levels): first for the points to the right, then for those to the left."""
    parents: Array
    """(entries, 2): the entries each is compared with; itself where there is none."""
    orphans: Array
    """(entries,): whether an entry has nothing to be compared with."""
    finer: Array
    """(entries,): the entry of the same order one level finer; itself at the finest."""
    plain: Array
    """(levels,): the entries that are plain differences, coarse to fine."""
    level: Array
    """(entries,): the finest level each uses."""
    order: Array
    """(entries,): the number of powers cancelled."""


def steps_of(exponents: range) -> Array:
    """The steps 4**-k for k in `exponents`."""
    return np.power(RATIO, -np.arange(exponents.start, exponents.stop, dtype=np.float64))


@functools.cache
def table(exponents: range, side: Side) -> Table:
    """The table over the steps 4**-k for k in `exponents`, coarse to fine."""
    steps = steps_of(exponents)
    power = 2 if side in (Side.BOTH, Side.SECOND) else 1
    weights: list[Array] = []
    parents: list[tuple[int, int]] = []
    known: dict[tuple[int, int], int] = {}
    for level in range(len(steps)):
        for order in range(min(level + 1, COLUMNS)):
            position = known[level, order] = len(weights)
            coarse = known.get((level - 1, order - 1 if order else 0), position)
            if order:
                own = weights[known[level, order - 1]]
                weights.append(own + (own - weights[coarse]) / (RATIO ** (power * order) - 1))
                parents.append((coarse, known[level, order - 1]))
            else:
                weights.append(_difference(steps, level, side))
                parents.append((coarse, coarse))
    finer = [known.get((level + 1, order), position) for (level, order), position in known.items()]
    pairs = np.array(list(known), dtype=np.intp)
    links = np.array(parents, dtype=np.intp)
    return Table(
        weights=np.array(weights),
        parents=links,
        orphans=links[:, 0] == np.arange(len(links)),
        finer=np.array(finer, dtype=np.intp),
        plain=np.flatnonzero(pairs[:, 1] == 0),
        level=pairs[:, 0],
        order=pairs[:, 1],
    )


def _difference(steps: Array, level: int, side: Side) -> Array:
    row = np.zeros((2, len(steps)))
    if side is Side.BOTH:
        row[:, level] = 0.5 / steps[level], -0.5 / steps[level]
    elif side is Side.SECOND:
        row[:, level] = 1 / steps[level] ** 2
    elif side is Side.RIGHT:
        row[0, level] = 1 / steps[level]
    else:
        row[1, level] = -1 / steps[level]
    return row.ravel()


@dataclass(frozen=True, slots=True)
class Slope:
    """A derivative measured along a direction."""

    value: float
    bound: float
    """The bound on its error; infinite where nothing could be measured."""
    step: float
    """The smallest step it rests on."""

    def per(self, scale: float) -> Slope:
        """The derivative along the direction divided by `scale`: per unit of what it was a part of."""
        return Slope(self.value / scale, self.bound / scale, self.step * scale)


@dataclass(frozen=True, eq=False)
class Differences:
    """Loss values along one direction, less the value at its origin, with the noise in them."""

    exponents: range
    right: Array
    """f(x + h d) - f(x) by level, coarse to fine; not finite where the loss is not."""
    left: Array
    """f(x - h d) - f(x)."""
    right_noise: Array
    """Standard deviations of the noise in f(x + h d)."""
    left_noise: Array
    origin_noise: float
    rounding: float
    """The spacing of floating-point numbers around the loss."""
    second: bool = False
    """Whether it is the second derivative that is asked for."""

    @property
    def constant(self) -> bool:
        """Whether the loss does not change at any step, but for the last bits that the order of a sum decides."""
        return bool(self.flat_step == self.steps[0])

    @property
    def locally_constant(self) -> bool:
        """Whether it changes at large steps but not at small ones, where at the same rate one would see it: a stair."""
        return bool(self.steepest() * self.flat_step > _VISIBLE * self.rounding)

    @property
    def flat_step(self) -> float:
        """The largest step up to which the loss does not change; 0 if it changes at all."""
        largest = np.maximum(np.abs(self.right), np.abs(self.left))
        changing = np.flatnonzero(~(largest <= _LAST_BITS * self.rounding))
        first_flat = int(changing[-1]) + 1 if len(changing) else 0
        return float(self.steps[first_flat]) if first_flat < len(self.steps) else 0.0

    def steepest(self, coarse: bool = False) -> float:
        """The size of the steepest difference quotient, of the coarser half of the steps alone if `coarse`."""
        levels = len(self.steps) // 2 if coarse else len(self.steps)
        with np.errstate(over="ignore"):
            quotients = np.abs([self.right[:levels], self.left[:levels]]) / self.steps[:levels]
        return float(quotients[np.isfinite(quotients)].max(initial=0.0))

    @property
    def steps(self) -> Array:
        """The steps, coarse to fine."""
        return steps_of(self.exponents)


def slope(differences: Differences, side: Side) -> Slope:
    """The derivative along the direction, from the entry of the table with the least bound.

    Agreement between coarse steps may be an accident, such as that of a function which has saturated, or which has a
    kink nearer than they are. So the next finer entry of the same order must agree as well, but for noise, and plain
    differences at finer steps must come closer than the one at the entry's own; what they miss by goes into the bound.
    """
    grid = table(differences.exponents, side)
    values, noise, unit = _in_units(differences)
    usable = ~((grid.weights != 0) & ~np.isfinite(values)).any(axis=1)
    estimates = grid.weights @ np.where(np.isfinite(values), values, 0.0)
    own = np.square(grid.weights) @ np.square(noise)
    deviations = np.sqrt(own + np.square(grid.weights.sum(axis=1) * (differences.origin_noise / unit)))
    truncation = np.abs(estimates[:, None] - estimates[grid.parents]).max(axis=1)
    truncation = np.where(usable & usable[grid.parents].all(axis=1) & ~grid.orphans, truncation, np.inf)
    distances = np.abs(estimates[:, None] - estimates[grid.plain])
    allowed = distances[np.arange(len(distances)), grid.level, None] + 2 * NOISE_FACTOR * deviations[grid.plain]
    finer = (np.arange(len(grid.plain)) > grid.level[:, None]) & usable[grid.plain]
    missed = np.where(finer, distances - allowed, 0.0).max(axis=1)
    apart = np.abs(estimates - estimates[grid.finer]) - 2 * NOISE_FACTOR * deviations[grid.finer]
    bounds = np.maximum(truncation + NOISE_FACTOR * deviations, np.maximum(missed, apart))
    best = int(np.argmin(bounds))
    if not np.isfinite(bounds[best]):
        return Slope(float("nan"), float("inf"), float("nan"))
    step = float(differences.steps[grid.level[best]])
    return Slope(unit * float(estimates[best]), SAFETY * unit * float(bounds[best]), step)


def _in_units(differences: Differences) -> tuple[Array, Array, float]:
    """The differences and the noise in them, divided by a unit so that no square overflows; and the unit."""
    values = np.concatenate([differences.right, differences.left])
    noise = np.concatenate([differences.right_noise, differences.left_noise])
    finite = np.isfinite(values)
    largest = max(float(np.abs(values[finite]).max(initial=0.0)), float(noise.max()), differences.origin_noise)
    unit = largest or 1.0
    return values / unit, noise / unit, unit


@dataclass(frozen=True, eq=False)
class Plain:
    """Central differences without extrapolation, by level, and the noise in each."""

    steps: Array
    values: Array
    """(f(x + h d) - f(x - h d)) / 2h."""
    jumps: Array
    """(f(x + h d) - 2 f(x) + f(x - h d)) / h: the right less the left difference quotient."""
    noise: Array
    """The standard deviation of the noise in `values`; that in `jumps` is not above 4 times this."""

    def per(self, scale: float) -> Plain:
        """The same along the direction divided by `scale`."""
        return Plain(self.steps * scale, self.values / scale, self.jumps / scale, self.noise / scale)


def plain(differences: Differences) -> Plain:
    """The plain differences at every step."""
    steps = differences.steps
    noise = np.hypot(differences.right_noise, differences.left_noise) + differences.origin_noise / 2
    with np.errstate(invalid="ignore", over="ignore"):
        right, left = differences.right / steps, differences.left / steps
        return Plain(steps, values=right / 2 - left / 2, jumps=right + left, noise=noise / (2 * steps))


def remainder_order(differences: Differences, claimed: float) -> float:
    """The power of the step with which the loss less its value and slope falls, at the finest steps where it is heard.

    By Taylor's theorem 2, or more where higher terms vanish; 1 if the slope is not `claimed`. NaN if too few are heard,
    and of second derivatives.
    """
    if differences.second:
        return float("nan")
    steps = differences.steps
    with np.errstate(invalid="ignore", over="ignore"):
        left = np.abs([differences.right - claimed * steps, differences.left + claimed * steps]).max(axis=0)
    noise = np.maximum(differences.right_noise, differences.left_noise) + differences.origin_noise
    heard = np.isfinite(left) & (left > SIGNAL * (noise + np.finfo(float).eps * abs(claimed) * steps))
    finest = np.flatnonzero(heard)[-_LEVELS:]
    if len(finest) < _LEVELS:
        return float("nan")
    return float(np.polyfit(np.log(steps[finest]), np.log(left[finest]), 1)[0])
