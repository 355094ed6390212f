"""Whether the order of mixed partials matters: what is asked, progress, and the report."""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar

from gradserve.ir.records import dataclass
from gradserve.questions.call import Call
from gradserve.questions.options import option
from gradserve.questions.report import Kinks, Report
from gradserve.questions.tables import table
from gradserve.questions.verdicts import Verdict
from gradserve.questions.verification import Entry

_ROWS = 20


@dataclass(frozen=True, slots=True)
class EntryPair:
    """Two entries."""

    u: Entry
    v: Entry

    def __str__(self) -> str:
        return f"{self.u}, {self.v}"


@dataclass(frozen=True, slots=True)
class PairReport:
    """The mixed partials of a loss along two directions u and v, in both orders.

    The directions are those of two entries, or random signs over all inputs, in the units that steps have.
    """

    verdict: Verdict
    entries: EntryPair | None
    """The entries that move along u and v; None for random signs over all of them."""
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

    @property
    def name(self) -> str:
        """The pair as one would write it: `w[0], w[3]`."""
        return "random signs" if self.entries is None else str(self.entries)

    @property
    def cells(self) -> tuple[str, ...]:
        """Its row in a table."""
        limits = (f"{self.uv:.9g}", f"{self.uv_bound:.1e}", f"{self.vu:.9g}", f"{self.vu_bound:.1e}")
        return (self.name, self.verdict, *limits, f"{self.u_hv:.9g}")

    def __str__(self) -> str:
        both = f"{self.uv:.9g} within {self.uv_bound:.1e} and {self.vu:.9g} within {self.vu_bound:.1e}"
        return f"{self.name}: {self.verdict}; the two orders give {both}, derived {self.u_hv:.9g}"


@dataclass(frozen=True, slots=True)
class SymmetryReport:
    """Mixed partials in both orders, compared with each other and with the derived Hessian. Prints as a table."""

    verdict: Verdict
    """The worst of its pairs. DISAGREES: both orders are the same and the derived Hessian is another."""
    pairs: tuple[PairReport, ...]
    """Worst first."""
    evaluations: int
    """Evaluations of the loss spent."""
    noise: float
    """The standard deviation of the noise in the loss's values."""
    seed: int
    kinks: Kinks | None = None
    """What sits on a kink at the point itself, where the derivatives that are verified follow conventions."""

    @property
    def passed(self) -> bool:
        """Whether both orders and the derived Hessian agree within their error bounds, in every pair."""
        return self.verdict is Verdict.AGREES

    @property
    def worst(self) -> PairReport | None:
        """The worst pair; None where one parameter alone leaves no pairs."""
        return self.pairs[0] if self.pairs else None

    def __str__(self) -> str:
        head = f"symmetry: {self.verdict} ({len(self.pairs)} pairs, {self.evaluations} evaluations)"
        columns = ("u, v", "verdict", "d/du d/dv", "bound", "d/dv d/du", "bound", "derived")
        more = len(self.pairs) - _ROWS
        rows = table(columns, (pair.cells for pair in self.pairs[:_ROWS]))
        kinks = [f"  {self.kinks.note('derivatives')}"] if self.kinks and self.kinks.nodes else []
        return "\n".join([head, *rows, *[f"  and {more} more"] * (more > 0), *kinks])


@dataclass(frozen=True, slots=True)
class SymmetryProgress:
    """How far a verification of symmetry is."""

    stage: str
    """What it is doing, in a few words."""
    evaluations: int
    """Evaluations of the loss so far."""
    execution: Report
    """What it cost so far."""
    report: SymmetryReport | None = None
    """The report; only in the last one."""
    token: bytes = field(default=b"", repr=False)
    """What the same question goes on with from here; see `gradserve.questions.resuming`."""

    @property
    def ended(self) -> bool:
        """Whether nothing better follows about the same."""
        return self.report is not None

    def __str__(self) -> str:
        return self.stage


@dataclass(frozen=True)
class VerifySymmetry:
    """Asks whether mixed partials depend on their order, as a stream of progress that ends in a report."""

    call: Call
    wrt: tuple[str, ...] = ()
    """The inputs in question; empty for all that are real."""
    pairs: tuple[EntryPair, ...] = ()
    """The pairs to look at. Empty for `count` of them.

    Those are all pairs of entries if there are not more, otherwise half pairs of random signs over all entries and half
    pairs of random entries.
    """
    count: int = option(0, "pairs to look at if none are named; 0 for 16")
    seed: int = option(0, "determines every random pair")
    relative_tolerance: float = option(
        0.0, "a pair whose bounds exceed this times the second derivatives is inconclusive; 0 for 1e-3", "rel_tol"
    )
    resume: bytes = b""
    """The token of an earlier answer to this question, to go on from there; empty to begin at the beginning."""

    rpc: ClassVar[str] = "VerifySymmetry"
    answer: ClassVar[type] = SymmetryProgress
