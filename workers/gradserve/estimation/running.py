"""The mean of samples as they come, its standard error, and the interval that follows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gradserve.ir.types import Array

ROUNDING = 4.0
"""The rounding error of a mean, in units of the samples' own spacing: some for each sample, some for the sum."""


@dataclass(frozen=True, slots=True)
class Interval:
    """What a mean is known to be."""

    lower: float
    upper: float

    @property
    def half_width(self) -> float:
        """Half of the distance between the ends; infinite or not a number if an end is."""
        return (self.upper - self.lower) / 2


@dataclass(frozen=True, slots=True)
class Running:
    """Mean and spread of the samples so far, by Welford's recurrence.

    Samples are taken one after the other, so that the bits depend on their order alone and not on how they were cut
    into arrays.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    """The sum of squared distances from the mean."""
    largest: float = 0.0
    """The largest size of a sample."""

    def with_samples(self, samples: Array) -> Running:
        """The statistics after more samples."""
        count, mean, squares, largest = self.count, self.mean, self.squares, self.largest
        for sample in np.asarray(samples, np.float64).tolist():
            count += 1
            distance = sample - mean
            mean += distance / count
            squares += distance * (sample - mean)
            largest = max(largest, abs(sample)) if not math.isnan(sample) else math.nan
        return Running(count, mean, squares, largest)

    @property
    def variance(self) -> float:
        """The unbiased variance of one sample; infinite below two samples."""
        return self.squares / (self.count - 1) if self.count > 1 else math.inf

    @property
    def standard_error(self) -> float:
        """The standard error of the mean; infinite below two samples."""
        return math.sqrt(self.variance / self.count) if self.count > 1 else math.inf

    def rounding(self, epsilon: float) -> float:
        """The rounding error that the mean may have, if samples are numbers with the spacing `epsilon` at 1."""
        return ROUNDING * epsilon * self.largest

    def interval(self, error_probability: float, epsilon: float) -> Interval:
        """The Student-t interval that misses the mean with `error_probability`, widened by rounding.

        Exact for normal samples, and for others as their mean becomes normal.
        """
        if self.count < 2:
            return Interval(-math.inf, math.inf)
        half = student_t(error_probability, self.count - 1) * self.standard_error + self.rounding(epsilon)
        return Interval(self.mean - half, self.mean + half)


def student_t(error_probability: float, degrees: int) -> float:
    """The t such that |T| > t has `error_probability`, for Student's T with so many degrees of freedom."""
    # Imported where needed: a light client has no SciPy and makes no estimates.
    from scipy.special import stdtrit

    return float(-stdtrit(degrees, error_probability / 2))
