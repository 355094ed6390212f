"""Hutchinson's estimate of a trace: the mean of <v, A v> over independent random signs v.

Its variance is 2 (|A|_F^2 - sum a_ii^2) for symmetric A: nothing for a diagonal one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gradserve.autodiff import names
from gradserve.autodiff.derivation import Curvature
from gradserve.estimation.estimator import ProbesOf
from gradserve.estimation.looks import Target, error_probability, first_look, stop_reason
from gradserve.estimation.running import Interval, Running
from gradserve.ir.types import Array
from gradserve.questions.estimates import TraceEstimate
from gradserve.questions.report import Report

SAMPLE = names.product("curvature")


@dataclass(frozen=True)
class TraceSoFar:
    """The samples of <v, H v> so far; an `Estimator`."""

    seed: int
    epsilon: float
    samples: Running = field(default_factory=Running)

    @staticmethod
    def derivation(wrt: tuple[str, ...]) -> Curvature:
        """What every probe is asked of."""
        return Curvature(wrt)

    @staticmethod
    def samples_of(outputs: Mapping[str, Array], probes: ProbesOf) -> Mapping[str, Array]:
        """The samples of a chunk, one for each probe."""
        del probes
        return {SAMPLE: outputs[SAMPLE]}

    def with_samples(self, samples: Mapping[str, Array]) -> TraceSoFar:
        """The estimate after more probes."""
        return replace(self, samples=self.samples.with_samples(samples[SAMPLE]))

    def answer(self, target: Target, look: int, report: Report) -> TraceEstimate:
        """The answer of look 1, 2, ..."""
        samples, interval = self.samples, interval_at(self.samples, target, look, self.epsilon)
        return TraceEstimate(
            value=samples.mean,
            standard_error=samples.standard_error,
            lower=interval.lower,
            upper=interval.upper,
            probes=samples.count,
            stop_reason=stop_reason(target, samples.count, interval.half_width, abs(samples.mean)),
            seed=self.seed,
            confidence=target.confidence,
            report=report,
        )


def interval_at(samples: Running, target: Target, look: int, epsilon: float) -> Interval:
    """The interval that look 1, 2, ... promises: the whole line if samples are equal and too few to prove anything."""
    if samples.count < first_look(target) and math.sqrt(samples.variance) <= samples.rounding(epsilon):
        return Interval(-math.inf, math.inf)
    return samples.interval(error_probability(target, look), epsilon)
