"""Types in the place of examples: one function for arrays of any length, against closed forms."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from gradserve.client import InvalidGraph, InvalidRequest, Untraceable, array, dim
from gradserve.client.tracing import graphs
from gradserve.ir.types import Symbol, TensorType
from tests.clients.examples import close

RNG = np.random.default_rng(17)
LENGTH_OF_NO_ARRAY: Any = (2.5,)
LENGTHS = (4, 7, 1, 4, 0)


def ridge(w, x, y):
    """A loss that needs its number of rows at every turn."""
    n = x.shape[0]
    early = 1.0 - np.arange(n) / max(n, 1)
    return np.sum(early * (x.reshape(-1, w.size) @ w - y) ** 2) / max(n, 1)


def ridge_gradient(w, x, y):
    n = max(len(x), 1)
    early = 1.0 - np.arange(len(x)) / n
    return 2.0 / n * x.T @ (early * (x @ w - y))


def rows(n):
    return RNG.standard_normal(3), RNG.standard_normal((n, 3)), RNG.standard_normal(n)


@pytest.fixture
def fitted(client):
    return client.function(ridge, array(3), array(dim("n"), 3), array("n"))


def test_one_function_takes_arrays_of_every_length(fitted):
    for n in LENGTHS:
        w, x, y = rows(n)
        value, gradient = fitted.value_and_grad(w, x, y, wrt="w")
        close(value, ridge(w, x, y))
        close(gradient, ridge_gradient(w, x, y))
        close(fitted.grad(w, x, y, wrt="y"), -2.0 / max(n, 1) * (1 - np.arange(n) / max(n, 1)) * (x @ w - y))


def test_it_is_traced_once_for_each_length(fitted):
    runs = []

    def counted(x):
        runs.append(x.shape)
        return np.sum(x * x)

    f = fitted.__class__(fitted._backend, graphs.Traces(counted), 60.0)
    f._signatures.expect((array("n", 2),), {})
    assert not runs
    f(np.ones((3, 2)))
    once = len(runs)
    for n in (3, 5, 3, 5):
        close(f(np.ones((n, 2))), 2.0 * n)
    assert len(runs) == 2 * once


def test_batches_have_an_axis_more(fitted):
    _, x, y = rows(6)
    points = RNG.standard_normal((5, 3))
    values, gradients = fitted.value_and_grad(points, x, y, wrt="w", batch=True)
    close(values, [ridge(w, x, y) for w in points])
    close(gradients, [ridge_gradient(w, x, y) for w in points])
    several = RNG.standard_normal((5, 6))
    close(fitted(points[0], x, several, batch=["y"]), [ridge(points[0], x, y) for y in several])


def test_hessians_and_streams_take_every_length(fitted):
    w, x, y = rows(5)
    early = 1.0 - np.arange(5) / 5
    close(fitted.hessian(w, x, y, wrt="w"), 2.0 / 5 * x.T @ (early[:, None] * x))
    points = [rows(n) for n in (2, 6, 2)]
    for point, (_, gradient) in zip(points, fitted.stream_gradient(points, wrt="w"), strict=True):
        close(gradient, ridge_gradient(*point))


def test_a_length_of_one_name_is_the_same_everywhere(fitted):
    w, x, _ = rows(4)
    with pytest.raises(InvalidRequest, match=r'arguments\["y"\].*axis 0 has the length 3, not n = 4'):
        fitted(w, x, np.zeros(3))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((np.zeros(4), np.zeros((2, 3)), np.zeros(2)), r'arguments\["w"\].*axis 0 has the length 4, not 3'),
        ((np.zeros(3), np.zeros(3), np.zeros(2)), r'arguments\["x"\].*it has 1 axes, not 2'),
        ((np.zeros(3, complex), np.zeros((2, 3)), np.zeros(2)), "w is complex128 and the function takes float64"),
        (([1.0, 2.0, 3.0], np.zeros((2, 3)), np.zeros(2)), "w is declared as"),
    ],
)
def test_what_was_not_declared_is_refused(fitted, arguments, problem):
    with pytest.raises(InvalidRequest, match=problem):
        fitted(*arguments)


def test_a_batch_of_single_points_is_refused(fitted):
    w, x, y = rows(4)
    with pytest.raises(InvalidRequest, match="does not fit"):
        fitted.grad(w, x, y, wrt="w", batch=True)


def test_whole_numbers_are_of_the_declared_type(fitted):
    _, x, y = rows(3)
    gradient = fitted.grad(np.array([1, 2, 3]), x, y, wrt="w")
    assert gradient.dtype == np.float64
    close(gradient, ridge_gradient(np.array([1.0, 2.0, 3.0]), x, y))


def test_types_stand_in_trees(client):
    @dataclasses.dataclass
    class Layer:
        weight: Any
        bias: Any

    f = client.function(
        lambda layer, x: np.sum(np.tanh(x @ layer.weight + layer.bias)),
        layer=Layer(array("d", "k"), array("k")),
        x=array("n", "d"),
    )
    for n, d, k in ((2, 3, 4), (5, 1, 2)):
        layer, x = Layer(RNG.standard_normal((d, k)), RNG.standard_normal(k)), RNG.standard_normal((n, d))
        slope = 1 - np.tanh(x @ layer.weight + layer.bias) ** 2
        found = f.grad(layer, x, wrt="layer")
        close(found.weight, x.T @ slope)
        close(found.bias, slope.sum(axis=0))


def test_known_lengths_are_traced_at_once(embedded):
    f = embedded.function(lambda x: np.sum(x**2), x=array(4, dtype=np.float32))
    assert str(f.graph.inputs[0].type) == "f32[4]"
    with pytest.raises(InvalidRequest, match="the length 5, not 4"):
        f(np.zeros(5, np.float32))
    with pytest.raises(Untraceable, match="test_declared_lengths"):
        embedded.function(lambda x: int(np.sum(x)), x=array(4))


def test_what_fails_for_a_length_names_the_line(embedded):
    f = embedded.function(lambda x: np.sum(x.reshape(2, -1)) if x.shape[0] > 1 else int(x[0]), x=array("n"))
    close(f(np.ones(6)), 6.0)
    with pytest.raises(InvalidGraph, match=r"reshape: f64\[5\] does not fit.*test_declared_lengths"):
        f(np.ones(5))
    with pytest.raises(Untraceable, match="test_declared_lengths"):
        f(np.ones(1))


def test_a_type_is_that_of_graphs():
    assert array("n", dim("m"), 3, dtype=int) == TensorType(
        array(dtype=int).element_type, (Symbol("n"), Symbol("m"), 3)
    )
    assert array() == TensorType(array(1).element_type, ())


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: dim("2n"), "G9"),
        (lambda: array("a b"), "G9"),
        (lambda: array(-1), "G8"),
        (lambda: array(*LENGTH_OF_NO_ARRAY), "a length is a number or a name"),
        (lambda: array(3, dtype="U3"), "elements of 'U3'"),
    ],
)
def test_what_is_no_type_is_refused(make, problem):
    with pytest.raises(InvalidRequest, match=problem):
        make()
