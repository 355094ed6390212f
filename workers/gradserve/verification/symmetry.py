"""The verification that mixed partials do not depend on their order, from the first loss value to the report."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.symmetry import EntryPair, PairReport, SymmetryReport
from gradserve.questions.verdicts import Verdict, worst
from gradserve.questions.verification import Entry
from gradserve.verification.directions import Layout, scales, sign_directions
from gradserve.verification.finite_differences import steps_of
from gradserve.verification.kinks import BEYOND_DOUBT
from gradserve.verification.measure import Centre, Stage
from gradserve.verification.mixed import Limit, iterated_limit, rays
from gradserve.verification.noise import EPSILON, noise_level, noise_steps
from gradserve.verification.pairs import Pair, entry_pair

FIRST = range(1, 9)
"""Exponents k of the steps 4**-k that every pair starts with: 1/4 to 1.5e-5."""
ALL = range(1, 25)
"""Those used where the first do not settle it: down to 3.6e-15, as what differs from afar may not close by."""
WIDTH = 4
"""The most parts of a pair that are followed at once in the search for entries."""
_FINER = range(FIRST.stop, ALL.stop)
_STAGE_NUMBERS = 1 << 23
"""Numbers in the vectors of one stage, about."""
_SLOPE_SHARE = 1e-3
"""Second derivatives below this part of the first ones are small enough not to matter."""

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Products:
    """Vectors v for which the derived H v is wanted."""

    name: str
    vectors: Sequence[Array]


@dataclass(frozen=True, eq=False)
class Product:
    """H v, as derived."""

    value: Array
    bound: float
    """The error that each of its entries may have beside rounding: that of limits at kinks."""


Dialogue: TypeAlias = Generator[Stage | Products, Sequence[Any], T]
"""Yields stages and is sent loss values for each vector, or products and is sent a `Product` for each."""


@dataclass(frozen=True, eq=False)
class Plane:
    """A loss whose mixed partials are looked at."""

    layout: Layout
    point: Array
    gradient: Array
    epsilon: float
    """The spacing at 1 of the numbers in which the Hessian is derived."""
    relative_tolerance: float


@dataclass(frozen=True, slots=True)
class Derived:
    """What is derived in the plane of a pair."""

    u_hv: float
    v_hu: float
    rounding: float
    """The rounding error that each may have."""
    size: float
    """The size of second derivatives in the plane; where they vanish, a small part of the first ones."""


@dataclass(frozen=True, slots=True)
class _Setting:
    """What all pairs have in common."""

    problem: Plane
    origin: Centre
    change: float
    """How much the loss changes where everything moves."""


@dataclass(frozen=True, eq=False)
class _Finding:
    pair: Pair
    derived: Derived
    uv: Limit
    vu: Limit
    verdict: Verdict


def verify(problem: Plane, pairs: Sequence[Pair], seed: int) -> Dialogue[SymmetryReport]:
    """The report on mixed partials; `evaluations` is left at 0 for whoever counts them.

    Both iterated limits in the plane of every pair are compared with each other and with the derived Hessian. Where
    they differ in a pair of many entries, the pairs of entries in which they do are searched for and reported as well.
    """
    (base,) = sign_directions(problem.point, 1, seed)
    (values,) = yield Stage("noise", [base], [np.concatenate([[0.0], noise_steps()])])
    origin = Centre(float(values[0]), noise_level(values[1:], float(values[0])))
    setting = _Setting(problem, origin, float(np.abs(values[np.isfinite(values)] - origin.value).max(initial=0.0)))
    findings = yield from _measure(setting, pairs)
    found = yield from _search(setting, findings)
    findings += yield from _measure(setting, found)
    rows = sorted((_report(problem, finding) for finding in findings), key=_badness, reverse=True)
    return SymmetryReport(worst(row.verdict for row in rows), tuple(rows), 0, origin.noise, seed)


def _measure(setting: _Setting, pairs: Sequence[Pair]) -> Dialogue[list[_Finding]]:
    """What every pair shows. Those that do not agree at ordinary steps get finer ones."""
    derived = yield from _derive(setting.problem, pairs)
    values = yield from _evaluate(pairs, FIRST, "mixed differences")
    findings = [_finding(setting, *seen, FIRST) for seen in zip(pairs, derived, values, strict=True)]
    doubtful = [k for k, finding in enumerate(findings) if finding.verdict is not Verdict.AGREES]
    finer = yield from _evaluate([pairs[k] for k in doubtful], _FINER, "mixed differences, finer steps")
    for k, more in zip(doubtful, finer, strict=True):
        every = [_joined(c, f) for c, f in zip(values[k], more, strict=True)]
        findings[k] = _finding(setting, pairs[k], derived[k], every, ALL)
    return findings


def _derive(problem: Plane, pairs: Sequence[Pair]) -> Dialogue[list[Derived]]:
    found: list[Derived] = []
    for group in _groups(pairs):
        products = yield Products("derived products", [vector for pair in group for vector in (pair.u, pair.v)])
        parts = zip(group, products[::2], products[1::2], strict=True)
        found += [_derived(problem, pair, hu, hv) for pair, hu, hv in parts]
    return found


def _derived(problem: Plane, pair: Pair, hu: Product, hv: Product) -> Derived:
    """The products, with half of their digits allowed to be lost in rounding: wrong rules lose all of them."""
    one, other = pair.u * hv.value, pair.v * hu.value
    cross = max(_norm(one), _norm(other))
    own = math.sqrt(abs(float(pair.u @ hu.value)) * abs(float(pair.v @ hv.value)))
    slope = max(_norm(problem.gradient * pair.u), _norm(problem.gradient * pair.v))
    size = max(cross, own, _SLOPE_SHARE * slope)
    limits = max(hv.bound * float(np.abs(pair.u).sum()), hu.bound * float(np.abs(pair.v).sum()))
    rounding = math.sqrt(problem.epsilon) * max(cross, own) + 2 * limits
    return Derived(float(one.sum()), float(other.sum()), rounding, size)


def _evaluate(pairs: Sequence[Pair], exponents: range, name: str) -> Dialogue[list[list[Array]]]:
    """The values along the rays of both orders, for each pair."""
    steps = steps_of(exponents)
    found: list[list[Array]] = []
    for group in _groups(pairs):
        vectors = [vector for pair in group for vector in (*rays(pair.u, pair.v), *rays(pair.v, pair.u))]
        values = yield Stage(name, vectors, [np.concatenate([steps, -steps])] * len(vectors))
        each = len(vectors) // len(group)
        found += [list(values[k : k + each]) for k in range(0, len(vectors), each)]
    return found


def _groups(pairs: Sequence[Pair]) -> Iterator[Sequence[Pair]]:
    """The pairs in groups whose vectors are not too much to send at once."""
    each = sum(2 * len(vector) for vector in rays(pairs[0].u, pairs[0].v)) if pairs else 1
    size = max(1, _STAGE_NUMBERS // each)
    return (pairs[k : k + size] for k in range(0, len(pairs), size))


def _joined(coarse: Array, finer: Array) -> Array:
    """Values at all steps of both, and then at their negatives."""
    return np.concatenate([part for side in zip(np.split(coarse, 2), np.split(finer, 2), strict=True) for part in side])


def _finding(setting: _Setting, pair: Pair, derived: Derived, values: Sequence[Array], exponents: range) -> _Finding:
    uv, vu = _limits(setting, pair, values, exponents)
    size = max(derived.size, uv.largest, vu.largest)
    if uv.still and vu.still:  # where the loss does not change at all, it takes other planes to say what is little
        size = max(size, _SLOPE_SHARE * setting.change)
    verdict = _verdict(derived, uv, vu, setting.problem.relative_tolerance * size)
    return _Finding(pair, derived, uv, vu, verdict)


def _limits(setting: _Setting, pair: Pair, values: Sequence[Array], exponents: range) -> tuple[Limit, Limit]:
    """The derivatives along u of that along v, and the other way round."""
    half = len(values) // 2
    du, dv = (_displacement(setting.problem.point, direction) for direction in (pair.u, pair.v))
    uv = iterated_limit(exponents, values[:half], setting.origin, (du, dv))
    return uv, iterated_limit(exponents, values[half:], setting.origin, (dv, du))


def _displacement(point: Array, direction: Array) -> float:
    """By how much rounding moves the point along a direction, in units of steps."""
    moved = np.flatnonzero(direction)
    return 0.5 * EPSILON * float(np.max(np.abs(point[moved] / direction[moved]), initial=0.0))


def _verdict(derived: Derived, uv: Limit, vu: Limit, wanted: float) -> Verdict:
    """What both limits and what is derived say together; INCONCLUSIVE where a bound is above `wanted`.

    Where it does, a discrepancy must be far beyond all bounds to count.
    """
    if not (uv.finite and vu.finite and math.isfinite(derived.u_hv) and math.isfinite(derived.v_hu)):
        return Verdict.NOT_FINITE
    if uv.kink or vu.kink:
        return Verdict.KINK
    resolved = max(uv.bound, vu.bound) <= wanted
    certain = 1.0 if resolved else BEYOND_DOUBT
    apart = _apart(uv, vu)
    if apart > certain:
        return Verdict.ORDER_DEPENDENT
    if apart > 1:
        return Verdict.INCONCLUSIVE
    wrong = [_times(limit.value - derived.u_hv, limit.bound + derived.rounding) for limit in (uv, vu)]
    if min(wrong) > certain or abs(derived.u_hv - derived.v_hu) > derived.rounding:
        return Verdict.DISAGREES
    return Verdict.AGREES if resolved and max(wrong) <= 1 else Verdict.INCONCLUSIVE


def _times(gap: float, bound: float) -> float:
    """How many times its bound a gap is; 0 where there is none, or no number."""
    if bound == 0:
        return math.inf if abs(gap) > 0 else 0.0
    return abs(gap) / bound if math.isfinite(gap) else 0.0


def _apart(uv: Limit, vu: Limit) -> float:
    return _times(uv.value - vu.value, uv.bound + vu.bound)


def _search(setting: _Setting, findings: Sequence[_Finding]) -> Dialogue[list[Pair]]:
    """The pairs of entries in which the limits differ, within the first of the pairs of many that shows it."""
    shown = [f.pair for f in findings if f.verdict is Verdict.ORDER_DEPENDENT and f.pair.entries is None]
    known = {f.pair.entries for f in findings}
    found: dict[tuple[int, int], Pair] = {}
    parts = shown[:1]
    while parts:
        parts = [part for pair in parts for part in pair.parts()]
        values = yield from _evaluate(parts, FIRST, "searching entries")
        limits = [_limits(setting, *seen, FIRST) for seen in zip(parts, values, strict=True)]
        failed = [(abs(uv.value - vu.value), k) for k, (uv, vu) in enumerate(limits) if _apart(uv, vu) > 1]
        parts = [parts[k] for _, k in sorted(failed, reverse=True)]
        for i, j in (sorted(part.entries) for part in parts if part.entries is not None):
            if (i, j) not in known:
                found[i, j] = entry_pair(setting.problem.point, i, j)
        parts = [part for part in parts if part.entries is None][:WIDTH]
    return list(found.values())


def _badness(row: PairReport) -> tuple[int, bool, float]:
    gap = abs(row.uv - row.vu)
    return row.verdict.severity, row.entries is not None, 0.0 if math.isnan(gap) else gap


def _report(problem: Plane, finding: _Finding) -> PairReport:
    """In units of the entries where they are two, of the directions otherwise."""
    entries = finding.pair.entries
    unit = 1.0 if entries is None else float(np.prod(scales(problem.point)[list(entries)]))
    return PairReport(
        verdict=finding.verdict,
        entries=None if entries is None else _entry_pair(problem.layout, *entries),
        uv=finding.uv.value / unit,
        uv_bound=finding.uv.bound / unit,
        vu=finding.vu.value / unit,
        vu_bound=finding.vu.bound / unit,
        u_hv=finding.derived.u_hv / unit,
        v_hu=finding.derived.v_hu / unit,
    )


def _entry_pair(layout: Layout, u: int, v: int) -> EntryPair:
    return EntryPair(Entry(*layout.locate(u)), Entry(*layout.locate(v)))


def _norm(terms: Array) -> float:
    return float(np.linalg.norm(terms))
