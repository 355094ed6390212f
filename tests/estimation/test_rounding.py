"""Intervals cover where nothing but rounding is left to miss by: sums that cancel, though their terms were rounded."""

from __future__ import annotations

import numpy as np
import pytest

from gradserve.estimation import leave_one_out
from gradserve.estimation.deflation import Deflation
from gradserve.estimation.looks import Target
from gradserve.estimation.sampled import Sampled
from gradserve.questions.estimates import Estimator
from tests.estimation.matrices import asked

SIZE, SEEDS = 50, range(8)
WITH_A_BASIS = (Estimator.AUTO, Estimator.HUTCHPP, Estimator.XTRACE)
TARGETS = (Target(24), Target(40), Target(300, relative_tolerance=1e-6))


def pair(i: int, j: int) -> np.ndarray:
    """Two entries off the diagonal: eigenvalues 1 and -1, whose parts of the diagonal cancel."""
    matrix = np.zeros((SIZE, SIZE))
    matrix[i, j] = matrix[j, i] = 1
    return matrix


def crossed() -> np.ndarray:
    u, v = np.random.default_rng(2).standard_normal((2, SIZE))
    v -= u * (u @ v) / (u @ u)
    return np.outer(u, v) + np.outer(v, u)


MATRICES = {
    "a pair": pair(0, 1),
    "a third of a pair": pair(0, 1) / 3,
    "two pairs": pair(0, 1) + 0.3 * pair(5, 9),
    "a pair and little else": pair(0, 1) + 1e-15 * np.eye(SIZE),
    "a pair and noise": pair(0, 1) + 1e-12 * np.diag(np.random.default_rng(3).standard_normal(SIZE)),
    "crossed": crossed(),
    "a large pair": 1e150 * pair(3, 4),
    "a small pair": 1e-150 * pair(3, 4),
    "a diagonal without trace": np.diag(np.linspace(-1, 1, SIZE)),
    "ones off the diagonal of a star": np.sum([pair(0, k) for k in range(1, SIZE)], axis=0),
    "zero": np.zeros((SIZE, SIZE)),
}


def covered(matrix: np.ndarray, estimator: Estimator, target: Target) -> float:
    trace = float(np.trace(matrix))
    found = (asked(matrix, estimator, target, seed) for seed in SEEDS)
    return float(np.mean([abs(float(each.value[0]) - trace) <= float(each.half_width[0]) for each in found]))


@pytest.mark.parametrize("estimator", WITH_A_BASIS)
@pytest.mark.parametrize("name", MATRICES)
def test_intervals_cover_what_cancels(name, estimator):
    for target in TARGETS:
        # One of these may be missed by chance; what is missed by rounding is missed by half of them and more.
        assert covered(MATRICES[name], estimator, target) >= 1 - 1 / len(SEEDS), target


@pytest.mark.parametrize("name", ["a pair", "two pairs", "crossed", "a large pair"])
def test_each_entry_of_the_diagonal_is_covered(name):
    matrix = MATRICES[name]
    for seed in SEEDS:
        found = asked(matrix, Estimator.AUTO, Target(300, relative_tolerance=1e-6), seed, diagonal=True)
        assert (np.abs(found.diagonal - np.diag(matrix)) <= found.diagonal_half_width).all()


@pytest.mark.parametrize("estimator", WITH_A_BASIS)
def test_roundings_of_what_is_left_alone_are_too_small(estimator, monkeypatch):
    """The planted fault: intervals that allow for the rounding of the answer, and not of what it was added up from."""
    monkeypatch.setattr(Deflation, "sizes", lambda self: np.abs(self.diagonal))
    monkeypatch.setattr(leave_one_out, "_lost", lambda *_: 0.0)
    told = Sampled.with_rows

    def without(self, operator, shares, shifts, outside, sizes):
        return told(self, operator, shares, shifts, outside, np.abs(shares).max(axis=0, initial=0.0) + 0 * sizes)

    monkeypatch.setattr(Sampled, "with_rows", without)
    assert min(covered(MATRICES["a third of a pair"], estimator, target) for target in TARGETS) < 0.8


def test_roundings_are_those_of_the_terms():
    """Of a basis of both eigenvectors of a pair the known diagonal is zero, and its terms are halves."""
    rows = np.array([[1.0, 1.0], [1.0, -1.0]]) / np.sqrt(2)
    known = Deflation.none(2).grown(rows, rows @ np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert np.abs(known.diagonal).max() < 1e-15
    assert known.sizes().min() > 1
