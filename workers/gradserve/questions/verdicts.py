"""What comparisons of derivatives with differences find."""

from __future__ import annotations

import enum
from collections.abc import Iterable


class Verdict(enum.StrEnum):
    """What a comparison of a derivative with differences found; the worst one last."""

    AGREES = "agrees"
    """It agrees with the differences within their error bound."""
    INCONCLUSIVE = "inconclusive"
    """The bound is too wide to tell."""
    KINK = "kink"
    """The one-sided differences disagree with each other."""
    ORDER_DEPENDENT = "order_dependent"
    """Of mixed partials only: they exist and depend on the order in which they are taken."""
    DISAGREES = "disagrees"
    """It differs from the differences by more than their error bound."""
    NOT_FINITE = "not_finite"
    """The loss or the derivative is infinite or not a number there."""

    @property
    def severity(self) -> int:
        """0 for AGREES, larger for worse."""
        return _SEVERITY[self]


_SEVERITY = {verdict: position for position, verdict in enumerate(Verdict)}


class Irregularity(enum.StrEnum):
    """What a loss has near a point where it is not smooth."""

    NONE = "none"
    KINK = "kink"
    """The derivative jumps, as that of |x|."""
    JUMP = "jump"
    """The loss itself does."""
    CUSP = "cusp"
    """The derivative is infinite, as that of the root of |x|."""


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of the verdicts; AGREES if there are none."""
    return max(verdicts, key=lambda verdict: verdict.severity, default=Verdict.AGREES)
