"""Hutchinson's estimate of a diagonal: the mean of v * (A v), entry by entry, over independent random signs v.

The mean is the diagonal because v_i v_j has mean 0 for i other than j and v_i^2 is 1; the variance of entry i is the
sum of a_ij^2 over all other j (C. Bekas, E. Kokiopoulou, Y. Saad, 2007).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import TypeVar

from gradserve.autodiff import names
from gradserve.estimation.entries import Means, largest
from gradserve.estimation.estimator import ProbesOf
from gradserve.estimation.looks import Target, stop_reason
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.questions.estimates import DiagonalEstimate
from gradserve.questions.report import Report
from gradserve.questions.resuming import Standing, State

T = TypeVar("T")


@dataclass(frozen=True)
class DiagonalSoFar:
    """The samples of v * (H v) so far; an `Estimator`."""

    seed: int
    epsilon: float
    means: Means = field(default_factory=Means)

    @staticmethod
    def samples_of(outputs: Mapping[str, Array], probes: ProbesOf) -> Mapping[str, Array]:
        """The samples of a chunk, by input."""
        return {name: product * probes(name) for name, product in _products(outputs).items()}

    @property
    def taken(self) -> int:
        """The samples so far."""
        return self.means.count

    def state(self) -> State:
        """Where it stands."""
        return self.means.state()

    def standing(self, stood: Standing, outputs: Mapping[str, TensorType]) -> DiagonalSoFar:
        """The same where it stood."""
        shapes = {name: type_.lengths for name, type_ in _products(outputs).items()}
        return replace(self, means=Means.standing(stood, shapes))

    def with_samples(self, samples: Mapping[str, Array]) -> DiagonalSoFar:
        """The estimate after more probes."""
        return replace(self, means=self.means.with_samples(samples))

    def answer(self, target: Target, look: int, report: Report) -> DiagonalEstimate:
        """The answer of look 1, 2, ..."""
        errors = self.means.standard_errors()
        widths = self.means.half_widths(errors, target, look, self.epsilon)
        return DiagonalEstimate(
            values=self.means.values,
            standard_errors=errors,
            half_widths=widths,
            widest=largest(widths),
            probes=self.means.count,
            stop_reason=stop_reason(target, self.means.count, largest(widths), self.means.size),
            seed=self.seed,
            confidence=target.confidence,
            report=report,
        )


def _products(outputs: Mapping[str, T]) -> Mapping[str, T]:
    split = ((names.split(key), each) for key, each in outputs.items())
    return {name: each for (role, name), each in split if role == "product"}
