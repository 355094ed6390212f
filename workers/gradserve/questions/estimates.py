"""Randomised estimates: what is asked, and the current answer."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import ClassVar, TypeAlias

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.call import Call
from gradserve.questions.matrices import Group, Matrix
from gradserve.questions.options import option
from gradserve.questions.report import Report
from gradserve.questions.shown import HERE, ByInput, Converging, EntriesShown, Look, Table, named


class StopReason(enum.StrEnum):
    """Why an estimate has ended."""

    NONE = ""
    """It has not ended."""
    TOLERANCE = "tolerance"
    """A tolerance is met."""
    MAX_PROBES = "max_probes"
    """All probes are spent."""
    EXACT = "exact"
    """It is no estimate any more: every column of the matrix, or every entry of the gradient, was taken."""


class Estimator(enum.StrEnum):
    """How an estimate is made of products with vectors."""

    AUTO = "auto"
    """A pilot decides between signs alone, signs beside a Krylov space, and every column of the matrix."""
    HUTCHINSON = "hutchinson"
    """Random signs alone."""
    HUTCHPP = "hutch++"
    """A third of the products make a basis, a third are spent on what it knows, a third on what it leaves."""
    XTRACE = "xtrace"
    """Half of the products make a basis, half what it knows; every probe in turn is left out of it and tests it."""
    NYSTROMPP = "nystrom++"
    """Half of the products make a low-rank approximation, half test it. The matrix has no negative eigenvalue."""
    XNYSTRACE = "xnystrace"
    """All products make one, every probe in turn is left out of it and tests it. No negative eigenvalue."""
    EXACT = "exact"
    """Every column of the matrix."""


class Sampler(enum.StrEnum):
    """What probes are."""

    AUTO = "auto"
    """What suits the estimator: uniform on the sphere where probes make and test a basis at once, signs elsewhere."""
    SIGNS = "signs"
    """Independent signs."""
    SPHERE = "sphere"
    """Uniform on the sphere whose radius is the root of the dimension."""


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
    resume: bytes = b""
    """The token of an earlier answer to this question, to go on from there; empty to begin at the beginning."""

    default_tolerance: ClassVar[float] = 0.0
    """The relative tolerance where neither a tolerance nor the most probes are given; 0 for none."""
    method: ClassVar[str]
    """Its name in Python and on the command line."""
    rpc: ClassVar[str]
    answer: ClassVar[type]


def through_kinks(report: Report) -> str:
    """What is to be said of an interval at a point on kinks: it does not hold, unless derivatives there are limits."""
    if report.kinks is None or not report.kinks.nodes:
        return ""
    return f"; {report.kinks}: the interval does not hold" if report.on_kinks else f"; {report.kinks}"


BY_GROUP = ("parts", "part_half_widths")
"""What an estimate of a trace has one number of for each group; without groups for each input."""


@dataclass(frozen=True, slots=True, repr=False)
class TraceEstimate(Converging, ByInput):
    """The current estimate of a trace: the mean of samples and its interval.

    `.plot()` draws it as it became better, `.bars()` the part of each input.
    """

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

    estimator: Estimator = Estimator.HUTCHINSON
    """What made it."""
    sketch: int = 0
    """Dimensions that are known exactly, beside which probes are drawn."""
    parts: Mapping[str, Array] = field(default_factory=dict)
    """The part of the trace that each group has, or without groups each input, from the same probes.

    Empty if there are no groups and but one input. Signs of different inputs are independent, so what other inputs add
    to a sample has the mean 0; the interval allows for its variance.
    """
    part_half_widths: Mapping[str, Array] = field(default_factory=dict)
    """Half the interval of each part: it covers that part with probability `confidence`."""
    diagonal: Mapping[str, Array] = field(default_factory=dict)
    """The diagonal by input, in its shape, from the same probes; empty if it was not asked for."""
    diagonal_half_widths: Mapping[str, Array] = field(default_factory=dict)
    """Half the interval of each entry of the diagonal."""
    gradient: Mapping[str, Array] = field(default_factory=dict)
    """The gradient of the estimate by input, its vectors held fixed; on average the trace's. In the last alone."""
    gradient_half_widths: Mapping[str, Array] = field(default_factory=dict)
    """Half the interval of each of its entries about that of the trace, as if samples were normal."""
    point: int = 0
    """The point of the batch that it is about."""
    token: bytes = field(default=b"", repr=False)
    """What the same question goes on with from here; see `gradserve.questions.resuming`."""
    looks: tuple[Look, ...] = field(default=(), metadata={HERE: True})
    """What was said on the way, this included."""

    @property
    def ended(self) -> bool:
        """Whether nothing better follows about the same."""
        return bool(self.stop_reason)

    @property
    def way(self) -> str:
        """How it was made, and why that way if nobody asked for it."""
        asked = self.estimator is not Estimator.AUTO
        if self.stop_reason is StopReason.EXACT:
            return "every column of the matrix" + ("" if asked else ": no more products than an estimate would take")
        if self.sketch:
            return f"{self._chosen} beside {self.sketch} dimensions" + (
                "" if asked else ": few directions rule the matrix"
            )
        return self._chosen + ("" if asked else " alone: no few directions rule the matrix")

    @property
    def _chosen(self) -> str:
        return "signs" if self.estimator is Estimator.AUTO else str(self.estimator)

    @property
    def interval(self) -> tuple[float, float]:
        """The interval that covers the trace with probability `confidence`, unless `report.on_kinks`."""
        return self.lower, self.upper

    def __str__(self) -> str:
        half = 0.5 * (self.upper - self.lower)
        shown = f"± {half:.2g}" if math.isfinite(half) else "± ?"
        if self.stop_reason is StopReason.EXACT:
            return f"{self.value:.6g} (exact, {self.probes} products)" + through_kinks(self.report)
        told = f"{self.value:.6g} {shown} ({self.confidence:.0%} interval, {self.probes} probes; {self.way})"
        return told + through_kinks(self.report)

    @property
    def look(self) -> Look:
        """What it says now."""
        return Look(self.probes, self.value, 0.5 * (self.upper - self.lower))

    def _of_looks(self) -> str:
        return "trace"

    def _tables(self) -> Iterator[Table]:
        yield self._on_the_way()
        if self.parts:
            yield self._of_each()

    def _by_input(self) -> Mapping[str, tuple[float, float]]:
        if not self.parts:
            return {"all": (self.value, self.look.half_width)}
        halves = dict(named(self.part_half_widths))
        return {name: (float(value), float(halves[name])) for name, value in named(self.parts)}

    def _of_inputs(self) -> str:
        return "part of the trace"


