"""Directions measured: which loss values are needed, and what each direction shows once they are there.

Nothing here evaluates a loss. Generators yield a `Stage`, the points at which they want values, and are sent the
values; whoever drives them decides where the loss runs.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeAlias, TypeVar

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.verdicts import Verdict
from gradserve.verification import domain
from gradserve.verification.directions import Layout
from gradserve.verification.finite_differences import Differences, steps_of
from gradserve.verification.kinks import Claim, Finding, judge
from gradserve.verification.noise import EPSILON, SPACINGS, WINDOW, noise_level, noise_steps, unsettled

FIRST = range(1, 9)
"""Exponents k of the steps 4**-k that every direction starts with: 1/4 to 1.5e-5."""
ALL = range(1, 17)
"""Those used where the first do not settle it: down to 2.3e-10."""
_LARGEST_GROWTH = 100.0
_LARGER = {"noise, a larger spacing": (1, 2), "noise, larger spacings": (2, len(SPACINGS))}
"""The spacings that are tried where smaller ones do not tell the noise, by the name of the stage."""

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Stage:
    """Points at which the loss is wanted: x + step * vector for each of the vector's steps."""

    name: str
    vectors: Sequence[Array]
    steps: Sequence[Array]


Dialogue: TypeAlias = Generator[Stage, Sequence[Array], T]
"""Yields stages, is sent one array of loss values for each vector, and returns a T."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A gradient to be verified."""

    layout: Layout
    point: Array
    gradient: Array
    """What is claimed, laid out as one vector."""
    residue: Array
    """A known sample of the rounding error in `gradient`, such as single less double precision; zeros if none is."""
    epsilon: float
    """The spacing of the claim's floating-point numbers at 1."""
    relative_tolerance: float
    bound: float = 0.0
    """The error that each entry of `gradient` may have beside rounding: that of limits at kinks."""
    finest: int = ALL.stop
    """The exponent from which on steps do not move the point's numbers, where these are of single precision."""
    second: bool = False
    """Whether the claim is what second derivatives of the values along vectors are, which are linear in these."""

    @property
    def bits(self) -> int:
        """The bits that components of directions may have, for steps along them to be exact."""
        return 16 if self.finest >= ALL.stop else 4

    @property
    def exponents(self) -> range:
        """Those of all steps that there are."""
        return range(ALL.start, min(ALL.stop, self.finest))

    def claim(self, vector: Array) -> Claim:
        """The claimed derivative along a vector.

        Rounding errors of the entries are taken as mostly independent of each other, a small part as common to all.
        """
        terms, residues = self.gradient * vector, self.residue * vector
        scale = _norm(terms)
        rounding = self.epsilon * (64 * scale + 4 * float(np.abs(terms).sum()))
        rounding += 2 * (_norm(residues) + abs(float(residues.sum()))) + self.bound * float(np.abs(vector).sum())
        return Claim(float(terms.sum()), rounding, scale)


@dataclass(frozen=True, slots=True)
class Centre:
    """The loss at the point itself."""

    value: float
    noise: float

    def noise_at(self, values: Array) -> Array:
        """The noise in other values: that of the origin, growing with the value."""
        growth = min(_LARGEST_GROWTH, max(1.0, self.noise / (EPSILON * max(abs(self.value), 1e-300))))
        sizes = np.where(np.isfinite(values), np.abs(values), 0.0)
        return np.asarray(np.maximum(self.noise, growth * EPSILON * sizes))


def centre(vector: Array) -> Dialogue[Centre]:
    """The loss at the point, and the noise in it along a vector, on each side at the smallest spacing that tells it."""
    (values,) = yield Stage("noise", [vector], [np.concatenate([[0.0], noise_steps(SPACINGS[:1])])])
    value = float(values[0])
    windows = np.full((2, len(SPACINGS), WINDOW), np.nan)
    windows[:, 0] = values[1:].reshape(2, WINDOW)
    for name, (start, stop) in _LARGER.items():
        sides = unsettled(windows) if np.isfinite(value) else []
        if sides:
            asked = noise_steps(SPACINGS[start:stop]).reshape(2, -1)[sides]
            (values,) = yield Stage(name, [vector], [asked.ravel()])
            windows[sides, start:stop] = values.reshape(len(sides), -1, WINDOW)
    return Centre(value, noise_level(windows, value))


@dataclass(frozen=True, eq=False)
class Look:
    """What ordinary steps along vectors show, and the values it was seen in."""

    findings: list[Finding]
    values: list[Array]


def look(
    problem: Problem, origin: Centre, vectors: Sequence[Array], name: str, wanted: float | None = None
) -> Dialogue[Look]:
    """What each vector shows at ordinary steps alone."""
    values = yield Stage(name, vectors, [_both_sides(steps_of(FIRST))] * len(vectors))
    findings = [_finding(problem, origin, v, FIRST, f, wanted) for v, f in zip(vectors, values, strict=True)]
    return Look(findings, list(values))


def differences_along(vector: Array) -> Dialogue[Differences]:
    """The differences at ordinary steps along one vector, with the noise in them."""
    origin = yield from centre(vector)
    (values,) = yield Stage("differences", [vector], [_both_sides(steps_of(FIRST))])
    return _differences(origin, FIRST, values)


