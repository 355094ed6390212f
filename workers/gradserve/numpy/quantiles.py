"""Medians and quantiles, of all elements or of those that are not NaN."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import Array, ElementType
from gradserve.numpy.arguments import Unsupported, kept, lift, reduced_axes, to_float
from gradserve.numpy.nans import nanmean
from gradserve.numpy.ordering import sort
from gradserve.numpy.shaping import moveaxis, part
from gradserve.numpy.table import implements
from gradserve.ops.indexing.gather import taken_along
from gradserve.ops.movement.shapes import permuted


def _rows(x: Value, axes: tuple[int, ...]) -> Value:
    """The elements along the axes as one last axis, the others in front."""
    others = tuple(k for k in range(x.type.rank) if k not in axes)
    shape = tuple(x.shape[k] for k in others)
    return x.builder.reshape(permuted(x.builder, x, (*others, *axes)), (*shape, math.prod(x.shape[k] for k in axes)))


@implements(np.median)
def median(g: Builder, a: Any, axis: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Value:
    """The element in the middle, or the mean of the two there."""
    value = to_float(g, a)
    axes = reduced_axes(value, axis, "median")
    ordered = sort(_rows(value, axes))
    n, last = ordered.shape[-1], ordered.type.rank - 1
    if not n:
        return g.full(kept(g, g.reduce_sum(value, axes=axes), value, axes, keepdims).type, math.nan)
    middle = part(ordered, last, (n - 1) // 2, n // 2 + 1)
    mean = g.mul(g.reduce_sum(middle, axes=(last,)), 1 / middle.shape[-1])
    return kept(g, _without_nan(mean, ordered), value, axes, keepdims)


def _without_nan(result: Value, ordered: Value) -> Value:
    """The result, but NaN, with derivatives of NaN, where the last of the ordered elements is."""
    g, last = result.builder, ordered.type.rank - 1
    greatest = g.emit("gather", ordered, g.constant(ordered.shape[-1] - 1), axis=last)
    return g.mul(result, g.select(g.ne(greatest, greatest), math.nan, g.constant(1.0, result.type.element_type)))


def _at_positions(g: Builder, value: Value, positions: Array, axes: tuple[int, ...], keepdims: bool) -> Value:
    """The elements at these positions in ascending order, a linear mixture of two where one lies between.

    Shape: that of the positions, then what the axes leave. NaN if there is one.
    """
    ordered = sort(_rows(value, axes))
    last = ordered.type.rank - 1
    below = np.floor(positions).astype(np.int64)
    above = np.ceil(positions).astype(np.int64)
    low, high = (g.emit("gather", ordered, index, axis=last) for index in (below, above))
    rank = positions.ndim
    mixed = _mixture(g, low, high, g.constant(positions - below, value.type.element_type))
    result = moveaxis(mixed, tuple(range(last, last + rank)), tuple(range(rank)))
    result = _without_nan(result, ordered)
    if not keepdims:
        return result
    lengths = tuple(1 if k in axes else n for k, n in enumerate(value.shape))
    return g.reshape(result, (*positions.shape, *lengths))


def _mixture(g: Builder, low: Value, high: Value, weight: Value) -> Value:
    """low + (high - low) weight, from the nearer end, as NumPy does."""
    gap = g.sub(high, low)
    near, far = g.add(low, g.mul(gap, weight)), g.sub(high, g.mul(gap, g.sub(1.0, weight)))
    return g.select(g.ge(weight, 0.5), far, near)


def _of_present(g: Builder, x: Any, fractions: Array, axis: Any, keepdims: bool) -> Value:
    """The elements at these fractions of the elements that are not NaN; NaN where there is none."""
    value = to_float(g, x)
    if not value.type.size:
        return nanmean(value, axis, keepdims=keepdims)  # as NumPy does, whatever fractions are asked for
    axes = reduced_axes(value, axis, "nanquantile")
    rows = _rows(value, axes)
    ordered, last = sort(rows), rows.type.rank - 1
    present = g.reduce_sum(g.convert(g.eq(rows, rows), ElementType.INT64), axes=(last,))
    final = g.reshape(g.maximum(g.sub(present, 1), 0), (*present.shape, 1))
    position = g.mul(g.convert(final, ElementType.FLOAT64), g.constant(fractions.reshape(-1)))
    below = g.convert(g.floor(position), ElementType.INT64)
    low, high = (taken_along(g, ordered, at, last) for at in (below, g.minimum(g.add(below, 1), final)))
    weight = g.convert(g.sub(position, g.convert(below, ElementType.FLOAT64)), value.type.element_type)
    mixed = moveaxis(_mixture(g, low, high, weight), last, 0)
    lengths = tuple(1 if k in axes else n for k, n in enumerate(value.shape)) if keepdims else mixed.shape[1:]
    return g.reshape(mixed, (*fractions.shape, *lengths))


def _of_quantiles(function: Callable[..., Any], name: str) -> Callable[..., Value]:
    def apply(
        g: Builder,
        a: Any,
        q: Any,
        axis: Any = None,
        overwrite_input: bool = False,
        method: str = "linear",
        keepdims: bool = False,
    ) -> Value:
        """The element below which a part of the elements lies, by any of NumPy's methods."""
        x, fractions = lift(g, a), _known(q, name)
        axes = reduced_axes(x, axis, "quantile")
        count = int(np.prod([x.shape[k] for k in axes], dtype=int))
        result = function(np.zeros(1, x.type.element_type.dtype), q, method=method)  # its type, and NumPy's own errors
        # Of 0, 1, 2, ... the quantile is the position of that of other elements.
        positions = np.asarray(function(np.arange(float(count)), fractions, method=method))
        kind = ElementType.of(np.asarray(result).dtype)
        return g.convert(_at_positions(g, to_float(g, g.convert(x, kind)), positions, axes, keepdims), kind)

    return apply


quantile = implements(np.quantile)(_of_quantiles(np.quantile, "np.quantile"))
percentile = implements(np.percentile)(_of_quantiles(np.percentile, "np.percentile"))


def _known(q: Any, name: str) -> Array:
    if isinstance(q, Value):
        raise Unsupported(f"the q of {name} is traced", "use quantiles known while tracing")
    return np.asarray(q, np.float64)


@implements(np.nanmedian)
def nanmedian(g: Builder, a: Any, axis: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Value:
    """The element in the middle of those that are not NaN."""
    return _of_present(g, a, np.array(0.5), axis, keepdims)


def _of_nanquantiles(function: Callable[..., Any], name: str, whole: float) -> Callable[..., Value]:
    def apply(
        g: Builder,
        a: Any,
        q: Any,
        axis: Any = None,
        overwrite_input: bool = False,
        method: str = "linear",
        keepdims: bool = False,
    ) -> Value:
        """The element below which a part of those lies that are not NaN, by linear interpolation."""
        if method != "linear":
            raise Unsupported(f"{name} with method={method!r} cannot be traced", "use the method 'linear'")
        x, fractions = lift(g, a), _known(q, name)
        result = function(np.zeros(1, x.type.element_type.dtype), q)
        kind = ElementType.of(np.asarray(result).dtype)
        return _of_present(g, g.convert(x, kind), fractions / whole, axis, keepdims)

    return apply


nanquantile = implements(np.nanquantile)(_of_nanquantiles(np.nanquantile, "np.nanquantile", 1.0))
nanpercentile = implements(np.nanpercentile)(_of_nanquantiles(np.nanpercentile, "np.nanpercentile", 100.0))
