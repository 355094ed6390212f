"""Estimates of a Hessian's diagonal against the exact one."""

import numpy as np
import pytest

from gradserve.client import Client

RANDOM = np.random.default_rng(11)
B = RANDOM.normal(size=(5, 5))
H = (B + B.T) / 2
W = RANDOM.normal(size=5)
SEEDS = 120


def quadratic(w):
    return 0.5 * w @ (H @ w)


@pytest.fixture(scope="module")
def f():
    with Client() as client:
        yield client.function(quadratic, w=W)


def covered(f, diagonal):
    """For each entry the share of seeds whose interval covers it."""
    hits = np.zeros(5)
    for seed in range(SEEDS):
        found = f.hessian_diagonal(W, max_probes=64, seed=seed)
        hits += np.abs(found.values - diagonal) <= found.half_widths
    return hits / SEEDS


def test_intervals_cover_each_entry(f):
    # Of 120 intervals at 95 %, fewer than 103 cover with probability 2e-5.
    assert np.all(covered(f, np.diag(H)) >= 103 / SEEDS)


def test_another_diagonal_is_not_covered(f):
    assert np.any(covered(f, np.diag(H) + np.array([0, 0, 1.5, 0, 0])) < 103 / SEEDS)


def test_the_standard_error_is_that_of_the_entries_beside(f):
    """The variance of entry i over probes is the sum of h_ij^2 over j other than i."""
    found = f.hessian_diagonal(W, max_probes=4096, seed=3)
    expected = np.sqrt((np.sum(H**2, axis=1) - np.diag(H) ** 2) / 4096)
    np.testing.assert_allclose(found.standard_errors, expected, rtol=0.1)


def test_a_diagonal_matrix_is_exact_after_few_probes():
    with Client() as client:
        g = client.function(lambda w: np.sum(np.exp(w)), w=W)
        found = g.hessian_diagonal(W, rel_tol=1e-6)
        np.testing.assert_allclose(found.values, np.exp(W), rtol=1e-14)
        assert found.probes < 200


def test_the_same_seed_gives_the_same_bits(f):
    one, other = (f.hessian_diagonal(W, max_probes=128, seed=9) for _ in range(2))
    assert one.values.tobytes() == other.values.tobytes()
    assert one.values.tobytes() != f.hessian_diagonal(W, max_probes=128, seed=10).values.tobytes()
