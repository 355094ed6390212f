"""One wrong entry told from the errors along several directions: they are in the proportion of its components.

An error e in entry i shows as e d_i along a direction d. Components of the directions differ from entry to entry (see
`spread_directions`), so two such errors point at the entries whose components are in their proportion: at one, or at a
few of many, of which other directions, in these alone, tell more sharply. The entry is looked at by itself in the
end: what is told does not rest on the guess.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradserve.ir.types import Array
from gradserve.questions.verdicts import Verdict
from gradserve.verification.directions import spread_directions, within
from gradserve.verification.kinks import Finding
from gradserve.verification.measure import Centre, Dialogue, Problem, look, look_closer
from gradserve.verification.search import SuspectEntry

MOST = 2
"""Candidates that are looked at one by one; among more of them other directions decide."""
_FEWER = 4


def decode(
    problem: Problem, origin: Centre, vectors: Sequence[Array], findings: Sequence[Finding], seed: int
) -> Dialogue[SuspectEntry | None]:
    """The one entry whose error explains what all vectors show; None if nothing is wrong, or not one entry alone."""
    wrong = [finding for finding in findings if finding.verdict is not Verdict.AGREES]
    if len(wrong) < 2 or not all(finding.beyond_doubt for finding in wrong):
        return None
    components = np.array(vectors)
    moved = np.count_nonzero(components.any(axis=0))
    misfits = _misfits(components, findings)
    candidates = np.flatnonzero(misfits <= 1)
    if MOST < len(candidates) <= moved / _FEWER:
        suspect = yield from _among(problem, origin, candidates, seed)
    else:
        best = candidates[np.argsort(misfits[candidates], kind="stable")][:MOST]
        suspect = yield from _alone(problem, origin, components, best, min(finding.excess for finding in wrong))
    if suspect is None:
        return None
    return suspect if _explains(suspect, components[:, suspect.position], findings) else None


def _among(problem: Problem, origin: Centre, candidates: Array, seed: int) -> Dialogue[SuspectEntry | None]:
    """The one entry among candidates, by directions in these alone."""
    fresh = np.zeros((2, problem.layout.size))
    fresh[:, candidates] = spread_directions(problem.point, 2, ~seed, problem.bits)[:, candidates]
    seen = yield from look(problem, origin, list(fresh), "directions in a few entries")
    return (yield from decode(problem, origin, list(fresh), seen.findings, seed + 1))


def _alone(
    problem: Problem, origin: Centre, components: Array, candidates: Array, excess: float
) -> Dialogue[SuspectEntry | None]:
    """The first of the candidates that is wrong beyond doubt when it is moved alone."""
    rows = [int(np.argmax(components[:, k] != 0)) for k in candidates]
    parts = [within(components[row], range(k, k + 1)) for row, k in zip(rows, candidates, strict=True)]
    if not parts:
        return None
    seen = yield from look(problem, origin, parts, "trying single entries", excess / 4)
    findings = seen.findings
    if not all(finding.claim.scale for finding in findings):  # 0 is right where values come in steps: a finer look
        findings = yield from look_closer(problem, origin, parts, seen, "trying single entries", excess / 4)
    for row, k, finding in zip(rows, candidates, findings, strict=True):
        if finding.beyond_doubt:
            return SuspectEntry(int(k), float(components[row, k]), finding)
    return None


def _misfits(vectors: Array, findings: Sequence[Finding]) -> Array:
    """For each entry, the largest difference from what its error would show, in units of what the bounds allow."""
    errors = np.array([finding.claim.value - finding.central.value for finding in findings])
    bounds = np.array([_bound(finding) for finding in findings])
    anchor = int(np.argmax(np.abs(errors) / bounds))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = vectors / vectors[anchor]
        apart = np.abs(errors[:, None] - errors[anchor] * ratios)
        misfits = (apart / (bounds[:, None] + bounds[anchor] * np.abs(ratios))).max(axis=0)
    return np.where(np.isfinite(misfits), misfits, np.inf)


def _explains(suspect: SuspectEntry, components: Array, findings: Sequence[Finding]) -> bool:
    """Whether an entry's error, seen alone, is all that is wrong along every vector."""
    margins = np.abs(components / suspect.scale) * _bound(suspect.finding)
    return all(
        abs(finding.claim.value - finding.central.value - suspect.error * component) <= _bound(finding) + margin
        for component, margin, finding in zip(components, margins, findings, strict=True)
    )


def _bound(finding: Finding) -> float:
    return finding.central.bound + finding.claim.rounding
