"""Hutchinson's estimate of a diagonal: the mean of v * (A v), entry by entry, over independent random signs v.

The mean is the diagonal because v_i v_j has mean 0 for i other than j and v_i^2 is 1; the variance of entry i is the
sum of a_ij^2 over all other j (C. Bekas, E. Kokiopoulou, Y. Saad, 2007).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from gradserve.autodiff import names
from gradserve.estimation.estimator import ProbesOf
from gradserve.estimation.looks import Target, error_probability, first_look, stop_reason
from gradserve.estimation.running import ROUNDING, few, widening
from gradserve.ir.types import Array, TensorType
from gradserve.questions.estimates import DiagonalEstimate
from gradserve.questions.report import Report
from gradserve.questions.resuming import Standing, State

T = TypeVar("T")


@dataclass(frozen=True)
class Entries:
    """Mean and spread of the samples of one input's entries, by Welford's recurrence."""

    mean: Array
    squares: Array
    """The sums of squared distances from the mean."""
    largest: Array
    """The largest size of a sample."""

    def with_sample(self, sample: Array, count: int) -> Entries:
        """The statistics after the sample that makes it `count`."""
        distance = sample - self.mean
        mean = self.mean + distance / count
        return Entries(mean, self.squares + distance * (sample - mean), np.maximum(self.largest, np.abs(sample)))


@dataclass(frozen=True)
class DiagonalSoFar:
    """The samples of v * (H v) so far; an `Estimator`."""

    seed: int
    epsilon: float
    count: int = 0
    entries: Mapping[str, Entries] = field(default_factory=dict)

    @staticmethod
    def samples_of(outputs: Mapping[str, Array], probes: ProbesOf) -> Mapping[str, Array]:
        """The samples of a chunk, by input."""
        return {name: product * probes(name) for name, product in _products(outputs).items()}

    @property
    def taken(self) -> int:
        """The samples so far."""
        return self.count

    def state(self) -> State:
        """Where it stands."""
        named = {f"{part}:{name}": array for name, each in self.entries.items() for part, array in vars(each).items()}
        return {"taken": np.asarray(self.count), **named}

    def standing(self, stood: Standing, outputs: Mapping[str, TensorType]) -> DiagonalSoFar:
        """The same where it stood."""
        shapes = {name: type_.lengths for name, type_ in _products(outputs).items()}
        entries = {
            name: Entries(*(stood.numbers(f"{part}:{name}", *shape) for part in ("mean", "squares", "largest")))
            for name, shape in shapes.items()
        }
        return replace(self, count=stood.count("taken", 1), entries=entries)

    def with_samples(self, samples: Mapping[str, Array]) -> DiagonalSoFar:
        """The estimate after more probes."""
        entries, count = dict(self.entries), self.count
        for name, rows in samples.items():
            found = entries.get(name) or Entries(*(np.zeros(rows.shape[1:]) for _ in range(3)))
            for k, row in enumerate(rows, start=1):
                found = found.with_sample(np.asarray(row, np.float64), self.count + k)
            entries[name], count = found, self.count + len(rows)
        return replace(self, count=count, entries=entries)

    def answer(self, target: Target, look: int, report: Report) -> DiagonalEstimate:
        """The answer of look 1, 2, ..."""
        errors = {name: self._standard_error(found) for name, found in self.entries.items()}
        widths = {name: self._half_width(found, errors[name], target, look) for name, found in self.entries.items()}
        widest = max((float(np.max(width, initial=0.0)) for width in widths.values()), default=0.0)
        size = max((float(np.max(np.abs(found.mean), initial=0.0)) for found in self.entries.values()), default=0.0)
        return DiagonalEstimate(
            values={name: found.mean for name, found in self.entries.items()},
            standard_errors=errors,
            half_widths=widths,
            widest=widest,
            probes=self.count,
            stop_reason=stop_reason(target, self.count, widest, size),
            seed=self.seed,
            confidence=target.confidence,
            report=report,
        )

    def _standard_error(self, entries: Entries) -> Array:
        if self.count < 2:
            return np.full_like(entries.mean, np.inf)
        return np.asarray(np.sqrt(entries.squares / (self.count - 1) / self.count))

    def _half_width(self, entries: Entries, error: Array, target: Target, look: int) -> Array:
        """Infinite where the samples are equal and too few to prove that they always are."""
        if self.count < 2:
            return np.full_like(entries.mean, np.inf)
        rounding = ROUNDING * self.epsilon * entries.largest
        alpha = error_probability(target, look)
        if few(alpha, self.count):  # equal ones tell nothing of the other entries; their size bounds these
            error = np.hypot(error, entries.mean / np.sqrt(self.count))
        half = widening(alpha, self.count) * error + rounding
        unproven = self.count < first_look(target)
        return np.where(unproven & (error * np.sqrt(self.count) <= rounding), np.inf, half)


def _products(outputs: Mapping[str, T]) -> Mapping[str, T]:
    split = ((names.split(key), each) for key, each in outputs.items())
    return {name: each for (role, name), each in split if role == "product"}
