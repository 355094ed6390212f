"""The verification of a gradient, from the first loss value to the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.verdicts import Verdict, worst
from gradserve.questions.verification import DirectionReport, EntryReport, InputReport, VerificationReport
from gradserve.verification.decode import decode
from gradserve.verification.directions import reach, spread_directions, within
from gradserve.verification.inputs import Moved, by_loudness, one_by_one, settled
from gradserve.verification.kinks import OF_NO_INTEREST, Finding
from gradserve.verification.measure import Centre, Dialogue, Problem, centre, look, measure
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
    2. Every random direction, through all inputs at once, against extrapolated central differences.
    3. Where they fail beyond doubt, the one entry that would explain all of them, if there is one, by itself.
    4. Where they agree, or that entry explains them, inputs whose own faults the others would hide.
    5. Otherwise every input by itself, finer steps where something fails, and a search for the entries that do, which
       are set aside; then again for what is left. So a wrong entry is not excused by a kink in another one.

    A direction counts as a kink, not as a disagreement, if all single entries found in it are kinks whose one-sided
    derivatives enclose the claim.
    """
    unclaimed = np.flatnonzero(~np.isfinite(problem.gradient))
    base = list(spread_directions(problem.point, directions, seed, problem.bits))
    origin = yield from centre(base[0])
    if not math.isfinite(origin.value) or len(unclaimed):
        return _not_finite(problem, origin, unclaimed, seed)
    shown = yield from _directions(problem, origin, base, seed)
    causes = yield from _causes(problem, origin, shown)
    entries = [_entry_report(problem, entry) for entry in causes.ranked[:MAX_ENTRIES]]
    rows = tuple(_direction_report(causes.amended(finding)) for finding in shown.findings)
    groups = [replace(group, finding=causes.amended(group.finding)) for group in shown.groups]
    told = {row.input: row for group in groups for row in group.reports(problem, entries)}
    inputs = tuple(told[name] for name in problem.layout.shapes)
    return VerificationReport(
        verdict=worst([r.verdict for r in rows] + [r.verdict for r in inputs] + [e.verdict for e in entries]),
        directions=rows,
        inputs=inputs,
        entries=tuple(entries),
        evaluations=0,
        noise=origin.noise,
        seed=seed,
        smallest_fault=max(finding.visible_fault(problem.relative_tolerance) for finding in shown.findings),
        flat_step=max(
            f.flat_step * reach(v, problem.point) for v, f in zip(shown.vectors, shown.findings, strict=True)
        ),
    )


@dataclass(frozen=True, eq=False)
class _Shown:
    """What directions through all inputs show, and what inputs do by themselves or in groups."""

    vectors: Sequence[Array]
    findings: Sequence[Finding]
    groups: Sequence[Moved]
    culprit: SuspectEntry | None = None
    """The one entry whose error explains the directions."""

    @property
    def unexplained(self) -> list[tuple[Array, Finding]]:
        """Every vector with its finding, each once, but for those that the culprit explains."""
        base = [*zip(self.vectors, self.findings, strict=True)] if self.culprit is None else []
        return base + [(group.vector, group.finding) for group in self.groups if group.vector is not self.vectors[0]]


def _directions(problem: Problem, origin: Centre, base: Sequence[Array], seed: int) -> Dialogue[_Shown]:
    """What the directions show, and the inputs in as much detail as that asks for."""
    seen = yield from look(problem, origin, base, "differences")
    culprit = yield from decode(problem, origin, base, seen.findings, seed)
    if culprit is not None or all(finding.verdict is Verdict.AGREES for finding in seen.findings):
        groups = yield from by_loudness(problem, origin, base[0], seen.findings[0], culprit)
        return _Shown(base, seen.findings, groups, culprit)
    names = tuple(problem.layout.shapes)
    groups = (yield from one_by_one(problem, origin, base[0], names)) if len(names) > 1 else []
    vectors, findings = yield from settled(problem, origin, base, seen)
    return _Shown(vectors, findings, groups or [Moved(names, vectors[0], findings[0])])


def _causes(problem: Problem, origin: Centre, shown: _Shown) -> Dialogue[_Explanation]:
    """The entries behind all that fails."""
    vectors = [vector for vector, _ in shown.unexplained]
    findings = [finding for _, finding in shown.unexplained]
    if shown.culprit is None:
        known = yield from _single_entries(problem, origin, shown.vectors[0], findings)
    else:
        known = {shown.culprit.position: shown.culprit}
    found = yield from _explain(problem, origin, vectors, findings)
    return replace(found, entries={**known, **found.entries})


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
    curve = finding.curve
    seen = np.isfinite(curve.values) & (not finding.differences.second)
    nearest = finding.nearest
    return DirectionReport(
        verdict=finding.verdict,
        claimed=finding.claim.value,
        measured=finding.central.value,
        error_bound=finding.central.bound,
        right=finding.right.value,
        left=finding.left.value,
        step=finding.central.step,
        steps=tuple(curve.steps[seen].tolist()),
        differences=tuple(curve.values[seen].tolist()),
        irregularity=nearest.kind,
        distance=nearest.distance,
        remainder_order=finding.remainder_order,
    )


def _entry_report(problem: Problem, entry: SuspectEntry) -> EntryReport:
    name, index = problem.layout.locate(entry.position)
    alone, nearest = entry.finding.per(entry.scale), entry.finding.nearest
    return EntryReport(
        input=name,
        index=index,
        claimed=float(problem.gradient[entry.position]),
        measured=alone.central.value,
        error_bound=abs(alone.central.bound),
        verdict=alone.verdict,
        right=alone.right.value if entry.scale > 0 else alone.left.value,
        left=alone.left.value if entry.scale > 0 else alone.right.value,
        irregularity=nearest.kind,
        distance=nearest.distance * abs(entry.scale),
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
