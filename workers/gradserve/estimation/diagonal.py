"""Hutchinson's estimate of a diagonal: the mean of v * (A v), entry by entry, over independent random signs v.

The mean is the diagonal because v_i v_j has mean 0 for i other than j and v_i^2 is 1; the variance of entry i is the
sum of a_ij^2 over all other j (C. Bekas, E. Kokiopoulou, Y. Saad, 2007).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gradserve.autodiff import names
from gradserve.estimation.entries import Means, largest
from gradserve.estimation.estimator import ProbesOf
from gradserve.estimation.looks import Target, stop_reason
from gradserve.ir.types import Array
from gradserve.questions.derivations import Hvp
from gradserve.questions.estimates import DiagonalEstimate
from gradserve.questions.report import Report


@dataclass(frozen=True)
class DiagonalSoFar:
    """The samples of v * (H v) so far; an `Estimator`."""

    seed: int
    epsilon: float
    means: Means = field(default_factory=Means)

    @staticmethod
    def derivation(wrt: tuple[str, ...]) -> Hvp:
        """What every probe is asked of."""
        return Hvp(wrt, product_only=True)

    @staticmethod
    def samples_of(outputs: Mapping[str, Array], probes: ProbesOf) -> Mapping[str, Array]:
        """The samples of a chunk, by input."""
        return {name: product * probes(name) for name, product in _products(outputs).items()}

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


def _products(outputs: Mapping[str, Array]) -> Mapping[str, Array]:
    split = ((names.split(key), array) for key, array in outputs.items())
    return {name: array for (role, name), array in split if role == "product"}
