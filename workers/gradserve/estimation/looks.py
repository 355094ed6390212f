"""When to look at an estimate, and intervals that hold although the number of probes depends on them.

Whoever looks again and again and stops when the interval is narrow stops too often by luck. So looks are at doubling
numbers of probes, and look j spends alpha_j = alpha / (j (j + 1)) of the error probability alpha = 1 - confidence.
These sum to at most alpha: with probability `confidence` the intervals of *all* looks cover the trace, hence also that
of the look one stops at. Without a tolerance there is nothing to stop at, the number of probes is fixed beforehand,
and every interval is the plain one: each covers with probability `confidence`.

Both hold for quadratic forms in random signs from the first look on, be they as skewed as they may: the standard
deviation comes from their shares (see `gradserve.estimation.shares`), and the width allows for samples of few values
(see `widening`). The first look is at enough probes that equal samples prove something (see `first_look`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from gradserve.ir.records import dataclass
from gradserve.questions.estimates import StopReason

FEWEST = 8
"""Probes before the first look."""


@dataclass(frozen=True, slots=True)
class Target:
    """How good an estimate is wanted."""

    max_probes: int
    relative_tolerance: float = 0.0
    """Stop when half the interval is at most this times the estimate's size; 0 means never."""
    absolute_tolerance: float = 0.0
    """Stop when half the interval is at most this; 0 means never."""
    confidence: float = 0.95

    @property
    def stops_early(self) -> bool:
        """Whether there is a tolerance to be met."""
        return self.relative_tolerance > 0 or self.absolute_tolerance > 0


def error_probability(target: Target, look: int) -> float:
    """The probability that the interval of look 1, 2, ... may miss: alpha_j with a tolerance, alpha without."""
    alpha = 1 - target.confidence
    return alpha / (look * (look + 1)) if target.stops_early else alpha


def first_look(target: Target) -> int:
    """The probes before the first look, a power of two.

    Enough that equal samples mean no variance: a quadratic form in random signs that is not constant takes no value
    with a probability above 3/4 (Schwartz-Zippel, degree 2), so m equal samples have probability (3/4)^(m-1) at most.
    """
    equal = 1 + math.log(error_probability(target, 1)) / math.log(0.75)
    return 1 << (max(FEWEST, math.ceil(equal)) - 1).bit_length()


def looks(target: Target) -> Iterator[int]:
    """The numbers of probes after which one looks: doubling, and all of them at the end."""
    probes = first_look(target)
    while probes < target.max_probes:
        yield probes
        probes *= 2
    yield target.max_probes


def moments(target: Target, block: int) -> Iterator[tuple[int, int, bool]]:
    """The look under way, probes after which one tells how far it is, and whether one looks there, for which to stop.

    Between looks one tells it after every `block` of probes.
    """
    before = 0
    for look, probes in enumerate(looks(target), start=1):
        for between in range(before - before % block + block, probes, block):
            yield look, between, False
        yield look, probes, True
        before = probes


def stop_reason(target: Target, probes: int, half_width: float, size: float) -> StopReason:
    """Why to stop after this look, at an estimate of that size; NONE to go on."""
    allowed = max(target.absolute_tolerance, target.relative_tolerance * size)
    if target.stops_early and half_width <= allowed:
        return StopReason.TOLERANCE
    return StopReason.MAX_PROBES if probes >= target.max_probes else StopReason.NONE
