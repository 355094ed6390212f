"""Means of samples that run through every entry of some inputs, with an interval for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace

import numpy as np

from gradserve.estimation.looks import Target, error_probability, first_look
from gradserve.estimation.running import LOST, ROUNDING, few, widening
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.resuming import Standing, State


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

    @property
    def lost(self) -> Array:
        """The standard deviation that may have been lost with squares: none among zeros."""
        return np.where(self.largest > 0, LOST, 0.0)


@dataclass(frozen=True)
class Means:
    """The samples so far, taken one after the other: bits depend on their order, not on how they were cut."""

    count: int = 0
    entries: Mapping[str, Entries] = field(default_factory=dict)
    """By input."""

    def state(self) -> State:
        """Where they stand."""
        named = {f"{part}:{name}": array for name, each in self.entries.items() for part, array in vars(each).items()}
        return {"taken": np.asarray(self.count), **named}

    @staticmethod
    def standing(stood: Standing, shapes: Mapping[str, tuple[int, ...]]) -> Means:
        """The means where they stood, of inputs of these shapes."""
        entries = {
            name: Entries(*(stood.numbers(f"{part}:{name}", *shape) for part in ("mean", "squares", "largest")))
            for name, shape in shapes.items()
        }
        return Means(stood.count("taken", 1), entries)

    def with_samples(self, samples: Mapping[str, Array]) -> Means:
        """The means after more samples, arrays with a leading axis by input."""
        entries, count = dict(self.entries), self.count
        for name, rows in samples.items():
            found = entries.get(name) or Entries(*(np.zeros(rows.shape[1:]) for _ in range(3)))
            for k, row in enumerate(rows, start=1):
                found = found.with_sample(np.asarray(row, np.float64), self.count + k)
            entries[name], count = found, self.count + len(rows)
        return replace(self, count=count, entries=entries)

    @property
    def values(self) -> dict[str, Array]:
        """The means by input."""
        return {name: found.mean for name, found in self.entries.items()}

    @property
    def size(self) -> float:
        """The largest mean by size."""
        return largest(self.values)

    def standard_errors(self) -> dict[str, Array]:
        """Those of the means by input; infinite below two samples."""
        return {name: self._standard_error(found) for name, found in self.entries.items()}

    def half_widths(self, errors: Mapping[str, Array], target: Target, look: int, epsilon: float) -> dict[str, Array]:
        """Half the interval of every entry at look 1, 2, ..., from its standard error.

        Infinite where the samples are equal and too few to prove that they always are. `epsilon` is the spacing at 1 of
        the numbers that samples are computed with.
        """
        return {n: self._half_width(found, errors[n], target, look, epsilon) for n, found in self.entries.items()}

    def _standard_error(self, entries: Entries) -> Array:
        if self.count < 2:
            return np.full_like(entries.mean, np.inf)
        return np.asarray(np.sqrt(entries.squares / (self.count - 1) / self.count))

    def _half_width(self, entries: Entries, error: Array, target: Target, look: int, epsilon: float) -> Array:
        if self.count < 2:
            return np.full_like(entries.mean, np.inf)
        rounding = ROUNDING * epsilon * entries.largest
        alpha = error_probability(target, look)
        if few(alpha, self.count):  # equal ones tell nothing of the other entries; their size bounds these
            error = np.hypot(error, entries.mean / np.sqrt(self.count))
        lost = entries.lost / np.sqrt(self.count)
        half = widening(alpha, self.count) * np.hypot(error, lost) + rounding
        unproven = self.count < first_look(target)
        return np.where(unproven & (error * np.sqrt(self.count) <= rounding), np.inf, half)


def largest(arrays: Mapping[str, Array]) -> float:
    """The largest size of an element; 0 if there are none."""
    return max((float(np.max(np.abs(array), initial=0.0)) for array in arrays.values()), default=0.0)
