"""Gradients from values of the loss alone: what is asked, and the current answer."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import field

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.estimates import Estimate, StopReason, through_kinks
from gradserve.questions.options import option
from gradserve.questions.report import Report
from gradserve.questions.shown import HERE, EntriesShown, Look, named


class Directions(enum.StrEnum):
    """The directions v along which a loss is compared; of random ones the mean of v v^T is the identity."""

    SPHERE = "sphere"
    """Uniform on the sphere whose radius is the root of the number n of entries. Variance (n - 1) |g|^2."""
    GAUSSIAN = "gaussian"
    """Independent normal entries. Variance (n + 1) |g|^2."""
    SIGNS = "signs"
    """Independent signs. Variance (n - 1) |g|^2."""
    BASIS = "basis"
    """Every entry by itself: full differences. No variance."""


class Scheme(enum.StrEnum):
    """Which two points are compared along a direction."""

    CENTRAL = "central"
    """x + step v and x - step v: two evaluations for each direction; the error is of order step^2."""
    FORWARD = "forward"
    """x + step v and x itself: one for each, and one at x for all of them; the error is of order step."""


@dataclass(frozen=True, repr=False)
class GradientEstimate(EntriesShown):
    """The current estimate of a gradient from differences of the loss: for each entry a mean and its interval.

    What an interval covers, with probability `confidence`, is the mean of the difference quotients: the gradient of the
    loss smoothed over a step. It covers the gradient itself if the step was chosen here, as it is widened then by
    `step_error`, a measured bound that is a judgement and no proof. `.plot()` draws how the largest entry and its
    interval became better, `.bars()` the length of each input's part.
    """

    values: Mapping[str, Array]
    """By input, in its shape."""
    standard_errors: Mapping[str, Array]
    half_widths: Mapping[str, Array]
    """Half the interval of each entry."""
    widest: float
    """The largest of the half widths."""
    variance: float
    """The mean of |G - g|^2 for the estimate G of one direction: that of all of them is this by their number."""
    probes: int
    """Directions taken so far."""
    evaluations: int
    """Evaluations of the loss so far, those that chose the step among them."""
    step: float
    """How far the loss is moved along a direction, in units of its entries."""
    step_error: float
    """The bound on what the step leaves in a difference quotient, in mean over directions; NaN if it was given."""
    stop_reason: StopReason
    """NONE in all but the last."""
    seed: int
    confidence: float
    report: Report
    token: bytes = field(default=b"", repr=False)
    """What the same question goes on with from here; see `gradserve.questions.resuming`. Full differences have none."""
    looks: tuple[Look, ...] = field(default=(), metadata={HERE: True})
    """What was said on the way, this included: the largest entry, and the largest half width."""

    @property
    def ended(self) -> bool:
        """Whether nothing better follows about the same."""
        return bool(self.stop_reason)

    @property
    def error(self) -> float:
        """The root of the mean squared distance from the mean of all directions."""
        return math.sqrt(self.variance / self.probes) if self.probes else math.inf

    def __str__(self) -> str:
        spent = f"{self.probes} directions, {self.evaluations} evaluations, step {self.step:.2g}"
        if self.stop_reason is StopReason.EXACT:
            known = "not measured" if math.isnan(self.step_error) else f"{self.step_error:.2g} or less"
            return f"every entry by itself, error of the step {known} ({spent}){through_kinks(self.report)}"
        told = f"each entry ± {self.widest:.2g} or less ({self.confidence:.0%} intervals, {spent})"
        return told + through_kinks(self.report)

    def _by_input(self) -> Mapping[str, tuple[float, float]]:
        """If all intervals hold, no length is further off than that of the half widths."""
        halves = dict(named(self.half_widths))
        return {n: (float(np.linalg.norm(a)), float(np.linalg.norm(halves[n]))) for n, a in named(self.values)}

    def _of_inputs(self) -> str:
        return "length of the gradient"


@dataclass(frozen=True)
class EstimateGradient(Estimate):
    """Asks for the gradient of a loss from differences of its values, along random directions or along all entries.

    From a direction v comes (f(x + h v) - f(x - h v)) / 2h times v. The variance of one such estimate is about n times
    the squared length of the gradient, n being the number of entries: descents take n times as many steps. Full
    differences, along every entry, have none and take n or 2n evaluations. No rule of any op is used. Losses in single
    precision are evaluated in double.

    A step of 0 is chosen: for forward differences 2 sqrt(noise / |f''|), for central ones cbrt(3 noise / |f'''|), where
    both derivatives and the noise in values are measured along random signs, at some hundred evaluations. Give the
    `step` of one answer to the next question to save these.
    """

    max_probes: int = option(0, "the most directions; 0 for 4096, or for every entry of a basis")
    sampler: Directions = option(Directions.SPHERE, "the directions: random ones, or every entry of a basis")
    scheme: Scheme = option(Scheme.CENTRAL, "the points that are compared, on both sides or on one")
    step: float = option(0.0, "how far to move along a direction; 0 chooses it by measuring")

    method = "zero_order_gradient"
    rpc = "EstimateGradient"
    answer = GradientEstimate
