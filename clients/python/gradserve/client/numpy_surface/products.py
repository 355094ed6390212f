"""Products of vectors, matrices and arrays."""

from __future__ import annotations

import string
from typing import Any

import numpy as np

from gradserve.client.numpy_surface.operands import as_operand, axis_of, integer, integers, lift
from gradserve.client.numpy_surface.table import implements, implements_ufunc
from gradserve.ir.builder import Builder, Value
from gradserve.numpy import einstein, matrices, products, shaping, windows


@implements_ufunc(np.matmul)
def matmul(g: Builder, x: Value, y: Value) -> Value:
    """The product of matrices."""
    return products.matmul(x, y)


@implements(np.linalg.matmul)
def linalg_matmul(g: Builder, x1: Any, x2: Any) -> Value:
    """The product of matrices."""
    return products.matmul(lift(g, x1), lift(g, x2))


@implements_ufunc(np.vecdot)
def vecdot(g: Builder, x: Value, y: Value) -> Value:
    """The inner products along the last axis."""
    return products.vecdot(x, y)


@implements(np.linalg.vecdot)
def linalg_vecdot(g: Builder, x1: Any, x2: Any, axis: Any = -1) -> Value:
    """The inner products along an axis."""
    return products.vecdot(lift(g, x1), lift(g, x2), integer(axis, "an axis"))


def matvec(g: Builder, x: Value, y: Value) -> Value:
    """The products of matrices and vectors."""
    return shaping.squeeze(products.matmul(x, shaping.expand_dims(y, -1)), -1)


def vecmat(g: Builder, x: Value, y: Value) -> Value:
    """The products of vectors and matrices."""
    return shaping.squeeze(products.matmul(shaping.expand_dims(x, -2), y), -2)


if hasattr(np, "matvec"):  # since NumPy 2.2
    implements_ufunc(np.matvec)(matvec)
    implements_ufunc(np.vecmat)(vecmat)


@implements(np.dot)
def dot(g: Builder, a: Any, b: Any) -> Value:
    """Sums over the last axis of a and the last but one of b."""
    return products.dot(lift(g, a), as_operand(g, b))


@implements(np.vdot)
def vdot(g: Builder, a: Any, b: Any) -> Value:
    """The inner product of all elements."""
    return products.vdot(lift(g, a), as_operand(g, b))


@implements(np.inner)
def inner(g: Builder, a: Any, b: Any) -> Value:
    """Sums over the last axes of both."""
    return products.inner(lift(g, a), as_operand(g, b))


@implements(np.outer)
def outer(g: Builder, a: Any, b: Any) -> Value:
    """All products of two elements."""
    return products.outer(lift(g, a), as_operand(g, b))


@implements(np.linalg.outer)
def linalg_outer(g: Builder, x1: Any, x2: Any) -> Value:
    """All products of two elements."""
    return products.outer(lift(g, x1), as_operand(g, x2))


@implements(np.kron)
def kron(g: Builder, a: Any, b: Any) -> Value:
    """Blocks: each element of a times b."""
    return products.kron(lift(g, a), as_operand(g, b))


@implements(np.tensordot)
def tensordot(g: Builder, a: Any, b: Any, axes: Any = 2) -> Value:
    """Sums over pairs of axes."""
    pairs = integer(axes, "axes") if not np.iterable(axes) else [integers(each, "axes") for each in axes]
    return products.tensordot(lift(g, a), as_operand(g, b), pairs)


@implements(np.linalg.tensordot)
def linalg_tensordot(g: Builder, x1: Any, x2: Any, axes: Any = 2) -> Value:
    """Sums over pairs of axes."""
    return tensordot(g, x1, x2, axes)


@implements(np.einsum)
def einsum(g: Builder, *operands: Any) -> Value:
    """Sums of products in Einstein's notation."""
    subscripts, *arrays = operands
    if not isinstance(subscripts, str):
        subscripts, arrays = _as_subscripts(list(operands))
    return einstein.einsum(subscripts, *(lift(g, array) for array in arrays))


