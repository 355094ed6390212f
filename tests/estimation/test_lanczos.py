"""Lanczos' recurrence: its quadrature is Gauss's, and it sees every eigenvalue once."""

from __future__ import annotations

import numpy as np
import pytest

from gradserve.estimation.lanczos import rule
from tests.estimation.spectra import Tridiagonal, eigenvalues, forgetful, signs, tridiagonal, with_eigenvalues

N = 200
SPECTRA = eigenvalues(N)


def errors_of_powers(nodes: np.ndarray, weights: np.ndarray, matrix: np.ndarray, start: np.ndarray, most: int):
    """How far the quadrature of each power is from <v, A^p v> / <v, v>, by products with A itself."""
    exact, image = [], start / np.linalg.norm(start)
    first = image
    for _ in range(most):
        image = matrix @ image
        exact.append(first @ image)
    found = [weights @ nodes**p for p in range(1, most + 1)]
    return np.abs(np.array(found) - exact) / np.max(np.abs(exact))


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_polynomials_are_integrated_exactly(name, steps):
    """Up to the degree 2 m - 1, and no further: the degree after it is the law's own counter-example."""
    matrix, start = with_eigenvalues(SPECTRA[name]), signs(N, 3)
    found = tridiagonal(matrix, start, steps)
    nodes, weights, _ = rule(found["diagonal"], found["off_diagonal"], steps)
    errors = errors_of_powers(nodes, weights, matrix, start, 2 * steps)
    assert errors[:-1].max() < 1e-13
    assert errors[-1] > 1e-11


def test_weights_of_other_components_are_no_quadrature():
    """A planted fault: all components of the eigenvectors instead of the first."""
    matrix, start = with_eigenvalues(SPECTRA["hessian"]), signs(N, 3)
    found = tridiagonal(matrix, start, 5)
    nodes, weights, _ = rule(found["diagonal"], found["off_diagonal"], 5)
    assert errors_of_powers(nodes, np.full_like(weights, 0.2), matrix, start, 9).max() > 0.1


def copies(recurrence: Tridiagonal, name: str) -> int:
    """Nodes at the largest eigenvalue, which is simple."""
    found = recurrence(with_eigenvalues(SPECTRA[name]), signs(N, 1), 80)
    nodes, _, _ = rule(found["diagonal"], found["off_diagonal"], 80)
    return int(np.sum(np.abs(nodes - SPECTRA[name].max()) < 1e-6))


@pytest.mark.parametrize("name", ["exponential", "hessian"])
def test_no_eigenvalue_is_seen_twice(name):
    assert copies(tridiagonal, name) == 1
    assert copies(forgetful, name) > 1  # the planted fault


@pytest.mark.parametrize("name", SPECTRA)
def test_an_eigenvalue_is_within_the_error_of_every_node(name):
    found = tridiagonal(with_eigenvalues(SPECTRA[name]), signs(N, 2), 30)
    nodes, _, errors = rule(found["diagonal"], found["off_diagonal"], 30)
    distances = np.min(np.abs(nodes[:, None] - SPECTRA[name]), axis=1)
    assert np.all(distances <= errors + 1e-13)
    assert np.any(distances > 0.01 * errors + 1e-13)  # they are not far too large


def test_it_ends_where_the_matrix_leads_no_further():
    """Three different eigenvalues: three steps, whatever is asked for."""
    matrix = with_eigenvalues(np.repeat([1.0, 2.0, 5.0], 20))
    found = tridiagonal(matrix, signs(60, 0), 30)
    nodes, weights, errors = rule(found["diagonal"], found["off_diagonal"], 30)
    assert np.allclose(nodes, [1, 2, 5])
    assert np.isclose(weights.sum(), 1)
    assert not errors.any()


def test_the_matrix_of_zeros():
    found = tridiagonal(np.zeros((5, 5)), signs(5, 0), 4)
    assert (found["diagonal"].tolist(), found["off_diagonal"].tolist()) == ([0.0], [0.0])
