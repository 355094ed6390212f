"""Gradients from difference quotients D along random directions v: the mean of D v.

Directions are such that the mean of v v^T is the identity, so the mean of D v is the gradient g of a linear loss. Entry
i of one sample has, for a linear loss, the variance

    signs      |g|^2 - g_i^2
    sphere     (|g|^2 + 2 g_i^2) n / (n + 2) - g_i^2
    gaussian   |g|^2 + g_i^2

and |g|^2 is the mean of D^2. The sample variance of an entry by itself is too small where few samples of a skewed
distribution have come; the larger of both makes the interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace

import numpy as np

from gradserve.estimation.entries import Means, largest
from gradserve.estimation.looks import Target, stop_reason
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.estimates import StopReason
from gradserve.questions.resuming import Standing, State
from gradserve.questions.zero_order import Directions


@dataclass(frozen=True)
class Known:
    """What the difference quotients so far say of the gradient."""

    values: Mapping[str, Array]
    standard_errors: Mapping[str, Array]
    half_widths: Mapping[str, Array]
    variance: float
    """The mean squared distance of one sample from the mean, all entries together."""
    reason: StopReason

    @property
    def widest(self) -> float:
        """The largest of the half widths."""
        return largest(self.half_widths)


@dataclass(frozen=True)
class SlopesSoFar:
    """The samples of D v so far."""

    sampler: Directions
    size: int
    """The number of entries of a direction."""
    means: Means = field(default_factory=Means)
    squares: float = 0.0
    """The sum of D^2."""

    def state(self) -> State:
        """Where they stand."""
        return {"slopes": np.asarray(self.squares), **self.means.state()}

    def standing(self, stood: Standing, shapes: Mapping[str, tuple[int, ...]]) -> SlopesSoFar:
        """The same where they stood, of inputs of these shapes."""
        return replace(self, means=Means.standing(stood, shapes), squares=stood.number("slopes", 0.0))

    def with_samples(self, slopes: Array, directions: Mapping[str, Array]) -> SlopesSoFar:
        """After more directions, arrays with a leading axis by input."""
        samples = {name: by_row(slopes, rows) * rows for name, rows in directions.items()}
        squares = np.cumsum(np.concatenate([[self.squares], slopes**2]))[-1]
        return replace(self, means=self.means.with_samples(samples), squares=float(squares))

    def known(self, target: Target, look: int, epsilon: float, step_error: float) -> Known:
        """What is known at look 1, 2, ...; intervals are widened by the `step_error`."""
        count, errors = self.means.count, self.means.standard_errors()
        errors = {name: np.maximum(errors[name], self._deviations(mean)) for name, mean in self.means.values.items()}
        widths = self.means.half_widths(errors, target, look, epsilon)
        widths = {name: width + step_error for name, width in widths.items()}
        variance = count * sum(float(np.sum(error**2)) for error in errors.values())
        reason = stop_reason(target, count, largest(widths), self.means.size)
        return Known(self.means.values, errors, widths, variance, reason)

    def _deviations(self, mean: Array) -> Array:
        """The standard errors that entries would have if the loss were linear."""
        length, own = self.squares / self.means.count, mean**2
        match self.sampler:
            case Directions.SPHERE:
                variance = (length + 2 * own) * self.size / (self.size + 2) - own
            case Directions.GAUSSIAN:
                variance = length + own
            case _:
                variance = length - own
        return np.asarray(np.sqrt(np.maximum(variance, 0.0) / self.means.count))


def by_row(numbers: Array, rows: Array) -> Array:
    """One number for each element of the leading axis, in a shape that goes with them."""
    return numbers.reshape(-1, *[1] * (rows.ndim - 1))
