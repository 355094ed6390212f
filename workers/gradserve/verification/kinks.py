"""One derivative compared with its differences: agreement, a kink, a wrong gradient, or nothing to be said."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.verdicts import Verdict
from gradserve.verification.finite_differences import (
    SIGNAL,
    Differences,
    Plain,
    Side,
    Slope,
    plain,
    remainder_order,
    slope,
)
from gradserve.verification.nearest import Nearest, nearest

BEYOND_DOUBT = 64.0
"""Where the bound is wider than asked, a discrepancy must exceed it by this factor to count as a disagreement: bounds
are least to be trusted where noise hides how the loss behaves at small steps."""
OF_NO_INTEREST = 1e-6
"""No bound is below this part of the tolerance, so that an accident in an estimate of 1e-10 is no disagreement."""
_DEVIATIONS = 6.0
_CONFIRMATIONS = 2
_ROUGHLY = 0.1
_EDGE = 3
"""The finest steps that decide whether quotients grow without end."""
_GROWTH = 1.5
"""The growth from one step to the next that has no end in sight."""
_BEYOND = 4.0


@dataclass(frozen=True, slots=True)
class Claim:
    """A derivative claimed along a direction."""

    value: float
    """The gradient times the direction."""
    rounding: float
    """The rounding error that the claim may have."""
    scale: float
    """The size of a derivative along such a direction: the root of the sum of squares of g_i d_i."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one direction shows."""

    verdict: Verdict
    claim: Claim
    central: Slope
    right: Slope
    left: Slope
    differences: Differences
    kink: bool
    """Whether the one-sided derivatives differ."""
    resolved: bool = False
    """Whether the bound is as narrow as wanted."""
    surely: bool = False
    """Whether it would be if it were twice as wide: noise is measured again and again, and not always the same."""
    flat_step: float = 0.0
    """The largest step up to which the loss stays the same though it changes at larger ones: values come in steps."""
    unit: float = 1.0
    """What a step of the differences is, in steps along the direction."""

    @property
    def failed(self) -> bool:
        """Whether something is to be looked for in the direction's entries."""
        return self.verdict.severity > Verdict.INCONCLUSIVE.severity

    @property
    def smallest_fault(self) -> float:
        """The smallest error of the claim that would have been seen."""
        bound = self.central.bound + self.claim.rounding
        return bound if self.resolved else BEYOND_DOUBT * bound

    def visible_fault(self, relative_tolerance: float) -> float:
        """The smallest error of the claim that would have been called one, with other noise of its kind as well.

        None below `OF_NO_INTEREST` is.
        """
        least = OF_NO_INTEREST * relative_tolerance * max(self.claim.scale, abs(self.central.value))
        bound = self.central.bound + self.claim.rounding + least
        return bound if self.surely else BEYOND_DOUBT * bound

    @property
    def beyond_doubt(self) -> bool:
        """Whether a smooth loss contradicts the claim by many times the bound."""
        bound = self.central.bound + self.claim.rounding
        return self.verdict is Verdict.DISAGREES and not self.kink and self.excess > BEYOND_DOUBT * bound

    def per(self, scale: float) -> Finding:
        """What the direction shows that this one is `scale` times."""
        claim = Claim(self.claim.value / scale, self.claim.rounding / scale, self.claim.scale / scale)
        central, right, left = (slope.per(scale) for slope in (self.central, self.right, self.left))
        return replace(self, claim=claim, central=central, right=right, left=left, unit=self.unit * scale)

    @property
    def curve(self) -> Plain:
        """The plain first differences, step by step."""
        return plain(self.differences).per(self.unit)

    @property
    def nearest(self) -> Nearest:
        """The nearest irregularity along the direction."""
        found = nearest(self.differences)
        return replace(found, distance=found.distance * self.unit)

    @property
    def remainder_order(self) -> float:
        """The power of the step with which the loss less its value and claimed slope falls."""
        return remainder_order(self.differences, self.claim.value * self.unit)

    @property
    def excess(self) -> float:
        """How far the claim is from what was measured: from the interval of one-sided derivatives at a kink."""
        if self.verdict is Verdict.NOT_FINITE:
            return math.inf
        if not self.kink:
            return abs(self.claim.value - self.central.value)
        low, high = sorted((self.left.value, self.right.value))
        return max(0.0, low - self.claim.value, self.claim.value - high)


