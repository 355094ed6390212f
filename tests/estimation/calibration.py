"""How good and how honest estimators are: many seeds of one question about a matrix whose trace is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from gradserve.estimation.looks import Target, looks
from gradserve.estimation.samplers import signs
from gradserve.estimation.trace import SAMPLE, SHARES, TraceSoFar
from gradserve.ir.types import ElementType
from gradserve.jobs.estimates.probing import IN_ALL, WITH_SHARES
from gradserve.questions.estimates import Estimator, StopReason
from gradserve.questions.report import Report
from tests.estimation.matrices import asked

FORMS = "forms"
"""Signs alone by quadratic forms, of which no product is held: what is run for `hutchinson` where no more is asked."""
SEMIDEFINITE = frozenset({Estimator.NYSTROMPP, Estimator.XNYSTRACE})


@dataclass(frozen=True)
class Outcome:
    """What one seed came to."""

    error: float
    """Relative to the trace."""
    half_width: float
    """Half of the interval, relative to the trace."""
    products: int


@dataclass(frozen=True)
class Outcomes:
    """What many seeds came to."""

    errors: np.ndarray
    half_widths: np.ndarray
    products: np.ndarray

    @classmethod
    def of(cls, each: Iterable[Outcome]) -> Outcomes:
        found = list(each)
        return cls(
            np.array([one.error for one in found]),
            np.array([one.half_width for one in found]),
            np.array([one.products for one in found]),
        )

    @property
    def coverage(self) -> float:
        """How often the interval covers the trace."""
        return float(np.mean(self.errors <= self.half_widths))

    @property
    def error(self) -> float:
        """The median error."""
        return float(np.median(self.errors))


Way = Callable[[np.ndarray, Target, int], Outcome]
"""What is found about a matrix for a target with a seed."""


def by_products(estimator: Estimator) -> Way:
    """One of the estimators that hold products."""

    def way(matrix: np.ndarray, target: Target, seed: int) -> Outcome:
        trace, found = float(np.trace(matrix)), asked(matrix, estimator, target, seed)
        return Outcome(
            abs(float(found.value[0]) - trace) / abs(trace), float(found.half_width[0]) / abs(trace), found.products
        )

    return way


def by_forms(matrix: np.ndarray, target: Target, seed: int) -> Outcome:
    """Signs alone, by quadratic forms."""
    trace, found, taken = float(np.trace(matrix)), TraceSoFar(seed, float(np.finfo(float).eps)), 0
    for look, count in enumerate(looks(target), start=1):
        rows = signs(seed, "probe:w", taken, count, (len(matrix),), ElementType.FLOAT64)
        shares, told = rows * (rows @ matrix), np.arange(taken, count) % IN_ALL < WITH_SHARES
        taken = count
        found = found.with_samples({SAMPLE: shares.sum(axis=1), SHARES: shares[told]})
        answer = found.answer(target, look, Report())
        if answer.stop_reason is not StopReason.NONE:
            break
    half = (answer.upper - answer.lower) / 2
    return Outcome(abs(answer.value - trace) / abs(trace), half / abs(trace), answer.probes)


WAYS: dict[str, Way] = {
    FORMS: by_forms,
    **{str(each): by_products(each) for each in Estimator if each is not Estimator.EXACT},
}
"""Every estimator that states an interval, by name."""


def serves(way: str, spectrum: str) -> bool:
    """Whether an estimator is meant for a spectrum: some are for those that are not negative."""
    return not (spectrum == "hess" and way in SEMIDEFINITE)


def outcomes(way: Way, matrix: np.ndarray, target: Target, seeds: Iterable[int]) -> Outcomes:
    """What these seeds come to."""
    return Outcomes.of(way(matrix, target, seed) for seed in seeds)
