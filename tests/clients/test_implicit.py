"""Roots, fixed points and minima within traced functions: closed forms, SciPy's solutions, and refusals."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from gradserve.client import functions
from gradserve.client.functions import implicit
from gradserve.ir.errors import NotDifferentiable, NumericalFailure, Untraceable
from tests.clients.references import penalty

jax.config.update("jax_enable_x64", True)
POINT = np.array([0.3, 0.7, 1.1])
POINTS = np.stack([POINT, POINT * 2.0])
MATRIX = np.random.default_rng(4).standard_normal((5, 3))
REFERENCES = Path(__file__).parent / "references"


def close(found: Any, expected: Any, tolerance: float = 1e-9) -> None:
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def cubes(w: Any) -> Any:
    """The sum of x^3 where x^2 = a w, a an argument and w captured; a = w: the sum of w^3."""
    return np.sum(functions.root(lambda x, a: x**2 - a * w, np.ones(3), w).x ** 3)


def test_derivatives_of_a_root_are_those_of_the_closed_form(client):
    f = client.function(cubes, POINT)
    values, gradients = f.value_and_grad(POINTS, batch=True)
    close(values, np.sum(POINTS**3, axis=1))
    close(gradients, 3.0 * POINTS**2)
    close(f.hessian(POINT), np.diag(6.0 * POINT))
    close(f.jvp(POINT, tangent=POINTS[1])[1], 3.0 * POINT**2 @ POINTS[1])
    close(f.taylor_along(POINT, direction=POINT, order=3).coefficients[3], np.sum(POINT**3))
    assert f.verify(POINT).verdict == "agrees"


def test_a_lost_term_is_seen(client, monkeypatch):
    """What the function captures moves as well as its arguments."""

    def lossy(f: Any, primals: Any, tangents: Any) -> Any:
        return functions.jvp(f, primals, (*tangents[:-1], tangents[-1] * 0.0))

    monkeypatch.setattr(implicit, "jvp", lossy)
    with pytest.raises(AssertionError):
        close(client.function(lambda w: cubes(w), POINT).grad(POINT), 3.0 * POINT**2)


def orbit(to: Any, root: Any) -> Any:
    """The true anomaly of an orbit, by Kepler's equation, in a tree."""

    def loss(w: Any) -> Any:
        mean, shape = w[0] + w[2], w[1] / 2.0
        anomaly = root(lambda e: {"e": e["e"] - shape * to.sin(e["e"]) - mean}, {"e": to.ones(())})["e"]
        return 2.0 * to.arctan2(
            to.sqrt(1.0 + shape) * to.sin(anomaly / 2.0), to.sqrt(1.0 - shape) * to.cos(anomaly / 2.0)
        )

    return loss


def unrolled(function: Any, guess: Any) -> Any:
    """Twelve of Newton's steps for one unknown, differentiated as they are."""

    def step(guess: Any, _: Any) -> Any:
        value, slope = jax.jvp(function, (guess,), ({"e": jnp.ones(())},))
        return {"e": guess["e"] - value["e"] / slope["e"]}, None

    return jax.lax.scan(step, guess, None, 12)[0]


def all_three(theirs: Any, w: Any) -> Any:
    """JAX's value, gradient and Hessian."""
    return jax.jit(lambda w: (theirs(w), jax.grad(theirs)(w), jax.hessian(theirs)(w)))(w)


def test_trees_and_second_derivatives_are_those_of_unrolled_steps(embedded):
    f = embedded.function(orbit(np, lambda function, guess: functions.root(function, guess).x), POINT)
    for found, wanted in zip((f, f.grad, f.hessian), all_three(orbit(jnp, unrolled), POINT), strict=True):
        close(found(POINT), wanted)


