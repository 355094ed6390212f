"""scipy.optimize's solvers of equations, of traced arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.client import functions
from gradserve.client.scipy.solvers.brackets import bracketed
from gradserve.client.scipy.solvers.given import Found, bound, floats, scalar, vector


def brentq(f: Callable[..., Any], a: Any, b: Any, args: Any = (), full_output: bool = False) -> Any:
    """The root between two points where the function has different signs."""
    return _with_report(_between(bound(f, args, scalar), a, b), full_output)


def newton(func: Callable[..., Any], x0: Any, args: Any = (), full_output: bool = False) -> Any:
    """The root near x0, or those near each element of it, by Newton's method with the derivative of the graph."""
    start = floats(x0)
    return _with_report(functions.root(bound(func, args, _like(start)), start).x, full_output)


def root_scalar(
    f: Callable[..., Any], args: Any = (), bracket: Any = None, fprime: Any = None, x0: Any = None
) -> Found:
    """The root in the bracket, or near x0."""
    function = bound(_values(f, fprime), args, scalar)
    found = functions.root(function, scalar(x0)).x if bracket is None else _between(function, *bracket)
    return Found(root=found, converged=True, flag="converged")


def fsolve(func: Callable[..., Any], x0: Any, args: Any = (), full_output: Any = 0) -> Any:
    """The roots of as many equations as unknowns."""
    start = np.atleast_1d(floats(x0))
    function = bound(func, args, _like(start))
    x = functions.root(function, start).x
    return (x, {"fvec": function(x)}, 1, "") if full_output else x


def root(fun: Callable[..., Any], x0: Any, args: Any = (), jac: Any = None) -> Found:
    """The roots of as many equations as unknowns, and what is left of the equations there."""
    start = floats(x0)
    function = bound(_values(fun, jac), args, _like(start))
    x = functions.root(function, start).x
    return Found(x=x, fun=function(x), success=True, status=1, message="")


def fixed_point(func: Callable[..., Any], x0: Any, args: Any = ()) -> Any:
    """The x that the function leaves as it is."""
    start = floats(x0)
    function = bound(func, args, _like(start))
    return functions.root(lambda x: function(x) - x, start).x


def _between(function: Callable[[Any], Any], a: Any, b: Any) -> Any:
    return functions.root(function, bracketed(function, scalar(a), scalar(b))).x


def _values(function: Callable[..., Any], derivative: Any) -> Callable[..., Any]:
    """A function that returns values alone, where it may return derivatives with them."""
    return (lambda *x: function(*x)[0]) if derivative is True else function


def _like(start: Any) -> Callable[[Any], Any]:
    """What makes equations an array like the unknowns."""
    return lambda found: np.reshape(vector(found).astype(start.dtype), start.shape)


def _with_report(x: Any, is_asked: bool) -> Any:
    return (x, Found(root=x, converged=True, flag="converged")) if is_asked else x
