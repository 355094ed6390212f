"""Derivatives within traced functions: JAX's values and derivatives, nested, in loops and choices, in every mode."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from gradserve.client import Client, functions
from gradserve.ir.errors import LimitExceeded, NotDifferentiable, Untraceable
from gradserve.jobs.sweeps.limits import Limits

jax.config.update("jax_enable_x64", True)
POINT = np.array([0.3, -0.7, 1.1])
POINTS = np.stack([POINT, POINT * 0.5, POINT + 0.2])
MATRIX = np.random.default_rng(4).standard_normal((3, 3))
TOLERANCE = 1e-10


@dataclass(frozen=True)
class Library:
    """What the functions below are written with: ours, or JAX's."""

    np: Any
    of: Any
    """Derivatives by name."""
    scan: Callable[..., Any]
    cond: Callable[..., Any]


OURS = Library(np, functions, functions.scan, functions.cond)
THEIRS = Library(jnp, jax, jax.lax.scan, jax.lax.cond)


def product(theirs: Library, function: Any, x: Any, v: Any) -> Any:
    """The Hessian times a vector."""
    if theirs.of is functions:
        return functions.hvp(function, (x,), (v,))
    return jax.jvp(jax.grad(function), (x,), (v,))[1]


def penalised(to: Library) -> Callable[[Any], Any]:
    """A loss with the squared norm of the gradient of a network in its input."""

    def loss(w: Any) -> Any:
        def network(x: Any) -> Any:
            return to.np.sum(to.np.tanh(MATRIX @ x * w))

        value, slope = to.of.value_and_grad(network)(to.np.sin(w))
        return (to.np.sqrt(to.np.sum(slope**2)) - 1.0) ** 2 + value

    return loss


def thrice(to: Library) -> Callable[[Any], Any]:
    """Derivatives of derivatives of derivatives, with what the outer ones move captured."""

    def loss(w: Any) -> Any:
        def inner(x: Any) -> Any:
            return to.of.grad(lambda y: to.np.sum(to.np.exp(x * y) * w))(x)[1]

        return to.np.sum(to.of.grad(inner)(w) * w)

    return loss


def dense(to: Library) -> Callable[[Any], Any]:
    """Jacobians in both modes, of trees and in several arguments; a Hessian; a product with one."""

    def loss(w: Any) -> Any:
        def pair(x: Any, rest: Any) -> Any:
            return {"outer": to.np.outer(x, to.np.sin(rest["y"])), "sum": to.np.sum(x * rest["y"]) * rest["z"]}

        def cubes(x: Any) -> Any:
            return to.np.sum(x**3 * w)

        jacobians = to.of.jacobian(pair, (1, 0))(w, {"y": w**2, "z": w[0]})
        outer, total = jacobians["outer"], jacobians["sum"]
        curved = to.of.hessian(cubes)(w) @ w + product(to, cubes, w, to.np.cos(w))
        terms = (outer[0]["y"], outer[0]["z"], outer[1], total[0]["y"], total[0]["z"], total[1])
        return sum(to.np.sum(to.np.cos(term)) for term in terms) + to.np.sum(curved)

    return loss


def wide(to: Library) -> Callable[[Any], Any]:
    """More inputs than results: reverse mode."""

    def loss(w: Any) -> Any:
        rows = to.of.jacobian(lambda x: to.np.stack([to.np.prod(x), to.np.sum(x**2 * w)]))(w)
        return to.np.sum(rows[0] * rows[1])

    return loss


def pulled(to: Library) -> Callable[[Any], Any]:
    """A pullback applied twice, and a derivative along a direction of one argument alone."""

    def loss(w: Any) -> Any:
        value, pullback = to.of.vjp(lambda x, y: to.np.outer(x, y * w), w, w**2)
        first, second = pullback(to.np.cos(value)), pullback(value)
        (left, right), along = to.of.jvp(lambda x: (to.np.sin(x) * w, to.np.sum(x)), (w,), (w * 2.0,))
        return to.np.sum(first[0] * second[1] + left * along[0]) + right * along[1]

    return loss


def descended(to: Library) -> Callable[[Any], Any]:
    """Steps of gradient descent, each a choice of one of two derivatives, differentiated as a whole."""

    def loss(w: Any) -> Any:
        def step(x: Any, rate: Any) -> Any:
            def height(x: Any) -> Any:
                return to.np.sum(to.np.cos(x * w) + x**2 * 0.5)

            value, slope = to.of.value_and_grad(height)(x)
            moved = to.cond(value > 2.0, lambda: slope, lambda: to.of.grad(lambda y: height(y * 0.5))(x))
            return x - rate * moved, value

        last, values = to.scan(step, w, np.array([0.1, 0.2, 0.3]))
        return to.np.sum(last**2) + to.np.sum(values)

    return loss


CASES = {each.__name__: each for each in (penalised, thrice, dense, wide, pulled, descended)}


@functools.cache
def expected(name: str) -> tuple[Any, Any, Any]:
    """JAX's values and gradients at some points, and the Hessian at the first."""
    theirs = CASES[name](THEIRS)

    def all_three(points: Any) -> Any:
        return *jax.vmap(jax.value_and_grad(theirs))(points), jax.hessian(theirs)(points[0])

    found: tuple[Any, Any, Any] = jax.jit(all_three)(POINTS)
    return found


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives_are_those_of_jax(client, name):
    f = client.function(CASES[name](OURS), POINT)
    values, gradients, hessian = expected(name)
    found = f.value_and_grad(POINTS, batch=True)
    close(found[0], values)
    close(found[1], gradients)
    close(f.hessian(POINT), hessian)


