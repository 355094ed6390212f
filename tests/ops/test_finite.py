"""Routines that iterate: none sees a matrix that is not finite, and none goes without saying so."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg

import gradserve.execution
import gradserve.ops
from gradserve.execution.numpy.kernels import released
from gradserve.ops.linalg import finite
from gradserve.ops.linalg.least_squares import Pinv

SQUARE = ("svd", "svdvals", "eigh", "eigvalsh", "qr", "expm", "schur")
REGULAR = np.array([[2.0, -1.0, 0.5], [-1.0, 1.5, 0.2], [0.5, 0.2, -0.9]])


def matrices(seed):
    """Finite matrices of any bits: subnormal and huge numbers beside each other, zeros, and ordinary ones."""
    draw = np.random.default_rng(seed)
    while True:
        n = int(draw.integers(1, 7))
        found = draw.integers(0, 2**64, (n, n), np.uint64, endpoint=False).view(np.float64)
        special = draw.choice([0.0, 5e-324, 1e-310, 2.2e-308, 1e-160, 1.0, 1e154, 1e300, 1.7e308], (n, n))
        found = np.where(draw.random((n, n)) < draw.random(), special, found)
        if np.isfinite(found).all():
            yield found


@pytest.mark.parametrize("name", SQUARE)
@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
def test_matrices_that_are_not_finite_have_nan_alone(name, number):
    function = getattr(finite, name)
    bad = REGULAR.copy()
    bad[1, 1] = number
    bad[0, 2] = 5e-324
    results = function(bad)
    assert all(np.isnan(x).all() for x in (results if isinstance(results, tuple) else (results,)))
    if name != "schur":
        mixed, alone = function(np.stack([bad, REGULAR])), function(REGULAR)
        for x, y in zip(*((r if isinstance(r, tuple) else (r,)) for r in (mixed, alone)), strict=True):
            assert np.isnan(x[0]).all()
            np.testing.assert_array_equal(x[1], y)


def test_a_sum_that_overflows_is_no_reason_to_refuse():
    with np.errstate(all="ignore"):
        assert finite.is_finite(np.full(4, 1.5e308))
        assert not finite.is_finite(np.array([1.0, np.inf, -np.inf]))
        assert np.isfinite(finite.svdvals(np.full((2, 2), 5e307))).all()


@pytest.mark.parametrize("name", SQUARE)
def test_any_finite_matrix_comes_to_an_end(name):
    function = getattr(finite, name)
    with np.errstate(all="ignore"):
        for _, a in zip(range(60), matrices(1), strict=False):
            try:
                function(a)
            except (np.linalg.LinAlgError, ValueError):
                continue  # an iteration that says so has ended


@pytest.mark.parametrize("number", [np.inf, np.nan])
def test_a_pseudoinverse_is_nan_and_not_zero(number):
    a = np.array([[1.0, 2.0], [3.0, number], [0.0, 1.0]])
    assert np.isnan(Pinv(1e-15, full=False).numbers(a)[0]).all()


def test_all_call_them_through_the_table_of_routines():
    roots = [Path(p) for package in (gradserve.ops, gradserve.execution) for p in package.__path__]
    direct = re.compile(rf"(xp|jnp)\.linalg\.({'|'.join(finite.NAMES)})\(|np\.linalg\.(svd|svdvals|qr)\(")
    sources = [file for root in roots for file in root.rglob("*.py")]
    assert len(sources) > 50
    assert [str(file) for file in sources if file.name != "finite.py" and direct.search(file.read_text())] == []


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_routines_without_the_lock_are_those_of_scipy(dtype):
    draw = np.random.default_rng(3)
    a = (draw.normal(size=(40, 40)) + 8 * np.eye(40)).astype(dtype)
    b, other = draw.normal(size=(40, 7)).astype(dtype), draw.normal(size=(7, 7)).astype(dtype)
    close: Any = {"rtol": 0, "atol": 200 * float(np.finfo(dtype).eps)}
    for lower in (False, True):
        for transposed in (False, True):
            t = np.tril(a) if lower else np.triu(a)
            found = released.trtrs(a, b, lower, transposed)
            np.testing.assert_allclose((t.T if transposed else t) @ found, b, **close)
    with pytest.raises(np.linalg.LinAlgError):
        released.trtrs(np.zeros((2, 2), dtype), np.ones((2, 1), dtype), False, False)
    factors, exchanges = scipy.linalg.lu_factor(a)
    np.testing.assert_allclose(released.getri(factors, exchanges.astype(np.int32)) @ a, np.eye(40), **close)
    (t, z), (s, _) = released.gees(a), released.gees(other)
    np.testing.assert_allclose(z @ t @ z.T, a, rtol=0, atol=2000 * float(np.finfo(dtype).eps))
    y, scale, info = released.trsyl(t, s, b)
    np.testing.assert_allclose(t @ y + y @ s.T, scale * b, **close)
    assert info == 0


def test_large_exponentials_are_those_of_small_ones():
    draw = np.random.default_rng(5)
    for size in (1e-3, 1.0, 40.0):
        a = draw.normal(size=(110, 110)) / 10 * size
        expected = scipy.linalg.expm(a)
        np.testing.assert_allclose(finite.expm(a), expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    with np.errstate(all="ignore"):
        huge = finite.expm(np.stack([-1e300 * np.eye(110), 1e300 * np.eye(110), np.zeros((110, 110))]))
    np.testing.assert_array_equal(huge[0], np.zeros((110, 110)))
    assert not np.isfinite(np.diagonal(huge[1])).any()
    np.testing.assert_allclose(huge[2], np.eye(110), rtol=0, atol=4e-16)
