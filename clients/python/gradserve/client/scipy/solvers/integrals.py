"""scipy.integrate's integrals of functions, of traced arrays."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradserve.client import functions
from gradserve.client.scipy.solvers.given import bound, floats, refuse, scalar
from gradserve.client.tracing.names import first_tracer

_TOLERANCE = 1.49e-8


def quad(
    func: Callable[..., Any],
    a: Any,
    b: Any,
    args: Any = (),
    full_output: Any = 0,
    epsabs: Any = _TOLERANCE,
    epsrel: Any = _TOLERANCE,
    limit: int = 50,
    points: Any = None,
    weight: Any = None,
) -> tuple[Any, Any]:
    """The integral, and an estimate of its error; between points where it is not smooth, one by one."""
    if weight is not None:
        refuse("scipy.integrate.quad with weight", "multiply what the function returns by it")
    if full_output:
        refuse("scipy.integrate.quad with full_output", "leave it out")
    # Where traced ones are in order is not known; what jumps there is found by itself.
    known = [] if points is None else [point for point in points if first_tracer(point) is None]
    between = sorted(float(point) for point in known)
    function = bound(func, args, scalar)
    pieces = itertools.pairwise([a, *between, b])
    found = [functions.quad(function, *ends, rtol=epsrel, atol=epsabs, most=limit) for ends in pieces]
    return sum(each.value for each in found), sum(each.error for each in found)


def quad_vec(
    f: Callable[..., Any], a: Any, b: Any, epsabs: Any = 1e-200, epsrel: Any = 1e-8, limit: int = 500, args: Any = ()
) -> tuple[Any, Any]:
    """The integral of a function that returns arrays, and an estimate of its largest error."""
    found = functions.quad(bound(f, args, floats), a, b, rtol=epsrel, atol=epsabs, most=limit)
    return found.value, found.error


def fixed_quad(func: Callable[..., Any], a: Any, b: Any, args: Any = (), n: int = 5) -> tuple[Any, None]:
    """The integral by the rule of Gauss with n points, at which the function is called at once."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    half = (floats(b) - a) / 2
    return half * np.sum(weights * bound(func, args, floats)(half * (nodes + 1) + a), axis=-1), None


def dblquad(
    func: Callable[..., Any], a: Any, b: Any, gfun: Any, hfun: Any, args: Any = (), epsabs: Any = _TOLERANCE,
    epsrel: Any = _TOLERANCE,
) -> tuple[Any, Any]:  # fmt: skip
    """The integral of func(y, x) over y between functions of x, and over x."""
    return _nested(func, [_limits(gfun, hfun), _limits(a, b)], args, epsabs, epsrel)


def tplquad(
    func: Callable[..., Any], a: Any, b: Any, gfun: Any, hfun: Any, qfun: Any, rfun: Any, args: Any = (),
    epsabs: Any = _TOLERANCE, epsrel: Any = _TOLERANCE,
) -> tuple[Any, Any]:  # fmt: skip
    """The integral of func(z, y, x) over z between functions of x and y, over y between functions of x, and over x."""
    inner = _limits(
        (lambda y, x: qfun(x, y)) if callable(qfun) else qfun, (lambda y, x: rfun(x, y)) if callable(rfun) else rfun
    )
    return _nested(func, [inner, _limits(gfun, hfun), _limits(a, b)], args, epsabs, epsrel)


def nquad(
    func: Callable[..., Any], ranges: Sequence[Any], args: Any = None, opts: Any = None, full_output: bool = False
) -> tuple[Any, Any]:
    """The integral over several numbers, the first innermost, between limits that may be functions of the others."""
    if opts is not None or full_output:
        refuse("scipy.integrate.nquad with opts or full_output", "leave them out")
    limits = [each if callable(each) else _limits(*each) for each in ranges]
    return _nested(func, limits, () if args is None else args, _TOLERANCE, _TOLERANCE, to_limits=True)


def _limits(low: Any, high: Any) -> Callable[..., tuple[Any, Any]]:
    """The limits as a function of the numbers further out."""
    return lambda *outer: tuple(end(*outer) if callable(end) else end for end in (low, high))


def _nested(
    func: Callable[..., Any],
    limits: Sequence[Callable[..., Any]],
    args: Any,
    epsabs: Any,
    epsrel: Any,
    to_limits: bool = False,
) -> tuple[Any, Any]:
    """An integral over integrals; limits are told the further arguments if they are to be."""
    others = args if isinstance(args, tuple) else (args,)
    function = bound(func, others, scalar)

    def over(count: int, outer: tuple[Any, ...]) -> Any:
        """The integral over the first so many numbers, where the others are given."""
        low, high = limits[count - 1](*outer, *(others if to_limits else ()))

        def inner(x: Any) -> Any:
            return function(x, *outer) if count == 1 else over(count - 1, (x, *outer)).value

        return functions.quad(inner, low, high, rtol=epsrel, atol=epsabs)

    found = over(len(limits), ())
    return found.value, found.error
