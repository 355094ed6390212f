"""A gradient compared with finite differences: what is asked, progress, and the report."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any, ClassVar, TypeAlias

from gradserve.ir.records import dataclass
from gradserve.questions.call import Argument, Call
from gradserve.questions.claimed import Claimed
from gradserve.questions.options import option
from gradserve.questions.report import Kinks, Report
from gradserve.questions.shown import HERE, ByInput, Shown, Table
from gradserve.questions.verdicts import Irregularity, Verdict

DEFAULT_DIRECTIONS = 2
DEFAULT_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an input."""

    input: str
    index: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.input}[{','.join(map(str, self.index))}]" if self.index else self.input


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
    order: int = 1
    """Of derivatives: 2 if these are of the gradient along a random direction."""
    steps: tuple[float, ...] = ()
    """Those at which the loss is finite on both sides."""
    differences: tuple[float, ...] = ()
    """The plain central difference at each of them."""
    irregularity: Irregularity = Irregularity.NONE
    """What the loss has nearest to the point along the direction, if that alone explains the differences."""
    distance: float = math.inf
    """How far away that is, in steps along the direction."""
    remainder_order: float = math.nan
    """The power of the step with which the loss less its value and claimed slope falls: 2 or more; 1 if it is wrong."""

    def __str__(self) -> str:
        return f"{_of_order('a direction', self.order)}: {_comparison(self)}"


@dataclass(frozen=True, slots=True)
class InputReport:
    """One input: the derivative along a direction in it."""

    input: str
    verdict: Verdict
    """The worst verdict among its direction and its entries."""
    claimed: float
    measured: float
    error_bound: float
    order: int = 1
    """Of derivatives: 2 if these are of the gradient along a random direction."""
    shared: bool = False
    """Whether it was moved together with other inputs: `measured` is what that showed less what is claimed in them."""

    @property
    def name(self) -> str:
        """The input's name, and the order above the first."""
        return _of_order(self.input, self.order)

    def __str__(self) -> str:
        return f"{self.name}: {_comparison(self)}"


@dataclass(frozen=True, slots=True)
class EntryReport:
    """One entry of a gradient that was found wrong, on a kink or not finite."""

    input: str
    index: tuple[int, ...]
    claimed: float
    measured: float
    error_bound: float
    verdict: Verdict
    order: int = 1
    """Of derivatives: 2 if these are of the gradient along a random direction."""
    right: float = math.nan
    """The forward one-sided derivative, extrapolated; infinite where the loss jumps."""
    left: float = math.nan
    """The backward one-sided derivative."""
    irregularity: Irregularity = Irregularity.NONE
    """What the loss has nearest to the point where the entry is moved, if that alone explains the differences."""
    distance: float = math.inf
    """How far the entry is from there."""
    output: str = ""
    """Of a Jacobian, the entry of the output that is differentiated."""

    @property
    def name(self) -> str:
        """The entry as one would write it: `w[3,1]`; of a Jacobian `value[2] by w[3,1]`."""
        entry = str(Entry(self.input, self.index))
        return _of_order(f"{self.output} by {entry}" if self.output else entry, self.order)

    def __str__(self) -> str:
        return f"{self.name}: {_comparison(self)}"


@dataclass(frozen=True, slots=True)
class CheckReport:
    """One check by other means than differences of values."""

    name: str
    """What was checked: `determinism`, `executors`, `jvp and vjp`, `complex step` or `second remainder`."""
    verdict: Verdict
    discrepancy: float
    bound: float
    """The largest discrepancy that agrees."""
    detail: str = ""
    """What was compared, in a few words."""

    def __str__(self) -> str:
        return f"{self.name}: {self.verdict}; {self.detail}"


