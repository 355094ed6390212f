"""Gauss-Newton products against their closed form J^T H J v."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gradserve.client import Client
from gradserve.ir.errors import InvalidRequest, NotDifferentiable

RANDOM = np.random.default_rng(5)
A, Y = RANDOM.normal(size=(6, 4)), RANDOM.uniform(size=6)
W, V = RANDOM.normal(size=4), RANDOM.normal(size=4)
Z = np.tanh(A @ W)
J = (1 - Z**2)[:, None] * A


def model(w):
    z = np.tanh(A @ w)
    return {"z": z, "loss": np.sum(np.logaddexp(0.0, z) - Y * z)}


def beside(w):
    """A loss that depends on the parameters in another way as well."""
    z = np.tanh(A @ w)
    return {"z": z, "loss": np.sum(z**2) + np.sum(w)}


@pytest.fixture(scope="module")
def client():
    with Client() as client:
        yield client


def test_a_loss_of_other_outputs(client):
    value, product = client.function(model, w=W).gauss_newton_product(W, tangent=V, loss="result.loss")
    p = 1 / (1 + np.exp(-Z))
    assert_allclose(product, J.T @ (p * (1 - p) * (J @ V)), rtol=1e-12)
    assert_allclose(value["z"], Z, rtol=1e-14)


def test_half_the_sum_of_squares(client):
    f = client.function(lambda w: np.tanh(A @ w), w=W)
    _, product = f.gauss_newton_product(W, tangent=V)
    assert_allclose(product, J.T @ (J @ V), rtol=1e-12)


def test_the_hessian_of_another_loss_is_seen(client):
    _, product = client.function(model, w=W).gauss_newton_product(W, tangent=V, loss="result.loss")
    with pytest.raises(AssertionError):
        assert_allclose(product, J.T @ (J @ V), rtol=1e-12)


@pytest.mark.parametrize(
    ("function", "loss", "error", "line"),
    [
        (beside, "result.loss", NotDifferentiable, r"W6: result.loss depends on w beside the other outputs"),
        (model, "nope", InvalidRequest, r"W5: there is no output 'nope'; there are result.z, result.loss"),
    ],
)
def test_what_is_no_loss_of_other_outputs_is_refused(client, function, loss, error, line):
    with pytest.raises(error, match=line):
        client.function(function, w=W).gauss_newton_product(W, tangent=V, loss=loss)
