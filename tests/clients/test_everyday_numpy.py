"""NumPy as people write it: arrays made of lists, captured arrays indexed by traced ones, and what `out=` changes."""

import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gradserve.client import functions
from gradserve.client.tracing.trace import trace
from gradserve.ir.errors import NotDifferentiable, Untraceable
from tests.clients.evaluation import assert_same, assert_traces, traced_result

X = np.array([[0.5, -1.5, 2.0], [3.0, 0.25, -0.75]])
W = np.array([0.3, -0.2, 0.1])
I = np.array([1, 0, 1, -1])  # noqa: E741  # the name of an index
HELD: dict[str, Any] = {"X": X, "deep": [X.T]}


def into_out(x):
    y = x * 2
    np.add(y, 1, out=y)
    np.multiply(y, x, out=y)
    return y


def into_several(x: Any) -> Any:
    """What functions, methods and ufuncs of several results write into arrays and parts of them."""
    y, z, total = np.zeros(3), np.ones((2, 3)), np.zeros(3, np.float32)
    np.cumsum(x[0], out=y)
    np.dot(x, np.eye(3), z)
    np.einsum("ij,j->i", x, W, out=np.zeros(2))
    np.log(x, out=z, where=x > 0.5)
    np.add.reduce(x, axis=0, out=total)
    divmod_: Any = np.divmod
    divmod_(x[1], 0.4, out=(None, z[0]))
    np.multiply(W, 2.0, out=y[:3], where=[True, False, True])
    return [y, z, total, z.mean(axis=1, out=np.zeros(2))]


def rotation(t):
    c, s = np.cos(t[0]), np.sin(t[0])
    return np.array([[c, -s], [s, c]]) @ X


CALLS: dict[str, Any] = {
    "array": (lambda x: np.array([x[0], 1, [2.0][0]]), W),
    "array of rows": (lambda x: np.array([[x[0], 0], [1, x[1]]], dtype=float), W),
    "array of arrays": (lambda x: np.array([x, x * 2], ndmin=3), W),
    "array itself": (lambda x: np.array(x) + np.asarray(x, dtype=np.float32), W),
    "asarray": (lambda x: np.asarray([x[0], x[2]]) + np.ascontiguousarray(x[1]), W),
    "rotation": (rotation, W),
    "full": (lambda x: np.full((2, 3), x[0]) + np.full(3, x), W),
    "r_": (lambda x: np.r_[x, 1.0, 0:3, x[:2]], W),
    "r_ of matrices": (lambda x: np.r_[np.outer(x, x), X], W),
    "c_": (lambda x: np.c_[x, [1, 2, 3], np.outer(x, x)], W),
    "r_ of a text": (lambda x: np.r_["0,2", x, W] + np.r_["0,3,1", x, 0:3, W][0, :2], W),
    "r_ along the last axis": (lambda x: [np.r_["-1", x[:, None], X.T], np.c_["0,3,0", x, W]], W),
    "sum of a list": (lambda x: np.sum([x[0], 2 * x[1]]) + np.sum([x, x], axis=0), W),
    "mean, max and norm of lists": (
        lambda x: np.mean([x[0], x[1]]) + np.max([x[0], 0.0]) + np.linalg.norm([x[0], x[1]]),
        W,
    ),
    "block": (lambda x: np.block([[np.outer(x, x), x[:, None]], [x[None], np.ones((1, 1))]]), W),
    "vectorize": (np.vectorize(lambda t, u: np.sin(t) * u + np.max([t, 0.0])), W, X),
    "vectorize of several": (lambda x: np.vectorize(lambda t: (t * t, t + 1))(x), X),
    "vectorize by a signature": (
        lambda x: np.vectorize(lambda a, b: (a @ b, 2 * a), signature="(n),(n)->(),(n)")(X, x),
        W,
    ),
    "vectorize but for some": (
        lambda x: np.vectorize(lambda p, t, k=1: np.polyval(p, t) * k, excluded=[0, "k"], otypes=[float])(x, W, k=x[0]),
        W,
    ),
    "vectorize of named arguments": (lambda x: np.vectorize(lambda a, b: a - b)(x, b=X), W),
    "polynomial": (lambda x: np.polynomial.Polynomial([1.0, 2.0, 3.0])(x), W),
    "polynomial of traced coefficients": (lambda x: np.polynomial.Polynomial(x)(X), W),
    "chebyshev": (lambda x: np.polynomial.chebyshev.chebval(X, x), W),
    "legendre": (lambda x: np.polynomial.legendre.legval(x, [1.0, 2.0, 3.0]), W),
    "legendre in the plane": (lambda x: np.polynomial.legendre.legval2d(W, x, X), W),
    "chebyshev on a grid": (lambda x: np.polynomial.chebyshev.chebgrid3d(W, x, W[:2], X[..., None]), W),
    "elements with their places": (lambda x: sum(v * (i - j) for (i, j), v in np.ndenumerate(x)), X),
    "column-major": (lambda x: [x.reshape(3, 2, order="F"), x.ravel("F"), x.flatten(order="F")], X),
    "out": (into_out, X),
    "out of all kinds": (into_several, X),
    "index": (lambda i: X.T[i], I),
    "captured and indexed": (lambda i: [X[0][i], X[i, 1], X[i % 2, i], X[:, i], X[None, i]], I),
    "one element": (lambda i: [X[i], X[1, i]], np.int64(1)),
    "held and indexed": (lambda i: HELD["X"][:, i] + HELD["deep"][0][i].T, I),
    "take": (lambda i: np.take(X, i, axis=1) + np.take([1.0, 2.0, 3.0], i), I),
    "ix_": (lambda i: X[np.ix_([0, 1], i)], I),
}