@dataclass(frozen=True, slots=True)
class VerificationReport(Shown, ByInput):
    """A gradient compared with finite differences. Prints as a table.

    `.plot()` draws how far plain differences are from the claim, step by step; `.bars()` the discrepancy of each input
    with its bound.
    """

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
    kinks: Kinks | None = None
    """What sits on a kink at the point itself, where the derivatives that are verified follow conventions."""
    smallest_fault: float = 0.0
    """The smallest error of a derivative along a direction that would have been seen; infinite if none would."""
    flat_step: float = 0.0
    """The largest step up to which the loss stays the same though it changes at larger ones, as rounded values do;
    in units of the largest powers of two up to max(1, |x|), entry by entry."""
    checks: tuple[CheckReport, ...] = ()
    """Checks by other means, if they were asked for."""
    reproducer: str = field(default="", metadata={HERE: True})
    """Lines of Python that repeat the worst check, by whoever has function and point: made where it was asked for."""

    @property
    def passed(self) -> bool:
        """Whether the gradient agrees with the differences within their error bound, everywhere."""
        return self.verdict is Verdict.AGREES

    @property
    def worst(self) -> EntryReport | DirectionReport | None:
        """The worst wrong entry, or else the direction with the largest discrepancy."""
        if self.entries:
            return self.entries[0]
        return max(self.directions, key=_discrepancy, default=None)

    def _tables(self) -> Iterator[Table]:
        head = f"verification: {self.verdict} ({self.evaluations} evaluations, noise {self.noise:.1e})"
        columns = ("verdict", "claimed", "measured", "bound")
        yield Table(head, ("input", *columns), tuple(map(_row, self.inputs)), self._remarks())
        if self.entries:
            yield Table("", ("entry", *columns), tuple(map(_row, self.entries)))

    def _draw(self, axes: Any) -> None:
        for direction in self.directions:
            away = [abs(each - direction.claimed) for each in direction.differences]
            (line,) = axes.loglog(direction.steps, away, ".-", alpha=0.7)
            if math.isfinite(direction.step):
                axes.plot([direction.step], [direction.error_bound], "_", color=line.get_color(), markersize=12)
        axes.set_xlabel("step")
        axes.set_ylabel("|central difference - claim|")

    def _by_input(self) -> Mapping[str, tuple[float, float]]:
        return {row.name: (row.claimed - row.measured, row.error_bound) for row in self.inputs}

    def _of_inputs(self) -> str:
        return "claimed - measured"

    def _remarks(self) -> tuple[str, ...]:
        """What the table says below: of faults that nobody would have seen where that decides."""
        return tuple(self.notes if self.verdict is Verdict.INCONCLUSIVE else self.notes[1:])

    @property
    def notes(self) -> list[str]:
        """What else is to be known, a sentence each."""
        notes = [f"errors below {self.smallest_fault:.1e} along a direction would not be seen"]
        if self.flat_step:
            notes.append(f"values come in steps: they are constant up to {self.flat_step:.1e}")
        irregular = [row for row in self.directions if row.irregularity is not Irregularity.NONE]
        if irregular:
            nearest = min(irregular, key=lambda row: row.distance)
            place = f"at {nearest.distance:.1e} steps along a direction" if nearest.distance else "at the point"
            notes.append(f"the loss has a {nearest.irregularity} {place}")
        if self.kinks and self.kinks.nodes:
            notes.append(self.kinks.note("derivatives of some order"))
        return notes + [str(check) for check in self.checks]


@dataclass(frozen=True, slots=True)
class VerificationProgress:
    """How far a verification is."""

    stage: str
    """What it is doing, in a few words."""
    evaluations: int
    """Evaluations of the loss so far."""
    execution: Report
    """What it cost so far."""
    report: VerificationReport | None = None
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
class VerifyGradient:
    """Asks for the verification of a gradient, or of a claim, as a stream of progress that ends in a report."""

    call: Call
    wrt: tuple[str, ...] = ()
    """The inputs in question; empty for all that are real."""
    claimed: Mapping[str, Argument] = field(default_factory=dict)
    """What is claimed, by input, of a product J v by output; empty for the gradient that Gradient answers.

    Of a Jacobian each array has the shape of the function's value followed by the input's.
    """
    of: Claimed = option(Claimed.GRADIENT, "what is claimed")
    tangents: Mapping[str, Argument] = field(default_factory=dict)
    """The vector of a product, by input."""
    directions: int = option(0, "random directions to try; 0 for 2")
    seed: int = option(0, "determines the directions")
    relative_tolerance: float = option(
        0.0, "a direction whose error bound exceeds this times the derivative is inconclusive; 0 for 1e-3", "rel_tol"
    )
    order: int = option(0, "the order of derivatives up to which to verify, 1 or 2; 0 for 1")
    thorough: bool = option(
        False, "check by other means as well: twice, on every executor, complex steps, dot products"
    )
    resume: bytes = b""
    """The token of an earlier answer to this question, to go on from there; empty to begin at the beginning."""

    rpc: ClassVar[str] = "VerifyGradient"
    answer: ClassVar[type] = VerificationProgress


def _of_order(name: str, order: int) -> str:
    return name if order == 1 else f"{name}, order {order}"


_Row: TypeAlias = DirectionReport | InputReport | EntryReport


def _comparison(row: _Row) -> str:
    return f"{row.verdict}; claimed {row.claimed:.9g}, measured {row.measured:.9g} within {row.error_bound:.1e}"


def _discrepancy(row: DirectionReport) -> float:
    """The difference in units of its bound; infinite where there is no number."""
    ratio = abs(row.claimed - row.measured) / (row.error_bound or sys.float_info.min)
    return math.inf if math.isnan(ratio) else ratio


def _row(row: InputReport | EntryReport) -> tuple[str, ...]:
    return row.name, row.verdict, f"{row.claimed:.9g}", f"{row.measured:.9g}", f"{row.error_bound:.1e}"
