"""Contractions as BLAS calls: which view, reshape or copy brings each operand into the form that BLAS reads."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from gradserve.ir.records import dataclass

Axes: TypeAlias = tuple[int, ...]
Form: TypeAlias = Callable[[Any], Any]

_multiply = partial(np.multiply, order="C")  # every result is row-major, whatever the operands' order in memory


@dataclass(frozen=True, slots=True)
class _Layout:
    """How an operand becomes a stack of matrices: axes in this order, merged to this shape, then perhaps flipped."""

    order: Axes | None
    shape: tuple[int, ...] | None
    flip: bool = False
    copy: bool = False

    def form(self) -> Form | None:
        """The function that brings the operand into this layout; None if it has it."""
        order, shape, flip, copy = self.order, self.shape, self.flip, self.copy
        if order is not None:
            if copy:
                return lambda x: np.ascontiguousarray(x.transpose(order)).reshape(shape)
            return (lambda x: x.transpose(order)) if shape is None else (lambda x: x.transpose(order).reshape(shape))
        if not flip:
            return None if shape is None else (lambda x: x.reshape(shape))
        if shape is None:
            return lambda x: x.swapaxes(-1, -2)
        return lambda x: x.reshape(shape).swapaxes(-1, -2)


def _matrices(lengths: Axes, batch: Axes, rows: Axes, columns: Axes) -> _Layout:
    """The layout of an operand as matrices (batch, rows, columns): a view if its axes come in that order or flipped."""
    along = tuple(lengths[axis] for axis in batch)
    height, width = (math.prod(lengths[axis] for axis in axes) for axes in (rows, columns))
    identity = _axes(lengths)
    if (*batch, *rows, *columns) == identity:
        return _Layout(None, _unless_same((*along, height, width), lengths))
    if (*batch, *columns, *rows) == identity:
        return _Layout(None, _unless_same((*along, width, height), lengths), flip=True)
    order = (*batch, *rows, *columns)
    moved = tuple(lengths[axis] for axis in order)
    # With a batch axis innermost, no axis of the matrices is contiguous and BLAS could not read them.
    return _Layout(order, _unless_same((*along, height, width), moved), copy=identity[-1] in batch)


def _vectors(lengths: Axes, batch: Axes, entries: Axes) -> _Layout:
    """The layout of an operand as vectors (batch, entries)."""
    order = (*batch, *entries)
    moved = tuple(lengths[axis] for axis in order)
    shape = (*(lengths[axis] for axis in batch), math.prod(lengths[axis] for axis in entries))
    return _Layout(_unless_same(order, _axes(lengths)), _unless_same(shape, moved))


def _in_order(lengths: Axes, axes: Axes) -> _Layout:
    """The layout of an operand with its axes in this order."""
    return _Layout(_unless_same(axes, _axes(lengths)), None)


def _axes(lengths: Axes) -> Axes:
    return tuple(range(len(lengths)))


def _unless_same(wanted: Axes, present: Axes) -> Axes | None:
    return None if wanted == present else wanted


def product_kernel(
    x: Axes, x_axes: tuple[Axes, Axes, Axes], y: Axes, y_axes: tuple[Axes, Axes, Axes]
) -> Callable[[Any, Any], Any]:
    """The function that contracts arrays of lengths x and y, given each one's (batch, free, contracted) axes."""
    x_inner, y_inner = _pair_order(x, x_axes, y, y_axes)
    (x_batch, x_free, _), (y_batch, y_free, _) = x_axes, y_axes
    shape = (*(x[a] for a in x_batch), *(x[a] for a in x_free), *(y[a] for a in y_free))
    if math.prod(x) == 1 or math.prod(y) == 1:
        return _multiple(shape, number_first=math.prod(x) == 1)
    if not x_inner and not (x_free or y_free):
        forms = _in_order(x, x_batch + x_free), _in_order(y, y_batch + y_free)
        return _product(*forms, _multiply, shape, shape)
    if not x_batch:
        return _flat_kernel(x, x_free, x_inner, y, y_free, y_inner, shape)
    along = shape[: len(x_batch)]
    if not x_free and not y_free:
        forms = _vectors(x, x_batch, x_inner), _vectors(y, y_batch, y_inner)
        return _product(*forms, _inner_products, along, shape)
    forms = _matrices(x, x_batch, x_free, x_inner), _matrices(y, y_batch, y_inner, y_free)
    made = (*along, math.prod(x[a] for a in x_free), math.prod(y[a] for a in y_free))
    return _product(*forms, partial(np.matmul, order="C") if x_inner else _multiply, made, shape)


def _inner_products(x: Any, y: Any) -> Any:
    """The sums of x y along the last axis; NumPy's own conjugates x, which of real numbers costs nothing."""
    return np.vecdot(x.conj(), y, order="C")


def _multiple(shape: Axes, number_first: bool) -> Callable[[Any, Any], Any]:
    """A number times an array: `dot` would make 0 of 0 times infinity. All axes that could move have length 1."""
    if number_first:
        return lambda x, y: _multiply(x.reshape(()), y.reshape(shape))
    return lambda x, y: _multiply(x.reshape(shape), y.reshape(()))


def _flat_kernel(
    x: Axes, x_free: Axes, x_inner: Axes, y: Axes, y_free: Axes, y_inner: Axes, shape: Axes
) -> Callable[[Any, Any], Any]:
    """Without batch axes: `dot` of at most two matrices, which costs less to call than matmul."""
    left = _matrices(x, (), x_free, x_inner) if x_free else _vectors(x, (), x_inner)
    right = _matrices(y, (), y_inner, y_free) if y_free else _vectors(y, (), y_inner)
    made = tuple(math.prod(lengths[a] for a in free) for lengths, free in ((x, x_free), (y, y_free)) if free)
    return _product(left, right, np.ndarray.dot, made, shape)


def _product(
    left: _Layout, right: _Layout, function: Callable[[Any, Any], Any], made: Axes, shape: Axes
) -> Callable[[Any, Any], Any]:
    """`function` on the operands in their layouts, its result of shape `made` brought to `shape`."""
    f, h = left.form(), right.form()
    if made != shape:
        inner = _product(left, right, function, shape, shape)
        return lambda x, y: inner(x, y).reshape(shape)
    if f is None:
        return function if h is None else (lambda x, y: function(x, h(y)))
    return (lambda x, y: function(f(x), y)) if h is None else (lambda x, y: function(f(x), h(y)))


def _pair_order(
    x: Axes, x_axes: tuple[Axes, Axes, Axes], y: Axes, y_axes: tuple[Axes, Axes, Axes]
) -> tuple[Axes, Axes]:
    """The contracted axes, in the order that lets the larger operand stay where it is."""
    pairs = list(zip(x_axes[2], y_axes[2], strict=True))
    pairs.sort(key=(lambda pair: pair[0]) if math.prod(x) >= math.prod(y) else (lambda pair: pair[1]))
    return tuple(i for i, _ in pairs), tuple(j for _, j in pairs)
