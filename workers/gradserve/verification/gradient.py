"""The verification of a gradient, from the first loss value to the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradserve.ir.types import Array
from gradserve.questions.verification import (
    DirectionReport,
    EntryReport,
    InputReport,
    Verdict,
    VerificationReport,
    worst,
)
from gradserve.verification.decode import decode
from gradserve.verification.directions import plain, spread_directions, within
from gradserve.verification.kinks import OF_NO_INTEREST, Finding
from gradserve.verification.measure import Centre, Dialogue, Look, Problem, centre, look, look_closer, measure
from gradserve.verification.search import SuspectEntry, search, severity

MAX_ENTRIES = 16
"""The most entries that a report names."""
FEW = 16
"""Entries that are all looked at one by one as well."""
ROUNDS = 3
"""How often the entries found are set aside and the directions measured again."""


def verify(problem: Problem, directions: int, seed: int) -> Dialogue[VerificationReport]:
    """The report on a gradient; `evaluations` is left at 0 for whoever counts them.

    1. The noise in the loss, from windows of close points.
    2. Every random direction, and one in each input alone, against extrapolated central differences.
    3. Where some fail beyond doubt, the one entry that would explain all of them, if there is one, by itself.
    4. Otherwise finer steps where one fails, and a search for the entries that do, which are set aside; then 2 again
       for what is left. So a wrong entry is not excused by a kink in another one.

    A direction counts as a kink, not as a disagreement, if all single entries found in it are kinks whose one-sided
    derivatives enclose the claim.
    """
    unclaimed = np.flatnonzero(~np.isfinite(problem.gradient))
    base = spread_directions(problem.point, directions, seed, problem.bits)
    origin = yield from centre(base[0])
    if not math.isfinite(origin.value) or len(unclaimed):
        return _not_finite(problem, origin, unclaimed, seed)
    spans = problem.layout.spans
    alone = [within(base[0], span) for span in spans.values()] if len(spans) > 1 else []
    vectors = [*base, *alone]
    seen = yield from look(problem, origin, vectors, "differences")
    findings = seen.findings
    culprit = yield from decode(problem, origin, vectors, findings, seed)
    if culprit is not None:
        resolved = _Explanation({culprit.position: culprit}, complete=True)
    else:
        vectors, seen = yield from _in_plain_steps(problem, origin, vectors, seen)
        findings = yield from look_closer(problem, origin, vectors, seen, "differences")
        single = yield from _single_entries(problem, origin, base[0], findings)
        resolved = yield from _explain(problem, origin, vectors, findings)
        resolved = replace(resolved, entries={**single, **resolved.entries})
    findings = [resolved.amended(finding) for finding in findings]
    entries = [_entry_report(problem, entry) for entry in resolved.ranked[:MAX_ENTRIES]]
    per_input = findings[directions:] or findings[:1]
    inputs = [_input_report(n, f, entries) for n, f in zip(spans, per_input, strict=True)]
    rows = tuple(_direction_report(finding) for finding in findings[:directions])
    return VerificationReport(
        verdict=worst([r.verdict for r in rows] + [r.verdict for r in inputs] + [e.verdict for e in entries]),
        directions=rows,
        inputs=tuple(inputs),
        entries=tuple(entries),
        evaluations=0,
        noise=origin.noise,
        seed=seed,
        smallest_fault=max(finding.smallest_fault for finding in findings[:directions]),
        flat_step=max(finding.flat_step for finding in findings[:directions]),
    )


def _in_plain_steps(
    problem: Problem, origin: Centre, vectors: Sequence[Array], seen: Look
) -> Dialogue[tuple[list[Array], Look]]:
    """The same with plain vectors where it is in doubt what was seen: finer steps are to come, and steps to one side.

    What is wrong beyond doubt stays as it is: along plain vectors errors might cancel.
    """
    vectors, values, findings = list(vectors), list(seen.values), list(seen.findings)
    doubtful = [k for k, f in enumerate(findings) if f.verdict is not Verdict.AGREES and not f.beyond_doubt]
    if doubtful:
        again = yield from look(problem, origin, [plain(vectors[k]) for k in doubtful], "differences, plain steps")
        for k, finding, found in zip(doubtful, again.findings, again.values, strict=True):
            vectors[k], findings[k], values[k] = plain(vectors[k]), finding, found
    return vectors, Look(findings, values)


def _single_entries(
    problem: Problem, origin: Centre, vector: Array, findings: Sequence[Finding]
) -> Dialogue[Mapping[int, SuspectEntry]]:
    """Those of a few entries that are wrong by themselves, however small they are beside the others.

    Entries are left out whose errors, however small beside themselves, the directions would have shown.
    """
    if not 1 < problem.layout.size <= FEW or any(finding.verdict is not Verdict.AGREES for finding in findings):
        return {}
    hidden = max(finding.smallest_fault for finding in findings)
    unseen = [k for k, term in enumerate(np.abs(problem.gradient * vector)) if not OF_NO_INTEREST * term > hidden]
    if not unseen:
        return {}
    wanted = problem.relative_tolerance * max(finding.claim.scale for finding in findings)
    parts = [within(vector, range(k, k + 1)) for k in unseen]
    seen = yield from measure(problem, origin, parts, "single entries", wanted or None)
    return {
        k: SuspectEntry(k, float(vector[k]), finding)
        for k, finding in zip(unseen, seen, strict=True)
        if finding.verdict is Verdict.DISAGREES
    }


@dataclass(frozen=True, slots=True)
class _Explanation:
    """The entries that make directions fail."""

    entries: Mapping[int, SuspectEntry]
    complete: bool
    """Whether every disagreement was traced to entries."""

    @property
    def ranked(self) -> list[SuspectEntry]:
        return sorted(self.entries.values(), key=severity, reverse=True)

    def amended(self, finding: Finding) -> Finding:
        """The finding, a kink if kinks are all that is behind it."""
        only_kinks = self.entries and all(e.finding.verdict is Verdict.KINK for e in self.entries.values())
        if finding.verdict is Verdict.DISAGREES and only_kinks and self.complete:
            return replace(finding, verdict=Verdict.KINK)
        return finding


def _explain(
    problem: Problem, origin: Centre, vectors: Sequence[Array], findings: Sequence[Finding]
) -> Dialogue[_Explanation]:
    """Searches the worst direction, sets aside what is found there, and measures again what is left."""
    entries: dict[int, SuspectEntry] = {}
    for _ in range(ROUNDS):
        failed = [k for k, finding in enumerate(findings) if finding.failed]
        if not failed or len(entries) >= MAX_ENTRIES:
            break
        target = max(failed, key=lambda k: (findings[k].verdict.severity, findings[k].excess))
        found = yield from search(problem, origin, vectors[target], findings[target])
        if not found:
            return _Explanation(entries, complete=False)
        entries |= {entry.position: entry for entry in found}
        vectors = [_without(vector, entries) for vector in vectors]
        findings = yield from measure(problem, origin, vectors, "differences without these entries")
    return _Explanation(entries, complete=True)


def _without(vector: Array, positions: Mapping[int, object]) -> Array:
    rest = vector.copy()
    rest[list(positions)] = 0
    return rest


def _direction_report(finding: Finding) -> DirectionReport:
    return DirectionReport(
        verdict=finding.verdict,
        claimed=finding.claim.value,
        measured=finding.central.value,
        error_bound=finding.central.bound,
        right=finding.right.value,
        left=finding.left.value,
        step=finding.central.step,
    )


def _input_report(name: str, finding: Finding, entries: Sequence[EntryReport]) -> InputReport:
    return InputReport(
        input=name,
        verdict=worst([finding.verdict, *(entry.verdict for entry in entries if entry.input == name)]),
        claimed=finding.claim.value,
        measured=finding.central.value,
        error_bound=finding.central.bound,
    )


def _entry_report(problem: Problem, entry: SuspectEntry) -> EntryReport:
    name, index = problem.layout.locate(entry.position)
    return EntryReport(
        input=name,
        index=index,
        claimed=float(problem.gradient[entry.position]),
        measured=entry.finding.central.value / entry.scale,
        error_bound=entry.finding.central.bound / abs(entry.scale),
        verdict=entry.finding.verdict,
    )


def _not_finite(problem: Problem, origin: Centre, unclaimed: Array, seed: int) -> VerificationReport:
    """The report where the loss or the claim is infinite or not a number: there is nothing to compare."""
    nothing = math.nan
    names = [problem.layout.locate(int(position)) for position in unclaimed[:MAX_ENTRIES]]
    entries = tuple(
        EntryReport(name, index, float(problem.gradient[k]), nothing, math.inf, Verdict.NOT_FINITE)
        for (name, index), k in zip(names, unclaimed, strict=False)
    )
    inputs = []
    for name, span in problem.layout.spans.items():
        affected = not math.isfinite(origin.value) or any(int(k) in span for k in unclaimed)
        verdict = Verdict.NOT_FINITE if affected else Verdict.INCONCLUSIVE
        inputs.append(InputReport(name, verdict, nothing, nothing, math.inf))
    return VerificationReport(Verdict.NOT_FINITE, (), tuple(inputs), entries, 0, origin.noise, seed)