def judge(
    claim: Claim,
    differences: Differences,
    relative_tolerance: float,
    wanted: float | None = None,
    at_edge: bool = False,
) -> Finding:
    """The claim compared with the central and the one-sided differences along its direction.

    A bound above `wanted` is inconclusive; unless given, that is the tolerance times the size of the derivative. At an
    edge of the domain the derivative is that on the side where the loss is finite.
    """
    if differences.second:
        central = right = left = slope(differences, Side.SECOND)
        return _judged(
            Finding(Verdict.INCONCLUSIVE, claim, central, right, left, differences, kink=False),
            differences,
            relative_tolerance,
            wanted,
        )
    right, left = one_sided(differences, Side.RIGHT), one_sided(differences, Side.LEFT)
    empty = [_ends_in_nothing(side) for side in (differences.right, differences.left)]
    if at_edge and any(empty) and not all(empty):
        central, kink = left if empty[0] else right, False
    else:
        central, kink = slope(differences, Side.BOTH), _is_kink(claim, right, left, plain(differences))
    stairs = differences.flat_step if differences.locally_constant and not differences.constant else 0.0
    finding = Finding(Verdict.INCONCLUSIVE, claim, central, right, left, differences, kink, flat_step=stairs)
    if all(empty) or (any(empty) and not at_edge) or math.isinf(central.value):
        return replace(finding, verdict=Verdict.NOT_FINITE)
    return _judged(finding, differences, relative_tolerance, wanted)


def _judged(finding: Finding, differences: Differences, relative_tolerance: float, wanted: float | None) -> Finding:
    claim, central = finding.claim, finding.central
    if finding.kink:
        margin = max(finding.right.bound, finding.left.bound) + claim.rounding
        return replace(finding, verdict=Verdict.KINK if finding.excess <= margin else Verdict.DISAGREES)
    if claim.scale == 0 and differences.constant:
        return replace(
            finding, verdict=Verdict.AGREES, resolved=True, surely=True
        )  # it does not change, and nothing was claimed
    size = max(claim.scale, abs(central.value)) if claim.scale else differences.steepest()
    bound = central.bound + claim.rounding + OF_NO_INTEREST * relative_tolerance * size
    allowed = relative_tolerance * size if wanted is None else wanted
    resolved, surely = bool(bound <= allowed), bool(2 * bound <= allowed)
    if finding.excess <= bound:
        verdict = Verdict.AGREES if resolved else Verdict.INCONCLUSIVE
    elif _is_stair(claim, differences) or not (resolved or finding.excess > BEYOND_DOUBT * bound):
        verdict = Verdict.INCONCLUSIVE
    else:
        verdict = Verdict.DISAGREES
    return replace(finding, verdict=verdict, resolved=resolved, surely=surely)


def _is_stair(claim: Claim, differences: Differences) -> bool:
    """Whether the loss is flat at small steps, and the claim is what it is there, 0, or what it follows at large ones.

    So it is where large numbers cancel: the values are a staircase, with derivative 0 on each stair.
    """
    if not differences.locally_constant:
        return False
    if claim.scale == 0:
        return True
    values = plain(differences).values[differences.steps > differences.flat_step]
    return bool((np.abs(values - claim.value) <= _ROUGHLY * abs(claim.value)).any())


def _is_kink(claim: Claim, right: Slope, left: Slope, quotients: Plain) -> bool:
    """Whether the one-sided derivatives differ by more than their bounds, or one of them is infinite.

    Differences between the quotients of both sides vanish with the step where the loss is smooth. At a kink they come
    to a halt: the two finest that noise lets one hear must be near the jump between the extrapolated ones.
    """
    if math.isinf(right.value) or math.isinf(left.value):
        return True
    jump = right.value - left.value
    if not abs(jump) > right.bound + left.bound + claim.rounding:
        return False
    audible = np.flatnonzero(4 * _DEVIATIONS * quotients.noise < abs(jump) / 4)[-_CONFIRMATIONS:]
    near = np.abs(quotients.jumps[audible] - jump) <= abs(jump) / 2
    return bool(len(audible) == _CONFIRMATIONS and near.all())


def one_sided(differences: Differences, side: Side) -> Slope:
    """The one-sided derivative; infinite if the difference quotients grow without end as steps shrink.

    They grow like 1/h at a jump and like a root of it at a cusp, down to the finest steps and beyond all coarse ones.
    """
    values, noise, sign = differences.right, differences.right_noise, 1.0
    if side is Side.LEFT:
        values, noise, sign = differences.left, differences.left_noise, -1.0
    audible = np.abs(values) > SIGNAL * (noise + differences.origin_noise)
    if np.isfinite(values[-_EDGE:]).all() and audible[-_EDGE:].all():
        quotients = sign * values[-_EDGE:] / differences.steps[-_EDGE:]
        grows = (quotients[1:] / quotients[:-1] > _GROWTH).all()
        if grows and abs(quotients[-1]) > _BEYOND * differences.steepest(coarse=True):
            return Slope(math.copysign(math.inf, quotients[-1]), 0.0, float(differences.steps[-1]))
    return slope(differences, side)


def _ends_in_nothing(values: Array) -> bool:
    """Whether the loss is not finite at the finest steps of one side."""
    return not np.isfinite(values[-_EDGE:]).any()
