"""The step of difference quotients: chosen so that what it leaves of the next derivative balances the noise.

With noise sigma in the values, a forward quotient with step h is off by about |f''| h / 2 + 2 sigma / h and a central
one by |f'''| h^2 / 6 + sigma / h. The least is near h = 2 sqrt(sigma / |f''|) and h = cbrt(3 sigma / |f'''|).
The derivatives are measured along random signs by differences at a coarse step, the noise by ECNoise; the step is
rounded down to a power of two, so that moved points are rounded little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.verification.directions import scales, sign_directions
from gradserve.verification.finite_differences import NOISE_FACTOR, SAFETY
from gradserve.verification.measure import Stage
from gradserve.verification.noise import EPSILON, noise_level, noise_steps

DIRECTIONS = 4
"""Random directions along which derivatives are measured."""
COARSE = 2.0**-6
"""The coarse step, for entries up to 1 in size."""
PLACES = (0.0, 1.0, 2.0, -1.0, -2.0)
"""Where values are wanted, in coarse steps."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step, and the bound on the error that it leaves in a difference quotient."""

    size: float
    error: float


class Choice:
    """What a step at a point rests on: values along random signs."""

    def __init__(self, point: Array, central: bool, seed: int) -> None:
        """For central or for forward differences."""
        unit = float(scales(np.array([math.sqrt(float(np.mean(point**2)))]))[0]) if point.size else 1.0
        self._coarse, self._central = COARSE * unit, central
        signs, near = sign_directions(np.zeros_like(point), DIRECTIONS, seed), self._coarse * np.array(PLACES)
        steps = [np.concatenate([near, unit * noise_steps()]), *[near] * (DIRECTIONS - 1)]
        self.stage = Stage("choosing the step", list(signs), steps)
        """The values that are wanted."""

    def made(self, values: Sequence[Array]) -> Step:
        """The step, from the values. It is infinitely wrong where one is not finite; then the coarse step is taken."""
        found = np.array([each[: len(PLACES)] for each in values])
        noise = noise_level(values[0][len(PLACES) :], float(found[0, 0]))
        noise = max(noise, EPSILON * float(np.abs(found).max()))
        if not (math.isfinite(noise) and np.isfinite(found).all()):
            return Step(self._coarse, math.inf)
        if not noise:  # every value is 0
            return Step(self._coarse, 0.0)
        return (_central if self._central else _forward)(found, self._coarse, noise)


def _central(values: Array, coarse: float, noise: float) -> Step:
    _, one, two, back, further = values.T
    third = _root_mean_square((two - 2 * one + 2 * back - further) / (2 * coarse**3))
    third = max(third, noise / coarse**3)
    size = _power_of_two(min(coarse, math.cbrt(3 * noise / third)))
    return Step(size, SAFETY * (third * size**2 / 6 + NOISE_FACTOR * noise / (math.sqrt(2) * size)))


def _forward(values: Array, coarse: float, noise: float) -> Step:
    origin, one, _, back, _ = values.T
    second = _root_mean_square((one - 2 * origin + back) / coarse**2)
    second = max(second, noise / coarse**2)
    size = _power_of_two(min(coarse, 2 * math.sqrt(noise / second)))
    return Step(size, SAFETY * (second * size / 2 + NOISE_FACTOR * noise * math.sqrt(2) / size))


def _root_mean_square(values: Array) -> float:
    return math.sqrt(float(np.mean(values**2)))


def _power_of_two(size: float) -> float:
    """The largest power of two that is not larger."""
    return math.ldexp(0.5, math.frexp(size)[1])
