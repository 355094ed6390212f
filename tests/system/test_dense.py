"""Dense Hessians assembled in chunks on Ray."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradserve.client import Client

pytestmark = pytest.mark.ray

jax.config.update("jax_enable_x64", True)

RNG = np.random.default_rng(13)
DATA, TARGETS = RNG.standard_normal((100, 49)), np.sign(RNG.standard_normal(100))
POINT = {"w": 0.3 * RNG.standard_normal((49, 40)), "u": RNG.standard_normal(40)}
"""2000 parameters."""
N = 300
A, X = RNG.standard_normal((N, N)), RNG.standard_normal(N)


def network(w, u, np=np):
    return np.mean(np.logaddexp(0.0, -TARGETS * (np.tanh(DATA @ w) @ u))) + 0.01 * np.sum(w * w)


def quadratic(x):
    return 0.5 * x @ (A @ x) + x[0]


def blocks(hessian):
    return {(row, column): hessian[row][column] for row in POINT for column in POINT}


def test_the_hessian_of_2000_parameters(remote, embedded):
    f = remote.function(lambda w, u: network(w, u))
    found = blocks(f.hessian(**POINT))
    assert sum(block.size for block in found.values()) == 2000**2
    report = f.last_report
    assert report.placement == "cluster"
    assert report.chunks > len(report.workers) == 2
    here = blocks(embedded.function(lambda w, u: network(w, u)).hessian(**POINT))
    expected = jax.hessian(lambda w, u: network(w, u, np=jnp), argnums=(0, 1))(*POINT.values())
    for k, row in enumerate(POINT):
        for j, column in enumerate(POINT):
            assert found[row, column].tobytes() == here[row, column].tobytes()
            np.testing.assert_allclose(found[row, column], expected[k][j], rtol=1e-10, atol=1e-12)


@pytest.fixture(params=["cluster", "threads"])
def function(request, remote):
    """The quadratic on Ray, and on threads of this process."""
    if request.param == "cluster":
        f = remote.function(quadratic)
        f.placement = "cluster"
        yield f
        assert f.last_report.placement == "cluster"
    else:
        with Client(threads=2) as client:
            yield client.function(quadratic)


def test_a_quadratic_three_ways_to_the_bit(function):
    """At one point: the Hessian, its operator made dense, and products with each column of the identity.

    The first two are the same request. Products come in a batch of points, here N times the same one, which is another
    plan; it has the same bits because each row of a product of matrices is summed in the same order whatever rows are
    beside it. One product alone is a product with a vector, which BLAS sums in another order: it agrees to rounding.
    """
    dense = function.hessian(X)
    assert dense.tobytes() == function.hessian_operator(X).to_dense().tobytes()
    basis = function.hvp(np.tile(X, (N, 1)), tangent=np.eye(N), batch=True)
    np.testing.assert_array_equal(dense, basis)
    np.testing.assert_allclose(dense, (A + A.T) / 2, rtol=1e-14, atol=1e-15)
    single = np.stack([function.hvp(X, tangent=v) for v in np.eye(N)[:5]])
    np.testing.assert_allclose(single, dense[:5], rtol=1e-14, atol=1e-15)
