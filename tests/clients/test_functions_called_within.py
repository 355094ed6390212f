"""Functions of a client that another traced function calls: graphs from files and importers, and NumPy's alike."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradserve.client import Client
from gradserve.client.function import Function
from gradserve.client.functions import grad, scan
from gradserve.client.importers.jaxprs import from_jax
from gradserve.ir.errors import InvalidRequest, Untraceable
from tests import compiled

jax.config.update("jax_enable_x64", True)

A = np.array([[2.0, 1.0], [1.0, 3.0]])
POINT = np.array([0.1, 0.2])


@pytest.fixture
def client():
    with Client() as made:
        yield made


@pytest.fixture(params=["traced", "loaded"])
def inner(request, client, tmp_path):
    """tanh(A x), as a function of NumPy or as a graph from a file."""
    made = client.function(lambda x: np.tanh(A @ x), np.ones(2))
    if request.param == "traced":
        return made
    made.save(tmp_path / "inner.pb")
    return client.load(tmp_path / "inner.pb")


def test_derivatives_go_through_it(client, inner):
    f = client.function(lambda w: np.sum(inner(w * 2.0) ** 2) + np.sum(w))

    def expected(w):
        return jnp.sum(jnp.tanh(A @ (2.0 * w)) ** 2) + jnp.sum(w)

    np.testing.assert_allclose(f(POINT), expected(POINT), rtol=1e-14)
    np.testing.assert_allclose(f.grad(POINT), compiled.grad(expected)(POINT), rtol=1e-13)
    np.testing.assert_allclose(f.hessian(POINT), compiled.hessian(expected)(POINT), rtol=1e-12)


def test_it_may_be_called_in_a_loop_and_differentiated_there(client, inner):
    def loss(w):
        last, _ = scan(lambda x, _: (inner(x), x), w, np.zeros(3))
        return np.sum(grad(lambda x: np.sum(inner(x) ** 2))(last))

    def expected(w):
        for _ in range(3):
            w = jnp.tanh(A @ w)
        return jnp.sum(jax.grad(lambda x: jnp.sum(jnp.tanh(A @ x) ** 2))(w))

    np.testing.assert_allclose(client.function(loss).grad(POINT), compiled.grad(expected)(POINT), rtol=1e-12)


def test_a_model_from_elsewhere_has_a_loss_written_in_numpy(client):
    def model(p, x):
        return jnp.tanh(x @ p["w"] + p["b"])

    rng = np.random.default_rng(0)
    X, p = rng.normal(size=(4, 2)), {"w": rng.normal(size=(2, 3)), "b": np.zeros(3)}
    m = client.load(from_jax(model, p, X))
    found = client.function(lambda p: np.mean((m(p, x=X) - 1.0) ** 2) + 1e-2 * np.sum(p["w"] ** 2)).grad(p)
    expected = compiled.grad(lambda p: jnp.mean((model(p, X) - 1.0) ** 2) + 1e-2 * jnp.sum(p["w"] ** 2))(p)
    for name in p:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12)


def before_and_after(client):
    """What a function comes to before and after a change of what one that it calls captures."""
    held = np.array([2.0, 3.0])
    inner = client.function(lambda x: np.sum(held * x))
    f = client.function(lambda w: inner(w) ** 2)
    before = f(POINT)
    held[0] = 5.0
    return before, f(POINT)


def test_what_it_captures_is_watched(client):
    assert before_and_after(client) == pytest.approx((0.8**2, 1.1**2))


def test_the_planted_fault_of_not_looking_into_it_is_found(client, monkeypatch):
    monkeypatch.delattr(Function, "__wrapped__")
    assert before_and_after(client) == pytest.approx((0.8**2, 0.8**2))


def test_elements_are_converted_where_nothing_is_lost(client, tmp_path):
    client.function(lambda x: np.sum(x * 0.5), np.ones(2)).save(tmp_path / "half.pb")
    half = client.load(tmp_path / "half.pb")
    assert client.function(lambda n: half(n))(np.array([1, 2], np.int32)) == 1.5
    with pytest.raises(InvalidRequest, match=r"x is complex128 and the graph takes float64"):
        client.function(lambda z: half(z))(np.array([1j, 2.0]))
    with pytest.raises(InvalidRequest, match=r"x has the shape \(3,\) and loaded takes f64\[2\]"):
        client.function(lambda w: half(w))(np.ones(3))
    with pytest.raises(InvalidRequest, match="lack x"):
        client.function(lambda w: half() * w)(np.ones(3))


@pytest.mark.parametrize(
    "asked",
    [
        lambda inner, w: inner.grad(w),
        lambda inner, w: inner(w[None], batch=True),
        lambda inner, w: inner.hvp(w, tangent=w),
        lambda inner, w: inner.hessian_trace(w).value,
        lambda inner, w: inner.verify(w),
        lambda inner, w: inner.explain(w),
    ],
)
def test_questions_are_no_part_of_a_graph(client, inner, asked):
    with pytest.raises(Untraceable, match=r"test_functions_called_within\.py:\d+: .* write grad\(f\)\(w\)"):
        client.function(lambda w: np.sum(asked(inner, w)))(POINT)


def test_it_shows_the_signature_of_the_function(client):
    def loss(w, scale=2.0):
        return np.sum(w) * scale

    assert inspect.signature(client.function(loss)) == inspect.signature(loss)
