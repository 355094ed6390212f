"""Jacobians and Hessians through the client, in process and remote, against JAX and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradserve.client import Client
from gradserve.ir.errors import InvalidRequest, LimitExceeded, NotDifferentiable
from gradserve.jobs.sweeps.matrices import BasisLayout
from gradserve.jobs.sweeps.sweep import Sweep
from tests import compiled

jax.config.update("jax_enable_x64", True)

RNG = np.random.default_rng(5)
X, Y = RNG.standard_normal(3), RNG.standard_normal(4)
A = RNG.standard_normal((6, 6))


@pytest.fixture(params=["in process", "remote"])
def client(request, address):
    with Client(address if request.param == "remote" else None) as made:
        yield made


def vector(x, y, np=np):
    return {"a": np.sin(x) * np.sum(y), "b": np.outer(x[:2], y) + x[0], "c": x[0] * y[1]}


def loss(x, y, np=np):
    return np.sum(np.sin(np.outer(x, y)) ** 2) + np.sum(x**3)


def through_jax(function):
    return lambda *arguments: function(*arguments, np=jnp)


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_jacobian_of_trees(client, mode):
    found = client.function(lambda x, y: vector(x, y)).jacobian(X, Y, mode=mode)
    expected = compiled.jacrev(through_jax(vector), argnums=(0, 1))(X, Y)
    for output, parts in expected.items():
        for name, part in zip("xy", parts, strict=True):
            assert np.shape(found[output][name]) == part.shape
            np.testing.assert_allclose(found[output][name], part, rtol=1e-13, atol=1e-14)


def test_one_array_of_one_array_is_one_matrix(client):
    f = client.function(lambda x: A @ x, x=np.zeros(6))
    np.testing.assert_array_equal(f.jacobian(np.ones(6)), A)
    assert isinstance(f.jacobian(np.ones(6)), np.ndarray)


def test_matrices_keep_their_axes(client):
    f = client.function(lambda w: w @ w.T)
    w = RNG.standard_normal((2, 3))
    found = f.jacobian(w)
    assert found.shape == (2, 2, 2, 3)
    np.testing.assert_allclose(found, jax.jacfwd(lambda w: w @ w.T)(w), rtol=1e-14)


def test_scalars_have_scalar_derivatives(client):
    f = client.function(lambda x: x**3)
    assert f.jacobian(2.0) == 12.0
    assert f.hessian(2.0) == 12.0


def test_hessian_of_several_parameters(client):
    found = client.function(lambda x, y: loss(x, y)).hessian(X, Y)
    expected = compiled.hessian(through_jax(loss), argnums=(0, 1))(X, Y)
    for row, parts in zip("xy", expected, strict=True):
        for column, part in zip("xy", parts, strict=True):
            np.testing.assert_allclose(found[row][column], part, rtol=1e-12, atol=1e-13)


def test_batches(client):
    points = RNG.standard_normal((5, 3))
    f = client.function(lambda x, y: loss(x, y))
    singles = np.stack([f.hessian(point, Y, wrt="x") for point in points])
    np.testing.assert_array_equal(f.hessian(points, Y, wrt="x", batch=["x"]), singles)
    summed = f.hessian(points, Y, wrt="x", batch=["x"], reduction="sum")
    np.testing.assert_allclose(summed, singles.sum(0), rtol=1e-13)
    np.testing.assert_allclose(f.hessian(points, Y, wrt="x", batch=["x"], reduction="mean"), summed / 5, rtol=1e-15)
    g = client.function(lambda x: np.sin(x) * x[0])
    np.testing.assert_array_equal(g.jacobian(points, batch=True), np.stack([g.jacobian(point) for point in points]))


def test_a_quadratic_three_ways_to_the_bit(client):
    """The dense Hessian is Hvp on a basis, row by row, so all three have the same bits."""
    f = client.function(lambda x: 0.5 * x @ (A @ x), x=np.zeros(6))
    x = RNG.standard_normal(6)
    dense = f.hessian(x)
    operator = f.hessian_operator(x)
    np.testing.assert_array_equal(dense, f.hvp(np.tile(x, (6, 1)), tangent=np.eye(6), batch=True))
    np.testing.assert_array_equal(dense, operator.to_dense())
    np.testing.assert_allclose(dense, (A + A.T) / 2, rtol=1e-15)
    v = RNG.standard_normal(6)
    np.testing.assert_allclose(operator.mv(v), dense @ v, rtol=1e-13)
    np.testing.assert_allclose(operator.rmv(v), dense.T @ v, rtol=1e-13)


def test_a_jacobian_as_an_operator(client):
    f = client.function(lambda x: np.tanh(A[:4] @ x))
    x, u, v = RNG.standard_normal(6), RNG.standard_normal(4), RNG.standard_normal(6)
    operator, dense = f.jacobian_operator(x), f.jacobian(x)
    np.testing.assert_allclose(operator.mv(v), dense @ v, rtol=1e-13)
    np.testing.assert_allclose(operator.rmv(u), u @ dense, rtol=1e-13)
    np.testing.assert_array_equal(operator.to_dense(), dense)


def test_the_cheaper_mode_is_taken_and_explained(client):
    wide = client.function(lambda x: np.tanh(A[:1] @ x))
    tall = client.function(lambda x: np.tanh(np.outer(A, x[0])))
    for f, x, mode, seed in (
        (wide, np.ones(6), "reverse", "cotangent:result"),
        (tall, np.ones(1), "forward", "tangent:x"),
    ):
        f.jacobian(x)
        found = f.explain(x, derivation="jacobian")
        assert (found.mode, found.chunks) == (mode, (1,))
        assert seed in found.inputs
        assert mode in str(found)


def test_a_hessian_is_explained(client):
    f = client.function(lambda x: np.sum(np.tanh(A @ x)))
    found = f.explain(np.ones((3, 6)), derivation="hessian", batch=True)
    assert (found.mode, found.chunks) == ("forward", (3,))
    one = f.explain(np.ones(6), derivation="hessian")
    assert 2 * one.flops < found.flops <= 3 * one.flops  # what depends on the point alone is computed once


def test_the_mode_is_chosen_once(monkeypatch):
    """Scheduling both modes again would cost small Jacobians as much as they take."""
    scheduled = []
    schedule = Sweep.unlimited

    def noted(self, context, check):
        scheduled.append(type(self.derivation.derivation).__name__)
        return schedule(self, context, check)

    monkeypatch.setattr(Sweep, "unlimited", noted)
    with Client() as client:
        f = client.function(lambda x: np.tanh(A[:2] @ x))
        first = f.jacobian(np.ones(6))
        assert scheduled == ["Jvp", "Vjp"]
        np.testing.assert_array_equal(f.jacobian(np.ones(6)), first)
        f.jacobian(np.ones(6), mode="forward")
        assert scheduled == ["Jvp", "Vjp"]
        f.jacobian(np.ones((3, 6)), batch=True)  # another job, which may go along points or along columns
        assert scheduled[2:] == ["Jvp", "Jvp", "Vjp", "Vjp"]


def test_what_is_whole_has_no_derivative(client):
    f = client.function(lambda x: {"real": x * x, "whole": np.argmax(x)})
    found = f.jacobian(np.ones(2))
    assert found["whole"] is None
    np.testing.assert_array_equal(found["real"], 2 * np.eye(2))


def test_empty_things(client):
    f = client.function(lambda x: np.concatenate([x, x]))
    assert f.jacobian(np.ones(0)).shape == (0, 0)
    assert client.function(lambda x: np.sum(x)).hessian(np.ones(0)).shape == (0, 0)
    assert client.function(lambda x: x[:0]).jacobian(np.ones(3)).shape == (0, 3)


def test_refusals(client):
    f = client.function(lambda x: np.sin(x), x=np.zeros(3))
    with pytest.raises(NotDifferentiable, match="no loss"):
        f.hessian(np.ones(3))
    with pytest.raises(InvalidRequest, match="there is no mode 'sideways'"):
        f.jacobian(np.ones(3), mode="sideways")
    with pytest.raises(InvalidRequest, match="wrt names 'y'"):
        f.jacobian(np.ones(3), wrt="y")


def test_an_enormous_matrix_is_refused_before_it_is_made(client):
    f = client.function(lambda x: np.sin(x), x=np.zeros(50_000))
    with pytest.raises(LimitExceeded, match="ask for its products with vectors instead"):
        f.jacobian(np.zeros(50_000))


def test_a_wrong_block_would_be_seen(monkeypatch):
    """The planted fault: columns of different inputs swapped."""
    true = vars(BasisLayout)["offsets"].fget
    monkeypatch.setattr(BasisLayout, "offsets", property(lambda self: reversed(list(true(self)))))
    with Client() as client, pytest.raises((AssertionError, ValueError)):
        test_jacobian_of_trees(client, "forward")
