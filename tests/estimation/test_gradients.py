"""Gradients of estimates of traces and of log det: of the same probes, against closed forms and JAX."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradserve.client import Client
from gradserve.estimation.samplers import signs
from gradserve.ir.errors import InvalidRequest
from gradserve.ir.types import ElementType
from gradserve.questions.estimates import StopReason
from tests import compiled

RNG = np.random.default_rng(4)
X, W, B = RNG.standard_normal((30, 4)), 0.5 * RNG.standard_normal((4, 3)), RNG.standard_normal(3)
PROBES = 6


def loss(w, b, xp=np):
    """Convex in all directions by its last term, so that there is a log det."""
    hidden = xp.tanh(X @ w + b)
    return xp.mean(xp.sum(hidden, axis=1) ** 2) + 2 * (xp.sum(w**2) + xp.sum(b**2)) + 0.1 * xp.sum(w**4)


def of_vector(point):
    return loss(point[:12].reshape(4, 3), point[12:], jnp)


@functools.cache
def derivatives():
    """Second and third derivatives of the loss as dense arrays."""
    jax.config.update("jax_enable_x64", True)
    point, hessian = np.concatenate([W.ravel(), B]), jax.hessian(of_vector)
    return np.asarray(jax.jit(hessian)(point)), np.asarray(compiled.jacfwd(hessian)(point))


def expected(weights):
    """The gradient of the sum of weights times entries of the Hessian."""
    return np.einsum("ij,ijk->k", weights, derivatives()[1])


def probes(seed: int, count: int = PROBES):
    drawn = [signs(seed, f"probe:{n}", 0, count, s, ElementType.FLOAT64) for n, s in (("w", (4, 3)), ("b", (3,)))]
    return np.concatenate([each.reshape(count, -1) for each in drawn], axis=1)


def flat(tree):
    return np.concatenate([np.ravel(tree["w"]), np.ravel(tree["b"])])


@pytest.fixture(scope="module")
def f():
    with Client(threads=1) as client:
        yield client.function(loss, W, B)


def test_the_gradient_is_that_of_the_mean_over_the_same_probes(f):
    found = f.hessian_trace(W, B, gradient=True, estimator="hutchinson", max_probes=PROBES, seed=5)

    def of_probes(seed):
        v = probes(seed)
        return expected(v.T @ v / PROBES)

    np.testing.assert_allclose(flat(found.gradient), of_probes(5), rtol=1e-10, atol=1e-12)
    with pytest.raises(AssertionError):  # the planted fault: other probes
        np.testing.assert_allclose(flat(found.gradient), of_probes(6), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("estimator", ["auto", "exact"])
def test_all_columns_give_the_gradient_of_the_trace(f, estimator):
    found = f.hessian_trace(W, B, gradient=True, estimator=estimator)
    assert found.stop_reason is StopReason.EXACT
    exact = expected(np.eye(15))
    np.testing.assert_allclose(flat(found.gradient), exact, rtol=1e-12, atol=1e-13)
    assert np.all(np.abs(flat(found.gradient) - exact) <= flat(found.gradient_half_widths) + 1e-14)
    np.testing.assert_allclose(flat(found.gradient_half_widths), 0, atol=1e-12)


def test_a_diagonal_hessian_has_no_chance_in_it(f):
    found: Any
    with Client(threads=1) as client:
        found = client.function(lambda w: np.sum(w**4), B).hessian_trace(
            B, gradient=True, estimator="hutchinson", max_probes=3
        )
    np.testing.assert_allclose(found.gradient, 24 * B, rtol=1e-13)


def test_intervals_of_a_gradient_cover(f):
    exact = expected(np.eye(15))
    found = [
        f.hessian_trace(W, B, gradient=True, estimator="hutchinson", max_probes=16, seed=seed) for seed in range(30)
    ]
    distances = np.array([np.abs(flat(each.gradient) - exact) for each in found])
    widths = np.array([flat(each.gradient_half_widths) for each in found])
    assert np.mean(distances <= widths) >= 0.93
    assert np.mean(distances <= widths / 3) < 0.85  # the planted fault


def test_the_gradient_of_log_det(f):
    """As many steps as there are dimensions: the systems are solved, and each probe's gradient is known."""
    found = f.hessian_spectrum(W, B, gradient=True, probes=PROBES, steps=15, seed=5)
    v, h = probes(5), derivatives()[0]

    def of_probes(matrix):
        return expected(np.linalg.solve(matrix, v.T) @ v / PROBES)

    assert found.gradient_residual < 1e-10
    np.testing.assert_allclose(flat(found.gradient), of_probes(h), rtol=1e-8, atol=1e-10)
    with pytest.raises(AssertionError):  # the planted fault: systems with another matrix
        np.testing.assert_allclose(flat(found.gradient), of_probes(h + np.eye(15)), rtol=1e-8, atol=1e-10)
    damped = f.hessian_spectrum(W, B, gradient=True, probes=PROBES, steps=15, seed=5, damping=1.0)
    np.testing.assert_allclose(flat(damped.gradient), of_probes(h + np.eye(15)), rtol=1e-8, atol=1e-10)


