"""Claims of derivatives of any kind, verified from values of the function alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.claimed import Claimed
from gradserve.questions.verdicts import Verdict
from gradserve.questions.verification import EntryReport, VerificationReport
from gradserve.verification.directions import Layout, sign_directions
from gradserve.verification.gradient import verify
from gradserve.verification.measure import ALL, Dialogue, Problem
from gradserve.verification.targets import Diagonal, Gradient, HessianProduct, Product, Target, by_lines

COLUMNS = 4
"""Wrong columns of a Jacobian of which the rows are told."""


@dataclass(frozen=True, eq=False)
class Claim:
    """What is claimed of a function at a point."""

    of: Claimed
    values: Array
    """Laid out as one vector; of a Jacobian by outputs and inputs."""
    inputs: Layout
    point: Array
    epsilon: float
    """The spacing at 1 of the numbers that are claimed."""
    relative_tolerance: float
    tangent: Array
    """The vector that a product is with, laid out as the point is; else empty."""
    output: str = ""
    shape: Sequence[int] = ()
    """The name and the shape of the function's value, where they matter."""
    finest: int = ALL.stop
    """See `Problem.finest`."""


def verified(claim: Claim, directions: int, seed: int) -> Dialogue[VerificationReport]:
    """The report on a claim, from values of the function along lines through the point; see `gradient.verify`.

    Of a Jacobian a random combination of its rows is verified as a gradient; of the columns that are wrong there, then,
    each as a product, which tells the rows.
    """
    parts = claim.inputs, claim.values
    match claim.of:
        case Claimed.JACOBIAN:
            return (yield from _jacobian(claim, directions, seed))
        case Claimed.JVP:
            return (yield from _product(claim, claim.values, claim.tangent, directions, seed))
        case Claimed.HVP:
            target: Target = HessianProduct(*parts, claim.tangent, claim.point)
        case Claimed.DIAGONAL:
            target = Diagonal(*parts, claim.point)
        case Claimed.GRADIENT:
            target = Gradient(*parts, claim.point, np.ones(1))
    return (yield from _report(claim, target, directions, seed))


def _jacobian(claim: Claim, directions: int, seed: int) -> Dialogue[VerificationReport]:
    rows = len(claim.values)
    (u,) = sign_directions(np.zeros(rows), 1, seed) * (1 + np.arange(rows) / max(1, rows))
    target = Gradient(claim.inputs, u @ claim.values, claim.point, u)
    found = yield from _report(claim, target, directions, seed)
    entries: list[EntryReport] = []
    for column in found.entries[:COLUMNS]:
        entries += yield from _rows(claim, column, directions, seed)
    return replace(found, entries=(*entries, *found.entries[COLUMNS:]))


def _rows(claim: Claim, column: EntryReport, directions: int, seed: int) -> Dialogue[list[EntryReport]]:
    """What is wrong in a column of a Jacobian, row by row; the column itself if no row is."""
    position = claim.inputs.position(column.input, column.index)
    tangent = np.zeros(claim.inputs.size)
    tangent[position] = 1.0
    found = yield from _product(claim, claim.values[:, position], tangent, directions, seed)
    wrong = [entry for entry in found.entries if entry.verdict is not Verdict.AGREES]
    return [replace(e, input=column.input, index=column.index, output=e.name) for e in wrong] or [column]


def _product(claim: Claim, values: Array, tangent: Array, directions: int, seed: int) -> Dialogue[VerificationReport]:
    target = Product(Layout({claim.output: tuple(claim.shape)}), values, tangent, claim.point)
    return (yield from _report(claim, target, directions, seed))


def _report(claim: Claim, target: Target, directions: int, seed: int) -> Dialogue[VerificationReport]:
    problem = Problem(
        target.layout,
        target.point,
        target.claimed,
        np.zeros(target.layout.size),
        claim.epsilon,
        claim.relative_tolerance,
        finest=claim.finest,
        second=target.second,
    )
    return (yield from by_lines(target, verify(problem, directions, seed)))
