"""scipy.optimize's solvers of minima and of least squares, of traced arrays."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.client import functions
from gradserve.client.functions.until import until
from gradserve.client.scipy.solvers import boxes
from gradserve.client.scipy.solvers.boxes import Bounded, Box, of_ends, of_pairs
from gradserve.client.scipy.solvers.brackets import lowest
from gradserve.client.scipy.solvers.given import Found, bound, floats, refuse, scalar, vector

_MATRICES = 200
"""Up to how many unknowns Newton's method is used."""
_CONSTRAINED = "write the unknowns as functions of free ones, or as functions.root of the conditions of a minimum"
_LOSSES: dict[str, Callable[[Any], Any]] = {
    "linear": lambda z: z,
    "soft_l1": lambda z: 2 * (np.sqrt(1 + z) - 1),
    "huber": lambda z: np.where(z <= 1, z, 2 * np.sqrt(np.where(z <= 1, 1.0, z)) - 1),
    "cauchy": np.log1p,
}
"""What `least_squares` makes of the square of a residual."""
_FARTHEST = 1e8
"""How much longer than a step of Gauss and Newton the diagonal may make one before the search ends."""


def minimize(
    fun: Callable[..., Any], x0: Any, args: Any = (), jac: Any = None, bounds: Any = None, constraints: Any = ()
) -> Found:
    """A local minimum near x0, by Newton's method, or L-BFGS for many unknowns, with derivatives of the graph."""
    if constraints:
        refuse("scipy.optimize.minimize with constraints", _CONSTRAINED)
    start = np.atleast_1d(floats(x0))
    function = bound((lambda *x: fun(*x)[0]) if jac is True else fun, args, scalar)
    box = of_pairs(bounds, start.size)
    if box is not None:
        x = boxes.lowest(function, start, box).x
        slope = functions.grad(function)(x)
        return Found(x=x, fun=function(x), jac=slope, success=True, status=0, message="")
    found = functions.minimize(function, start, method="newton" if start.size <= _MATRICES else "lbfgs")
    slope = functions.grad(function)(found.x)
    return Found(x=found.x, fun=found.value, jac=slope, success=True, status=0, message="", nit=found.steps)


