"""Functions of NumPy that act element by element and are no ufuncs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy.arguments import Unsupported, as_operand, integer, lift, to_float
from gradserve.numpy.joining import concatenate
from gradserve.numpy.shaping import part
from gradserve.numpy.table import implements
from gradserve.numpy.ufuncs import trunc
from gradserve.ops.elementwise.parts import real_part


@implements(np.round, np.around)
def round_(g: Builder, a: Any, decimals: Any = 0) -> Value:
    """The nearest number with so many decimals, the even one of two."""
    x, places = lift(g, a), integer(decimals, "the number of decimals")
    if not x.type.is_float:
        if places < 0 or x.type.element_type is ElementType.BOOL:
            raise Unsupported("np.round of integers to tens cannot be traced", "convert them by .astype(np.float64)")
        return x
    if not places:
        return g.round(x)
    scale = float(10 ** abs(places))
    return g.div(g.round(g.mul(x, scale)), scale) if places > 0 else g.mul(g.round(g.div(x, scale)), scale)


@implements(np.fix)
def fix(g: Builder, x: Any) -> Value:
    """x without its fraction."""
    return trunc(lift(g, x))


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
        raise Unsupported("np.nan_to_num with copy=False cannot be traced", "use the result: y = np.nan_to_num(x)")
    value = lift(g, x)
    if not value.type.is_float:
        return value
    if value.type.is_complex:
        parts = (nan_to_num(part_of(value), True, nan, posinf, neginf) for part_of in (g.real, g.imag))
        return g.complex(*parts)
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
    y = g.mul(to_float(g, x), math.pi)
    near = g.lt(g.abs(y), 0.5)
    t = g.select(near, g.mul(y, y), 0)
    series: Any = 0.0
    for k in range(8, -1, -1):
        series = g.add(g.mul(t, series), (-1) ** k / math.factorial(2 * k + 1))
    far = g.select(near, 1, y)
    return g.select(near, series, g.div(g.sin(far), far))


@implements(np.real, view=True)
def real(g: Builder, val: Any) -> Value:
    """The real part."""
    return real_part(g, lift(g, val))


@implements(np.imag)
def imag(g: Builder, val: Any) -> Value:
    """The imaginary part."""
    x = lift(g, val)
    return g.imag(x) if x.type.is_complex else g.zeros(x.type)


@implements(np.angle)
def angle(g: Builder, z: Any, deg: bool = False) -> Value:
    """The angle of each number in the plane: of real ones 0 or pi."""
    x = to_float(g, z)
    if x.type.is_complex:
        found = g.atan2(g.imag(x), g.real(x))
        return g.mul(found, 180.0 / math.pi) if deg else found
    return g.select(signbit(x), 180.0 if deg else math.pi, g.mul(x, 0))


@implements(np.real_if_close, view=True)
def real_if_close(g: Builder, a: Any, tol: Any = 100) -> Value:
    """The array itself if its elements are real; else its type depends on numbers."""
    x = lift(g, a)
    if x.type.is_complex:
        raise Unsupported("np.real_if_close of complex numbers cannot be traced", "write np.real(x)")
    return x


@implements(np.iscomplex)
def iscomplex(g: Builder, x: Any) -> Any:
    """Whether the imaginary part is not 0; of real elements known while tracing."""
    value = lift(g, x)
    return g.ne(g.imag(value), 0) if value.type.is_complex else np.zeros(value.shape, np.bool_)[()]


@implements(np.isreal)
def isreal(g: Builder, x: Any) -> Any:
    """Whether the imaginary part is 0; of real elements known while tracing."""
    value = lift(g, x)
    return g.eq(g.imag(value), 0) if value.type.is_complex else np.ones(value.shape, np.bool_)[()]


@implements(np.signbit)
def signbit(g: Builder, x: Value) -> Value:
    """Whether x is negative, or zero from below."""
    zero = g.eq(x, 0)
    return g.logical_or(g.lt(x, 0), g.logical_and(zero, g.lt(g.div(1, g.select(zero, x, 1)), 0)))


@implements(np.copysign)
def copysign(g: Builder, x: Value, y: Value) -> Value:
    """|x| with the sign of y, which zero has as well."""
    return g.select(signbit(y), g.neg(g.abs(x)), g.abs(x))


@implements(np.interp)
def interp(g: Builder, x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Value:
    """The piecewise linear function through the points (xp, fp) at x; constant outside of them, unless it is periodic.

    At a point the slope is that on its right.
    """
    at, xs, fs = (g.convert(lift(g, operand), ElementType.FLOAT64) for operand in (x, xp, fp))  # as NumPy does
    if period is not None:
        at, xs, fs = _unrolled(g, at, xs, fs, as_operand(g, period))
    (n,) = xs.shape
    if n < 2:
        raise Unsupported("np.interp through fewer than two points cannot be traced", "use the constant itself")
    first, last = (g.emit("gather", xs, g.constant(k), axis=0) for k in (0, n - 1))
    inside = g.clip(at, first, last)
    below = g.clip(g.sub(g.emit("searchsorted", xs, inside, right=True), 1), 0, n - 2)
    x0, x1, f0, f1 = (g.emit("gather", v, k, axis=0) for v in (xs, fs) for k in (below, g.add(below, 1)))
    width = g.sub(x1, x0)
    met = g.eq(width, 0)  # the last of the points, of several at one place
    slope = g.div(g.sub(f1, f0), g.select(met, 1.0, width))
    result = g.add(g.select(met, f1, f0), g.mul(g.sub(inside, x0), slope))
    if period is not None:
        return result
    for outside, given in ((g.lt(at, first), left), (g.gt(at, last), right)):
        result = result if given is None else g.select(outside, as_operand(g, given), result)
    return result


def _unrolled(g: Builder, at: Value, xs: Value, fs: Value, period: Any) -> tuple[Value, Value, Value]:
    """Points of a periodic function in order, with one more on either side, and x brought among them."""
    length = g.abs(period)
    at, xs = g.remainder(at, length), g.remainder(xs, length)
    order = g.argsort(xs, axis=0)
    xs, fs = (g.emit("gather", v, order, axis=0) for v in (xs, fs))
    n = xs.shape[0]
    (x_last, x_first), (f_last, f_first) = ((part(v, 0, n - 1, n), part(v, 0, 0, 1)) for v in (xs, fs))
    xs = concatenate([g.sub(x_last, length), xs, g.add(x_first, length)])
    return at, xs, concatenate([f_last, fs, f_first])