def test_gradients_by_forward_mode(embedded):
    def loss(w):
        value, slope = functions.value_and_grad(lambda x: np.sum(np.sin(x) * w), mode="forward")(w**2)
        return value + np.sum(slope * functions.grad(lambda x: np.sum(np.exp(x)), mode="forward")(w))

    close(embedded.function(loss)(POINT), np.sum(np.sin(POINT**2) * POINT + np.cos(POINT**2) * POINT * np.exp(POINT)))


def test_an_inner_minimum_has_the_hessian_of_its_closed_form(embedded):
    """min over x of |x|^2/2 - x.(A w) is -|A w|^2/2; Newton's step from anywhere finds it."""

    def lowest(w):
        def height(x):
            return 0.5 * np.sum(x * x) - x @ (MATRIX @ w)

        x = np.ones(3)
        x = x - np.linalg.solve(functions.hessian(height)(x), functions.grad(height)(x))
        return height(x)

    close(embedded.function(lowest).hessian(POINT), -MATRIX.T @ MATRIX)


def test_loops_in_numbers_hold_derivatives(embedded):
    """A loop whose first carry is known belongs to the graph around it."""

    def root(w):
        def newton(x):
            value, slope = functions.value_and_grad(lambda x: x**2 - 2.0)(x)
            return x - value / slope

        return functions.while_loop(lambda x: np.abs(x**2 - 2.0) > 1e-12, newton, 1.0, 20).carry * w

    close(embedded.function(root).grad(3.0), np.sqrt(2.0))


def test_what_is_written_out_is_verified_inspected_and_explained(embedded):
    f = embedded.function(penalised(OURS))
    assert f.verify(POINT).verdict == "agrees"
    assert any(value.op == "tanh" for value in f.inspect(POINT).values)
    assert "vjp" not in f.explain(POINT).text
    kinked = embedded.function(lambda w: functions.grad(lambda x: np.sum(np.abs(x) * x))(w)[0])
    kinked.grad(np.zeros(2))
    assert kinked.last_report.kinks.nodes > 0


REFUSED = {
    "several numbers": (lambda w: functions.grad(lambda x: x)(w), "a gradient is of one number"),
    "integers": (lambda w: functions.grad(lambda n: w[0] * n)(3), r"argument 0 is i64\[\]"),
    "integer results": (lambda w: functions.jacobian(lambda x: np.argmax(x))(w), "the result of the function is i64"),
    "a tangent's shape": (lambda w: functions.jvp(np.sin, (w,), (w[:2],)), r"f64\[2\] where f64\[3\] belongs"),
    "a tangent's structure": (lambda w: functions.jvp(np.sin, (w,), ([w],)), "where \\* belongs"),
    "no tangents": (lambda w: functions.hvp(np.sum, (w,), (None,)), "give one for each primal"),
    "a cotangent's shape": (lambda w: functions.vjp(np.sin, w)[1](1.0), r"f64\[\] where f64\[3\] belongs"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_line_and_advice(embedded, name):
    function, text = REFUSED[name]
    with pytest.raises(Untraceable, match=text) as caught:
        embedded.function(function, POINT)
    assert "test_derivatives_within.py" in str(caught.value)


@pytest.mark.parametrize("wrt", [1, -1, (0, 0), (), "y"])
def test_arguments_that_are_not_there(embedded, wrt):
    with pytest.raises(TypeError, match="names no arguments"):
        embedded.function(lambda w: functions.grad(lambda x: np.sum(x), wrt)(w), POINT)


def test_arguments_by_name(embedded):
    f = embedded.function(lambda w: functions.grad(lambda x, y: np.sum(x * y**2), ("y", 0))(w, w)[0])
    close(f(POINT), 2.0 * POINT**2)


def test_nothing_is_differentiated_outside_of_a_graph():
    with pytest.raises(Untraceable, match=r"Client\(\)\.function"):
        functions.grad(np.sum)(POINT)
    with pytest.raises(Untraceable, match="no function is being traced"):
        functions.scan(lambda c, _: (functions.grad(np.sum)(c), None), POINT, None, 2)


def test_what_has_no_derivative_is_refused_by_the_service(client):
    f = client.function(lambda w: np.sum(functions.grad(lambda x: np.sum(special.ellipj(0.5, x)[0]))(w)))
    with pytest.raises(NotDifferentiable, match=r"test_derivatives_within\.py"):
        f(POINT**2)


def test_nests_of_derivatives_are_held_to_the_budget(start):
    def nested(depth: int) -> Callable[[Any], Any]:
        if not depth:
            return lambda x: np.sum(np.exp(np.tanh(x) * x))
        return lambda x: np.sum(functions.grad(nested(depth - 1))(x) ** 2)

    service = start(limits=Limits(plan_nodes=500))
    with Client(f"127.0.0.1:{service.port}") as client:
        assert client.function(nested(1))(POINT) > 0
        with pytest.raises(LimitExceeded, match="plan_nodes"):
            client.function(nested(9))(POINT)
