"""Probes that enlarge an approximation and test it: against XNysTrace, approximations made anew, known diagonals."""

from __future__ import annotations

import numpy as np
import pytest

from gradserve.estimation import in_turn
from gradserve.estimation.deflation import Completed, Deflation
from gradserve.estimation.leave_one_out import nystrom_left_out
from gradserve.estimation.looks import Target
from gradserve.questions.estimates import Estimator
from tests.estimation.calibration import WAYS, outcomes
from tests.estimation.matrices import asked, spectra

SIZE, PROBES, EPSILON = 40, 6, float(np.finfo(float).eps)
MATRICES = spectra(SIZE)
POSITIVE = ("flat", "poly", "exp", "block")
RNG = np.random.default_rng(7)
DRAWN = RNG.choice([-1.0, 1.0], (PROBES, SIZE))


def estimates(matrix: np.ndarray, basis: Deflation) -> np.ndarray | None:
    """The estimates of the trace with each probe left out."""
    products = DRAWN @ matrix
    known, whole = (each.completed(EPSILON) for each in (basis, basis.spanning(DRAWN, products)))
    empty = Completed(basis.rows, basis.products, basis.diagonal, np.zeros((0, SIZE)))
    assert whole is not None
    found = in_turn.left_out(known or empty, whole, DRAWN, products)
    if found is None:
        return None
    return np.asarray(whole.diagonal.sum() + found.multiple * found.outside.sum() + found.shares.sum(axis=1))


def basis_of(matrix: np.ndarray, rows: int) -> Deflation:
    vectors = RNG.standard_normal((rows, SIZE))
    return Deflation.of(vectors, vectors @ matrix)


@pytest.mark.parametrize("name", POSITIVE)
def test_without_a_basis_it_is_xnystrace(name):
    matrix = MATRICES[name]
    found = estimates(matrix, Deflation.none(SIZE))
    assert found == pytest.approx(nystrom_left_out(DRAWN, DRAWN @ matrix), rel=1e-9)


@pytest.mark.parametrize("name", POSITIVE)
def test_each_estimate_is_what_an_approximation_without_its_probe_says(name):
    matrix, basis = MATRICES[name], basis_of(MATRICES[name], 9)
    found = estimates(matrix, basis)
    assert found is not None
    for k, probe in enumerate(DRAWN):
        others = np.delete(DRAWN, k, axis=0)
        span = np.concatenate([basis.rows, others])
        images = span @ matrix
        known = images.T @ np.linalg.solve(span @ images.T, images)
        outside = probe - np.linalg.lstsq(span.T, probe, rcond=None)[0] @ span
        scale = (SIZE - len(span)) / (outside @ outside)
        assert found[k] == pytest.approx(np.trace(known) + scale * outside @ (matrix - known) @ outside, rel=1e-8)


def test_a_matrix_of_few_directions_is_met_by_every_estimate():
    factor = RNG.standard_normal((5, SIZE))
    matrix = factor.T @ factor + 1e-3 * np.eye(SIZE)
    found = estimates(matrix, basis_of(matrix, 9))
    assert found == pytest.approx(np.full(PROBES, np.trace(matrix)), rel=1e-3)


def test_negative_eigenvalues_that_probes_meet_are_told():
    matrix = np.diag(np.concatenate([np.full(SIZE - 6, 1.0), np.full(6, 1e-3)]))
    known, whole = (each.completed(EPSILON) for each in (Deflation.none(SIZE), basis_of(matrix, 9)))
    empty = known or Completed(np.zeros((0, SIZE)), np.zeros((0, SIZE)), np.zeros(SIZE), np.zeros((0, SIZE)))
    assert whole is not None
    larger = basis_of(matrix, 9 + PROBES).completed(EPSILON)
    assert larger is not None
    assert in_turn.left_out(empty, larger, DRAWN, -(DRAWN @ matrix)) is None


def test_no_dimension_to_test_in_is_told():
    matrix = MATRICES["flat"]
    basis, products = basis_of(matrix, SIZE - PROBES + 2), DRAWN @ matrix
    known, whole = (each.completed(EPSILON) for each in (basis, basis.spanning(DRAWN, products)))
    assert known is not None
    assert whole is not None
    assert in_turn.left_out(known, whole, DRAWN, products) is None


@pytest.mark.parametrize(("name", "budget"), [("flat", 96), ("exp", 24)])
def test_the_automatic_choice_is_hardly_worse_than_the_best_where_one_estimator_takes_all_products(name, budget):
    matrix = spectra(100)[name]
    auto, best = (outcomes(WAYS[way], matrix, Target(budget), range(120)).error for way in ("auto", "xnystrace"))
    assert auto <= 1.5 * best


def test_intervals_of_the_trace_and_of_its_diagonal_cover_near_all_columns():
    for name in ("flat", "poly"):
        matrix, hits, entries = MATRICES[name], [], []
        for seed in range(60):
            found = asked(matrix, Estimator.AUTO, Target(SIZE - 1), seed, diagonal=True)
            hits.append(abs(found.value[0] - np.trace(matrix)) <= found.half_width[0])
            entries.append(np.abs(found.diagonal - np.diag(matrix)) <= found.diagonal_half_width)
            assert found.diagonal.sum() == pytest.approx(found.value[0], rel=1e-9)
        assert np.mean(hits) >= 0.85  # what 60 intervals that cover with 95 % stay below with probability 0.001
        assert np.mean(entries) > 0.94


def test_estimates_that_share_their_approximation_would_not_be_covered_as_if_they_were_independent(monkeypatch):
    """The planted fault: nothing is added for what they have in common."""
    for name in ("SHARED", "LAST"):
        monkeypatch.setattr(in_turn, name, 0.0)
    assert outcomes(WAYS["auto"], MATRICES["flat"], Target(SIZE - 1), range(80)).coverage < 0.85


@pytest.mark.parametrize("estimator", [Estimator.AUTO, Estimator.XTRACE, Estimator.NYSTROMPP, Estimator.HUTCHPP])
@pytest.mark.parametrize("scale", [np.nan, np.inf, 1e-310])
def test_what_is_no_number_or_has_lost_digits_has_no_interval(estimator, scale):
    found = asked(scale * MATRICES["flat"], estimator, Target(24), 0)
    assert not np.isfinite(found.half_width[0])
