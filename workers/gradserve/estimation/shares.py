"""The variance of quadratic forms, from the shares that single entries have in them.

The form <v, A v> in random signs is the sum of the shares s_i = v_i (A v)_i. Share i has the mean a_ii and the variance
r_i, the sum of a_ij^2 over all other j, and the variance of the form is 2 sum r_i. So twice the sum of the sample
variances of the shares estimates it without bias, and far better than the sample variance of the forms: that depends on
fourth powers of v, and where few entries rule, so that forms are skewed, it is too small just where their mean is.
"""

from __future__ import annotations

import math
from dataclasses import field

import numpy as np

from gradserve.estimation.running import few
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array


@dataclass(frozen=True)
class Shares:
    """Sums of shares so far, from the first sample on; one after the other, so that bits do not depend on cuts."""

    count: int = 0
    first: Array = field(default_factory=lambda: np.zeros(0))
    total: Array = field(default_factory=lambda: np.zeros(0))
    """The sums, by share, of distances from the first sample."""
    squares: float = 0.0
    """The sum, over shares and samples, of squared distances from the first sample."""

    def with_samples(self, samples: Array) -> Shares:
        """The statistics after more samples, rows of shares."""
        if not len(samples):
            return self
        rows = np.asarray(samples, np.float64)
        first, total = (self.first, self.total) if self.count else (rows[0], np.zeros(rows.shape[1]))
        distances = rows - first
        total = np.cumsum(np.concatenate([total[None], distances]), axis=0)[-1]
        lengths = np.einsum("ij,ij->i", distances, distances)
        squares = np.cumsum(np.concatenate([[self.squares], lengths]))[-1]
        return Shares(self.count + len(rows), first, total, float(squares))

    def deviation(self, error_probability: float, forms: int) -> float:
        """The standard deviation of one of so many forms; if they are too few to tell the diagonal from it, and more.

        Shares of some of the forms do: if these are equal by chance, the other forms are not.
        """
        if self.count < 2:
            return math.inf
        mean = self.total / self.count
        variance = max(self.squares / self.count - float(np.vdot(mean, mean)), 0.0)
        if few(error_probability, forms):
            centre = self.first + mean
            return math.sqrt(2 * (variance + float(np.vdot(centre, centre))))
        return math.sqrt(2 * variance * self.count / (self.count - 1))