def _as_subscripts(operands: list[Any]) -> tuple[str, list[Any]]:
    """Operands with lists of axes behind each, and perhaps one of the result, as subscripts and operands."""
    result = operands.pop() if len(operands) % 2 else None
    terms = ["".join("..." if axis is Ellipsis else string.ascii_letters[axis] for axis in t) for t in operands[1::2]]
    arrow = "" if result is None else f"->{_as_subscripts([None, result])[0]}"
    return ",".join(terms) + arrow, operands[::2]


@implements(np.linalg.multi_dot)
def multi_dot(g: Builder, arrays: Any) -> Value:
    """The product of several matrices, in the cheapest order; the first and the last may be vectors."""
    values = [lift(g, array) for array in arrays]
    letters = string.ascii_letters
    terms = [letters[k : k + 2] for k in range(len(values))]
    if values[0].type.rank == 1:
        terms[0] = terms[0][1:]
    if values[-1].type.rank == 1:
        terms[-1] = terms[-1][:1]
    free = (terms[0][:-1] if values[0].type.rank > 1 else "") + (terms[-1][1:] if values[-1].type.rank > 1 else "")
    return einstein.einsum(f"{','.join(terms)}->{free}", *values)


@implements(np.linalg.matrix_power)
def matrix_power(g: Builder, a: Any, n: Any) -> Value:
    """The matrix to a whole power."""
    x, exponent = lift(g, a), integer(n, "an exponent")
    if exponent < 0:
        x, exponent = g.inv(x), -exponent
    result: Value | None = None
    while exponent:
        if exponent % 2:
            result = x if result is None else products.matmul(result, x)
        exponent //= 2
        x = products.matmul(x, x) if exponent else x
    if result is None:
        identity = matrices.eye(g, x.shape[-1], element_type=x.type.element_type)
        return g.broadcast(identity, x.type.shape)
    return result


@implements(np.cross)
def cross(g: Builder, a: Any, b: Any, axisa: Any = -1, axisb: Any = -1, axisc: Any = -1, axis: Any = None) -> Value:
    """The products of vectors with three elements, at right angles to both."""
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = lift(g, a), lift(g, b)
    x, y = shaping.moveaxis(x, axis_of(x, axisa), -1), shaping.moveaxis(y, axis_of(y, axisb), -1)
    if x.shape[-1] != 3 or y.shape[-1] != 3:
        raise ValueError("both arrays must be (arrays of) 3-dimensional vectors")
    x1, x2, y1, y2 = (shaping.roll(v, -k, -1) for v in (x, y) for k in (1, 2))
    result = g.sub(g.mul(x1, y2), g.mul(x2, y1))
    return shaping.moveaxis(result, -1, axis_of(result, axisc))


@implements(np.linalg.cross)
def linalg_cross(g: Builder, x1: Any, x2: Any, axis: Any = -1) -> Value:
    """The products of vectors with three elements."""
    return cross(g, x1, x2, axis=axis)


@implements(np.convolve)
def convolve(g: Builder, a: Any, v: Any, mode: str = "full") -> Value:
    """The coefficients of the product of two polynomials."""
    x, y = lift(g, a), lift(g, v)
    if y.type.size > x.type.size:
        x, y = y, x
    return _windows_dot(g, x, shaping.flip(y), mode)


@implements(np.correlate)
def correlate(g: Builder, a: Any, v: Any, mode: str = "valid") -> Value:
    """The inner products of v with a, moved on step by step."""
    x, y = lift(g, a), lift(g, v)
    if y.type.size > x.type.size:
        return shaping.flip(_windows_dot(g, y, x, mode))
    return _windows_dot(g, x, y, mode)


def _windows_dot(g: Builder, x: Value, y: Value, mode: str) -> Value:
    """The inner products of y with all windows of x, which is padded by zeros; y is not the longer one."""
    m = y.type.size
    if not m:
        raise ValueError("v cannot be empty")
    padding = {"valid": (0, 0), "same": (m // 2, m - 1 - m // 2), "full": (m - 1, m - 1)}[mode]
    padded = g.emit("pad", x, low=padding[:1], high=padding[1:], interior=(0,)) if any(padding) else x
    return products.dot(windows.windows(padded, (m,), (0,)), y)
