"""What a certificate says, and how it prints."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from gradserve.client.certifying import documents
from gradserve.ir.records import dataclass
from gradserve.questions.tables import table
from gradserve.questions.verdicts import Verdict, worst
from gradserve.questions.verification import EntryReport, InputReport, VerificationReport

_COLUMNS = ("verdict", "claimed", "measured", "discrepancy", "bound")


@dataclass(frozen=True)
class Repeats:
    """Whether the same point gives the same numbers: each is computed twice, with other points in between."""

    value: float
    """The difference of two values of the function at the point; 0 where they are the same to the bit."""
    gradient: float
    """The largest difference of two claimed gradients at the point; 0 as well where arrays were given, not code."""
    within_rounding: bool = True
    """Whether the gradients differ by no more than rounding explains."""

    @property
    def exact(self) -> bool:
        """Whether everything was the same to the bit."""
        return self.value == 0 and self.gradient == 0


@dataclass(frozen=True)
class Certificate:
    """A claimed derivative compared with differences of its function. Prints as a table; `_repr_html_` is a page's."""

    function: str
    """What the derivative is of."""
    report: VerificationReport
    """Every row of the comparison."""
    repeats: Repeats
    reproducer: str
    """Lines of Python that repeat the worst check."""
    of: str = "gradient"
    """What is claimed."""

    @property
    def verdict(self) -> Verdict:
        """The comparison's; inconclusive at best where the claim itself is not the same twice."""
        return worst([self.report.verdict, *([] if self.repeats.within_rounding else [Verdict.INCONCLUSIVE])])

    @property
    def passed(self) -> bool:
        """Whether the claim agrees with the differences within their error bound, everywhere."""
        return self.verdict is Verdict.AGREES

    @property
    def inputs(self) -> tuple[InputReport, ...]:
        """One row for each array of the point, in its own right."""
        return self.report.inputs

    @property
    def entries(self) -> tuple[EntryReport, ...]:
        """The entries that are wrong, on a kink or not finite, worst first."""
        return self.report.entries

    @property
    def smallest_fault(self) -> float:
        """The smallest error of a derivative along a direction that would have been seen."""
        return self.report.smallest_fault

    @property
    def evaluations(self) -> int:
        """Evaluations of the function."""
        return self.report.evaluations

    @property
    def noise(self) -> float:
        """The standard deviation of the noise in the function's values."""
        return self.report.noise

    @property
    def seed(self) -> int:
        """Determines the directions."""
        return self.report.seed

    @property
    def notes(self) -> list[str]:
        """What else is to be known, a sentence each."""
        notes = self.report.notes
        if self.repeats.value:
            notes.append(f"not deterministic: two values at the same point differ by {self.repeats.value:.1e}")
        if self.repeats.gradient:
            more = "" if self.repeats.within_rounding else ", more than rounding explains"
            notes.append(f"two gradients at the same point differ by {self.repeats.gradient:.1e}{more}")
        return notes

    def __str__(self) -> str:
        parts = [self.headline, *table(("input", *_COLUMNS), [cells(row) for row in self.inputs])]
        if self.entries:
            parts += ["", *table(("entry", *_COLUMNS), [cells(row) for row in self.entries])]
        parts += ["", *(f"  {note}" for note in self.notes)]
        if not self.passed:
            parts += [
                "",
                "  the worst check once more:",
                "",
                *(f"    {line}".rstrip() for line in self.reproducer.splitlines()),
            ]
        return "\n".join(parts)

    @property
    def headline(self) -> str:
        """The verdict in a line."""
        told = f"{self.evaluations} evaluations, noise {self.noise:.1e}, seed {self.seed}"
        return f"{self.of} of {self.function}: {self.verdict} ({told})"

    def to_json(self) -> str:
        """Everything as JSON (RFC 8259); numbers that are not finite as "nan", "inf" and "-inf"."""
        fields: dict[str, Any] = {
            "function": self.function,
            "of": self.of,
            "verdict": self.verdict,
            "passed": self.passed,
            **{name: value for name, value in asdict(self.report).items() if name != "verdict"},
            "repeats": asdict(self.repeats),
            "notes": self.notes,
            "reproducer": self.reproducer,
        }
        return json.dumps(_plain(fields), indent=2, allow_nan=False)

    def to_html(self) -> str:
        """A page of its own, without scripts, or anything to be fetched."""
        return documents.page(f"{self.of} of {self.function}: {self.verdict}", self._repr_html_())

    def to_junit(self) -> str:
        """A test suite in JUnit's XML, with one case for each input: a failure where it did not pass."""
        failed = {row.name: _told(row) for row in self.inputs if row.verdict is not Verdict.AGREES}
        names = [row.name for row in self.inputs]
        if not self.passed and not failed:
            failed = dict.fromkeys(names, f"{self.verdict}: {'; '.join(self.notes)}")
        return documents.junit(f"{self.of} of {self.function}", names, failed, str(self))

    def _repr_html_(self) -> str:
        tables = [documents.rows(("input", *_COLUMNS), [cells(row) for row in self.inputs])]
        if self.entries:
            tables.append(documents.rows(("entry", *_COLUMNS), [cells(row) for row in self.entries]))
        code = "" if self.passed else self.reproducer
        return documents.section(self.headline, self.verdict, tables, self.notes, code)


def cells(row: InputReport | EntryReport) -> tuple[str, ...]:
    """A row as it prints."""
    apart = f"{abs(row.claimed - row.measured):.1e}"
    return row.name, row.verdict, f"{row.claimed:.9g}", f"{row.measured:.9g}", apart, f"{row.error_bound:.1e}"


def _told(row: InputReport | EntryReport) -> str:
    return f"{row.verdict}: claimed {row.claimed:.9g}, measured {row.measured:.9g} within {row.error_bound:.1e}"


def _plain(value: Any) -> Any:
    """The value with what JSON lacks as text."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
