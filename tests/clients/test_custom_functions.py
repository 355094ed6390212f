"""Functions with a rule of their author's, and functions computed again: JAX's values and derivatives, everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradserve.client import functions
from gradserve.ir.errors import InvalidGraph, NotDifferentiable, Untraceable
from tests import compiled

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
    close(f.hvp(POINT, tangent=POINTS[1]), compiled.jvp(jax.grad(theirs), (POINT,), (POINTS[1],))[1])
    close(f.jvp(POINT, tangent=POINTS[1])[1], gradients[0] @ POINTS[1])


def test_another_rule_is_seen(embedded, monkeypatch):
    other = functions.custom_derivative(lambda x: np.log1p(np.exp(x)), lambda p, r, t: t[0] * np.exp(-r))
    monkeypatch.setattr(Ours, "softplus", staticmethod(other))
    found = embedded.function(plain(Ours)).grad(POINT)
    with pytest.raises(AssertionError):
        close(found, compiled.grad(plain(Theirs))(POINT))


def test_series_follow_the_rule(embedded):
    """The third derivative of softplus is s (1 - s) (1 - 2 s) for the logistic s."""
    s = 1.0 / (1.0 + np.exp(-0.3))
    along = embedded.function(lambda x: softplus(x)).taylor_along(0.3, direction=1.0, order=3)
    close(along.coefficients[3] * 6.0, s * (1.0 - s) * (1.0 - 2.0 * s))


def test_verification_finds_a_wrong_rule(client):
    right, wrong = (
        client.function(lambda w, rule=rule: np.sum(functions.custom_derivative(np.sin, rule)(w) * w), POINT)
        for rule in (lambda p, r, t: np.cos(p[0]) * t[0], lambda p, r, t: np.cos(p[0]) * t[0] * [1.0, 1.01, 1.0])
    )
    assert right.verify(POINT).verdict == "agrees"
    report = wrong.verify(POINT)
    assert report.verdict == "disagrees"


def rule_refused(client: Any, rule: Callable[..., Any], error: type[Exception], text: str) -> None:
    def loss(w: Any) -> Any:
        return np.sum(functions.custom_derivative(lambda x: (np.sin(x), np.argmax(x)), rule)(w)[0])

    with pytest.raises(error, match=text) as caught:
        client.function(loss, POINT)
    assert "test_custom_functions.py" in str(caught.value)


NOT_LINEAR = {
    "a square": (lambda p, r, t: (t[0] * t[0], 0), "mul multiplies two of them"),
    "a norm": (lambda p, r, t: (np.abs(t[0]), 0), "abs is not linear in them"),
    "a sum": (lambda p, r, t: (t[0] + p[0], 0), "add joins them with numbers that are not 0"),
    "a constant": (lambda p, r, t: (p[0], 0), "y0 does not depend on them"),
    "a part": (lambda p, r, t: (np.concatenate([t[0][:2], [1.0]]), 0), "concatenate joins them"),
    "a choice": (lambda p, r, t: (np.where(p[0] > 0, t[0], 1.0), 0), "select joins them"),
    "a choice by them": (lambda p, r, t: (np.where(t[0] > 0, t[0], -t[0]), 0), "gt has no real result"),
    "a loop": (
        lambda p, r, t: (functions.scan(lambda c, _: (c + 0.1, None), t[0], None, 3).carry, 0),
        "add joins them",
    ),
    "a loop from something else": (
        lambda p, r, t: (functions.scan(lambda c, _: (c + t[0], None), p[0], None, 3).carry, 0),
        "scan chooses between them and numbers that are not 0|add joins them",
    ),
    "two functions": (
        lambda p, r, t: (functions.cond(r[1] > 0, lambda: t[0], lambda: p[0]), 0),
        "cond chooses between them",
    ),
    "a derivative at them": (lambda p, r, t: (functions.grad(lambda x: np.sum(np.sin(x)))(t[0]), 0), "that moves"),
}


@pytest.mark.parametrize("name", NOT_LINEAR)
def test_rules_that_are_not_linear_are_refused(embedded, name):
    rule, text = NOT_LINEAR[name]
    rule_refused(embedded, rule, InvalidGraph, text)


MISSHAPEN = {
    "structure": (lambda p, r, t: t[0], "the rule returns"),
    "shape": (lambda p, r, t: (np.sum(t[0]), 0), r"f64\[\] where f64\[3\] belongs"),
}


@pytest.mark.parametrize("name", MISSHAPEN)
def test_rules_of_other_results_are_refused(embedded, name):
    rule, text = MISSHAPEN[name]
    rule_refused(embedded, rule, Untraceable, text)


twice = functions.custom_derivative(lambda v: v * 2.0, lambda p, r, t: t[0] * 2.0)
LINEAR = {
    "zeros": lambda p, r, t: np.zeros(3),
    "zeros like": lambda p, r, t: np.zeros_like(p[0]),
    "parts": lambda p, r, t: np.concatenate([t[0][:1], np.zeros(2)]),
    "loops": lambda p, r, t: functions.scan(lambda c, row: (c + row * t[0], None), np.zeros(3), np.ones((2, 3))).carry,
    "choices": lambda p, r, t: functions.cond(p[0][0] > 0, lambda: t[0] * p[0], lambda: np.zeros(3)),
    "derivatives": lambda p, r, t: functions.jvp(lambda x: np.sin(x) * x, (p[0],), (t[0],))[1],
    "functions computed again": lambda p, r, t: functions.checkpoint(lambda v: v * p[0])(t[0]),
    "others with rules": lambda p, r, t: softplus(p[0]) * twice(t[0]),
    "systems": lambda p, r, t: np.linalg.solve(MATRIX, np.where(p[0] > 0, t[0], 0.0)),
}  # fmt: skip


@pytest.mark.parametrize("name", LINEAR)
def test_rules_transposed(embedded, name):
    """In both modes and in second derivatives, whatever a rule is made of."""
    rule = LINEAR[name]
    f = embedded.function(
        lambda w: np.sum(functions.custom_derivative(lambda x: x * 1.0, rule)(w) * [1.0, 2.0, 3.0]), POINT
    )
    pulled = f.grad(POINT)
    for direction in np.eye(3):
        close(f.jvp(POINT, tangent=direction)[1], pulled @ direction)
    step = 1e-4
    near = [f.grad(POINT + sign * step * np.eye(3)[1]) for sign in (1, -1)]
    np.testing.assert_allclose(f.hvp(POINT, tangent=np.eye(3)[1]), (near[0] - near[1]) / (2 * step), atol=1e-6)


def test_a_captured_parameter_has_no_derivative(client):
    f = client.function(
        lambda w: np.sum(functions.custom_derivative(lambda x: x * w, lambda p, r, t: t[0] * w)(w)), POINT
    )
    close(f(POINT), np.sum(POINT**2))
    with pytest.raises(NotDifferentiable, match="captures, of which its rule has no tangent") as caught:
        f.grad(POINT)
    assert "test_custom_functions.py" in str(caught.value)

    def stopped(w: Any) -> Any:
        still = functions.stop_gradient(w)
        return np.sum(functions.custom_derivative(lambda x: x * still, lambda p, r, t: t[0])(w))

    close(client.function(stopped).grad(POINT), np.ones(3))


def test_constants_of_trees(embedded):
    f = embedded.function(lambda w: np.sum(w * functions.stop_gradient({"a": w, "b": 2.0})["a"]))
    close(f.grad(POINT), POINT)
    assert functions.stop_gradient([1.5, None]) == [1.5, None]


def test_functions_of_numbers_are_computed():
    close(softplus(POINT), np.log1p(np.exp(POINT)))
    close(functions.checkpoint(np.sin)(POINT), np.sin(POINT))


def blocks(again: bool) -> Callable[[Any], Any]:
    """Twelve functions, one after the other, and a loop of as many."""

    def loss(w: Any) -> Any:
        def block(x: Any) -> Any:
            return np.tanh(np.sin(x) * 1.1 + np.cos(x * w))

        block = functions.checkpoint(block) if again else block
        x = w
        for _ in range(12):
            x = block(x)
        return np.sum(functions.scan(lambda x, _: (block(x), None), x, None, 12).carry)

    return loss


def test_memory_falls_where_functions_are_computed_again(client):
    w = np.linspace(-1.0, 1.0, 20000)
    kept, again = (client.function(blocks(choice), w) for choice in (False, True))
    close(again.grad(w), kept.grad(w))
    memory = [f.explain(w, derivation="gradient").peak_bytes for f in (kept, again)]
    assert memory[1] < 0.5 * memory[0]
    flops = [f.explain(w, derivation="gradient").flops for f in (kept, again)]
    assert flops[0] < flops[1] < 2.0 * flops[0]


@pytest.mark.parametrize("executor", ["fused", "xla"])
def test_other_executors_compute_the_same(embedded, executor):
    w = np.linspace(-1.0, 1.0, 50)
    f = embedded.function(blocks(True), w)
    expected = f.grad(w)
    f.executor = executor
    close(f.grad(w), expected)


def everything(w: Any) -> Any:
    """Solvers, rules and functions computed again in one loss."""
    x = functions.root(lambda x: x**3 + x - w, np.zeros(3)).x
    y = functions.checkpoint(lambda z: np.sin(z) * np.exp(z))(x)
    return np.sum(softplus(y) ** 2) + functions.quad(lambda s: np.sum(np.cos(s * w)), 0.0, 1.0).value


def test_other_questions_are_answered(client):
    """Of constants that functions with rules capture there is no adjoint, and nobody stumbles over that."""
    f = client.function(everything, POINT)
    gradient, hessian = f.grad(POINT), f.hessian(POINT)
    named = {value.op: value for value in f.inspect(POINT).values}
    assert "custom_derivative" in named
    close(f.inspect(POINT).values[0].adjoint, gradient)
    close(f.hessian_trace(POINT, estimator="exact").value, np.trace(hessian))
    along = f.taylor_along(POINT, direction=POINT, order=3)
    close(along.coefficients[1], gradient @ POINT)
    close(along.coefficients[2] * 2.0, POINT @ hessian @ POINT)
    assert along.passed


def test_rules_give_no_kinks_and_functions_computed_again_do(embedded):
    size = functions.custom_derivative(np.abs, lambda p, r, t: np.sign(p[0]) * t[0])
    for function, nodes in ((size, 0), (functions.checkpoint(np.abs), 1), (np.abs, 1)):
        f = embedded.function(lambda w, function=function: np.sum(function(w)), POINT)
        f.grad(np.zeros(3))
        assert f.last_report.kinks.nodes == nodes


def test_series_that_a_rule_would_need_at_once_are_refused(embedded):
    """Of the results, given to a loop, which takes series as a whole."""

    def rule(p: Any, r: Any, t: Any) -> Any:
        return functions.scan(lambda c, row: (c + row * t[0], None), np.zeros(3), np.stack([r, r])).carry

    f = embedded.function(lambda w: np.sum(functions.custom_derivative(np.exp, rule)(w)), POINT)
    close(f.grad(POINT), 2.0 * np.exp(POINT))
    with pytest.raises(NotDifferentiable, match="all of its results' coefficients at once"):
        f.taylor_along(POINT, direction=POINT, order=3)