def minimize_scalar(fun: Callable[..., Any], bracket: Any = None, bounds: Any = None, args: Any = ()) -> Found:
    """A local minimum over a number: between bounds, in a bracket, or downhill from 0."""
    function = bound(fun, args, scalar)
    if bounds is not None:
        low, high = bounds
        x = lowest(function, scalar(low), scalar(high))
    else:
        start = 0.0 if bracket is None else bracket[len(bracket) // 2]
        x = functions.minimize(function, scalar(start)).x
    return Found(x=x, fun=function(x), success=True, message="")


def least_squares(
    fun: Callable[..., Any],
    x0: Any,
    bounds: Any = None,
    loss: Any = "linear",
    f_scale: Any = 1.0,
    args: Any = (),
    kwargs: Any = None,
) -> Found:
    """Where the sum of squares, or of what a loss makes of them, is smallest near x0, half of it, and the residuals."""
    if loss not in _LOSSES:
        refuse(f"scipy.optimize.least_squares with loss={loss!r}", f"write one of {', '.join(_LOSSES)}")
    residuals = bound(fun, args, vector, **(kwargs or {}))
    start = np.atleast_1d(floats(x0))

    def squares(x: Any) -> Any:
        scaled = residuals(x) / f_scale
        return f_scale**2 * _LOSSES[loss](scaled * scaled)

    x, held = _least(residuals, start, of_ends(bounds, start.size), None if loss == "linear" else squares)
    known = {"active_mask": held, "success": True, "status": 1, "message": ""}
    if loss == "linear":
        known["jac"] = functions.jacobian(residuals)(x)
    cost, slope = functions.value_and_grad(lambda x: np.sum(squares(x)) / 2)(x)
    return Found(x=x, cost=cost, fun=residuals(x), grad=slope, **known)


def leastsq(func: Callable[..., Any], x0: Any, args: Any = (), full_output: Any = False) -> tuple[Any, int]:
    """Where the sum of squares of residuals is smallest near x0."""
    if full_output:
        refuse("scipy.optimize.leastsq with full_output", "leave it out, or write least_squares")
    return _least(bound(func, args, vector), np.atleast_1d(floats(x0)), None).x, 1


def curve_fit(
    f: Callable[..., Any],
    xdata: Any,
    ydata: Any,
    p0: Any = None,
    sigma: Any = None,
    absolute_sigma: bool = False,
    bounds: Any = None,
    full_output: bool = False,
) -> tuple[Any, Any]:
    """The parameters of a curve that fits best, and their covariance."""
    if full_output:
        refuse("scipy.optimize.curve_fit with full_output", "leave it out")
    start = np.ones(len(inspect.signature(f).parameters) - 1) if p0 is None else np.atleast_1d(floats(p0))
    box = of_ends(bounds, start.size)
    if box is not None and p0 is None:
        start = boxes.within(box)
    y = floats(ydata)

    def residuals(p: Any) -> Any:
        left = vector(floats(f(xdata, *(p[k] for k in range(start.size)))) - y)
        if sigma is None:
            return left
        spread = floats(sigma)
        return left / vector(spread) if spread.ndim < 2 else np.linalg.solve(np.linalg.cholesky(spread), left)

    p, _ = _least(residuals, start, box)
    left, matrix = residuals(p), functions.jacobian(residuals)(p)
    covariance = np.linalg.inv(matrix.T @ matrix)
    scale = 1.0 if absolute_sigma else np.sum(left * left) / (y.size - start.size)
    return p, covariance * scale


def _least(
    residuals: Callable[[Any], Any], start: Any, box: Box | None, squares: Callable[[Any], Any] | None = None
) -> Bounded:
    """The minimiser of a sum of squares, or of what is to stand for them; steps of Levenberg and Marquardt lead close.

    Newton's method alone may leave for another minimum, as far from one the curvature of residuals counts.
    """
    near = _least_squares(residuals if squares is None else _roots(residuals, squares), start, box)

    def objective(x: Any) -> Any:
        return np.sum(residuals(x) ** 2 if squares is None else squares(x)) / 2

    if box is not None:
        return boxes.lowest(objective, near, box)
    return Bounded(functions.minimize(objective, near).x, np.zeros(start.shape, np.int64))


def _roots(residuals: Callable[[Any], Any], squares: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What has these squares, and is smooth where a residual is 0."""

    def roots(x: Any) -> Any:
        left = residuals(x)
        is_zero = left == 0.0
        return left * np.sqrt(np.where(is_zero, 1.0, squares(x) / np.where(is_zero, 1.0, left * left)))

    return roots


def _least_squares(residuals: Callable[[Any], Any], start: Any, box: Box | None) -> Any:
    """A point near the minimiser, a number."""
    bounds = None if box is None else Box(*functions.stop_gradient(tuple(box)))

    def clipped(x: Any) -> Any:
        return x if bounds is None else bounds.clipped(x)

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        x, damping, _ = state
        left, matrix = residuals(x), functions.jacobian(residuals)(x)
        slope = matrix.T @ left
        if bounds is not None:
            # What is led out of its bound stays, and has no part in the step of the others.
            stays = np.logical_or(*bounds.pressed(x, slope))
            matrix, slope = np.where(stays, 0.0, matrix), np.where(stays, 0.0, slope)
        normal = matrix.T @ matrix
        scale = np.diag(normal) + np.finfo(float).tiny
        there = clipped(x - np.linalg.solve(normal + damping * np.diag(scale), slope))
        other = residuals(there)
        falls = np.sum(other * other) < np.sum(left * left)
        size = np.where(falls, np.max(np.abs(there - x)) / (1 + np.max(np.abs(x))), 1.0)
        return np.where(falls, there, x), np.where(falls, damping / 10, damping * 10), size

    first = clipped(start), np.float64(1e-3), np.float64(1.0)
    near, _, _ = until(lambda s: (s[2] < 1e-6) | (s[1] > _FARTHEST), step, first, 500, "report")
    return functions.stop_gradient(near[0])
