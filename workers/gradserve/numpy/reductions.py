"""Sums, products, extrema, quantifiers and positions along axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy.arguments import axis_of, is_of_scalar, kept, lift, reduced_axes, with_dtype
from gradserve.numpy.table import implements


def _reduced(g: Builder, op: str, x: Value, axis: Any, keepdims: bool) -> Value:
    axes = () if is_of_scalar(x, axis) else reduced_axes(x, axis, op.removeprefix("reduce_"))
    return kept(g, g.emit(op, x, axes=axes), x, axes, keepdims)


def _chosen(g: Builder, x: Value, where: Any, otherwise: Any) -> Value:
    """x, and another number where it is not to be counted."""
    return x if where is True else g.select(lift(g, where), x, g.convert(lift(g, otherwise), x.type.element_type))


def _beginning(g: Builder, op: str, result: Value, initial: Any) -> Value:
    """The result of a reduction that begins with a number."""
    return result if initial is None else g.emit(op, result, g.convert(lift(g, initial), result.type.element_type))


@implements(np.sum, np.add.reduce)
def sum(
    g: Builder,
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Value:
    """The sum along axes, of the elements where a condition holds; it begins with a number, if there is one."""
    x = _chosen(g, with_dtype(g, lift(g, a), dtype), where, 0)
    return _beginning(g, "add", with_dtype(g, _reduced(g, "reduce_sum", x, axis, keepdims), dtype), initial)


@implements(np.prod, np.multiply.reduce)
def prod(
    g: Builder,
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Value:
    """The product along axes, of the elements where a condition holds; it begins with a number, if there is one."""
    x = _chosen(g, with_dtype(g, lift(g, a), dtype), where, 1)
    return _beginning(g, "mul", with_dtype(g, _reduced(g, "reduce_prod", x, axis, keepdims), dtype), initial)


@implements(np.max, np.amax, np.maximum.reduce)
def max(g: Builder, a: Any, axis: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True) -> Value:
    """The largest element along axes, or an initial number; of elements where a condition holds, beside that."""
    return _extreme(g, "max", lift(g, a), axis, keepdims, initial, where)


@implements(np.min, np.amin, np.minimum.reduce)
def min(g: Builder, a: Any, axis: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True) -> Value:
    """The smallest element along axes, or an initial number; of elements where a condition holds, beside that."""
    return _extreme(g, "min", lift(g, a), axis, keepdims, initial, where)


def _extreme(g: Builder, name: str, x: Value, axis: Any, keepdims: bool, initial: Any, where: Any) -> Value:
    if where is not True and initial is None:
        raise ValueError(f"np.{name} with where= needs an initial number, for where there is none")
    found = _reduced(g, f"reduce_{name}", _chosen(g, x, where, initial), axis, keepdims)
    return _beginning(g, f"{name}imum", found, initial)


@implements(np.ptp)
def ptp(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """The largest less the smallest element along axes."""
    x = lift(g, a)
    return g.sub(max(x, axis, keepdims), min(x, axis, keepdims))


@implements(np.any, np.logical_or.reduce)
def any(g: Builder, a: Any, axis: Any = None, keepdims: bool = False, where: Any = True) -> Value:
    """Whether one element along axes is true, of those where a condition holds."""
    return _reduced(g, "reduce_any", _chosen(g, _truth(g, a), where, False), axis, keepdims)


@implements(np.all, np.logical_and.reduce)
def all(g: Builder, a: Any, axis: Any = None, keepdims: bool = False, where: Any = True) -> Value:
    """Whether all elements along axes are true, of those where a condition holds."""
    return _reduced(g, "reduce_all", _chosen(g, _truth(g, a), where, True), axis, keepdims)


def _truth(g: Builder, a: Any) -> Value:
    x = lift(g, a)
    return x if x.type.element_type is ElementType.BOOL else g.ne(x, 0)


@implements(np.count_nonzero)
def count_nonzero(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """How many elements along axes are not zero."""
    return _reduced(g, "reduce_sum", _truth(g, a), axis, keepdims)


@implements(np.argmax)
def argmax(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """The first position of the largest element."""
    return _position(g, "argmax", lift(g, a), axis, keepdims)


@implements(np.argmin)
def argmin(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """The first position of the smallest element."""
    return _position(g, "argmin", lift(g, a), axis, keepdims)


def _position(g: Builder, op: str, x: Value, axis: Any, keepdims: bool) -> Value:
    if axis is None or is_of_scalar(x, axis):
        found = g.emit(op, g.reshape(x, (x.type.size,)), axis=0)
        return kept(g, found, x, range(x.type.rank), keepdims)
    along = axis_of(x, axis, op)
    return kept(g, g.emit(op, x, axis=along), x, (along,), keepdims)
