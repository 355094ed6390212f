"""Functions asked through a service and in this process: parameters and selections."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

from gradserve.client import Client, InvalidRequest, NotDifferentiable, Untraceable
from gradserve.text.printing import to_text
from tests.clients.bits import same_bits
from tests.clients.examples import B, W, X, affine, affine_gradient, close


@dataclass
class Layer:
    weight: Any
    bias: Any


class Pair(NamedTuple):
    first: Any
    second: Any


# ---- parameters


def test_one_array(agree):
    value, gradient = agree(lambda c: c.function(lambda w: np.sum(w**3), w=B).value_and_grad(B))
    close(value, np.sum(B**3))
    close(gradient, 3 * B**2)
    assert isinstance(value, np.float64)


def test_several_are_a_dict_by_parameter(agree):
    value, gradient = agree(lambda c: c.function(affine, w=W, b=B).value_and_grad(W, B))
    close(value, affine(W, B))
    assert list(gradient) == ["w", "b"]
    for name, expected in affine_gradient(W, B).items():
        close(gradient[name], expected)


@pytest.mark.parametrize("wrt", [["b"], ["w"], ["b", "w"], "w", ("w", "w")])
def test_selections(agree, wrt):
    found = agree(lambda c: c.function(affine).grad(W, B, wrt=wrt))
    expected = affine_gradient(W, B)
    names = list(dict.fromkeys([wrt] if isinstance(wrt, str) else wrt))
    if len(names) == 1:
        close(found, expected[names[0]])
    else:
        assert list(found) == names
        for name in names:
            close(found[name], expected[name])


def test_by_position_and_by_name(client):
    f = client.function(affine)
    first = f.grad(W, B)
    assert same_bits(f.grad(b=B, w=W), first)
    assert same_bits(f.grad(W, b=B), first)


def test_nested_trees(agree):
    model = {"layers": [Layer(W, B), Layer(B.reshape(4, 1), 0.5)], "scales": (np.array([2.0]), Pair(1.5, None))}

    def loss(model, x):
        hidden = x
        for layer in model["layers"]:
            hidden = np.tanh(hidden @ layer.weight + layer.bias)
        return np.sum(hidden * model["scales"][0]) * model["scales"][1].first

    gradient = agree(lambda c: c.function(loss).grad(model, X, wrt=["model"]))
    assert isinstance(gradient["layers"][0], Layer)
    assert isinstance(gradient["scales"], tuple)
    assert isinstance(gradient["scales"][1], Pair)
    assert gradient["scales"][1].second is None
    assert gradient["layers"][0].weight.shape == W.shape
    assert isinstance(gradient["layers"][1].bias, np.float64)
    close(gradient["scales"][1].first, loss(model, X) / 1.5)


def test_integers_and_truth_values_take_part_without_a_derivative(agree):
    powers = np.array([1, 2, 3, 2])
    parameters = {"w": B, "power": powers, "on": True}

    def loss(p, n):
        return np.sum(np.where(p["on"], p["w"], 0.0) ** p["power"]) * n

    value, gradient = agree(lambda c: c.function(loss).value_and_grad(parameters, 3))
    close(value, 3 * np.sum(B**powers))
    close(gradient["w"], 3 * powers * B ** (powers - 1))
    assert gradient["power"] is None
    assert gradient["on"] is None


def test_what_a_gradient_has_none_for_a_tangent_may_have_none_for(agree):
    parameters = {"w": B, "n": 2}
    f = lambda c: c.function(lambda p: np.sum(p["w"] ** 3) * p["n"])  # noqa: E731
    product = agree(lambda c: f(c).hvp(parameters, tangent=f(c).grad(parameters)))
    close(product["w"], 12 * B * 6 * B**2)


def test_scalars(agree):
    def f(x, y):
        return x**2 * y

    value, gradient = agree(lambda c: c.function(f).value_and_grad(3.0, 2.0))
    assert (value, gradient) == (18.0, {"x": 12.0, "y": 9.0})
    assert all(isinstance(g, np.float64) for g in gradient.values())


def test_single_precision(agree):
    gradient = agree(lambda c: c.function(lambda w: np.sum(w**2)).grad(B.astype(np.float32)))
    assert gradient.dtype == np.float32


def test_other_shapes_and_types_trace_anew(client):
    calls = []

    def loss(w):
        calls.append(w.shape)
        return np.sum(w**2)

    f = client.function(loss, w=np.zeros(3))
    for argument in (np.ones(3), np.ones(2), np.ones((2, 2)), np.ones(3, np.float32), np.ones(3), np.ones(2)):
        close(f.grad(argument), 2 * argument)
    # Single precision fits into double without a loss, so there is nothing to trace for it.
    assert calls == [(3,), (2,), (2, 2)]
    close(f.grad(np.array([1, 2, 3])), [2.0, 4.0, 6.0])


def test_arrays_in_other_layouts(agree):
    f = lambda c: c.function(lambda w: np.sum(np.sin(w) * np.arange(12.0).reshape(3, 4)))  # noqa: E731
    expected = agree(lambda c: f(c).grad(W))
    for same in (np.asfortranarray(W), W.astype(">f8"), np.repeat(W, 2, axis=1)[:, ::2]):
        assert same_bits(agree(lambda c, same=same: f(c).grad(same)), expected)


def test_a_parameter_named_like_an_option_goes_by_position(client):
    f = client.function(lambda w, batch: np.sum(w * batch), w=B, batch=B)
    close(f.grad(B, B, wrt=["w"]), B)
    with pytest.raises(TypeError, match="batch is the name of an option as well: give it by position"):
        f.grad(B, batch=B)
    with pytest.raises(InvalidRequest, match="batch takes names of parameters, not an array"):
        f.grad(B, B, batch=B)


def test_defaults_and_starred_parameters(agree):
    def loss(a, *rest, scale=2.0, **named):
        return scale * a * sum(rest) * named["b"]

    value, gradient = agree(lambda c: c.function(loss).value_and_grad(1.0, 2.0, 3.0, b=4.0))
    assert value == 40.0
    assert gradient == {"a": 40.0, "rest": (8.0, 8.0), "b": 10.0}


# ---- lists of numbers


def test_a_list_of_numbers_is_a_tree_of_parameters(agree):
    gradient = agree(lambda c: c.function(lambda w: w[0] ** 2 * w[1]).grad([3.0, 2.0]))
    assert gradient == [12.0, 9.0]


def test_a_list_in_the_place_of_an_array_is_refused(client):
    f = client.function(lambda w: np.sum(w**2), w=np.zeros(2))
    with pytest.raises(InvalidRequest, match=r"w is a list and <lambda> takes an array, f64\[2\]; give np\.array\(w\)"):
        f([1.0, 2.0])


def test_an_error_about_a_list_says_so(client):
    with pytest.raises(TypeError) as caught:
        client.function(lambda w: np.sum(w**2))([1.0, 2.0])
    assert "w is a list" in caught.value.__notes__[0]


def test_a_list_is_an_array_where_that_is_certain(agree):
    f = lambda c: c.function(lambda w: np.sum(w**3), w=np.zeros(2))  # noqa: E731
    close(agree(lambda c: f(c).hvp(np.ones(2), tangent=[1, 2])), [6.0, 12.0])


# ---- the function itself


def test_it_prints_its_signature(client):
    f = client.function(affine)
    assert repr(f) == "<Function affine, not traced yet>"
    f(W, B)
    assert repr(f) == "<Function affine(w: f64[3,4], b: f64[4]) -> f64[]>"
    assert "tanh" in to_text(f.graph)
    with pytest.raises(RuntimeError, match="nothing is traced yet"):
        _ = client.function(affine).graph


def test_a_function_is_forgotten_with_its_arrays(client):
    captured = np.ones(1000)

    def loss(w):
        return np.sum(w * captured)

    gone = weakref.ref(loss)
    assert client.function(loss).grad(np.ones(1000)).sum() == 1000
    del loss
    gc.collect()
    assert gone() is None


def test_what_is_no_function_or_returns_nothing_is_refused(client):
    with pytest.raises(TypeError, match="a function of NumPy arrays is wanted"):
        client.function(3.0)
    with pytest.raises(Untraceable, match="<lambda> returns no array"):
        client.function(lambda w: None, w=B)
    with pytest.raises(NotDifferentiable, match="no loss"):
        client.function(lambda w: 2 * w).grad(B)
    with pytest.raises(InvalidRequest, match="real numbers are written 3"):
        client.function(lambda x: x**2).grad(3)
    with pytest.raises(TypeError, match=r"affine\(w, b\): missing a required argument: 'b'"):
        client.function(affine)(W)


def test_the_example_of_the_documentation():
    with Client() as client:
        f = client.function(lambda w: np.sum(w**2), w=np.zeros(3))
        _, grad = f.value_and_grad(np.array([1.0, 2.0, 3.0]))
    assert repr(grad) == "array([2., 4., 6.])"
    assert repr(client) == "Client()"


def test_the_comparison_can_fail(remote, embedded):
    """A planted fault: the last bit of a gradient."""
    here = embedded.function(affine).grad(W, B)
    there = remote.function(affine).grad(W, B)
    there["b"][0] = np.nextafter(there["b"][0], np.inf)
    assert not same_bits(here, there)
