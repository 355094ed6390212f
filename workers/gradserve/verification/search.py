"""The search for the entries that make a direction fail: halves of halves, down to single entries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.verdicts import Verdict
from gradserve.verification.directions import within
from gradserve.verification.kinks import Finding
from gradserve.verification.measure import Centre, Dialogue, Problem, measure

WIDTH = 16
"""The most spans that are followed at once, worst first."""
_CLEARLY = 4.0


@dataclass(frozen=True, slots=True)
class SuspectEntry:
    """One position, and what moving it alone shows."""

    position: int
    scale: float
    """The component of the direction: derivatives of the finding are this many times those of the entry."""
    finding: Finding

    @property
    def error(self) -> float:
        """The error of what is claimed for the entry."""
        return (self.finding.claim.value - self.finding.central.value) / self.scale


@dataclass(frozen=True, slots=True)
class _Failure:
    span: range
    finding: Finding

    @property
    def badness(self) -> tuple[int, float]:
        one_sided = abs(self.finding.right.value - self.finding.left.value)
        excess = self.finding.excess
        return self.finding.verdict.severity, excess if excess > 0 or np.isnan(one_sided) else one_sided


def search(problem: Problem, origin: Centre, vector: Array, finding: Finding) -> Dialogue[list[SuspectEntry]]:
    """The entries that fail when moved alone along the vector's component; empty if no single entry does.

    `finding` is what the whole vector shows; spans are measured well enough to see that in them, all spans of a level
    in one stage. Discrepancies add up over halves, so a span that fails has a half that fails, unless the bound hides
    it; entries that cancel each other within a span can stay unseen.
    """
    wrong = finding.verdict is Verdict.DISAGREES
    wanted = (finding.excess if wrong else problem.relative_tolerance * finding.claim.scale) / _CLEARLY
    spans = _live(vector, problem.layout.spans.values())
    found: list[SuspectEntry] = []
    guessed = False
    while spans:
        findings = yield from measure(problem, origin, [within(vector, span) for span in spans], _stage(spans), wanted)
        failures = [_Failure(s, f) for s, f in zip(spans, findings, strict=True) if f.failed]
        found += [_entry(failure, vector) for failure in failures if len(failure.span) == 1]
        wide = sorted((f for f in failures if len(f.span) > 1), key=lambda f: f.badness, reverse=True)[:WIDTH]
        if len(wide) == WIDTH and not guessed:
            guessed = True
            lucky = yield from _guess(problem, origin, vector, wide, wanted)
            found += lucky
            if 2 * len(lucky) >= WIDTH:
                return found
        spans = _live(vector, [half for failure in wide for half in _halves(failure.span)])
    return _distinct(found)


def _guess(
    problem: Problem, origin: Centre, vector: Array, wide: Sequence[_Failure], wanted: float
) -> Dialogue[list[SuspectEntry]]:
    """The largest entry of every span, where it fails: where nearly all entries are wrong this ends the search."""
    terms = np.abs(problem.gradient * vector)
    spans = []
    for failure in wide:
        position = failure.span.start + int(np.argmax(terms[failure.span.start : failure.span.stop]))
        spans.append(range(position, position + 1))
    parts = [within(vector, span) for span in spans]
    findings = yield from measure(problem, origin, parts, "trying single entries", wanted)
    return [_entry(_Failure(s, f), vector) for s, f in zip(spans, findings, strict=True) if f.failed]


def _entry(failure: _Failure, vector: Array) -> SuspectEntry:
    position = failure.span.start
    return SuspectEntry(position, float(vector[position]), failure.finding)


def _distinct(entries: Sequence[SuspectEntry]) -> list[SuspectEntry]:
    return list({entry.position: entry for entry in entries}.values())


def _halves(span: range) -> tuple[range, range]:
    middle = (span.start + span.stop) // 2
    return range(span.start, middle), range(middle, span.stop)


def _live(vector: Array, spans: Iterable[range]) -> list[range]:
    """The spans in which the vector moves anything."""
    return [span for span in spans if vector[span.start : span.stop].any()]


def _stage(spans: Sequence[range]) -> str:
    return "searching entries" if all(len(span) == 1 for span in spans) else f"searching spans of {len(spans[0])}"


def severity(entry: SuspectEntry) -> tuple[int, float]:
    """For sorting entries, worst last."""
    excess = entry.finding.excess / abs(entry.scale)
    return entry.finding.verdict.severity, 0.0 if entry.finding.verdict is Verdict.NOT_FINITE else excess
