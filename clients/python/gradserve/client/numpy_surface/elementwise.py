"""Functions of NumPy that act element by element and are no ufuncs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradserve.client.numpy_surface.operands import as_operand, integer, lift
from gradserve.client.numpy_surface.table import implements
from gradserve.client.numpy_surface.ufuncs import trunc
from gradserve.client.origins import untraceable
from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.ops.family import to_float


@implements(np.round, np.around)
def round_(g: Builder, a: Any, decimals: Any = 0) -> Value:
    """The nearest number with so many decimals, the even one of two."""
    x, places = lift(g, a), integer(decimals, "the number of decimals")
    if not x.type.is_float:
        if places < 0 or x.type.element_type is ElementType.BOOL:
            raise untraceable("np.round of integers to tens cannot be traced", "convert them by .astype(np.float64)")
        return x
    if not places:
        return g.round(x)
    scale = float(10 ** abs(places))
    return g.div(g.round(g.mul(x, scale)), scale) if places > 0 else g.mul(g.round(g.div(x, scale)), scale)


@implements(np.fix)
def fix(g: Builder, x: Any) -> Value:
    """x without its fraction."""
    return trunc(g, lift(g, x))


@implements(np.clip)
def clip(g: Builder, a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Value:
    """a, but a_min where it is below and a_max where it is above; in the closed interval the derivative is 1."""
    x = lift(g, a)
    low = as_operand(g, min if a_min is None else a_min) if a_min is not None or min is not None else None
    high = as_operand(g, max if a_max is None else a_max) if a_max is not None or max is not None else None
    bounds = [bound for bound in (low, high) if bound is not None]
    if not bounds:
        return x
    # An integer has no infinity for the missing bound, and no derivative that could tell clip from an extremum.
    if len(bounds) == 1 and not g.promote([x, *bounds])[0].type.is_float:
        return g.minimum(x, high) if low is None else g.maximum(x, low)
    return g.clip(x, -math.inf if low is None else low, math.inf if high is None else high)


@implements(np.nan_to_num)
def nan_to_num(g: Builder, x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Value:
    """x with numbers in place of NaN and infinity."""
    if not copy:
        raise untraceable("np.nan_to_num with copy=False cannot be traced", "use the result: y = np.nan_to_num(x)")
    value = lift(g, x)
    if not value.type.is_float:
        return value
    largest = float(np.finfo(value.type.element_type.dtype).max)
    result = value
    for where, given, default in (
        (g.ne(value, value), nan, 0.0),
        (g.eq(value, math.inf), posinf, largest),
        (g.eq(value, -math.inf), neginf, -largest),
    ):
        number = g.convert(lift(g, default if given is None else given), value.type.element_type)
        result = g.select(where, number, result)
    return result


@implements(np.sinc)
def sinc(g: Builder, x: Any) -> Value:
    """sin(pi x) / (pi x), and 1 at 0.

    Near 0 it is its power series, so that derivatives of every order are right there as well.
    """
    y = g.mul(to_float(g, as_operand(g, x)), math.pi)
    near = g.lt(g.abs(y), 0.5)
    t = g.select(near, g.mul(y, y), 0)
    series: Any = 0.0
    for k in range(8, -1, -1):
        series = g.add(g.mul(t, series), (-1) ** k / math.factorial(2 * k + 1))
    far = g.select(near, 1, y)
    return g.select(near, series, g.div(g.sin(far), far))


@implements(np.real, view=True)
def real(g: Builder, val: Any) -> Value:
    """The real part: all elements are real."""
    return lift(g, val)


@implements(np.imag)
def imag(g: Builder, val: Any) -> Value:
    """The imaginary part: all elements are real."""
    return g.zeros(lift(g, val).type)


@implements(np.interp)
def interp(g: Builder, x: Any, xp: Any, fp: Any) -> Value:
    """The piecewise linear function through the points (xp, fp) at x; constant outside of them."""
    at, xs, fs = (to_float(g, as_operand(g, operand)) for operand in (x, xp, fp))
    (n,) = xs.shape
    if n < 2:
        raise untraceable("np.interp through fewer than two points cannot be traced", "use the constant itself")
    first, last = (g.emit("gather", xs, g.constant(k), axis=0) for k in (0, n - 1))
    at = g.clip(at, first, last)
    passed = g.ge(g.reshape(at, (*at.type.shape, 1)), xs)
    left = g.clip(g.sub(g.reduce_sum(g.convert(passed, ElementType.INT64), axes=(at.type.rank,)), 1), 0, n - 2)
    right = g.add(left, 1)
    x0, x1, f0, f1 = (g.emit("gather", v, k, axis=0) for v in (xs, fs) for k in (left, right))
    return g.add(f0, g.mul(g.sub(at, x0), g.div(g.sub(f1, f0), g.sub(x1, x0))))
