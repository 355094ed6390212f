"""The variance of quadratic forms, from the shares that single entries have in them.

The form <v, A v> in random signs is the sum of the shares s_i = v_i (A v)_i. Share i has the mean a_ii and the variance
r_i, the sum of a_ij^2 over all other j, and the variance of the form is 2 sum r_i. So twice the sum of the sample
variances of the shares estimates it without bias, and far better than the sample variance of the forms: that depends on
fourth powers of v, and where few entries rule, so that forms are skewed, it is too small just where their mean is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gradserve.estimation.running import few
from gradserve.ir.types import Array


@dataclass(frozen=True)
class Shares:
    """Mean and spread of shares so far, by Welford's recurrence."""

    count: int = 0
    mean: Array | float = 0.0
    squares: float = 0.0
    """The sum, over shares and samples, of squared distances from the mean."""

    def with_samples(self, samples: Array) -> Shares:
        """The statistics after more samples, rows of shares."""
        count, mean, squares = self.count, self.mean, self.squares
        for sample in np.asarray(samples, np.float64):
            count += 1
            distance = sample - mean
            mean = mean + distance / count
            squares += float(np.vdot(distance, sample - mean))
        return Shares(count, mean, squares)

    def deviation(self, error_probability: float) -> float:
        """The standard deviation of one form; where samples are too few to tell the diagonal from it, that and more."""
        if self.count < 2:
            return math.inf
        if few(error_probability, self.count):
            return math.sqrt(2 * (self.squares / self.count + float(np.vdot(self.mean, self.mean))))
        return math.sqrt(2 * self.squares / (self.count - 1))
