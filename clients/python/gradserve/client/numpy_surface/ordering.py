"""Elements in ascending order, the one in the middle, and positions among ordered ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.client.numpy_surface.operands import axes_of, integer, lift
from gradserve.client.numpy_surface.table import implements
from gradserve.client.tracing.origins import untraceable
from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import Array, ElementType
from gradserve.numpy import ordering, shaping


def _axis(axis: Any) -> int | None:
    return None if axis is None else integer(axis, "an axis")


@implements(np.sort)
def sort(g: Builder, a: Any, axis: Any = -1, kind: Any = None, *, stable: Any = None) -> Value:
    """The elements in ascending order. Among equal ones, the first has the first one's derivative."""
    return ordering.sort(lift(g, a), _axis(axis))


@implements(np.argsort)
def argsort(g: Builder, a: Any, axis: Any = -1, kind: Any = None, *, stable: Any = None) -> Value:
    """The positions that sort; equal elements keep their order, whatever kind of algorithm is asked for."""
    return ordering.argsort(lift(g, a), _axis(axis))


@implements(np.partition)
def partition(g: Builder, a: Any, kth: Any, axis: Any = -1, kind: Any = None) -> Value:
    """The elements in ascending order, which leaves every kth one at its place."""
    return ordering.sort(_with_places(g, a, kth, axis), _axis(axis))


@implements(np.argpartition)
def argpartition(g: Builder, a: Any, kth: Any, axis: Any = -1, kind: Any = None) -> Value:
    """The positions that sort, which bring every kth element to its place."""
    return ordering.argsort(_with_places(g, a, kth, axis), _axis(axis))


def _with_places(g: Builder, a: Any, kth: Any, axis: Any) -> Value:
    """The array, once NumPy has agreed to the places."""
    x = lift(g, a)
    length = x.type.size if axis is None else x.shape[axes_of(x, axis)[0]]
    np.argpartition(np.arange(length), kth)
    return x


@implements(np.median)
def median(g: Builder, a: Any, axis: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Value:
    """The element in the middle, or the mean of the two there."""
    x = lift(g, a)
    return ordering.median(x, axes_of(x, axis), keepdims)


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
        x, part = lift(g, a), _known(q, name)
        axes = axes_of(x, axis)
        count = int(np.prod([x.shape[k] for k in axes], dtype=int))
        result = function(np.zeros(1, x.type.element_type.dtype), q, method=method)  # its type, and NumPy's own errors
        # Of 0, 1, 2, ... the quantile is the position of that of other elements.
        positions = np.asarray(function(np.arange(float(count)), part, method=method))
        found = ordering.quantile(x, positions, axes, keepdims)
        return g.convert(found, ElementType.of(np.asarray(result).dtype))

    return apply


quantile = implements(np.quantile)(_of_quantiles(np.quantile, "np.quantile"))
percentile = implements(np.percentile)(_of_quantiles(np.percentile, "np.percentile"))


def _known(q: Any, name: str) -> Array:
    if isinstance(q, Value):
        raise untraceable(f"the q of {name} is traced", "use quantiles known while tracing")
    return np.asarray(q, np.float64)


@implements(np.nanmedian)
def nanmedian(g: Builder, a: Any, axis: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Value:
    """The element in the middle of those that are not NaN."""
    x = lift(g, a)
    return ordering.nanquantile(x, np.array(0.5), axes_of(x, axis), keepdims)


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
            raise untraceable(f"{name} with method={method!r} cannot be traced", "use the method 'linear'")
        x, part = lift(g, a), _known(q, name)
        result = function(np.zeros(1, x.type.element_type.dtype), q)
        found = ordering.nanquantile(x, part / whole, axes_of(x, axis), keepdims)
        return g.convert(found, ElementType.of(np.asarray(result).dtype))

    return apply


nanquantile = implements(np.nanquantile)(_of_nanquantiles(np.nanquantile, "np.nanquantile", 1.0))
nanpercentile = implements(np.nanpercentile)(_of_nanquantiles(np.nanpercentile, "np.nanpercentile", 100.0))


@implements(np.searchsorted)
def searchsorted(g: Builder, a: Any, v: Any, side: str = "left") -> Value:
    """How many elements of the ascending a are below v, or not above it: where v would be put in."""
    x, y = g.promote([lift(g, a), lift(g, v)])
    if x.type.rank != 1:
        raise ValueError("object too deep for desired array")
    if side not in ("left", "right"):
        raise ValueError(f"search side must be 'left' or 'right' (got {side!r})")
    return g.emit("searchsorted", x, y, right=side == "right")


@implements(np.digitize)
def digitize(g: Builder, x: Any, bins: Any, right: bool = False) -> Value:
    """The number of the bin that each element falls into; bins ascend, or descend."""
    if isinstance(bins, Value):
        raise untraceable("the bins of np.digitize are traced", "use np.searchsorted, whose bins may be")
    edges = np.asarray(bins)
    falling = len(edges) > 1 and edges[0] > edges[-1]
    np.digitize(0.0, edges)  # NumPy's own error where they do neither
    found = searchsorted(g, edges[::-1] if falling else edges, x, "left" if right else "right")
    return g.sub(len(edges), found) if falling else found


@implements(np.unwrap)
def unwrap(g: Builder, p: Any, discont: Any = None, axis: Any = -1, *, period: Any = 2 * np.pi) -> Value:
    """Angles with whole turns added, so that each is near the one before it."""
    x = lift(g, p)
    if not x.type.is_float:
        raise untraceable("np.unwrap of integers cannot be traced", "convert them by .astype(np.float64)")
    (along,) = axes_of(x, axis)
    length = x.shape[along]
    if not length:
        return x
    steps = g.sub(shaping.part(x, along, 1, length), shaping.part(x, along, 0, length - 1))
    half = period / 2
    wrapped = g.sub(g.remainder(g.add(steps, half), period), half)
    wrapped = g.select(g.logical_and(g.eq(wrapped, -half), g.gt(steps, 0)), half, wrapped)
    least = half if discont is None else discont
    turns = g.select(g.lt(g.abs(steps), least), 0, g.sub(wrapped, steps))
    rest = g.add(shaping.part(x, along, 1, length), g.cumsum(turns, axis=along))
    return shaping.concatenate([shaping.part(x, along, 0, 1), rest], along)
