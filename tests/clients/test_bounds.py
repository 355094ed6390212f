"""Minima between bounds: derivatives are those of the free unknowns, and of the bounds of the others."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
import scipy.optimize

from gradserve.client import NumericalFailure, functions
from gradserve.client.scipy.solvers import boxes
from tests import compiled

jax.config.update("jax_enable_x64", True)
jnp: Any = jax.numpy
minimize: Any = scipy.optimize.minimize
least_squares: Any = scipy.optimize.least_squares
curve_fit: Any = scipy.optimize.curve_fit
Bounds: Any = scipy.optimize.Bounds
POINT = np.array([1.3, 0.7])
X = np.linspace(0.0, 4.0, 30)
NOISE = 0.05 * np.random.default_rng(0).normal(size=30)
Y = 2.0 * np.exp(-0.9 * X) + NOISE
Y[[3, 10]] += [1.0, -0.5]
SQUARES = np.array([[3.0, 1.0, 0.5], [1.0, 2.0, -0.4], [0.5, -0.4, 1.5]])
PULL = np.array([[1.0, 0.5], [-2.0, -1.0], [0.3, 4.0]])
EXACT: Any = {"ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15}


def _quadratic(p: Any) -> Any:
    return lambda x: x @ SQUARES @ x / 2 - (PULL @ p) @ x


def _held(p: Any, held: dict[int, Any]) -> Any:
    """The minimiser of the quadratic with some unknowns at these values."""
    free = np.array([k for k in range(3) if k not in held])
    at = np.array([*held])
    values = jnp.stack([jnp.asarray(v, float) for v in held.values()])
    right = (PULL @ p)[free] - SQUARES[np.ix_(free, at)] @ values
    x = jnp.zeros(3).at[at].set(values)
    return x.at[free].set(jnp.linalg.solve(SQUARES[np.ix_(free, free)], right))


def _rosenbrock(x: Any) -> Any:
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


WEIGHTS = np.array([1.0, 2.0, -1.0])
CASES: dict[str, tuple[Any, Any]] = {
    "one at its bound": (
        lambda p: minimize(_quadratic(p), np.ones(3), bounds=[(0.0, None)] * 3).x @ WEIGHTS,
        lambda p: _held(p, {1: 0.0}) @ WEIGHTS,
    ),
    "bounds that move": (
        lambda p: (
            (sol := minimize(_quadratic(p), [1, 1, 1], bounds=[(-9, 9), (0.1 * p[0], 9), (None, p[1])])).x @ WEIGHTS
            + sol.fun
        ),
        lambda p: (x := _held(p, {1: 0.1 * p[0], 2: p[1]})) @ WEIGHTS + x @ SQUARES @ x / 2 - (PULL @ p) @ x,
    ),
    "one is fixed": (
        lambda p: minimize(_quadratic(p), np.ones(3), bounds=[(p[0], p[0]), (None, None), (None, 9.0)]).x @ WEIGHTS,
        lambda p: _held(p, {0: p[0]}) @ WEIGHTS,
    ),
    "all free": (
        lambda p: minimize(_quadratic(p), np.ones(3), bounds=[(-9.0, 9.0)] * 3).x @ WEIGHTS,
        lambda p: jnp.linalg.solve(SQUARES, PULL @ p) @ WEIGHTS,
    ),
    "a curved valley": (
        lambda p: minimize(lambda x: _rosenbrock(x) + 0.8 * p[0] * x[0], [0.2, 0.3], bounds=[(0, 0.5 * p[1]), (0, 9)]).x
        @ np.array([1.0, 2.0]),
        lambda p: 0.5 * p[1] + 2.0 * (0.5 * p[1]) ** 2,
    ),
    "curve_fit": (
        lambda p: curve_fit(lambda x, a, b: a * x + b, X, p[0] * X - 1.0 + NOISE, bounds=([0, -p[1]], [9, 9]))[0]
        @ np.array([1.0, 2.0]),
        lambda p: jnp.sum(X * (p[0] * X - 1.0 + NOISE + p[1])) / (X @ X) - 2 * p[1],
    ),
    "curve_fit, its covariance": (
        lambda p: curve_fit(
            lambda x, a, b: a * x + b, X, p[0] * X + NOISE, [1, 1], X + p[1], True, bounds=(-9, [9, 9])
        )[1][1, 1],
        lambda p: jnp.sum((X / (X + p[1])) ** 2)
        / (
            jnp.sum((X / (X + p[1])) ** 2) * jnp.sum(1 / (X + p[1]) ** 2) - jnp.sum(X / (X + p[1]) ** 2) ** 2
        ),
    ),
    "least_squares": (
        lambda p: (sol := least_squares(lambda q: [q[0] - p[0], q[0] * q[1] - p[1]], [0.5, 0.5], bounds=(0, 1))).x[1]
        + sol.cost,
        lambda p: p[1] + (1.0 - p[0]) ** 2 / 2,
    ),
}  # fmt: skip
"""By what is bound: a minimum, and what it is where the same unknowns are held."""


@pytest.mark.parametrize("name", CASES)
def test_free_unknowns_and_bounds_move(name, embedded):
    loss, closed = CASES[name]
    f = embedded.function(loss, POINT)
    value, gradient = f.value_and_grad(POINT)
    assert value == pytest.approx(float(closed(POINT)), rel=1e-9)
    assert value == pytest.approx(loss(POINT), rel=1e-4)
    np.testing.assert_allclose(gradient, compiled.grad(closed)(POINT), rtol=1e-8, atol=1e-9)
    tangent = np.array([1.0, -0.5])
    expected = compiled.hessian(closed)(POINT) @ tangent
    np.testing.assert_allclose(f.hvp(POINT, tangent=tangent), expected, rtol=1e-6, atol=1e-7)


def test_a_planted_bound_that_does_not_move_is_seen(embedded, monkeypatch):
    own = boxes.of_pairs
    monkeypatch.setattr(
        "gradserve.client.scipy.solvers.minima.of_pairs",
        lambda *given: boxes.Box(*functions.stop_gradient(tuple(own(*given) or ()))),
    )
    with pytest.raises(AssertionError):
        test_free_unknowns_and_bounds_move("bounds that move", embedded)


def test_what_is_held_is_told(embedded):
    f = embedded.function(
        lambda p: p[0] * least_squares(lambda q: q - 2.0 * p, np.zeros(2), bounds=(-9, [1, 9])).active_mask, POINT
    )
    np.testing.assert_array_equal(f(POINT), [POINT[0], 0.0])


@pytest.mark.parametrize("loss", ["soft_l1", "huber", "cauchy"])
def test_losses_of_residuals_are_scipys(loss, embedded):
    def fitted(p: Any) -> Any:
        residuals = lambda q: q[0] * np.exp(-q[1] * X) - Y * p[0]  # noqa: E731
        sol = least_squares(residuals, [1, 1], loss=loss, f_scale=0.1 * p[1], **EXACT)
        return sol.x @ np.array([1.0, 2.0]) + sol.cost

    value, gradient = embedded.function(fitted, POINT).value_and_grad(POINT)
    assert value == pytest.approx(fitted(POINT), rel=1e-8)
    h = 1e-3
    for k, e in enumerate(np.eye(2)):
        near = [fitted(POINT + n * h * e) for n in (-2, -1, 1, 2)]
        assert gradient[k] == pytest.approx((8 * (near[2] - near[1]) - near[3] + near[0]) / (12 * h), rel=2e-5)


@pytest.mark.parametrize("target", [0.0, 1e-13])
def test_where_a_bound_holds_by_nothing_there_is_no_derivative(target, embedded):
    f = embedded.function(
        lambda p: minimize(lambda x: np.sum((x - p * np.array([1.0, target])) ** 2), [1, 1], bounds=Bounds(0, 2)).x,
        POINT,
    )
    np.testing.assert_allclose(f(POINT), [1.3, 0.0], atol=1e-9)
    with pytest.raises(NumericalFailure, match="holds it by nothing"):
        f.jacobian(POINT)
