"""scipy.optimize's solvers of minima and of least squares, of traced arrays."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.client import functions
from gradserve.client.functions.until import until
from gradserve.client.scipy.solvers.brackets import lowest
from gradserve.client.scipy.solvers.given import Found, bound, floats, refuse, scalar, vector

_MATRICES = 200
"""Up to how many unknowns Newton's method is used."""
_BOUNDED = "write the unknowns as functions of free ones, such as np.exp(u), or leave the bounds out if none is reached"
_FARTHEST = 1e8
"""How much longer than a step of Gauss and Newton the diagonal may make one before the search ends."""


def minimize(
    fun: Callable[..., Any], x0: Any, args: Any = (), jac: Any = None, bounds: Any = None, constraints: Any = ()
) -> Found:
    """A local minimum near x0, by Newton's method, or L-BFGS for many unknowns, with derivatives of the graph."""
    if not _is_free(bounds) or constraints:
        refuse("scipy.optimize.minimize with bounds or constraints", _BOUNDED)
    start = np.atleast_1d(floats(x0))
    function = bound((lambda *x: fun(*x)[0]) if jac is True else fun, args, scalar)
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
    fun: Callable[..., Any], x0: Any, bounds: Any = None, loss: Any = "linear", args: Any = (), kwargs: Any = None
) -> Found:
    """Where the sum of squares of residuals is smallest near x0, half of it, and the residuals."""
    if not _is_free(bounds):
        refuse("scipy.optimize.least_squares with bounds", _BOUNDED)
    if loss != "linear":
        refuse(f"scipy.optimize.least_squares with loss={loss!r}", "write functions.minimize of what is to be smallest")
    residuals = bound(fun, args, vector, **(kwargs or {}))
    x = _least(residuals, np.atleast_1d(floats(x0)))
    left = residuals(x)
    cost = np.sum(left * left) / 2
    matrix = functions.jacobian(residuals)(x)
    return Found(x=x, cost=cost, fun=left, jac=matrix, grad=matrix.T @ left, success=True, status=1, message="")


def leastsq(func: Callable[..., Any], x0: Any, args: Any = (), full_output: Any = False) -> tuple[Any, int]:
    """Where the sum of squares of residuals is smallest near x0."""
    if full_output:
        refuse("scipy.optimize.leastsq with full_output", "leave it out, or write least_squares")
    return _least(bound(func, args, vector), np.atleast_1d(floats(x0))), 1


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
    if full_output or not _is_free(bounds):
        refuse("scipy.optimize.curve_fit with bounds or full_output", _BOUNDED)
    start = np.ones(len(inspect.signature(f).parameters) - 1) if p0 is None else np.atleast_1d(floats(p0))
    y = floats(ydata)

    def residuals(p: Any) -> Any:
        left = vector(floats(f(xdata, *(p[k] for k in range(start.size)))) - y)
        if sigma is None:
            return left
        spread = floats(sigma)
        return left / vector(spread) if spread.ndim < 2 else np.linalg.solve(np.linalg.cholesky(spread), left)

    p = _least(residuals, start)
    left, matrix = residuals(p), functions.jacobian(residuals)(p)
    covariance = np.linalg.inv(matrix.T @ matrix)
    scale = 1.0 if absolute_sigma else np.sum(left * left) / (y.size - start.size)
    return p, covariance * scale


def _least(residuals: Callable[[Any], Any], start: Any) -> Any:
    """The minimiser of a sum of squares; steps of Levenberg and Marquardt lead close to it.

    Newton's method alone may leave for another minimum, as far from one the curvature of residuals counts.
    """

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        x, damping, _ = state
        left, matrix = residuals(x), functions.jacobian(residuals)(x)
        normal = matrix.T @ matrix
        scale = np.diag(normal) + np.finfo(float).tiny
        move = np.linalg.solve(normal + damping * np.diag(scale), matrix.T @ left)
        other = residuals(x - move)
        falls = np.sum(other * other) < np.sum(left * left)
        size = np.where(falls, np.max(np.abs(move)) / (1 + np.max(np.abs(x))), 1.0)
        return np.where(falls, x - move, x), np.where(falls, damping / 10, damping * 10), size

    near, _, _ = until(
        lambda s: (s[2] < 1e-6) | (s[1] > _FARTHEST), step, (start, np.float64(1e-3), np.float64(1.0)), 500, "report"
    )
    return functions.minimize(lambda x: np.sum(residuals(x) ** 2) / 2, functions.stop_gradient(near[0])).x


def _is_free(bounds: Any) -> bool:
    """Whether bounds bound nothing."""
    if bounds is None:
        return True
    if hasattr(bounds, "lb"):
        return _is_free((bounds.lb, bounds.ub))
    if isinstance(bounds, tuple | list | np.ndarray):
        return all(map(_is_free, bounds))
    return bool(np.isinf(bounds))
