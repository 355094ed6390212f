"""What a verification found, as frozen records."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Verdict(enum.Enum):
    """What a comparison of a derivative with differences found; the worst one last."""

    AGREES = "agrees"
    INCONCLUSIVE = "inconclusive"
    KINK = "kink"
    ORDER_DEPENDENT = "order_dependent"
    """Of mixed partials only: they exist and depend on the order in which they are taken."""
    DISAGREES = "disagrees"
    NOT_FINITE = "not_finite"

    @property
    def severity(self) -> int:
        """0 for AGREES, larger for worse."""
        return _SEVERITY[self]


_SEVERITY = {verdict: position for position, verdict in enumerate(Verdict)}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of the verdicts; AGREES if there are none."""
    return max(verdicts, key=lambda verdict: verdict.severity, default=Verdict.AGREES)


@dataclass(frozen=True, slots=True)
class DirectionReport:
    """One direction: the derivative claimed along it and the one measured."""

    verdict: Verdict
    claimed: float
    """The gradient times the direction."""
    measured: float
    """The extrapolated central difference."""
    error_bound: float
    """The bound on the error of `measured`."""
    right: float
    """The forward one-sided difference, extrapolated; infinite where the loss jumps."""
    left: float
    """The backward one-sided difference, extrapolated."""
    step: float
    """The smallest step that `measured` rests on."""


@dataclass(frozen=True, slots=True)
class InputReport:
    """One input: the derivative along a direction in this input alone."""

    input: str
    verdict: Verdict
    """The worst verdict among its direction and its entries."""
    claimed: float
    measured: float
    error_bound: float


@dataclass(frozen=True, slots=True)
class EntryReport:
    """One entry of a gradient that was found wrong, on a kink or not finite."""

    input: str
    index: tuple[int, ...]
    claimed: float
    measured: float
    error_bound: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """The whole verification."""

    verdict: Verdict
    directions: tuple[DirectionReport, ...]
    inputs: tuple[InputReport, ...]
    entries: tuple[EntryReport, ...]
    """Worst first."""
    evaluations: int
    """Evaluations of the loss spent."""
    noise: float
    """The standard deviation of the noise in the loss's values."""
    seed: int

    @property
    def passed(self) -> bool:
        """Whether the gradient agrees with the differences, everything else being no pass."""
        return self.verdict is Verdict.AGREES


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of an input."""

    input: str
    index: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PairReport:
    """The mixed partials of a loss along two directions u and v, in both orders.

    The directions are those of two entries, or random signs over all inputs, in the units that steps have.
    """

    verdict: Verdict
    entries: tuple[Place, Place] | None
    """The entries that move; None for random signs."""
    uv: float
    """The derivative along u of the derivative along v, from values of the loss."""
    uv_bound: float
    """The bound on the error of `uv`; infinite where nothing could be measured."""
    vu: float
    """The derivative along v of the derivative along u."""
    vu_bound: float
    u_hv: float
    """<u, H v> with the Hessian as it is derived."""
    v_hu: float
    """<v, H u>, which equals `u_hv` but for rounding wherever the rules of second order are right."""


@dataclass(frozen=True, slots=True)
class SymmetryReport:
    """Whether the order of mixed partials matters."""

    verdict: Verdict
    pairs: tuple[PairReport, ...]
    """Worst first."""
    evaluations: int
    """Evaluations of the loss spent."""
    noise: float
    """The standard deviation of the noise in the loss's values."""
    seed: int

    @property
    def passed(self) -> bool:
        """Whether both orders and the derived Hessian agree in every pair, everything else being no pass."""
        return self.verdict is Verdict.AGREES
