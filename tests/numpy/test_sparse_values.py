"""Sparse matrices with traced elements: values are SciPy's, and derivatives those of the full matrix, at its places."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as sla
from scipy.sparse import diags, eye, lil_matrix
from scipy.sparse.linalg import cg, splu, spsolve

from gradserve.client import Client, Untraceable
from gradserve.client.scipy import sparse as mirror
from gradserve.client.tracing.trace import trace
from gradserve.numpy.documentation import supported_names
from tests.numpy.scipy_calls import values
from tests.numpy.scipy_calls.every import MODULES

N = 120
_rng = np.random.default_rng(5)
ROWS = np.concatenate([np.arange(N), np.arange(N - 1), np.arange(1, N), [0, 3, 3]])
COLUMNS = np.concatenate([np.arange(N), np.arange(1, N), np.arange(N - 1), [N - 1, 9, 9]])
ELEMENTS = np.concatenate([4 + _rng.random(N), -_rng.random(2 * N - 2), [0.3, 0.1, 0.2]])
RIGHT = _rng.normal(size=N)
KNOWN: Any = sp.random(N, N, 0.03, random_state=1, format="csr")
EDGES = np.array([(k, (k + s) % 40) for s in (1, 7) for k in range(40)])
INCIDENCE: Any = sp.csr_matrix((np.tile([1.0, -1.0], 80), (np.repeat(np.arange(80), 2), EDGES.ravel())))
LOAD = _rng.normal(size=40)
kinds: Any = sp


def by_places(w):
    A = kinds.csr_matrix((w, (ROWS, COLUMNS)), shape=(N, N))
    return np.sum(spsolve(A, RIGHT) ** 2) + A.nnz


def by_factors(w):
    solver: Any = splu(kinds.coo_matrix((w, (ROWS, COLUMNS))).tocsc())
    return solver.solve(RIGHT) @ RIGHT + np.sum(solver.solve(RIGHT[:, None], "T"))


def by_products(w):
    A = kinds.csc_matrix((w, (ROWS, COLUMNS)), shape=(N, N))
    return np.sum((A @ RIGHT + A.T @ RIGHT) ** 2) + (A @ A).sum() + A.diagonal().sum() + (RIGHT @ A)[3] + A.trace()


def of_a_network(w):
    laplacian = INCIDENCE.T @ diags(w) @ INCIDENCE + 0.1 * eye(40)
    return LOAD @ spsolve(laplacian.tocsc(), LOAD)


def of_two_patterns(w):
    A = w[0] * KNOWN + w[1] * sp.identity(N) * 5 + sp.identity(N) * 10
    return np.sum(sla.spsolve(A.tocsc(), RIGHT) ** 2) + (KNOWN * w[2]).sum() + (KNOWN / w[1] - KNOWN).sum()


def by_iterations(w):
    M = INCIDENCE.multiply(w[:, None])
    x, info = cg(M.T @ M + sp.eye(40), LOAD, rtol=1e-12)
    assert info == 0
    return np.sum(x**2)


def by_diagonals(w):
    D: Any = diags([w[:40], w[40:79], w[41:80]], [0, 1, -1], format="csc")
    return np.sum((D[3:9, 2:10] @ LOAD[2:10]) ** 2) + np.sum(D.sum(axis=1)) + D.toarray()[0, 0] + D[4, 5]


def by_blocks(w):
    A = sp.bmat([[diags(w[:5]), None], [None, kinds.csr_matrix(np.outer(w[5:8], w[5:8]))]])
    K = sp.kron(A, sp.eye(2))
    return np.sum((K @ np.arange(16.0)) ** 2) + sp.triu(K).sum() + sp.vstack([A, A]).mean()


def by_pattern(w):
    A = kinds.csr_matrix((w[: KNOWN.nnz], KNOWN.indices, KNOWN.indptr), shape=KNOWN.shape)
    return np.sum((A @ RIGHT) ** 2)


def of_arrays(w):
    A = sp.csr_array((w, (ROWS, COLUMNS)), shape=(N, N))
    return np.sum((A * A) @ RIGHT) + np.sum((-2.0 * A).sum(axis=0)) + np.sum(A.power(2).sum(axis=0))


def by_assignments(w):
    A: Any = lil_matrix((5, 5))
    for k in range(5):
        A[k, k] = w[k]
        A[k, (k + 1) % 5] += -w[k] / 3
    A[4, 1:3] = w[6:8]
    return np.sum(spsolve(A.tocsr(), np.ones(5))) + (A @ np.ones(5))[2]


def by_other_makers(w):
    stripes = [kinds.dia_array((w[:4][None], [1]), shape=(5, 5)), kinds.dia_matrix((w[4:][None], [0]), shape=(5, 5))]
    stripes += [
        kinds.diags_array([w[:5], w[4:]], offsets=[0, -1]),
        kinds.spdiags(np.stack([w[:5], w[3:]]), [0, 1], 5, 5),
    ]
    A = kinds.hstack([kinds.tril(stripe) + stripe.T for stripe in stripes])
    blocks = ((w.reshape(2, 2, 2), [1, 0], [0, 1, 2]), (4, 4))
    B = kinds.block_array([[kinds.bsr_array(*blocks), None], [None, kinds.bsr_matrix(*blocks)]])
    C = kinds.csc_array((w, ([0, 1, 2, 3, 0, 1, 2, 3], [0, 0, 1, 1, 2, 2, 3, 3])), shape=(4, 4))
    grown = [kinds.lil_array((4, 4)), kinds.dok_array((4, 4)), kinds.dok_matrix((4, 4))]
    for k, one in enumerate(grown):
        one[k, k + 1] = w[k]
        one[3, 0] = w[3] ** 2
    E = sum((one.tocsr() for one in grown[1:]), grown[0].tocsr()) + kinds.csr_matrix(C)
    return np.sum((A @ np.arange(20.0)) ** 2) + np.sum((B @ np.arange(8.0)) ** 2) + np.sum((E @ np.arange(4.0)) ** 2)


def by_iterated(w):
    A = kinds.csr_matrix((w, (np.arange(8), np.arange(1, 9) % 5)), shape=(8, 8)) + kinds.identity(8)
    values, b = sla.eigsh(A + A.T, 3)[0], np.arange(8.0)
    return np.sum(values**2) + sla.expm_multiply(0.3 * A, b)[0] + np.sum(sla.lsmr(A, b, 0.4, 1e-15, 1e-15)[0] ** 2)


LOSSES = {
    **{f.__name__: (f, ELEMENTS) for f in (by_places, by_factors, by_products, of_arrays)},
    **{f.__name__: (f, 1 + _rng.random(80)) for f in (of_a_network, by_iterations, by_diagonals)},
    **{
        f.__name__: (f, 1 + _rng.random(8))
        for f in (of_two_patterns, by_blocks, by_assignments, by_other_makers, by_iterated)
    },
    "by_pattern": (by_pattern, _rng.random(KNOWN.nnz)),
}


def _along(function, point, v, h=1e-4):
    f = [function(point + k * h * v) for k in (-2, -1, 1, 2)]
    return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h)


@pytest.fixture(scope="module")
def engine():
    with Client() as client:
        yield client


@pytest.mark.parametrize("name", LOSSES)
def test_values_are_scipys_and_derivatives_their_differences(name, engine):
    function, point = LOSSES[name]
    value, gradient = engine.function(function).value_and_grad(point)
    assert np.isclose(value, function(point), rtol=1e-9)
    v = _rng.normal(size=point.shape)
    assert gradient @ v == pytest.approx(_along(function, point, v), rel=1e-7)
    assert gradient @ v != pytest.approx(_along(function, 1.01 * point, v), rel=1e-7)


def test_second_derivatives_are_those_of_the_full_matrix(engine):
    def full(w):
        A = np.zeros((N, N))
        np.add.at(A, (ROWS, COLUMNS), w)
        return np.sum(np.linalg.solve(A, RIGHT) ** 2)

    v = _rng.normal(size=ELEMENTS.shape)
    found, expected = (engine.function(f).hvp(ELEMENTS, tangent=v) for f in (by_places, full))
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


def test_a_large_system_stays_sparse(engine):
    """30,000 unknowns, whose full matrix would take 7 gigabytes: the gradient is -y_i x_j at the places (i, j)."""
    line: Any = sp.diags([2.0, -1.0, -1.0], [0, 1, -1], shape=(300, 300))
    strip: Any = sp.diags([2.1, -1.0, -1.0], [0, 1, -1], shape=(100, 100))
    grid = sp.kronsum(line, strip).tocoo()
    b = np.ones(30_000)

    def loss(w):
        return np.sum(spsolve(kinds.csc_matrix((w, (grid.row, grid.col)), shape=grid.shape), b))

    f = engine.function(loss, grid.data)
    assert f.explain(grid.data).peak_bytes < 200e6
    value, gradient = f.value_and_grad(grid.data)
    x, y = (sla.spsolve(m.tocsc(), b) for m in (grid, grid.T))
    assert np.isclose(value, np.sum(x))
    np.testing.assert_allclose(gradient, -y[grid.row] * x[grid.col], rtol=1e-8)


def test_a_singular_matrix_is_refused(engine):
    places = np.arange(N - 1), np.arange(N - 1)

    def loss(w):
        return np.sum(spsolve(kinds.csc_matrix((w, places), shape=(N, N)), RIGHT))

    with pytest.raises(Exception, match="Singular matrix"):
        engine.function(loss)(np.ones(N - 1))


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (lambda w: sla.cg(sla.LinearOperator((4, 4), matvec=lambda v: w * v), w)[0], "functions.root"),
        (lambda w, f=sp.diags: f(w, 1) @ w, "from gradserve.client.scipy.sparse import diags"),
        (lambda w: kinds.csr_matrix(w) @ w, "write csr_matrix((values, (rows, columns)), shape=(m, n))"),
        (lambda w: sla.eigs(sp.diags(w), 2), "gradserve.client.scipy"),
    ],
)
def test_refusals_name_the_line(function, line):
    with pytest.raises(Untraceable) as refusal:
        trace(function, np.ones(4))
    assert line in str(refusal.value)


def test_the_mirror_has_their_names(engine):
    def loss(w):
        return np.sum(mirror.linalg.spsolve(mirror.diags(w, format="csc"), np.ones(4)))

    value, gradient = engine.function(loss).value_and_grad(np.arange(1.0, 5.0))
    assert np.isclose(value, np.sum(1 / np.arange(1.0, 5.0)))
    np.testing.assert_allclose(gradient, -1 / np.arange(1.0, 5.0) ** 2)


def test_every_maker_is_called():
    source = Path(__file__).read_text() + "".join(map(inspect.getsource, (values, *MODULES)))
    for full in supported_names():
        name = full.removesuffix(".__call__").rpartition(".")[2]
        assert not full.startswith("scipy.sparse.") or name in source, full