def test_roots_within_loops_choices_and_derivatives(embedded):
    """x^2 = 2 w carried on, where it is chosen; and the slope of x in w, 1 / x, within the loss."""

    def loss(w: Any) -> Any:
        def solved(a: Any) -> Any:
            return functions.root(lambda x: x**2 - 2.0 * a, 1.0).x

        def step(carry: Any, row: Any) -> Any:
            return functions.cond(row > 0, lambda: solved(carry * row), lambda: carry), None

        return functions.scan(step, w, np.array([1.0, -1.0, 3.0])).carry + functions.grad(solved)(w) * w

    f = embedded.function(loss, 0.8)
    plain = lambda w: jnp.sqrt(2.0 * 3.0 * jnp.sqrt(2.0 * w)) + w / jnp.sqrt(2.0 * w)  # noqa: E731
    for found, wanted in zip((f, f.grad, f.hessian), all_three(plain, 0.8), strict=True):
        close(found(0.8), wanted)


def test_steps_are_shortened_where_newton_diverges(embedded):
    """arctan from far away: full steps grow without end."""
    found = embedded.function(lambda w: functions.root(lambda x: np.arctan(x - w), 20.0))(1.0)
    close(found.x, 1.0)
    assert found.converged
    assert found.residual < 1e-12
    assert 3 < found.steps < 40


def test_single_precision(embedded):
    w = POINT.astype(np.float32)
    f = embedded.function(lambda w: np.sum(functions.root(lambda x: x**3 - w, np.ones(3, np.float32)).x))
    gradient = f.grad(w)
    assert gradient.dtype == np.float32
    close(gradient, np.cbrt(POINT) / (3.0 * POINT), 1e-5)


def test_a_fixed_point_has_the_derivatives_of_its_equation(client):
    f = client.function(lambda w: np.sum(functions.fixed_point(lambda x: 0.5 * np.cos(x) * w, np.zeros(3)).x), POINT)

    def theirs(w: Any) -> Any:
        return jnp.sum(jax.lax.scan(lambda x, _: (0.5 * jnp.cos(x) * w, None), jnp.zeros(3), None, 80)[0])

    for found, wanted in zip((f, f.grad, f.hessian), all_three(theirs, POINT), strict=True):
        close(found(POINT), wanted)
    assert f.verify(POINT).verdict == "agrees"


def height(to: Any, x: Any, w: Any) -> Any:
    return to.sum(to.log(to.cosh(x["x"] - w))) + 0.5 * to.sum((MATRIX @ x["x"]) ** 2) + to.exp(x["y"] * w[0]) - x["y"]


@functools.cache
def best() -> tuple[Any, ...]:
    """SciPy's minimiser; how it moves and the derivatives of the minimum, from JAX's derivatives there."""

    def flat(z: Any, w: Any) -> Any:
        return height(jnp, {"x": z[:3], "y": z[3]}, w)

    slope: Any = jax.jit(jax.grad(flat))
    z = optimize.minimize(flat, np.zeros(4), (POINT,), jac=slope, method="BFGS", options={"gtol": 1e-12}).x

    def parts(z: Any, w: Any) -> Any:
        slopes = jax.grad(flat, 1)
        return jax.hessian(flat)(z, w), jax.jacobian(slopes, 0)(z, w), slopes(z, w), jax.hessian(flat, 1)(z, w)

    inner, mixed, moved, outer = jax.jit(parts)(z, POINT)
    moves = -np.linalg.solve(inner, mixed.T)
    return z, moves, moved, outer + mixed @ moves


@pytest.mark.parametrize("method", ["newton", "lbfgs"])
def test_minima_have_the_derivatives_of_their_equations(embedded, method):
    def found(w: Any) -> Any:
        return functions.minimize(lambda x: height(np, x, w), {"x": np.zeros(3), "y": 0.0}, method=method, tol=1e-12)

    z, moves, slope, curvature = best()
    f = embedded.function(lambda w: (lambda m: np.sum(m.x["x"] ** 2) + m.x["y"] ** 3)(found(w)), POINT)
    close(f(POINT), np.sum(z[:3] ** 2) + z[3] ** 3, 1e-8)
    close(f.grad(POINT), np.array([*(2.0 * z[:3]), 3.0 * z[3] ** 2]) @ moves, 1e-7)
    lowest = embedded.function(lambda w: found(w).value, POINT)
    close(lowest.grad(POINT), slope, 1e-8)
    close(lowest.hessian(POINT), curvature, 1e-7)