@pytest.mark.parametrize("call", CALLS)
def test_values_are_numpys(call):
    function, *arguments = CALLS[call]
    assert_traces(function, *arguments)


def test_an_argument_that_indexes_what_an_object_holds():
    model = SimpleNamespace(table=np.arange(12.0).reshape(6, 2))

    def function(w, i):
        return model.table[i] @ w

    assert_traces(function, np.array([1.0, 2.0]), np.array([5, 0]))
    assert type(model.table) is np.ndarray


def test_names_are_numpys_own_again_and_for_other_threads():
    array, sums, rows = np.array, np.sum, type(np.r_).__getitem__
    seen = []

    def other():
        seen.extend([np.array([1, 2]), np.r_[1, 2], np.sum([1, 2])])

    def function(x):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        raise LookupError

    with pytest.raises(LookupError):
        trace(function, W)
    assert [each.tolist() for each in seen] == [[1, 2], [1, 2], 3]
    assert (np.array, np.sum, type(np.r_).__getitem__) == (array, sums, rows)


def test_elements_are_numbers_in_lists_and_alone():
    def function(x):
        rows = (x * X).tolist()
        return x[0].item() + x.item(1) * X.shape[0], sum(x.flat), round(x[1], 1), [sum(row) for row in rows], rows[0][1]

    def of_numbers(x):
        return x[0] + x[1] * X.shape[0], np.sum(x), np.round(x[1], 1), [*np.sum(x * X, axis=1)], x[1] * X[0, 1]

    assert_same(traced_result(function, W), of_numbers(W))


def test_what_was_written_into_is_refused_under_other_names():
    def function(x):
        y = x * 2
        view = y.reshape(1, -1)
        np.add(y, 1, out=y)
        return view

    def part(x):
        y = x * 2
        view = y[:2]
        np.add(y, 1, out=y)
        return view

    assert np.array_equal(traced_result(part, W), part(W))
    with pytest.raises(Untraceable, match="changed in place"):
        trace(function, W)
    with pytest.raises(ValueError, match="non-broadcastable"):
        trace(lambda x: np.add(x[:1] * 1, X, out=x[:1] * 1), W)


def test_a_list_indexed_by_a_traced_array_is_refused():
    with pytest.raises(Untraceable, match="an index or a count"):
        trace(lambda i: [1.0, 2.0][i], 1)


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.uint8, np.uint16, np.uint32, np.float16])
def test_narrow_arguments_are_widened(kind):
    found = traced_result(lambda x: x * 1.5 + W, np.array([1, 2, 250 if kind is not np.int8 else 120], kind))
    assert np.allclose(found, np.array([1.5, 3, 375 if kind is not np.int8 else 180]) + W)


def test_gradients(client):
    def loss(w, rows):
        R = np.array([[w[0], -w[1]], [w[1], w[0]]])
        value = np.sum((R @ X)[:, rows] ** 2)
        return value, {"accuracy": np.mean([w[0], w[1]])}

    w, rows = np.array([0.3, 0.7]), np.array([0, 2], np.uint8)
    f = client.function(lambda w, rows: loss(w, rows)[0])
    value, gradient = f.value_and_grad(w, rows, wrt="w")
    size = np.sum(X[:, [0, 2]] ** 2)
    assert np.isclose(value, size * (w @ w))
    np.testing.assert_allclose(gradient, 2 * size * w, rtol=1e-13)
    both = client.function(loss)
    (again, more), slope = both.value_and_grad(w, rows, wrt="w")
    assert (again, more["accuracy"]) == (value, pytest.approx(0.5))
    assert np.array_equal(slope, gradient)
    assert np.array_equal(both.grad(w, rows, wrt="w"), gradient)
    np.testing.assert_allclose(both.hessian(w, rows, wrt="w"), 2 * size * np.eye(2), atol=1e-12)
    assert both(w, rows)[1] == more


def kept(w):
    """A loss, and beside it what has no derivative, no finite one, or axes."""
    return np.sum(w**3), {"first": np.argmax(w), "logs": [np.log(w), w > 0]}


def test_what_is_returned_beside_a_loss(embedded):
    f, w = embedded.function(kept), np.array([0.3, -0.7, 0.0])
    points = np.stack([w, 2 * w, w + 1])
    (values, more), gradients = f.value_and_grad(points, batch=True)
    np.testing.assert_allclose(gradients, 3 * points**2)
    assert np.array_equal(more["first"], np.argmax(points, axis=1))
    assert np.array_equal(more["logs"][1], points > 0)
    assert f.hessian_trace(w).value == pytest.approx(6 * np.sum(w))
    assert f.verify(points[2]).verdict == "agrees"
    assert np.array_equal(values, [value for value, _ in f.stream_gradient(points)])
    np.testing.assert_allclose(f.taylor(w).gradient, 3 * w**2)
    inner = embedded.function(lambda w: functions.value_and_grad(kept)(w))
    (_, within), slope = inner(w)
    np.testing.assert_allclose(slope, 3 * w**2)
    assert within["first"] == 0


def test_two_numbers_are_no_loss(embedded):
    with pytest.raises(NotDifferentiable, match=r'in a dict: loss, {"accuracy": accuracy}'):
        embedded.function(lambda w: (np.sum(w), np.prod(w))).grad(W)
