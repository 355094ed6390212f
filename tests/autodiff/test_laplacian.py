"""Sums of second derivatives in one pass, against closed forms and against the Hessian entry by entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradserve.autodiff import laplacian as module
from gradserve.autodiff.derivation import Laplacian
from gradserve.autodiff.derive import derive
from gradserve.client import Client
from gradserve.client.functions import scan
from gradserve.ir.errors import NotDifferentiable
from gradserve.ir.graph import Graph
from gradserve.optimize import optimize
from tests.running import prepared

RNG = np.random.default_rng(7)
A, B = RNG.standard_normal((6, 4)), RNG.standard_normal((6, 6))
X = RNG.standard_normal(4)


def traced(loss, *points) -> Graph:
    with Client(threads=1) as client:
        return client.function(loss, *points).graph


def summed(graph: Graph, points, vectors) -> float:
    """The sum of <v, H v> over vectors in each input of the graph."""
    count = len(next(iter(vectors.values())))
    derived = optimize(derive(graph, Laplacian(tuple(vectors), count)))
    found = prepared(derived)({**points, **{f"tangent:{name}": rows for name, rows in vectors.items()}})
    return float(found[module.SUM])


def of_point(loss, x, rows=None) -> float:
    graph = traced(loss, x)
    (given,) = graph.inputs
    return summed(graph, {given.name: x}, {given.name: np.eye(x.size) if rows is None else rows})


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (lambda x: np.sum(x**2) ** 2, lambda x: 4 * (4 + 2) * x @ x),  # |x|^p: p (p + n - 2) |x|^(p - 2)
        (lambda x: np.sum(x**2) ** 1.5, lambda x: 3 * (3 + 2) * np.linalg.norm(x)),
        (lambda x: np.exp(-np.sum(x**2)), lambda x: (4 * x @ x - 2 * 4) * np.exp(-x @ x)),
        (lambda x: x[0] ** 2 - x[1] ** 2 + x[2] * x[3], lambda x: 0.0),  # harmonic
        (lambda x: np.log(np.sum(x[:2] ** 2)), lambda x: 0.0),  # harmonic in the plane
        (lambda x: np.sum(np.sin(3 * x)), lambda x: -9 * np.sum(np.sin(3 * x))),
        (lambda x: x[0] / x[1], lambda x: 2 * x[0] / x[1] ** 3),
        (lambda x: np.linalg.det(np.outer(x, x) + np.diag([1.0, 2.0, 3.0, 4.0])), lambda x: 2 * 50.0),
    ],
)
def test_closed_forms(loss, expected):
    assert of_point(loss, X) == pytest.approx(expected(X), rel=1e-11, abs=1e-11)


STEPS, WEIGHTS = np.arange(-2, 3), np.array([-1.0, 16.0, -30.0, 16.0, -1.0]) / 12


def second_difference(loss, x, rows, h=2e-3) -> float:
    """The sum of second derivatives along rows, by differences of order 4 of the loss as NumPy has it."""
    terms = (float(w * loss(x + k * h * row)) for row in rows for k, w in zip(STEPS, WEIGHTS, strict=True))
    found: float = sum(terms) / h**2
    return found


LOSSES: dict[str, Callable[[Any], Any]] = {
    "network": lambda x: np.sum(np.tanh(B @ np.tanh(A @ x)) ** 2),
    "softplus": lambda x: np.sum(np.logaddexp(0.0, A @ x)) * np.max(x),
    "branches": lambda x: np.sum(np.where(x > 0, x**3, np.cos(x)) * np.abs(x)),
    "linalg": lambda x: np.linalg.slogdet(np.eye(6) + np.outer(A @ x, A @ x))[1] + np.linalg.inv(B)[0] @ (A @ x) ** 2,
    "softmax": lambda x: (np.exp(A @ x) / np.sum(np.exp(A @ x)))[2] * np.sqrt(1 + x @ x),
    "pow": lambda x: np.sum((1.0 + x**2) ** (x[0] + 2.0)),
    "movement": lambda x: np.sum(np.reshape(np.outer(x, x)[::-1, 1:], (3, 4)) @ np.concatenate([x[1:], x[:1]])),
}


@pytest.mark.parametrize("name", LOSSES)
def test_it_is_the_sum_of_second_derivatives(name):
    """Along the axes, where it is the trace of the Hessian, and along other vectors."""
    loss = LOSSES[name]
    for rows in (np.eye(4), RNG.standard_normal((3, 4))):
        expected = second_difference(loss, X, rows)
        assert of_point(loss, X, rows) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_several_inputs_of_which_some_move():
    graph = traced(lambda w, s, k: np.sum(np.sin(w) * s**2) + s * np.sum(w[:2]) + s**3 * k, X, 0.7, 2.0)
    names = [given.name for given in graph.inputs]
    points = dict(zip(names, (X, np.float64(0.7), np.float64(2.0)), strict=True))
    vectors = {names[0]: np.eye(5, 4), names[1]: np.eye(5)[4]}
    expected = -np.sum(np.sin(X)) * 0.49 + 2 * np.sum(np.sin(X)) + 6 * 0.7 * 2.0
    assert summed(graph, points, vectors) == pytest.approx(expected)


def test_through_a_loop():
    """x_(k+1) = sin(x_k + A^T A x_k / 9), nine times."""
    step = A.T @ A / 9

    def loss(x):
        last, _ = scan(lambda carry, _: (np.sin(carry + step @ carry), None), x, length=9)
        return np.sum(last**2)

    def plain(x):
        for _ in range(9):
            x = np.sin(x + step @ x)
        return np.sum(x**2)

    assert of_point(loss, X) == pytest.approx(second_difference(plain, X, np.eye(4), 4e-4), rel=1e-6)


def test_single_precision_stays_single():
    x = X.astype(np.float32)
    assert of_point(lambda x: np.sum(x**4), x) == pytest.approx(12 * np.sum(X**2), rel=1e-5)


def test_without_a_derivative_it_is_refused():
    graph = traced(lambda x: np.sum(np.sort(x) * x) + x, X)
    with pytest.raises(NotDifferentiable):
        derive(graph, Laplacian((graph.inputs[0].name,), 4))


def test_the_law_fails_without_the_term_of_second_order(monkeypatch):
    """A planted fault: f'(u) S alone."""
    monkeypatch.setattr(module, "_summed", lambda *_: {})
    assert of_point(lambda x: np.sum(x**2) ** 2, X) != pytest.approx(24 * X @ X, rel=0.1)