@dataclass(frozen=True)
class EstimateTrace(Estimate):
    """Asks for the trace of the Hessian of a loss, or of another matrix of products with vectors.

    By the automatic estimator, unless another is asked for: it finds out what the matrix is like, how many products to
    spend on what, and takes all columns where these are fewer. Where neither a tolerance nor `max_probes` is given it
    stops as soon as half the interval is within 1 % of the estimate. Over a batch of examples that is reduced it is the
    trace of the sum or of the mean of their matrices; with a batch of points that is not, such as those of a training,
    the stream answers point after point, from the same probes and each to the bit as if it had been asked for alone.
    With its gradient, which is from signs alone or exact, it serves as a regulariser.
    """

    estimator: Estimator = option(Estimator.AUTO, "how the estimate is made; auto finds out by itself")
    sampler: Sampler = option(Sampler.AUTO, "what probes are drawn")
    matrix: Matrix = option(Matrix.HESSIAN, "the matrix whose trace it is")
    loss: str = option("", "of a Gauss-Newton matrix: the output that is a loss of the others; empty for squares")
    diagonal: bool = option(False, "estimate every entry of the diagonal as well, from the same probes")
    gradient: bool = option(False, "give the gradient of the estimate in the inputs as well, from the same probes")
    groups: tuple[Group, ...] = ()
    """Those whose parts of the trace are wanted; empty for each input by itself."""

    default_tolerance = 0.01
    method = "hessian_trace"
    rpc = "EstimateTrace"
    answer = TraceEstimate


@dataclass(frozen=True, repr=False)
class DiagonalEstimate(EntriesShown):
    """The current estimate of a diagonal: for each entry the mean of samples and its interval.

    `.plot()` draws how the largest entry and its interval became better, `.bars()` the mean of each input.
    """

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
    point: int = 0
    """The point of the batch that it is about."""
    token: bytes = field(default=b"", repr=False)
    """What the same question goes on with from here; see `gradserve.questions.resuming`."""
    looks: tuple[Look, ...] = field(default=(), metadata={HERE: True})
    """What was said on the way, this included: the largest entry, and the largest half width."""

    @property
    def ended(self) -> bool:
        """Whether nothing better follows about the same."""
        return bool(self.stop_reason)

    def __str__(self) -> str:
        told = f"each entry ± {self.widest:.2g} or less ({self.confidence:.0%} intervals, {self.probes} probes)"
        return told + through_kinks(self.report)


@dataclass(frozen=True)
class EstimateDiagonal(Estimate):
    """Asks for the diagonal of the Hessian of a loss, by the mean of v times H v over random signs v.

    A tolerance is met when half of every entry's interval is within it; relative ones count from the largest entry.
    Batches are those of `EstimateTrace`, which with a diagonal has the trace from the same products as well.
    """

    matrix: Matrix = option(Matrix.HESSIAN, "the matrix whose diagonal it is")
    loss: str = option("", "of a Gauss-Newton matrix: the output that is a loss of the others; empty for squares")

    method = "hessian_diagonal"
    rpc = "EstimateDiagonal"
    answer = DiagonalEstimate


MatrixEstimate: TypeAlias = EstimateTrace | EstimateDiagonal
"""What asks for a part of a matrix."""
