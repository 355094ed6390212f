"""The mean of samples as they come, its standard error, and the interval that follows."""

from __future__ import annotations

import math

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array

ROUNDING = 4.0
"""The rounding error of a mean, in units of the samples' own spacing: some for each sample, some for the sum."""

LOST = 2.0**-511
"""A standard deviation of numbers whose squares are below all numbers, or have lost their digits."""


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

    def interval(self, error_probability: float, epsilon: float, deviation: float = 0.0) -> Interval:
        """The interval that misses the mean with `error_probability`, widened by rounding.

        `deviation` is what else is known of the samples' standard deviation; the larger counts.
        """
        if self.count < 2:
            return Interval(-math.inf, math.inf)
        spread = deviation if deviation > math.sqrt(self.variance) else math.sqrt(self.variance)
        half = widening(error_probability, self.count) * spread / math.sqrt(self.count) + self.rounding(epsilon)
        return Interval(self.mean - half, self.mean + half)


def widening(error_probability: float, count: int) -> float:
    """The standard errors of a mean of `count` quadratic forms in random signs that half an interval has.

    Student's t, which is exact for normal samples, and what those take that are furthest from normal: one pair of
    entries makes samples of two values, whose mean lies on a lattice of steps 2 / sqrt(count). Half a step is what a
    correction for continuity adds; the rest is for counts up to 8, and lets the binomial itself be covered.
    """
    return student_t(error_probability, count - 1) + (1 + 8 / count) / math.sqrt(count)


def few(error_probability: float, count: int) -> bool:
    """Whether so few samples may all be equal by chance though there is a variance.

    A sum of other entries in random signs takes each of its values with probability 1/2 at most.
    """
    return 2.0 ** (1 - count) > error_probability


def student_t(error_probability: float, degrees: int) -> float:
    """The t such that |T| > t has `error_probability`, for Student's T with so many degrees of freedom."""
    # Imported where needed: a light client has no SciPy and makes no estimates.
    from scipy.special import stdtrit

    return float(-stdtrit(degrees, error_probability / 2))
