"""Polynomials as vectors of coefficients, the highest power first, and the sequences that they multiply as."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy.arguments import integer, lift, to_float
from gradserve.numpy.decompositions import lstsq
from gradserve.numpy.joining import concatenate, stack
from gradserve.numpy.products import dot
from gradserve.numpy.shaping import flip, part
from gradserve.numpy.table import implements
from gradserve.numpy.windowing import windows
from gradserve.ops.elementwise.parts import conjugate


@implements(np.convolve)
def convolve(g: Builder, a: Any, v: Any, mode: str = "full") -> Value:
    """The coefficients of the product of two polynomials."""
    x, y = _vector(g, a), _vector(g, v)
    if y.type.size > x.type.size:
        x, y = y, x
    return _windows_dot(g, x, flip(y), mode)


@implements(np.correlate)
def correlate(g: Builder, a: Any, v: Any, mode: str = "valid") -> Value:
    """The inner products of v, conjugated, with a, moved on step by step."""
    x, y = _vector(g, a), conjugate(g, _vector(g, v))
    if y.type.size > x.type.size:
        return flip(_windows_dot(g, y, x, mode))
    return _windows_dot(g, x, y, mode)


def _windows_dot(g: Builder, x: Value, y: Value, mode: str) -> Value:
    """The inner products of y with all windows of x, which is padded by zeros; y is not the longer one."""
    m = y.type.size
    if not m:
        raise ValueError("v cannot be empty")
    padding = {"valid": (0, 0), "same": (m // 2, m - 1 - m // 2), "full": (m - 1, m - 1)}[mode]
    padded = g.emit("pad", x, low=padding[:1], high=padding[1:], interior=(0,)) if any(padding) else x
    return dot(windows(padded, (m,), (0,)), y)


@implements(np.polyval)
def polyval(g: Builder, p: Any, x: Any) -> Value:
    """The polynomial with coefficients p at x."""
    at, coefficients = lift(g, x), lift(g, p)
    result = g.zeros(at.type)
    for k in range(coefficients.shape[0]):
        result = g.add(g.mul(result, at), g.emit("gather", coefficients, g.constant(k), axis=0))
    return result


@implements(np.polyfit)
def polyfit(g: Builder, x: Any, y: Any, deg: Any, rcond: Any = None, *, w: Any = None) -> Value:
    """The coefficients of the polynomial of a degree that fits values y at x best, weighted by w."""
    at, values = (to_float(g, v) for v in (x, y))
    left = vander(at, integer(deg, "a degree") + 1)
    if w is not None:
        weights = to_float(g, w)
        left = g.mul(left, g.reshape(weights, (weights.type.size, 1)))
        values = g.mul(values, g.reshape(weights, (weights.type.size, *(1,) * (values.type.rank - 1))))
    size = g.sqrt(g.reduce_sum(g.mul(left, left), axes=(0,)))
    limit = at.type.size * float(np.finfo(at.type.element_type.dtype).eps) if rcond is None else rcond
    found = lstsq(g.div(left, size), values, limit)[0]
    return g.div(found, g.reshape(size, (size.type.size, *(1,) * (found.type.rank - 1))))


def _vector(g: Builder, a: Any) -> Value:
    value = lift(g, a)
    return g.reshape(value, value.shape or (1,))


@implements(np.polyadd)
def polyadd(g: Builder, a1: Any, a2: Any) -> Value:
    """The sum of two polynomials."""
    return g.add(*_of_one_length(g, a1, a2))


@implements(np.polysub)
def polysub(g: Builder, a1: Any, a2: Any) -> Value:
    """The difference of two polynomials."""
    return g.sub(*_of_one_length(g, a1, a2))


def _of_one_length(g: Builder, *polynomials: Any) -> list[Value]:
    values = [_vector(g, p) for p in polynomials]
    longest = max(value.type.size for value in values)
    return [g.emit("pad", v, low=(longest - v.type.size,), high=(0,), interior=(0,)) for v in values]


@implements(np.polymul)
def polymul(g: Builder, a1: Any, a2: Any) -> Value:
    """The product of two polynomials. Leading coefficients of 0 stay: NumPy leaves them out by the numbers."""
    return convolve(lift(g, a1), a2)


@implements(np.polyder)
def polyder(g: Builder, p: Any, m: Any = 1) -> Value:
    """The derivative of a polynomial, m times."""
    value = _vector(g, p)
    for _ in range(_times(m)):
        n = value.type.size
        value = g.mul(part(value, 0, 0, max(n - 1, 0)), np.arange(n - 1, 0, -1))
    return value


@implements(np.polyint)
def polyint(g: Builder, p: Any, m: Any = 1, k: Any = None) -> Value:
    """The antiderivative of a polynomial, m times, with constants k of integration."""
    value, times = _vector(g, p), _times(m)
    constants = to_float(g, np.zeros(times) if k is None else k)
    constants = g.broadcast(g.reshape(constants, constants.shape or (1,)), (times,))
    for step in range(times):
        raised = g.div(value, np.arange(value.type.size, 0, -1.0))
        last = part(constants, 0, step, step + 1)
        value = concatenate([raised, g.convert(last, raised.type.element_type)])
    return value


def _times(m: Any) -> int:
    times = integer(m, "an order")
    if times < 0:
        raise ValueError("Order of a derivative or an integral must be positive")
    return times


@implements(np.vander)
def vander(g: Builder, x: Any, N: Any = None, increasing: bool = False) -> Value:
    """The powers of a vector as columns."""
    given = lift(g, x)
    base = g.convert(given, ElementType.of(np.promote_types(given.type.element_type.dtype, int)))  # as NumPy does
    count = base.type.size if N is None else integer(N, "a number of columns")
    powers = [g.full(base.type, 1)]
    for _ in range(count - 1):
        powers.append(g.mul(powers[-1], base))
    if count <= 0:
        return g.zeros(base.type.with_shape((base.type.size, 0)))
    return stack(powers[:count] if increasing else powers[:count][::-1], axis=1)