def measure(
    problem: Problem, origin: Centre, vectors: Sequence[Array], name: str, wanted: float | None = None
) -> Dialogue[list[Finding]]:
    """What each vector shows. Those that do not agree at ordinary steps get finer ones.

    Bounds above `wanted` are inconclusive; unless given, that is the tolerance times the derivative's size.
    """
    seen = yield from look(problem, origin, vectors, name, wanted)
    return (yield from look_closer(problem, origin, vectors, seen, name, wanted))


def look_closer(
    problem: Problem, origin: Centre, vectors: Sequence[Array], seen: Look, name: str, wanted: float | None = None
) -> Dialogue[list[Finding]]:
    """What vectors show at finer steps as well, where ordinary ones do not agree."""
    values, findings = list(seen.values), list(seen.findings)
    doubtful = [k for k, finding in enumerate(findings) if finding.verdict is not Verdict.AGREES]
    if doubtful:
        steps = [_both_sides(steps_of(range(FIRST.stop, problem.exponents.stop)))] * len(doubtful)
        more = yield Stage(f"{name}, finer steps", [vectors[k] for k in doubtful], steps)
        for k, finer in zip(doubtful, more, strict=True):
            sides = zip(np.split(values[k], 2), np.split(finer, 2), strict=True)
            every = np.concatenate([part for side in sides for part in side])
            values[k] = every
            findings[k] = _finding(problem, origin, vectors[k], problem.exponents, every, wanted)
    outside = [k for k in doubtful if not np.isfinite(values[k]).all() and _may_be_saved(findings[k])]
    if outside:
        inside = yield from _within_domain(problem, origin, [vectors[k] for k in outside], name, wanted)
        for k, finding in zip(outside, inside, strict=True):
            findings[k] = finding or findings[k]
    return findings


def _may_be_saved(finding: Finding) -> bool:
    return finding.verdict in (Verdict.NOT_FINITE, Verdict.INCONCLUSIVE)


def _within_domain(
    problem: Problem, origin: Centre, vectors: Sequence[Array], name: str, wanted: float | None
) -> Dialogue[list[Finding | None]]:
    """What vectors show at steps at which the loss is finite; None for those along which it nowhere is.

    Where that is on neither side, entries at 0 are moved upwards alone.
    """
    tried = [*vectors, *(domain.inwards(vector, problem.point) for vector in vectors)]
    looked = yield Stage(f"{name}, looking for the domain", tried, [domain.steps()] * len(tried))
    reaches = [domain.reach(values) for values in looked]
    chosen = [k if reaches[k] is not None else k + len(vectors) for k in range(len(vectors))]
    found: list[Finding | None] = []
    for k in chosen:
        reach = reaches[k]
        finding = None if reach is None else (yield from _shrunk(problem, origin, tried[k], reach, name, wanted))
        found.append(finding)
    return found


def _shrunk(
    problem: Problem, origin: Centre, vector: Array, reach: domain.Reach, name: str, wanted: float | None
) -> Dialogue[Finding | None]:
    """What a vector shows at shrunk steps; of entries so large that these do not move them, what others show."""
    moves = domain.moves(vector * reach.scale, problem.point)
    near = np.where(moves, vector, 0.0) * reach.scale
    exponents = domain.exponents(near, problem.point, problem.exponents)
    steps = [np.concatenate([noise_steps(), _both_sides(steps_of(exponents))])]
    (values,) = yield Stage(f"{name}, within the domain", [near], steps)
    windows, values = np.split(values, [len(noise_steps())])
    centre = Centre(origin.value, noise_level(windows, origin.value))
    wide = wanted and wanted * reach.scale
    found = _finding(problem, centre, near, exponents, values, wide, at_edge=not reach.both).per(reach.scale)
    rest = np.where(moves, 0.0, vector)
    if not rest.any() or not moves.any():
        return found if moves.any() else None
    others = yield from measure(problem, origin, [rest], name, wanted)
    return max(found, *others, key=lambda finding: finding.verdict.severity)


def _norm(terms: Array) -> float:
    """The root of the sum of squares, without overflow."""
    largest = float(np.abs(terms).max(initial=0.0))
    return largest * float(np.linalg.norm(terms / largest)) if largest else 0.0


def _both_sides(steps: Array) -> Array:
    return np.concatenate([steps, -steps])


def _finding(
    problem: Problem,
    origin: Centre,
    vector: Array,
    exponents: range,
    values: Array,
    wanted: float | None,
    at_edge: bool = False,
) -> Finding:
    differences = _differences(origin, exponents, values, problem.second)
    return judge(problem.claim(vector), differences, problem.relative_tolerance, wanted, at_edge)


def _differences(origin: Centre, exponents: range, values: Array, second: bool = False) -> Differences:
    """Values on both sides less the one at the point."""
    with np.errstate(invalid="ignore", over="ignore"):
        right, left = np.split(values - origin.value, 2)
    right_noise, left_noise = np.split(origin.noise_at(values), 2)
    rounding = EPSILON * abs(origin.value)
    return Differences(exponents, right, left, right_noise, left_noise, origin.noise, rounding, second)
