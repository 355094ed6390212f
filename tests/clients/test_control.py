"""Choices and loops within a graph: JAX's values and derivatives, in every mode, for one point and for batches."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradserve.client.functions import cond, scan, while_loop
from gradserve.ir.errors import NumericalFailure, Untraceable
from tests import compiled

jax.config.update("jax_enable_x64", True)
RNG = np.random.default_rng(3)
ROWS = RNG.standard_normal((6, 3))
MATRIX = 0.5 * RNG.standard_normal((3, 3))
TOLERANCE = 1e-10


@dataclass(frozen=True)
class Case:
    """A loss with our control flow, the same with JAX's, and a batch of points."""

    ours: Callable[[Any], Any]
    theirs: Callable[[Any], Any]
    points: Any

    @functools.cached_property
    def value_and_gradient(self) -> Callable[[Any], Any]:
        """JAX's, compiled once for all that ask."""
        return jax.jit(jax.value_and_grad(self.theirs))

    @functools.cached_property
    def hessian(self) -> Any:
        """JAX's at the second point."""
        return jax.jit(jax.hessian(self.theirs))(self.points[1])


def recurrent(xp: Any, loop: Any, reverse: bool = False) -> Callable[[Any], Any]:
    """Carries a tree, captures the parameter and data, makes rows, counts its steps."""

    def loss(w: Any) -> Any:
        def step(state: Any, row: Any) -> Any:
            h = xp.tanh(MATRIX @ state["h"] * w + row)
            return {"h": h, "steps": state["steps"] + 1}, (xp.sum(h * w), h)

        first = {"h": xp.zeros(3), "steps": 0}
        last, (sums, rows) = loop(step, first, ROWS, reverse=reverse)
        return xp.sum(sums**2) + xp.sum(last["h"] * last["steps"]) + xp.sum(rows[1])

    return loss


def powers(xp: Any, loop: Any) -> Callable[[Any], Any]:
    """Without rows."""
    return lambda x: xp.sum(loop(lambda c, _: (c * x + 1.0, None), xp.ones(3), None, length=4)[0])


def nested(xp: Any, loop: Any, choose: Any) -> Callable[[Any], Any]:
    """A loop in a loop, with a choice inside."""

    def loss(x: Any) -> Any:
        def inner(c: Any, row: Any) -> Any:
            grown = choose(row > 0, lambda: c * xp.cos(row * x[0]), lambda: c + xp.sin(row) * x[1])
            return grown, grown * x[2]

        def outer(c: Any, rows: Any) -> Any:
            c, made = loop(inner, c, rows)
            return c, xp.sum(made)

        c, sums = loop(outer, xp.sum(x), ROWS)
        return c + xp.sum(sums**2)

    return loss


def branches(xp: Any, choose: Any) -> Callable[[Any], Any]:
    """Each branch keeps other things for its derivative."""

    def loss(x: Any) -> Any:
        y, n = choose(
            xp.sum(x) > 0.5,
            lambda x: (xp.exp(x) * MATRIX[0], 1),
            lambda x: (xp.linalg.inv(xp.eye(3) * (2.0 - x))[0] * x**3, 2),
            x,
        )
        return xp.sum(y * y) * n

    return loss


def root(xp: Any, loop: Any) -> Callable[[Any], Any]:
    """Newton's method for a cube root, each example with its own number of steps."""

    def loss(x: Any) -> Any:
        def one(a: Any) -> Any:
            return loop(lambda r: xp.abs(r**3 - a) > 1e-13, lambda r: r - (r**3 - a) / (3 * r**2), a)

        return one(x[0] ** 2 + 1.0) * x[1] + x[2]

    return loss


def jax_bounded(go_on: Any, function: Any, init: Any) -> Any:
    """JAX cannot transpose its while loop; this one can be."""

    def step(c: Any, _: Any) -> Any:
        return jax.lax.cond(go_on(c), function, lambda c: c, c), None

    return jax.lax.scan(step, init, None, length=40)[0]