def test_the_gradient_of_log_det_is_within_its_intervals(f):
    found = f.hessian_spectrum(W, B, gradient=True, probes=200, steps=15)
    exact = expected(np.linalg.inv(derivatives()[0]))
    inside = np.abs(flat(found.gradient) - exact) <= flat(found.gradient_half_widths)
    assert inside.mean() >= 0.85
    of_trace = np.abs(expected(np.eye(15)) - exact) <= flat(found.gradient_half_widths)
    assert of_trace.mean() < 0.5


def test_few_steps_leave_a_residual(f):
    assert f.hessian_spectrum(W, B, gradient=True, probes=2, steps=2).gradient_residual > 1e-3


def test_a_closed_form_of_log_det():
    """The Hessian of sum exp w is diag(exp w): log det is the sum of w."""
    found: Any
    with Client(threads=1) as client:
        found = client.function(lambda w: np.sum(np.exp(w)), B).hessian_spectrum(B, gradient=True, probes=2)
    np.testing.assert_allclose(found.gradient, 1.0, rtol=1e-12)


def test_without_log_det_there_is_no_gradient_of_it():
    found: Any
    with Client(threads=1) as client:
        found = client.function(lambda w: np.sum(w**3), B).hessian_spectrum(-B, gradient=True, probes=2)
    assert np.isnan(found.gradient).all()
    assert np.isnan(found.gradient_residual)


def test_only_the_last_answer_has_a_gradient(f):
    seen: list[Any] = []
    f.hessian_trace(W, B, gradient=True, estimator="hutchinson", max_probes=64, progress=seen.append)
    assert [bool(each.gradient) for each in seen] == [False] * (len(seen) - 1) + [True]
    assert f.hessian_trace(W, B, max_probes=8).gradient == {}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a basis": ({"estimator": "hutch++"}, "the basis of hutch++ moves with the inputs"),
    "another matrix": ({"matrix": "fisher"}, "gradients are of the trace of one Hessian"),
    "a diagonal": ({"diagonal": True}, "gradients are of the trace from signs alone"),
    "another sampler": ({"estimator": "hutchinson", "sampler": "sphere"}, "signs alone"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_gradient_is_refused(f, name):
    options, told = REFUSED[name]
    with pytest.raises(InvalidRequest, match="does not fit") as caught:
        f.hessian_trace(W, B, gradient=True, **options)
    assert told in str(caught.value)


def test_a_gauss_newton_matrix_has_no_gradient_here():
    with Client(threads=1) as client, pytest.raises(InvalidRequest, match="that of the Hessian's log det"):
        client.function(lambda w: {"y": X @ w}, B[:1].repeat(4)).hessian_spectrum(
            B[:1].repeat(4), gradient=True, matrix="gauss-newton"
        )
