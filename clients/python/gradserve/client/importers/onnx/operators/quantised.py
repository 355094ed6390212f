"""Integers that stand for real numbers, by a scale and a zero point: rounded, their derivatives are 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import numbers
from gradserve.client.importers.onnx.operators.products import conv, of_kernels
from gradserve.client.importers.onnx.table import Node, Result, axis_in, translates
from gradserve.ir.builder import Value
from gradserve.ir.types import ElementType
from gradserve.numpy import products, ufuncs

_UINT8 = np.dtype(np.uint8)


def _laid(n: Node, told: Operand, x: Operand) -> Value:
    """A scale or zero point as an array that goes with x: one number, one for each slice along an axis, or blocks."""
    g, size = n.g, n.get("block_size", 0)
    if told.value.type.size == 1:
        return g.reshape(told.value, ())
    axis = axis_in(n.get("axis", 1), x.rank)
    if told.rank == 1 and not size:
        return g.reshape(told.value, tuple(m if k == axis else 1 for k, m in enumerate(x.shape)))
    places = ufuncs.floor_divide(numbers(g, x.shape[axis]), g.constant(max(size, 1), ElementType.INT64))
    return g.emit("gather", told.value, places, axis=axis)


def _rounded(n: Node, real: Value, zero: Value | None, dtype: np.dtype[Any]) -> Operand:
    """The nearest of the integers that there are, from the zero point on."""
    g, kind, limits = n.g, real.type.element_type, np.iinfo(dtype)
    whole = g.round(real)
    moved = whole if zero is None else g.add(whole, g.convert(zero, kind))
    return Operand(g.convert(g.clip(moved, float(limits.min), float(limits.max)), _held(dtype)), dtype)


def _held(dtype: np.dtype[Any]) -> ElementType:
    return ElementType.INT64 if dtype.itemsize > 2 else ElementType.INT32


@translates("QuantizeLinear")
def quantised(n: Node, x: Operand, scale: Operand, zero: Operand | None = None) -> Result:
    """x divided by a scale, rounded, from a zero point on; what is too large or small is the last integer there is."""
    g, told = n.g, n.get("output_dtype", 0)
    dtype = zero.dtype if zero is not None else n.reader.elements.dtype(told) if told else _UINT8
    if dtype.kind not in "iu":
        raise n.refuse(f"it gives {dtype}", "export the model before it is quantised")
    real = x.value if x.is_float else g.convert(x.value, scale.value.type.element_type)
    shares = g.div(real, g.convert(_laid(n, scale, x), real.type.element_type))
    return _rounded(n, shares, None if zero is None else _laid(n, zero, x), dtype)


@translates("DequantizeLinear")
def real_of(n: Node, x: Operand, scale: Operand, zero: Operand | None = None) -> Result:
    """x from its zero point on, times a scale."""
    g = n.g
    whole = x.value if zero is None else g.sub(x.value, _laid(n, zero, x))
    found = g.mul(g.convert(whole, scale.value.type.element_type), _laid(n, scale, x))
    return Operand(found, scale.dtype)


@translates("QLinearMatMul")
def matmul(
    n: Node,
    a: Operand,
    a_scale: Operand,
    a_zero: Operand,
    b: Operand,
    b_scale: Operand,
    b_zero: Operand,
    scale: Operand,
    zero: Operand,
) -> Result:
    """The product of matrices of such integers, as such integers."""
    g = n.g
    rows = a_zero.value if a_zero.rank != 1 else g.reshape(a_zero.value, (*a_zero.shape, 1))
    whole = products.matmul(g.sub(a.value, rows), g.sub(b.value, b_zero.value))
    factor = g.div(g.mul(*g.align([a_scale.value, b_scale.value])), scale.value)
    return _rounded(n, g.mul(g.convert(whole, factor.type.element_type), factor), zero.value, zero.dtype)


@translates("QLinearConv")
def convolved(
    n: Node,
    x: Operand,
    x_scale: Operand,
    x_zero: Operand,
    w: Operand,
    w_scale: Operand,
    w_zero: Operand,
    scale: Operand,
    zero: Operand,
    b: Operand | None = None,
) -> Result:
    """The inner products of kernels with all windows of x, in such integers."""
    g, wide = n.g, (-1, *(1,) * (x.rank - 2))
    kernels = g.sub(w.value, of_kernels(n, w_zero, w))
    whole = conv(n, Operand(g.sub(x.value, x_zero.value), x.dtype), Operand(kernels, w.dtype))
    assert isinstance(whole, Value)
    if b is not None:
        whole = g.add(whole, g.reshape(b.value, (b.shape[0], *wide[1:])))
    own = w_scale.value if w_scale.value.type.size == 1 else g.reshape(w_scale.value, (w.shape[0], *wide[1:]))
    factor = g.div(g.mul(*g.align([x_scale.value, own])), scale.value)
    return _rounded(n, g.mul(g.convert(whole, factor.type.element_type), factor), zero.value, zero.dtype)
