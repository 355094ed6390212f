"""Densities of vectors, matrices and several counts: SciPy's values, and derivatives of these."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from gradserve.numpy.scipy import bessel_sums
from tests.clients.evaluation import traced_result
from tests.numpy.slopes import assert_slope_is_that_of_values

RNG = np.random.default_rng(5)
X = RNG.normal(size=(5, 3))
R = RNG.normal(size=(3, 3)) * 0.3 + np.eye(3)
C = R @ R.T
S = np.array([[1.4, 0.3], [0.3, 0.8]])
UNIT = X / np.linalg.norm(X, axis=1, keepdims=True)
LAW: Any = stats
CALLS: dict[str, tuple[Any, ...]] = {
    "multivariate_t": (
        lambda x, m, r, df: [LAW.multivariate_t.logpdf(x, m, r @ r.T, df), LAW.multivariate_t.pdf(x, m, r @ r.T, df)],
        *(X, X[0] * 0.5, R, np.array(3.7)),
    ),
    "multivariate_t by a number": (
        lambda x, s: [LAW.multivariate_t.logpdf(x, np.zeros(3), s, 4), LAW.multivariate_t(X[0], np.eye(3), 5).pdf(x)],
        *(X, np.array(1.3)),
    ),
    "multivariate_t frozen": (
        lambda x, m: [LAW.multivariate_t(X[0], C, 5).logpdf(x), LAW.multivariate_t(m, C, 2.5).logpdf(X)],
        *(X, X[1]),
    ),
    "multivariate_t that is normal": (lambda x: LAW.multivariate_t.logpdf(x, X[0], C, np.inf), X),
    "matrix_normal": (
        lambda x, m, r, s: [LAW.matrix_normal.logpdf(x, m, r @ r.T, s @ s.T), LAW.matrix_normal.pdf(x[0], m, 2.0, 0.7)],
        *(np.stack([X[:2].T, X[2:4].T]), X[1:3].T, R, S),
    ),
    "matrix_normal without a mean": (
        lambda x, v: [LAW.matrix_normal.logpdf(x, rowcov=v, colcov=S), LAW.matrix_normal(X[:2], S, C).logpdf(x.T)],
        *(X[:2].T, np.array([1.5, 0.7, 2.0])),
    ),
    "invwishart": (
        lambda x, r: [
            LAW.invwishart.logpdf(x @ x.T, 5.5, r @ r.T),
            LAW.invwishart.pdf(x @ x.T, 4, C),
            LAW.invwishart(5, C).logpdf(x @ x.T),
        ],
        *(R + 0.1, R),
    ),
    "invwishart of degrees": (lambda df: LAW.invwishart.logpdf(C, 4.0 + df, C), np.array(1.3)),
    "dirichlet_multinomial": (
        lambda a: [
            LAW.dirichlet_multinomial.logpmf([[1, 2, 0], [3, 0, 0], [1, 1, 0]], a, 3),
            LAW.dirichlet_multinomial(a, 4).pmf([1, 2, 1]),
        ],
        np.array([0.7, 1.9, 3.2]),
    ),
    "vonmises_fisher": (
        lambda m, k: [
            LAW.vonmises_fisher.logpdf(UNIT, m / np.sqrt(np.sum(m**2)), k[0]),
            LAW.vonmises_fisher(UNIT[0], 2.0).pdf(UNIT) * k[1],
            LAW.vonmises_fisher.logpdf(UNIT[:, :2] / np.linalg.norm(UNIT[:, :2], axis=1)[:, None], [1.0, 0.0], k[1]),
        ],
        *(X[1], np.array([1.7, 300.0])),
    ),
}


def _parts(tree: Any) -> list[Any]:
    return [part for each in tree for part in _parts(each)] if isinstance(tree, list) else [np.ravel(tree)]


@pytest.mark.parametrize("call", CALLS)
def test_values_are_scipys(call):
    function, *arguments = CALLS[call]
    for found, expected in zip(_parts(traced_result(function, *arguments)), _parts(function(*arguments)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("call", CALLS)
def test_derivatives_are_those_of_scipys_values(call):
    function, *arguments = CALLS[call]
    rng = np.random.default_rng(1)
    directions = [rng.normal(size=np.shape(x)) for x in arguments]

    def loss(x: Any) -> Any:
        return sum(np.sum(np.where(np.isfinite(part), part, 0.0) ** 2) for part in _parts(function(*x)))

    assert_slope_is_that_of_values(loss, arguments, directions)


def test_a_wrong_size_of_a_sphere_is_seen(monkeypatch):
    monkeypatch.setattr(bessel_sums, "_DEBYE", [[1.0], [0.125, -0.2], *bessel_sums._DEBYE[2:]])
    with pytest.raises(AssertionError):
        test_values_are_scipys("vonmises_fisher")


def test_counts_drawn_without_return():
    counts = np.array([[1.0, 2.0, 0.0], [3.0, 0.0, 0.0], [1.0, 1.0, 0.0], [-1.0, 2.0, 2.0], [0.0, 0.0, 3.0]])
    found = traced_result(lambda x: LAW.multivariate_hypergeom.logpmf(x, [4, 2, 5], 3), counts)
    expected = LAW.multivariate_hypergeom.logpmf(counts.astype(int), [4, 2, 5], 3)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    found = traced_result(lambda x: LAW.multivariate_hypergeom([4, 2, 5], 3).pmf(x), counts[0])
    np.testing.assert_allclose(found, np.exp(expected[0]), rtol=1e-12)


def test_directions_of_many_dimensions_have_a_density():
    """In 2000 dimensions SciPy's Bessel function is 0: here the density is that of the uniform law, a little moved."""
    mu = np.eye(2000)[0]
    found = traced_result(lambda k: LAW.vonmises_fisher.logpdf(mu, mu, k), np.array(1e-3))
    surface = np.log(2) + 1000 * np.log(np.pi) - float(np.sum(np.log(np.arange(1, 1000))))
    np.testing.assert_allclose(found, -surface + 1e-3, rtol=1e-12)


