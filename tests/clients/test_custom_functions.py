"""Functions with a rule of their author's, and functions computed again: JAX's values and derivatives, everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradserve.client import functions

jax.config.update("jax_enable_x64", True)
POINT = np.array([0.3, -0.7, 1.1])
POINTS = np.stack([POINT, POINT * 0.5, POINT + 0.2])
MATRIX = np.random.default_rng(4).standard_normal((3, 3))
TOLERANCE = 1e-11


def softplus_rule(primals: Any, result: Any, tangents: Any) -> Any:
    """Of log(1 + exp x), by its value; where that overflows as well."""
    del primals
    return -np.expm1(-result) * tangents[0]


softplus = functions.custom_derivative(lambda x: np.log1p(np.exp(x)), softplus_rule)


@jax.custom_jvp
def their_softplus(x: Any) -> Any:
    return jnp.log1p(jnp.exp(x))


@their_softplus.defjvp
def _(primals: Any, tangents: Any) -> Any:
    result = their_softplus(*primals)
    return result, -jnp.expm1(-result) * tangents[0]


def pair_rule(primals: Any, result: Any, tangents: Any) -> Any:
    """Another derivative than that of the function: three times as large in the first argument."""
    (x, y, _), (dx, dy, dn) = primals, tangents
    assert dn is None
    return {"product": 3.0 * dx["x"] * y + x["x"] * dy, "sum": np.sum(result["product"] * dy) + np.sum(dx["x"])}


pair = functions.custom_derivative(
    lambda x, y, n: {"product": x["x"] * y, "sum": np.sum(np.sin(x["x"]) ** n)}, pair_rule
)


@jax.custom_jvp
def their_pair(x: Any, y: Any) -> Any:
    return {"product": x["x"] * y, "sum": jnp.sum(jnp.sin(x["x"]) ** 2)}


@their_pair.defjvp
def _(primals: Any, tangents: Any) -> Any:
    (x, y), (dx, dy), result = primals, tangents, their_pair(*primals)
    moved = {"product": 3.0 * dx["x"] * y + x["x"] * dy, "sum": jnp.sum(result["product"] * dy) + jnp.sum(dx["x"])}
    return result, moved


class Ours:
    np, grad, cond, scan = np, staticmethod(functions.grad), staticmethod(functions.cond), staticmethod(functions.scan)
    softplus, remat = staticmethod(softplus), staticmethod(functions.checkpoint)

    @staticmethod
    def pair(x: Any, y: Any) -> Any:
        return pair(x, y, 2)


class Theirs:
    np, grad, cond, scan = jnp, staticmethod(jax.grad), staticmethod(jax.lax.cond), staticmethod(jax.lax.scan)
    softplus, remat, pair = staticmethod(their_softplus), staticmethod(jax.checkpoint), staticmethod(their_pair)


def plain(to: Any) -> Callable[[Any], Any]:
    return lambda w: to.np.sum(to.softplus(MATRIX @ w) ** 2)


def trees(to: Any) -> Callable[[Any], Any]:
    def loss(w: Any) -> Any:
        found = to.pair({"x": to.np.sin(w)}, w**2)
        return to.np.sum(found["product"] ** 2) * found["sum"]

    return loss


def nested(to: Any) -> Callable[[Any], Any]:
    """A derivative of it within the loss."""
    return lambda w: to.np.sum(to.grad(lambda x: to.np.sum(to.softplus(x * w) * x))(to.np.cos(w)) ** 2)


def looped(to: Any) -> Callable[[Any], Any]:
    """Steps of a loop, each a choice, with both kinds of functions."""

    def loss(w: Any) -> Any:
        def block(x: Any) -> Any:
            return to.np.tanh(MATRIX @ to.softplus(x)) + w * 0.1

        def step(x: Any, rate: Any) -> Any:
            y = to.cond(to.np.sum(x) > 0.3, lambda: to.remat(block)(x), lambda: to.softplus(x))
            return x + rate * y, to.np.sum(to.pair({"x": y}, w)["product"])

        last, sums = to.scan(step, w, np.array([0.5, 0.2, 0.3, 0.1]))
        return to.np.sum(last**2) + to.np.sum(sums)

    return loss


def again(to: Any) -> Callable[[Any], Any]:
    """Functions that are computed again, one within the other, with what they capture moving."""

    def loss(w: Any) -> Any:
        inner = to.remat(lambda x: (to.np.sin(x) * w, to.np.sum(x)))

        def outer(x: Any) -> Any:
            first, second = inner(x * w)
            return to.np.exp(first) * second

        return to.np.sum(to.remat(outer)(to.np.cos(w)) ** 2) + to.np.sum(inner(w)[0])

    return loss


CASES = {each.__name__: each for each in (plain, trees, nested, looped, again)}


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives_are_those_of_jax(client, name):
    theirs = CASES[name](Theirs)
    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(theirs)))(POINTS)
    f = client.function(CASES[name](Ours), POINT)
    found = f.value_and_grad(POINTS, batch=True)
    close(found[0], values)
    close(found[1], gradients)
    close(f.grad(POINT), gradients[0])
    close(f.hvp(POINT, tangent=POINTS[1]), jax.jvp(jax.grad(theirs), (POINT,), (POINTS[1],))[1])
    close(f.jvp(POINT, tangent=POINTS[1])[1], gradients[0] @ POINTS[1])
