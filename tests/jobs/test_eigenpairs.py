"""Eigenpairs of Hessians, against dense matrices and SciPy's Lanczos method."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse.linalg import eigsh

from gradserve.ir.errors import InvalidRequest
from gradserve.jobs.answering import answers
from gradserve.questions.eigenpairs import Eigenpairs, End, SearchStop, TopEigenpairs
from gradserve.runtime.control import Control
from tests.estimation.spectra import eigenvalues, with_eigenvalues
from tests.jobs.support import call_of, quadratic

N = 120
SPECTRA = eigenvalues(N)
REPEATED = np.concatenate([np.full(5, 3.0), np.full(2, 2.9), np.linspace(-4, 1, N - 8), [-4.0]])


def search(context, matrix, **options) -> list[Eigenpairs]:
    call = call_of(quadratic(matrix), {"x": np.zeros(len(matrix))})
    return list(answers(context, TopEigenpairs(call, **options), Control()))


def outermost(values, count, end):
    key = {End.LARGEST: -values, End.SMALLEST: values, End.MAGNITUDE: -np.abs(values)}[end]
    return values[np.argsort(key, kind="stable")][:count]


def check(found: Eigenpairs, matrix, values, count, end):
    """The law: the right eigenvalues, with residuals as they are said to be, and orthonormal vectors."""
    rows, size = found.vectors["x"], np.abs(values).max()
    assert found.complete
    assert all(found.converged)
    assert np.allclose(found.values, outermost(values, count, end), atol=1e-9 * size)
    assert np.allclose(rows @ rows.T, np.eye(count), atol=1e-10)
    true = np.linalg.norm(rows @ matrix - found.values[:, None] * rows, axis=1)
    assert np.allclose(true, found.residuals, atol=1e-13 * size)
    assert np.all(found.residuals <= found.tolerance * size)


@pytest.mark.parametrize(
    ("name", "end"),
    [*((name, end) for name in SPECTRA for end in (End.LARGEST, End.MAGNITUDE)), ("flat", End.SMALLEST)],
)
def test_both_ends(context, name, end):
    matrix = with_eigenvalues(SPECTRA[name])
    *_, last = search(context, matrix, end=end, count=3, seed=1)
    check(last, matrix, SPECTRA[name], 3, end)
    assert last.stop_reason is SearchStop.TOLERANCE
    if end is not End.SMALLEST:
        own = eigsh(matrix, 3, which="LA" if end is End.LARGEST else "LM")[0]
        assert np.allclose(sorted(own), sorted(last.values), atol=1e-9)


@pytest.mark.parametrize("end", End)
def test_repeated_eigenvalues_are_all_found(context, end):
    """The fault that this is for is in the stream itself: what had converged first was not what lay furthest out."""
    matrix = with_eigenvalues(REPEATED, seed=4)
    *before, last = search(context, matrix, end=end, count=7)
    check(last, matrix, REPEATED, 7, end)
    if end is End.LARGEST:
        exact = outermost(REPEATED, 7, end)
        early = [a for a in before if all(a.converged) and len(a.values) == 7 and not np.allclose(a.values, exact)]
        assert early
        assert not any(a.complete for a in early)


@pytest.mark.parametrize("matrix", [np.zeros((9, 9)), 2 * np.eye(50), np.diag(np.arange(6.0)), np.ones((1, 1))])
def test_matrices_of_few_vectors(context, matrix):
    values = np.linalg.eigvalsh(matrix)
    count = min(4, len(matrix))
    check(search(context, matrix)[-1], matrix, values, count, End.LARGEST)


def test_all_pairs(context):
    values = np.linspace(-1, 1, 20)
    matrix = with_eigenvalues(values)
    check(search(context, matrix, count=20)[-1], matrix, values, 20, End.LARGEST)


def test_an_earlier_answer_is_a_start(context):
    values = np.concatenate([np.linspace(0, 1, N - 4), [1.01, 1.02, 1.03, 1.04]])
    matrix = with_eigenvalues(values)
    *_, first = search(context, matrix)
    near = matrix + 1e-6 * with_eigenvalues(np.linspace(-1, 1, N), seed=9)
    *_, cold = search(context, near)
    *_, warm = search(context, near, start=first.vectors)
    check(warm, near, np.linalg.eigvalsh(near), 4, End.LARGEST)
    assert warm.products < 0.7 * cold.products


def test_what_has_not_converged_says_so(context):
    matrix = with_eigenvalues(np.linspace(0, 1, N))
    *_, last = search(context, matrix, max_products=30, tolerance=1e-10)
    assert last.stop_reason is SearchStop.MAX_PRODUCTS
    assert not last.complete
    assert not all(last.converged)
    assert "others among them are not ruled out" in str(last)
    distances = np.min(np.abs(last.values[:, None] - np.linspace(0, 1, N)), axis=1)
    assert np.all(distances <= last.residuals + 1e-14)  # the certificate holds all the same


@pytest.mark.parametrize("most", [8, 11, 31])
def test_no_more_products_are_spent_than_there_may_be(context, most):
    """A cycle that begins with few left ends early, and still has certificates."""
    matrix = with_eigenvalues(np.linspace(0, 1, N))
    told = search(context, matrix, max_products=most, tolerance=1e-10)
    assert [each.products <= most for each in told] == [True] * len(told)
    assert told[-1].stop_reason is SearchStop.MAX_PRODUCTS
    distances = np.min(np.abs(told[-1].values[:, None] - np.linspace(0, 1, N)), axis=1)
    assert np.all(distances <= told[-1].residuals + 1e-14)


def test_the_same_seed_has_the_same_bits(context):
    matrix = with_eigenvalues(SPECTRA["tail"])
    first, again, other = (search(context, matrix, seed=seed)[-1].vectors["x"].tobytes() for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 5}, r"count: K6: 5 are asked for, and the number of eigenpairs is 3"),
        ({"count": 2, "max_products": 3}, "max_products: K7: 3 products are too few for 2 pairs"),
        ({"count": 2, "basis": 2}, "basis: K7: a space of 2 vectors is too small"),
        ({"tolerance": -1.0}, "tolerance: K5"),
        ({"start": {"x": np.ones(3)}}, r'start\["x"\]: R4: f64\[3\] is given where f64\[3\] with a leading batch axis'),
        ({"start": {"y": np.ones((1, 3))}}, r'start\["x"\]: K3'),
        ({"start": {"x": np.full((1, 3), np.inf)}}, r'start\["x"\]: K4'),
        ({"basis": 5000}, "basis: K6"),
    ],
)
def test_what_does_not_fit_is_named(context, options, message):
    with pytest.raises(InvalidRequest, match=message):
        search(context, np.eye(3), **options)
