"""scipy.ndimage: what stands at a place in the order of the elements around each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported, axis_of, lift
from gradserve.numpy.indexing import getitem
from gradserve.numpy.ordering import sort
from gradserve.numpy.scipy.images import framed
from gradserve.numpy.table import implements_scipy
from gradserve.numpy.windowing import windows


def _neighbours(
    g: Builder, input: Any, size: Any, footprint: Any, mode: str, cval: Any, origin: Any, axis: Any = None
) -> Value:
    """The elements around each, those within a footprint alone, along a new last axis."""
    x = lift(g, input)
    if any(isinstance(given, Value) for given in (size, footprint, origin)):
        raise Unsupported("the neighbours that a filter looks at are traced", "use those known while tracing")
    if size is None and footprint is None:
        raise RuntimeError("no footprint or filter size provided")
    axes = range(x.type.rank) if axis is None else [axis_of(x, axis, "a filter")]
    taken = np.ones(np.broadcast_to(size, (len(axes),))) if footprint is None else np.asarray(footprint)
    if taken.ndim != len(axes):
        raise RuntimeError("footprint.ndim must match len(axes)")
    for along, length, moved in zip(axes, taken.shape, np.broadcast_to(origin, (len(axes),)), strict=True):
        before = length // 2 + int(moved)
        x = framed(g, x, before, length - 1 - before, along, mode, cval)
    found = windows(x, taken.shape, axes)
    flat = g.reshape(found, (*found.shape[: x.type.rank], taken.size))
    return flat if taken.all() else getitem(g, flat, (..., np.flatnonzero(taken)))


def _reduced(g: Builder, op: str, around: Value) -> Value:
    return g.emit(op, around, axes=(around.type.rank - 1,))


@implements_scipy("ndimage.maximum_filter")
def maximum_filter(
    g: Builder,
    input: Any,
    size: Any = None,
    footprint: Any = None,
    *,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
) -> Value:
    """The largest of the elements around each."""
    return _reduced(g, "reduce_max", _neighbours(g, input, size, footprint, mode, cval, origin))


@implements_scipy("ndimage.minimum_filter")
def minimum_filter(
    g: Builder,
    input: Any,
    size: Any = None,
    footprint: Any = None,
    *,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
) -> Value:
    """The smallest of the elements around each."""
    return _reduced(g, "reduce_min", _neighbours(g, input, size, footprint, mode, cval, origin))


@implements_scipy("ndimage.maximum_filter1d")
def maximum_filter1d(
    g: Builder,
    input: Any,
    size: int,
    axis: Any = -1,
    *,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
) -> Value:
    """The largest of so many elements along an axis."""
    return _reduced(g, "reduce_max", _neighbours(g, input, size, None, mode, cval, origin, axis))


@implements_scipy("ndimage.minimum_filter1d")
def minimum_filter1d(
    g: Builder,
    input: Any,
    size: int,
    axis: Any = -1,
    *,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
) -> Value:
    """The smallest of so many elements along an axis."""
    return _reduced(g, "reduce_min", _neighbours(g, input, size, None, mode, cval, origin, axis))


def _ranked(around: Value, place: Callable[[int], int]) -> Value:
    """The element at a place, by how many there are, in ascending order."""
    count = around.shape[-1]
    at = place(count)
    if not -count <= at < count:
        raise RuntimeError("rank not within filter footprint size")
    return getitem(around.builder, sort(around, -1), (..., at))


@implements_scipy("ndimage.rank_filter")
def rank_filter(
    g: Builder,
    input: Any,
    rank: int,
    size: Any = None,
    footprint: Any = None,
    *,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
) -> Value:
    """The element at a place in the ascending order of those around each."""
    return _ranked(_neighbours(g, input, size, footprint, mode, cval, origin), lambda _: rank)


@implements_scipy("ndimage.median_filter")
def median_filter(
    g: Builder,
    input: Any,
    size: Any = None,
    footprint: Any = None,
    *,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
) -> Value:
    """The element in the middle of those around each, the greater one of two."""
    return _ranked(_neighbours(g, input, size, footprint, mode, cval, origin), lambda n: n // 2)


@implements_scipy("ndimage.percentile_filter")
def percentile_filter(
    g: Builder,
    input: Any,
    percentile: float,
    size: Any = None,
    footprint: Any = None,
    *,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
) -> Value:
    """The element below which a part of those around each lies."""
    share = percentile + 100 if percentile < 0 else percentile
    return _ranked(
        _neighbours(g, input, size, footprint, mode, cval, origin),
        lambda n: n - 1 if share == 100 else int(n * share / 100),
    )


@implements_scipy("signal.medfilt")
def medfilt(g: Builder, volume: Any, kernel_size: Any = None) -> Value:
    """The element in the middle of those around each, zeros beyond the ends."""
    x = lift(g, volume)
    sizes = np.broadcast_to(3 if kernel_size is None else kernel_size, (x.type.rank,))
    if not np.all(sizes % 2):
        raise ValueError("Each element of kernel_size should be odd.")
    return median_filter(x, tuple(map(int, sizes)), mode="constant")
