"""Randomised estimates: what is asked, and the current answer."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from gradserve.ir.types import Array
from gradserve.questions.call import Call
from gradserve.questions.options import option
from gradserve.questions.report import Report


class StopReason(enum.StrEnum):
    """Why an estimate has ended."""

    NONE = ""
    """It has not ended."""
    TOLERANCE = "tolerance"
    """A tolerance is met."""
    MAX_PROBES = "max_probes"
    """All probes are spent."""


@dataclass(frozen=True)
class Estimate:
    """Asks for an estimate from random probes, as a stream: every answer is a full current one.

    Probes depend on the seed alone, so the same seed gives the same bits on any number of workers.
    """

    call: Call
    wrt: tuple[str, ...] = ()
    """The inputs in question; empty for all that are real."""
    seed: int = option(0, "determines the probes")
    max_probes: int = option(0, "the most to spend; 0 for 4096")
    relative_tolerance: float = option(
        0.0, "stop when half the interval is at most this times the estimate's size; 0 for never", "rel_tol"
    )
    absolute_tolerance: float = option(0.0, "stop when half the interval is at most this; 0 for never", "abs_tol")
    confidence: float = option(0.0, "the probability that the interval covers what is estimated; 0 for 0.95")

    method: ClassVar[str]
    """Its name in Python and on the command line."""
    rpc: ClassVar[str]
    answer: ClassVar[type]


def through_kinks(report: Report) -> str:
    """What is to be said of an interval at a point on kinks: it does not hold, unless derivatives there are limits."""
    if report.kinks is None or not report.kinks.nodes:
        return ""
    return f"; {report.kinks}: the interval does not hold" if report.on_kinks else f"; {report.kinks}"


@dataclass(frozen=True, slots=True)
class TraceEstimate:
    """The current estimate of a trace: the mean of samples and its interval."""

    value: float
    """The mean of the samples."""
    standard_error: float
    lower: float
    """The lower end of the interval; what it promises is said in `gradserve.estimation.trace`."""
    upper: float
    probes: int
    stop_reason: StopReason
    """NONE in all but the last."""
    seed: int
    confidence: float
    report: Report

    @property
    def interval(self) -> tuple[float, float]:
        """The interval that covers the trace with probability `confidence`, unless `report.on_kinks`."""
        return self.lower, self.upper

    def __str__(self) -> str:
        half = 0.5 * (self.upper - self.lower)
        shown = f"± {half:.2g}" if math.isfinite(half) else "± ?"
        told = f"{self.value:.6g} {shown} ({self.confidence:.0%} interval, {self.probes} probes)"
        return told + through_kinks(self.report)


@dataclass(frozen=True)
class EstimateTrace(Estimate):
    """Asks for the trace of the Hessian of a loss, by Hutchinson's estimator with random signs."""

    method = "hessian_trace"
    rpc = "EstimateTrace"
    answer = TraceEstimate


@dataclass(frozen=True)
class DiagonalEstimate:
    """The current estimate of a diagonal: for each entry the mean of samples and its interval."""

    values: Mapping[str, Array]
    """By input, in its shape."""
    standard_errors: Mapping[str, Array]
    half_widths: Mapping[str, Array]
    """Half the interval of each entry: it covers that entry with probability `confidence`."""
    widest: float
    """The largest of the half widths."""
    probes: int
    stop_reason: StopReason
    """NONE in all but the last."""
    seed: int
    confidence: float
    report: Report

    def __str__(self) -> str:
        told = f"each entry ± {self.widest:.2g} or less ({self.confidence:.0%} intervals, {self.probes} probes)"
        return told + through_kinks(self.report)


@dataclass(frozen=True)
class EstimateDiagonal(Estimate):
    """Asks for the diagonal of the Hessian of a loss, by the mean of v times H v over random signs v.

    A tolerance is met when half of every entry's interval is within it; relative ones count from the largest entry.
    """

    method = "hessian_diagonal"
    rpc = "EstimateDiagonal"
    answer = DiagonalEstimate


ESTIMATES: Mapping[str, type[Estimate]] = {question.method: question for question in (EstimateTrace, EstimateDiagonal)}
"""The estimates that clients may ask for, by the name of their method."""
