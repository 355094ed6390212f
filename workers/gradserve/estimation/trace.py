"""Hutchinson's estimate of a trace: the mean of <v, A v> over independent random signs v.

Its variance is 2 (|A|_F^2 - sum a_ii^2) for symmetric A: nothing for a diagonal one. It is estimated from samples, and
from the shares of single entries in some of them, which tell more of it than all forms do; the larger estimate makes
the interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field, replace

import numpy as np

from gradserve.autodiff import names
from gradserve.estimation.estimator import ProbesOf
from gradserve.estimation.looks import Target, error_probability, first_look, stop_reason
from gradserve.estimation.running import LOST, Interval, Running
from gradserve.estimation.shares import Shares
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.questions.estimates import Estimator, TraceEstimate
from gradserve.questions.report import Report
from gradserve.questions.resuming import Standing, State

SAMPLE = names.product("curvature")
SHARE, SHARES = "share", "shares"


@dataclass(frozen=True)
class TraceSoFar:
    """The samples of <v, H v> so far; an `Estimator`."""

    seed: int
    epsilon: float
    samples: Running = field(default_factory=Running)
    shares: Shares = field(default_factory=Shares)

    @staticmethod
    def samples_of(outputs: Mapping[str, Array], probes: ProbesOf) -> Mapping[str, Array]:
        """The samples of a chunk, one for each probe, and their shares if it tells them."""
        del probes
        parts = [array for key, array in outputs.items() if names.split(key)[0] == SHARE]
        if not parts:
            return {SAMPLE: outputs[SAMPLE]}
        # What is not a number is counted as the form that it is in.
        finite = np.isfinite(outputs[SAMPLE])[:, None]
        return {SAMPLE: outputs[SAMPLE], SHARES: np.where(finite, np.concatenate(parts, axis=1), 0.0)}

    @property
    def taken(self) -> int:
        """The samples so far."""
        return self.samples.count

    def state(self) -> State:
        """Where it stands."""
        numbers = {"mean": self.samples.mean, "squares": self.samples.squares, "largest": self.samples.largest}
        shares = {"first": self.shares.first, "total": self.shares.total, "spread": np.asarray(self.shares.squares)}
        shares["told"] = np.asarray(self.shares.count)
        return {"taken": np.asarray(self.taken), **{name: np.asarray(each) for name, each in numbers.items()}, **shares}

    def standing(self, stood: Standing, outputs: Mapping[str, TensorType]) -> TraceSoFar:
        """The same where it stood."""
        count = stood.count("taken", 1)
        told = stood.count("told", 1, count)
        width = sum(type_.lengths[-1] for name, type_ in outputs.items() if names.split(name)[0] == SHARE)
        first, total = stood.array("first", width), stood.array("total", width)
        samples = Running(count, stood.number("mean"), stood.number("squares", 0.0), stood.number("largest", 0.0))
        return replace(self, samples=samples, shares=Shares(told, first, total, stood.number("spread", 0.0)))

    def with_samples(self, samples: Mapping[str, Array]) -> TraceSoFar:
        """The estimate after more probes."""
        found = self.samples.with_samples(samples[SAMPLE])
        shares = self.shares.with_samples(samples[SHARES]) if SHARES in samples else self.shares
        return replace(self, samples=found, shares=shares)

    def answer(self, target: Target, look: int, report: Report) -> TraceEstimate:
        """The answer of look 1, 2, ..."""
        samples = self.samples
        deviation = self.shares.deviation(error_probability(target, look), samples.count)
        interval = interval_at(samples, target, look, self.epsilon, deviation)
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
            estimator=Estimator.HUTCHINSON,
        )


def interval_at(samples: Running, target: Target, look: int, epsilon: float, deviation: float = 0.0) -> Interval:
    """The interval that look 1, 2, ... promises: the whole line if samples are equal and too few to prove anything.

    `deviation` is what else is known of the samples' standard deviation.
    """
    spread = max(math.sqrt(samples.variance), deviation)
    if samples.count < first_look(target) and spread <= samples.rounding(epsilon):
        return Interval(-math.inf, math.inf)
    lost = LOST if samples.largest else 0.0
    return samples.interval(error_probability(target, look), epsilon, math.hypot(deviation, lost))