POINTS = np.array([[0.3, -0.7, 1.1], [0.9, 0.4, -0.2], [-1.0, 0.2, 0.1]])
CASES = {
    "scan": Case(recurrent(np, scan), recurrent(jnp, jax.lax.scan), POINTS),
    "scan from the last row": Case(recurrent(np, scan, True), recurrent(jnp, jax.lax.scan, True), POINTS),
    "scan without rows": Case(powers(np, scan), powers(jnp, jax.lax.scan), POINTS),
    "nested": Case(nested(np, scan, cond), nested(jnp, jax.lax.scan, jax.lax.cond), POINTS),
    "cond": Case(branches(np, cond), branches(jnp, jax.lax.cond), POINTS),
    "while_loop": Case(
        root(np, lambda go_on, step, first: while_loop(go_on, step, first, most=40).carry),
        root(jnp, jax_bounded),
        np.abs(POINTS) + 0.5,
    ),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_value_and_gradient(client, case):
    f = client.function(case.ours, case.points[0])
    for x in case.points:
        value, gradient = f.value_and_grad(x)
        expected_value, expected_gradient = case.value_and_gradient(x)
        close(value, expected_value)
        close(gradient, expected_gradient)


def test_batches_equal_single_points(client, case):
    f = client.function(case.ours, case.points[0])
    values, gradients = f.value_and_grad(case.points, batch=True)
    expected_values, expected_gradients = zip(*map(case.value_and_gradient, case.points), strict=True)
    close(values, expected_values)
    close(gradients, expected_gradients)


def test_forward_mode_and_second_order(client, case):
    f, x, v = client.function(case.ours, case.points[0]), case.points[1], np.array([1.0, -2.0, 0.5])
    gradient, hessian = case.value_and_gradient(x)[1], case.hessian
    close(f.jvp(x, tangent=v)[1], gradient @ v)
    close(f.vjp(x, cotangent=-2.0)[1], -2.0 * gradient)
    close(f.hvp(x, tangent=v), hessian @ v)
    close(f.hessian(x), hessian)
    close(f.jacobian(x, mode="forward"), gradient)


def test_verified(embedded, case):
    assert embedded.function(case.ours, case.points[0]).verify(case.points[1]).passed


def test_saved_and_loaded(embedded, case, tmp_path):
    f, x = embedded.function(case.ours, case.points[0]), case.points[0]
    for name in ("loss.pb", "loss.txt"):
        f.save(tmp_path / name)
        loaded = embedded.load(tmp_path / name)
        assert np.array_equal(loaded.grad(x), f.grad(x))


def test_a_cumulative_sum_by_scan():
    assert [*scan(lambda c, x: (c + x, c), 0, np.arange(4.0)).rows] == [0.0, 0.0, 1.0, 3.0]


def test_numbers_are_computed_at_once():
    assert cond(True, lambda x: x + 1, lambda x: x, 1.5) == 2.5
    assert while_loop(lambda x: x < 10, lambda x: 2 * x, 1, most=100) == (16, 4)
    assert while_loop(lambda x: x < 10, lambda x: 2 * x, 11, most=2) == (11, 0)


def test_only_the_chosen_function_is_computed(client):
    f = client.function(
        lambda x: cond(x[0] > 0, lambda: np.linalg.inv(x[1:].reshape(2, 2))[0, 0], lambda: x[0]), np.ones(5)
    )
    close(f.grad(np.array([-1.0, 0.0, 0.0, 0.0, 0.0])), [1.0, 0.0, 0.0, 0.0, 0.0])
    with pytest.raises(NumericalFailure, match=r"test_control\.py"):
        f(np.array([1.0, 0.0, 0.0, 0.0, 0.0]))
    values = f(np.array([[-1.0, 0.0, 0.0, 0.0, 0.0], [2.0, 4.0, 0.0, 0.0, 1.0]]), batch=True)
    close(values, [-1.0, 0.25])


def test_captured_arrays_travel_once(embedded):
    data = RNG.standard_normal((50, 50))
    f = embedded.function(lambda x: np.sum(scan(lambda c, _: (np.tanh(data @ c), None), x, None, 8).carry), np.ones(50))
    (constant,) = [c for c in f.graph.constants if c.type.size > 1]
    assert np.array_equal(constant.array, data)
    assert all(c.type.rank == 0 for function in f.graph.functions for c in function.constants)


def test_kinks_within_are_counted(client):
    f = client.function(lambda x: scan(lambda c, r: (c + np.abs(r), None), 0.0, x).carry, np.ones(3))
    assert any(value.kinks == 2 for value in f.inspect(np.array([1.0, 0.0, 0.0])).values)
    assert not any(value.kinks for value in f.inspect(np.array([1.0, 2.0, -1.0])).values)


def test_taylor_coefficients(embedded):
    case = CASES["scan"]
    found = embedded.function(case.ours, case.points[0]).taylor_along(case.points[0], direction=np.ones(3), order=3)

    def line(t):
        return case.theirs(case.points[0] + t * np.ones(3))

    expected = [*compiled.value_and_grad(line)(0.0), compiled.hessian(line)(0.0) / 2]
    close([float(c) for c in found.coefficients[:3]], expected)


REFUSED = {
    "carry of another type": (
        lambda x: scan(lambda c, r: (np.append(c, r), None), x[:1], x).carry,
        r"carry's init is f64\[1\] before a step and f64\[2\] after it",
    ),
    "carry of another structure": (lambda x: scan(lambda c, r: ((c, r), None), x[0], x).carry[0], "same structure"),
    "no pair": (lambda x: scan(lambda c, r: c + r, x[0], x).carry, "return a pair"),
    "branches of other types": (lambda x: cond(x[0] > 0, lambda: x, lambda: x[:2]), "return the same types"),
    "branches of other structures": (lambda x: cond(x[0] > 0, lambda: (x, x), lambda: x), "return the same structure"),
    "predicate with elements": (lambda x: cond(x > 0, lambda: x, lambda: -x), "no scalar"),
    "go_on with elements": (lambda x: while_loop(lambda c: c > 0, lambda c: c - 1.0, x, 5).carry, "no scalar"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_line_and_advice(embedded, name):
    function, text = REFUSED[name]
    with pytest.raises(Untraceable, match=text) as caught:
        embedded.function(function, np.ones(3))
    assert "test_control.py" in str(caught.value)


def test_an_array_kept_from_a_function_is_refused(embedded):
    kept = []

    def loss(x):
        def step(c, r):
            kept.append(r)
            return c + r, None

        scan(step, 0.0, x)
        return np.sum(kept[0] * x)

    with pytest.raises(Untraceable, match="return it from that function"):
        embedded.function(loss, np.ones(3))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((lambda c, r: (c, r), 0.0, None), "needs its length"),
        ((lambda c, r: (c, r), 0.0, (np.ones(3), np.ones(4))), "numbers of rows differ"),
        ((lambda c, r: (c, r), 0.0, 3.0), "has no rows"),
    ],
)
def test_rows_that_do_not_fit(arguments, text):
    with pytest.raises(ValueError, match=text):
        scan(*arguments)
