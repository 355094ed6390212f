"""Taylor models, in process and remote: closed forms, JAX, and checks that can fail."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradserve.autodiff import series
from gradserve.client import Client
from gradserve.ir.errors import InvalidRequest
from tests import compiled

jax.config.update("jax_enable_x64", True)

RNG = np.random.default_rng(2)
A = RNG.standard_normal((4, 4))


@pytest.fixture(params=["in process", "remote"])
def client(request, address):
    with Client(address if request.param == "remote" else None) as made:
        yield made


def loss(w):
    return np.sum(np.tanh(A @ w) ** 2) + np.exp(w[0] * w[1])


def loss_in_jax(w):
    return jnp.sum(jnp.tanh(A @ w) ** 2) + jnp.exp(w[0] * w[1])


@pytest.mark.parametrize("order", [1, 3, 6])
def test_coefficients_of_the_exponential(client, order):
    model = client.function(lambda x: np.exp(x)).taylor_along(0.5, direction=2.0, order=order)
    expected = [math.exp(0.5) * 2.0**k / math.factorial(k) for k in range(order + 1)]
    np.testing.assert_allclose(model.coefficients, expected, rtol=1e-14)
    np.testing.assert_allclose(model(0.1), sum(c * 0.1**k for k, c in enumerate(expected)), rtol=1e-14)
    assert model.observed_order == pytest.approx(order + 1, abs=0.2)
    assert model.passed
    assert "right" in str(model)


def test_coefficients_of_a_geometric_series(client):
    model = client.function(lambda x: 1.0 / (1.0 - x)).taylor_along(0.0, direction=1.0, order=8)
    np.testing.assert_allclose(model.coefficients, np.ones(9), rtol=1e-13)


def test_trees_along_a_direction(client):
    f = client.function(lambda x, y: {"a": np.sin(x) * y, "whole": np.argmax(x)})
    x, y, u = RNG.standard_normal(3), RNG.standard_normal(3), RNG.standard_normal(3)
    model = f.taylor_along(x, y, direction={"x": u, "y": -u}, order=3)
    rays = [jax.jacfwd(lambda t: jnp.sin(x + t * u) * (y - t * u))]
    for _ in range(2):
        rays.append(jax.jacfwd(rays[-1]))
    np.testing.assert_allclose(model.coefficients[0]["a"], np.sin(x) * y, rtol=1e-14)
    for k, ray in enumerate(rays, start=1):
        np.testing.assert_allclose(
            model.coefficients[k]["a"], jax.jit(ray)(0.0) / math.factorial(k), rtol=1e-11, atol=1e-13
        )
    assert model.coefficients[1]["whole"] is None
    assert model.passed


def test_models_around_a_point(client):
    w, d = np.array([0.5, -0.3, 0.8, 0.1]), np.array([1e-3, -2e-3, 1e-3, 2e-3])
    f = client.function(loss)
    first, second = f.taylor(w, order=1), f.taylor(w)
    gradient, hessian = compiled.grad(loss_in_jax)(w), compiled.hessian(loss_in_jax)(w)
    linear = loss(w) + gradient @ d
    assert first(d) == pytest.approx(float(linear), rel=1e-13)
    assert second(d) == pytest.approx(float(linear + 0.5 * d @ hessian @ d), rel=1e-13)
    assert abs(second(d) - loss(w + d)) < abs(first(d) - loss(w + d)) / 10
    assert first.along.observed_order == pytest.approx(2, abs=0.3)
    assert second.along.observed_order == pytest.approx(3, abs=0.3)
    assert first.passed
    assert second.passed
    assert first.hessian is None


def test_a_quadratic_is_its_own_model(client):
    model = client.function(lambda w: 0.5 * w @ (A @ w)).taylor(RNG.standard_normal(4))
    assert model.along.observed_order == math.inf
    assert model.passed


def test_a_kink_is_no_model_of_the_second_order(client):
    """|x|^1.5 has a gradient at 0, and its deviation from that falls with the power 1.5 alone."""
    model = client.function(lambda x: np.abs(x) ** 1.5).taylor_along(0.0, direction=1.0, order=1)
    assert model.observed_order == pytest.approx(1.5, abs=0.01)
    assert not model.passed
    assert "in doubt" in str(model)


def test_refusals(client):
    f = client.function(loss)
    w = np.ones(4)
    with pytest.raises(InvalidRequest, match="nothing moves along it"):
        f.taylor_along(w, direction=np.zeros(4))
    with pytest.raises(InvalidRequest, match="is not between 1 and 10"):
        f.taylor_along(w, direction=w, order=11)
    with pytest.raises(InvalidRequest, match="see taylor_along"):
        f.taylor(w, order=3)


def test_a_wrong_coefficient_would_be_seen(monkeypatch):
    """The planted fault: coefficients are not divided by their order."""

    def undivided(self, k):
        return [None if slope is None else slope.at(k - 1) for slope in self._slopes]

    monkeypatch.setattr(series.Application, "_by_equation", undivided)
    with Client() as client, pytest.raises((AssertionError, KeyError)):
        test_coefficients_of_the_exponential(client, 3)