SHAPES: dict[str, tuple[Any, list[tuple[int, ...]]]] = {
    "normal of one": (
        lambda x: LAW.multivariate_normal.logpdf(x, np.zeros(1), np.eye(1)),
        [(1,), (3,), (3, 1), (1, 1), (), (1, 3, 1)],
    ),
    "normal by numbers": (lambda x: LAW.multivariate_normal.pdf(x, 0.0, 2.0), [(1,), (3,), (1, 3, 1)]),
    "normal": (lambda x: LAW.multivariate_normal.logpdf(x, [0, 0], C[:2, :2]), [(2,), (1, 2), (3, 2), (1, 3, 2)]),
    "t": (lambda x: LAW.multivariate_t.logpdf(x, [0, 0], C[:2, :2], 3), [(2,), (1, 2), (3, 2), (1, 1, 2)]),
    "dirichlet": (lambda x: LAW.dirichlet.logpdf(x / x.sum(axis=0), [1.0, 2.0, 3.0]), [(3,), (3, 1), (3, 2)]),
    "matrix_normal": (lambda x: LAW.matrix_normal.logpdf(x, np.zeros((2, 3)), S, C), [(2, 3), (1, 2, 3), (4, 2, 3)]),
    "wishart": (lambda x: LAW.wishart.logpdf(x * 0.01 + 9 * np.eye(2)[..., None], 3, S), [(2, 2, 1), (2, 2, 3)]),
    "wishart of one": (lambda x: LAW.wishart.logpdf(x, 3, 2.0), [(), (1,), (3,)]),
    "invwishart of one": (lambda x: LAW.invwishart.logpdf(x, 3, 2.0), [(), (1,), (3,)]),
    "wishart by a diagonal": (lambda x: LAW.wishart.logpdf(C + x, 5, [1.0, 2.0, 0.5]), [()]),
}
"""By law: of arrays in these shapes, where SciPy drops axes of length 1."""


@pytest.mark.parametrize("name", SHAPES)
def test_results_have_scipys_shapes(name):
    call, shapes = SHAPES[name]
    for shape in shapes:
        x = np.abs(np.random.default_rng(3).normal(size=shape)) + 0.2
        expected = np.asarray(call(x))
        found = traced_result(call, x)
        assert np.shape(found) == expected.shape, shape
        np.testing.assert_allclose(found, expected, rtol=1e-12)