def test_the_hessian_of_an_inner_minimum_is_that_of_its_closed_form(client):
    """Over x the minimum of |x|^2 (1 + v) / 2 - x.(A w) is -|A w|^2 / (2 (1 + v))."""
    square = MATRIX[:3]

    def lowest(w: Any, v: Any) -> Any:
        return functions.minimize(lambda x: 0.5 * (1.0 + v) * np.sum(x * x) - x @ (square @ w), np.ones(3)).value

    f = client.function(lowest, POINT, 0.5)
    blocks = f.hessian(POINT, 0.5)
    image = square @ POINT
    close(blocks["w"]["w"], -square.T @ square / 1.5)
    close(blocks["w"]["v"], square.T @ image / 1.5**2)
    close(blocks["v"]["v"], -(image @ image) / 1.5**3)


@pytest.mark.parametrize(("method", "steps"), [("newton", 30), ("lbfgs", 60)])
def test_a_bent_valley_is_followed(embedded, method, steps):
    """Rosenbrock's, whose minimum is where x is (w, w^2)."""

    def found(w: Any) -> Any:
        valley = lambda x: (w - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2  # noqa: E731
        return functions.minimize(valley, np.array([-1.2, 1.0]), method=method, tol=1e-11)

    answer = embedded.function(found)(0.9)
    close(answer.x, [0.9, 0.81])
    assert answer.converged
    assert answer.steps < steps
    assert answer.residual < 1e-9
    jacobian = embedded.function(lambda w: found(w).x).jacobian(0.9)
    close(jacobian, [1.0, 1.8], 1e-7)


def test_a_saddle_is_left(embedded):
    """Newton's step from (0.5, 0.1) goes to the saddle of x^2 + y^4 - y^2 at 0."""
    found = embedded.function(
        lambda w: functions.minimize(lambda x: w * (x[0] ** 2 + x[1] ** 4 - x[1] ** 2), POINT[:2] / 5)
    )
    close(np.abs(found(1.0).x), [0.0, np.sqrt(0.5)])


REFUSED = {
    "no root": (lambda w: functions.root(lambda x: x**2 + w, 0.5).x, r"50 steps; not \(.* <= 3\.6.*e-11\)"),
    "a double root": (lambda w: functions.root(lambda x: (x - w) ** 2, 2.0, most=20).x, "20 steps"),
    "a singular Jacobian": (lambda w: functions.root(lambda x: x**2 + w, 0.0).x, "Singular"),
    "no number": (lambda w: functions.root(lambda x: np.log(x) + 0 * w, -1.0).x, "not .*nan"),
    "an image that grows": (lambda w: functions.fixed_point(lambda x: 2.0 * x + w, 0.1).x, "1000 steps"),
    "no minimum": (lambda w: functions.minimize(lambda x: np.exp(-x * w), 0.1, most=30).x, "30 steps"),
    "a flat minimum": (lambda w: functions.minimize(lambda x: (x - w) ** 4, 0.1, most=15).x, "15 steps"),
    "no minimum for L-BFGS": (lambda w: functions.minimize(lambda x: -x * w, 0.1, method="lbfgs", most=9).x, "9 steps"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_converge_is_refused(embedded, name):
    function, text = REFUSED[name]
    with pytest.raises(NumericalFailure, match=text) as caught:
        embedded.function(function)(1.0)
    assert "test_implicit.py" in str(caught.value)


def test_what_does_not_converge_is_reported_if_one_wants(client):
    def found(w: Any) -> Any:
        return functions.root(lambda x: x**2 + w, 0.5, on_most="report", most=7)

    answer = client.function(found)(1.0)
    assert not answer.converged
    assert answer.steps == 7
    assert answer.residual > 0.1
    assert np.isnan(client.function(lambda w: found(w).x).grad(1.0))
    close(client.function(lambda w: found(w).x).grad(-1.0), -0.5)


def test_singular_equations_have_no_derivative(client):
    f = client.function(lambda w: np.sum(functions.root(lambda x: x - w + 0 * x, POINT).x), POINT)
    close(f.grad(POINT), np.ones(3))
    flat = client.function(lambda w: functions.fixed_point(lambda x: x + 0.0 * w, 1.0).x)
    close(flat(1.0), 1.0)
    with pytest.raises((NumericalFailure, NotDifferentiable), match="ingular"):
        flat.grad(1.0)


def valley(w: Any, along: Any, **options: Any) -> Any:
    """The sum of a point where (a.x - w)^2 is 0: on a plane."""
    return np.sum(functions.minimize(lambda x: (along @ x - w) ** 2, np.zeros(3), **options).x)


def test_a_valley_has_no_lowest_point(embedded):
    """Its Hessian is singular, exactly or but for rounding."""
    rounded, exact = np.array([1.0 / 3.0, 0.7, np.pi]), np.array([1.0, 2.0, 0.0])
    with pytest.raises(NumericalFailure, match="50 steps"):
        embedded.function(lambda w: valley(w, rounded))(1.0)
    nearly, exactly = (embedded.function(lambda w, a=a: valley(w, a, method="lbfgs")) for a in (rounded, exact))
    close(nearly(1.0), np.sum(rounded) / (rounded @ rounded), 1e-6)
    assert np.isnan(nearly.grad(1.0))
    with pytest.raises(NumericalFailure, match="Singular"):
        exactly.grad(1.0)


MISUSED = {
    "another structure": (lambda w: functions.root(lambda x: (x,), w).x, "where \\* of f64"),
    "another shape": (lambda w: functions.root(lambda x: x[:2], w).x, r"\* of f64\[2\] where"),
    "integers": (lambda w: functions.root(lambda n: n * w[0], 3).x, "is in real numbers"),
    "a part of a complex number": (lambda w: functions.root(lambda z: np.real(z) - w[0], 1j).x, "where .* belongs"),
    "several numbers": (lambda w: functions.minimize(lambda x: x, w).x, "of a real scalar"),
}


@pytest.mark.parametrize("name", MISUSED)
def test_other_functions_are_refused(embedded, name):
    function, text = MISUSED[name]
    with pytest.raises(Untraceable, match=text):
        embedded.function(function, POINT)


def test_methods_that_are_not_there(embedded):
    with pytest.raises(ValueError, match="none of 'newton', 'lbfgs'"):
        embedded.function(lambda w: functions.minimize(np.sum, w, method="simplex").x, POINT)  # type: ignore[arg-type]


def test_nothing_is_solved_outside_of_a_graph():
    with pytest.raises(Untraceable, match="no function is being traced"):
        functions.root(np.sin, 3.0)


def test_tolerances_may_be_arguments(client):
    f = client.function(lambda w, tol: functions.fixed_point(lambda x: np.cos(x) * w, 0.5, tol=tol))
    assert f(0.9, 1e-3).steps < f(0.9, 1e-9).steps
    assert client.function(lambda w, tol: f_of(w, tol)).grad(0.9, 1e-9)["tol"] == 0.0


def f_of(w: Any, tol: Any) -> Any:
    return functions.fixed_point(lambda x: np.cos(x) * w, 0.5, tol=tol).x


def test_a_gradient_penalty_has_the_derivatives_of_pytorch(client):
    """The numbers are PyTorch's, by double backward: see references/penalty.py."""
    expected = json.loads((REFERENCES / "penalty.json").read_text())

    def loss(critic: Any, generator: Any) -> Any:
        return penalty.loss(np, lambda f, x: functions.grad(f)(x), critic, generator, penalty.DATA)

    f = client.function(loss)
    given = penalty.PARAMETERS
    value, gradient = f.value_and_grad(**given)
    close(value, expected["loss"], 1e-12)
    product = f.hvp(**given, tangent=given)
    for found, wanted in ((gradient, expected["gradient"]), (product, expected["product"])):
        for array, numbers in zip([*found["critic"], *found["generator"]], wanted, strict=True):
            close(array, np.array(numbers), 1e-11)
