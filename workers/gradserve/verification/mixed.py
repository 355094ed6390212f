"""Mixed partials by iterated limits, from values of the loss in the plane of two directions.

The four-point difference

    D(h, k) = (f(h, k) - f(h, -k) - f(-h, k) + f(-h, -k)) / 4hk,    f(a, b) the loss at x + a u + b v,

tends to the derivative along u of the one along v if k goes to 0 long before h, and to the other order if h does. By
the theorem of Schwarz the two are equal where they are continuous. Where they are not they may differ, and D(h, h) may
show neither: xy(x^2 - y^2) / (x^2 + y^2) has -1 and +1 at the origin, where D(h, h) and every derived Hessian are 0.

Along a ray k = r h, D is the central difference quotient of the inner derivative, so a Richardson table in h bounds its
limit. The limits along ever flatter rays tend to the iterated one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.verdicts import Verdict
from gradserve.verification.finite_differences import RATIO, SIGNAL, Differences, plain, steps_of
from gradserve.verification.kinks import Claim, judge
from gradserve.verification.measure import Centre

FLATNESS = (2, 4, 6, 8)
"""Exponents e of the rays k = 4**-e h: from 1/16, where noise is least, to 1/65536."""
_NO_CLAIM = Claim(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Limit:
    """One iterated limit."""

    value: float
    bound: float
    """The bound on its error; infinite where nothing could be measured."""
    largest: float
    """The largest mixed difference that is no noise."""
    still: bool
    """Whether no mixed difference is anything but 0."""
    kink: bool
    """Whether the outer derivative from the right differs from that from the left, so that there is none."""
    finite: bool
    """Whether the loss is finite around the point."""


def rays(u: Array, v: Array) -> list[Array]:
    """The vectors along which values are wanted for the derivative along u of the one along v: three for each ray."""
    return [vector for r in _slopes() for vector in (u + r * v, u - r * v, r * v)]


def iterated_limit(
    exponents: range, values: Sequence[Array], origin: Centre, displacements: tuple[float, float]
) -> Limit:
    """The limit from the values along `rays`, at the steps h and then -h, coarse to fine.

    `displacements` are by how much, in units of steps, rounding moves a point along u and along v.

    The bound is that of the Richardson tables, of all rays up to the one it is taken from: less flat ones let one hear
    finer steps. To it comes the change from the ray before. The limit is approached like a power of r, and rays are 16
    times apart, so what is left is less than that change for any power above 1/4.
    """
    tables = [
        _inner_derivative(exponents, r, values[3 * n : 3 * n + 3], origin, displacements)
        for n, r in enumerate(_slopes())
    ]
    found = [judge(_NO_CLAIM, differences, 1.0) for differences in tables]
    bounds = list(accumulate((finding.central.bound for finding in found), max))
    changes = [np.inf, *(abs(fine.central.value - coarse.central.value) for coarse, fine in pairwise(found))]
    totals = [
        bound + change if bound + change < np.inf else np.inf for bound, change in zip(bounds, changes, strict=True)
    ]
    best = int(np.argmin(totals))
    return Limit(
        value=found[best].central.value if totals[best] < np.inf else np.nan,
        bound=totals[best],
        largest=max(_largest_heard(differences) for differences in tables),
        still=not any(differences.right.any() or differences.left.any() for differences in tables),
        kink=found[best].kink,
        finite=found[best].verdict is not Verdict.NOT_FINITE,
    )


def _largest_heard(differences: Differences) -> float:
    quotients = plain(differences)
    sizes = np.abs(quotients.values)
    return float(sizes[sizes > SIGNAL * quotients.noise].max(initial=0.0))  # NaN is not


def _slopes() -> list[float]:
    return [RATIO**-e for e in FLATNESS]


def _inner_derivative(
    exponents: range, r: float, values: Sequence[Array], origin: Centre, displacements: tuple[float, float]
) -> Differences:
    """The derivative along v as a function of h, less its value at 0.

    A displaced point has another value, by the slope times the displacement. That is what the noise is at small steps:
    the noise in the values themselves is far below it where the loss is small.
    """
    steps = steps_of(exponents)
    inner = 2 * r * steps
    (pp, mm), (pm, mp), (op, om) = (np.split(along, 2) for along in values)
    with np.errstate(invalid="ignore", over="ignore"):
        right, left, middle = (pp - pm) / inner, (mp - mm) / inner, (op - om) / inner
        along_u = _largest([pp - op, pm - om, mp - op, mm - om]) / steps
        moved = np.hypot(displacements[0] * along_u, displacements[1] * _largest([right, left, middle]))
        pps, pms, mps, mms, ops, oms = (np.hypot(origin.noise_at(side), moved) for side in (pp, pm, mp, mm, op, om))
        middles = np.hypot(ops, oms)
        right_noise = np.hypot(np.hypot(pps, pms), middles) / inner
        left_noise = np.hypot(np.hypot(mps, mms), middles) / inner
        return Differences(exponents, right - middle, left - middle, right_noise, left_noise, 0.0, 0.0)


def _largest(arrays: Sequence[Array]) -> Array:
    """The largest size of each element that is a number."""
    sizes = np.abs(np.asarray(arrays))
    return np.asarray(np.where(np.isfinite(sizes), sizes, 0.0).max(axis=0))
