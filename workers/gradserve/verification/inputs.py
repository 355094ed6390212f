"""Inputs moved together, as long as a fault in each of them would be seen beside the others.

Random directions through all inputs see a fault in any of them, and what they show is shared: an input is moved by
itself only where something is wrong that no single entry explains, or where the errors of the others hide its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.verdicts import Verdict, worst
from gradserve.questions.verification import EntryReport, InputReport
from gradserve.verification.directions import plain, within
from gradserve.verification.kinks import Finding
from gradserve.verification.measure import Centre, Dialogue, Look, Problem, look, look_closer
from gradserve.verification.search import SuspectEntry

AUDIBLE = 1e-5
"""The relative error of an ordinary entry that must be seen for an input to count as moved."""


@dataclass(frozen=True, eq=False)
class Moved:
    """Inputs that were moved along one vector, and what that shows."""

    names: tuple[str, ...]
    vector: Array
    finding: Finding
    culprit: SuspectEntry | None = None
    """The one entry whose error explains the finding, if it is known."""

    def reports(self, problem: Problem, entries: Sequence[EntryReport]) -> Iterator[InputReport]:
        """A row for each input: of several, the derivative in one is what all show less what the others claim."""
        spans, culprit = problem.layout.spans, self.culprit
        error = self.finding.claim.value - self.finding.central.value
        for name in self.names:
            claimed = problem.claim(within(self.vector, spans[name])).value
            verdict, shown = self.finding.verdict, error
            if culprit is not None and culprit.position not in spans[name]:
                verdict, shown = Verdict.AGREES, float(error - culprit.error * self.vector[culprit.position])
            yield InputReport(
                input=name,
                verdict=worst([verdict, *(entry.verdict for entry in entries if entry.input == name)]),
                claimed=claimed,
                measured=claimed - shown if len(self.names) > 1 else self.finding.central.value,
                error_bound=self.finding.central.bound,
                shared=len(self.names) > 1,
            )


def one_by_one(problem: Problem, origin: Centre, vector: Array, names: Sequence[str]) -> Dialogue[list[Moved]]:
    """Every input moved by itself."""
    parts = [within(vector, problem.layout.spans[name]) for name in names]
    seen = yield from look(problem, origin, parts, "differences, input by input")
    parts, findings = yield from settled(problem, origin, parts, seen)
    return [Moved((name,), part, finding) for name, part, finding in zip(names, parts, findings, strict=True)]


def by_loudness(
    problem: Problem, origin: Centre, vector: Array, finding: Finding, culprit: SuspectEntry | None
) -> Dialogue[list[Moved]]:
    """All inputs, in groups: those that a finding tells of, then those that are heard once the first keep still.

    The finding agrees, or a culprit explains it. Where it tells of no input, all are moved alone, as are those of a
    later group that does not agree.
    """
    left, groups = tuple(problem.layout.shapes), list[Moved]()
    while True:
        hidden = tuple(name for name in left if finding.claim.scale and _is_hidden(problem, vector, name, finding))
        if len(left) == 1 or not hidden:
            return [*groups, Moved(left, vector, finding, culprit)]
        if hidden == left:
            return groups + (yield from one_by_one(problem, origin, vector, left))
        groups.append(Moved(tuple(name for name in left if name not in hidden), vector, finding, culprit))
        left, culprit = hidden, None
        vector = np.sum([within(vector, problem.layout.spans[name]) for name in hidden], axis=0)
        seen = yield from look(problem, origin, [vector], "differences in quieter inputs")
        (finding,) = seen.findings
        if finding.verdict is not Verdict.AGREES:
            return groups + (yield from one_by_one(problem, origin, vector, left))


def settled(
    problem: Problem, origin: Centre, vectors: Sequence[Array], seen: Look
) -> Dialogue[tuple[list[Array], list[Finding]]]:
    """What vectors show at finer steps as well; along plain vectors where it is in doubt what was seen.

    Finer steps, and steps to one side, are exact along these. What is wrong beyond doubt stays as it is: along plain
    vectors errors might cancel.
    """
    vectors, values, findings = list(vectors), list(seen.values), list(seen.findings)
    doubtful = [k for k, f in enumerate(findings) if f.verdict is not Verdict.AGREES and not f.beyond_doubt]
    if doubtful:
        again = yield from look(problem, origin, [plain(vectors[k]) for k in doubtful], "differences, plain steps")
        for k, finding, found in zip(doubtful, again.findings, again.values, strict=True):
            vectors[k], findings[k], values[k] = plain(vectors[k]), finding, found
    findings = yield from look_closer(problem, origin, vectors, Look(findings, values), "differences")
    return vectors, findings


def _is_hidden(problem: Problem, vector: Array, name: str, finding: Finding) -> bool:
    """Whether a fault of `AUDIBLE` size in an ordinary entry of an input would not have been seen."""
    span = problem.layout.spans[name]
    ordinary = problem.claim(within(vector, span)).scale / np.sqrt(max(1, len(span)))
    return not finding.smallest_fault <= AUDIBLE * ordinary
