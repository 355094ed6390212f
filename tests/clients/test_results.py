"""What functions answer: values, tangents, cotangents and products in the structure of what they belong to."""

from __future__ import annotations

import numpy as np
import pytest

from tests.clients.bits import same_bits
from tests.clients.examples import RNG, B, W, X, affine, affine_gradient, close


def test_values_keep_the_structure_of_what_is_returned(agree):
    def function(w):
        return {"twice": 2 * w, "rest": (np.sum(w), [w[0], None]), "count": w.size, "data": X}

    value = agree(lambda c: c.function(function)(B))
    close(value["twice"], 2 * B)
    assert isinstance(value["rest"], tuple)
    close(value["rest"][1][0], B[0])
    assert value["rest"][1][1] is None
    assert value["count"] == 4
    close(value["data"], X)


def test_a_loss_may_stand_in_a_dict(agree):
    value, gradient = agree(lambda c: c.function(lambda w: {"loss": np.sum(w**2)}).value_and_grad(B))
    close(value["loss"], np.sum(B**2))
    close(gradient, 2 * B)


def test_products(agree):
    v = RNG.standard_normal(4)

    def function(w):
        return w[:2] ** 2, {"sum": np.sum(w**3), "count": 3}

    value, tangent = agree(lambda c: c.function(function).jvp(B, tangent=v))
    close(value[0], B[:2] ** 2)
    close(tangent[0], 2 * B[:2] * v[:2])
    close(tangent[1]["sum"], np.sum(3 * B**2 * v))
    assert tangent[1]["count"] is None
    u = (np.array([1.0, -1.0]), {"sum": 0.5, "count": None})
    value, cotangent = agree(lambda c: c.function(function).vjp(B, cotangent=u))
    close(cotangent, 1.5 * B**2 + np.array([2 * B[0], -2 * B[1], 0, 0]))
    product = agree(lambda c: c.function(lambda w: np.sum(w**3)).hvp(B, tangent=v))
    close(product, 6 * B * v)


def test_products_for_several_parameters(agree):
    tangent = {"w": RNG.standard_normal(W.shape), "b": RNG.standard_normal(B.shape)}
    _, along = agree(lambda c: c.function(affine).jvp(W, B, tangent=tangent))
    gradient = affine_gradient(W, B)
    close(along, sum(np.sum(gradient[name] * tangent[name]) for name in gradient))
    _, along_b = agree(lambda c: c.function(affine).jvp(W, B, tangent=tangent["b"], wrt=["b"]))
    close(along_b, np.sum(gradient["b"] * tangent["b"]))
    products = agree(lambda c: c.function(affine).hvp(W, B, tangent=tangent, wrt=["b", "w"]))
    assert list(products) == ["b", "w"]


@pytest.mark.parametrize("function", [lambda w: np.sum(w * B), lambda w: w, lambda w: w.reshape(2, 2).T, lambda w: B])
def test_results_are_ones_own(client, function):
    """Writing into what came back changes neither the arguments nor a later answer."""
    f = client.function(function)
    given = B.copy()
    for ask in (lambda: f(given), lambda: f.vjp(given, cotangent=np.ones(np.shape(function(given))))[1]):
        found = np.atleast_1d(ask())
        expected = found.copy()
        found[...] = -1.0
        assert same_bits(given, B)
        assert same_bits(np.atleast_1d(ask()), expected)


def test_equal_gradients_do_not_share_memory(client):
    gradient = client.function(lambda a, b: np.sum((a + b) ** 2)).grad(B, B)
    gradient["a"][0] = 99.0
    assert gradient["b"][0] != 99.0
