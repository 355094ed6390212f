"""scipy.ndimage: derivatives of images, kernels of several axes, and images moved or made larger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported, axis_of, promoted, refuse, to_float
from gradserve.numpy.indexing import getitem
from gradserve.numpy.products import matmul
from gradserve.numpy.scipy.coordinates import map_coordinates
from gradserve.numpy.scipy.images import correlate1d, framed, gaussian_filter
from gradserve.numpy.shaping import flip
from gradserve.numpy.table import OWN, implements_scipy


@implements_scipy("ndimage.correlate")
def correlate(
    g: Builder, input: Any, weights: Any, *, mode: str = "reflect", cval: Any = 0.0, origin: Any = 0
) -> Value:
    """The inner products of a kernel with the array, and what lies beyond its edges."""
    x, w = g.promote([to_float(g, input), to_float(g, weights)])
    if x.type.rank != w.type.rank:
        refuse(g, "correlate", f"{w.type} has not as many axes as {x.type}")
    for axis, (size, moved) in enumerate(zip(w.shape, np.broadcast_to(origin, (w.type.rank,)), strict=True)):
        before = size // 2 + int(moved)
        x = framed(g, x, before, size - 1 - before, axis, mode, cval)
    return OWN["convolve"].call(g, x, flip(w), "valid")  # type: ignore[no-any-return]


@implements_scipy("ndimage.convolve")
def convolve(g: Builder, input: Any, weights: Any, *, mode: str = "reflect", cval: Any = 0.0, origin: Any = 0) -> Value:
    """The convolution of the array with a kernel."""
    x, w = promoted(g, input, weights)
    moved = [-int(o) - (n % 2 == 0) for o, n in zip(np.broadcast_to(origin, (w.type.rank,)), w.shape, strict=True)]
    return correlate(x, flip(w), mode=mode, cval=cval, origin=moved)


def _sloped(g: Builder, x: Any, axis: Any, smooth: Sequence[float], mode: str, cval: Any) -> Value:
    value = to_float(g, x)
    along = axis_of(value, axis, "sobel")
    found = correlate1d(value, [-1.0, 0.0, 1.0], along, mode=mode, cval=cval)
    for other in range(value.type.rank):
        if other != along:
            found = correlate1d(found, smooth, other, mode=mode, cval=cval)
    return found


@implements_scipy("ndimage.sobel")
def sobel(g: Builder, input: Any, axis: Any = -1, *, mode: str = "reflect", cval: Any = 0.0) -> Value:
    """Differences along an axis, smoothed along the others by 1, 2, 1."""
    return _sloped(g, input, axis, [1.0, 2.0, 1.0], mode, cval)


@implements_scipy("ndimage.prewitt")
def prewitt(g: Builder, input: Any, axis: Any = -1, *, mode: str = "reflect", cval: Any = 0.0) -> Value:
    """Differences along an axis, smoothed along the others by 1, 1, 1."""
    return _sloped(g, input, axis, [1.0, 1.0, 1.0], mode, cval)


@implements_scipy("ndimage.laplace")
def laplace(g: Builder, input: Any, *, mode: str = "reflect", cval: Any = 0.0) -> Value:
    """The sum of second differences along all axes."""
    x = to_float(g, input)
    return _summed(g, [correlate1d(x, [1.0, -2.0, 1.0], axis, mode=mode, cval=cval) for axis in range(x.type.rank)])


@implements_scipy("ndimage.gaussian_laplace")
def gaussian_laplace(g: Builder, input: Any, sigma: Any, *, mode: str = "reflect", cval: Any = 0.0) -> Value:
    """The sum of second derivatives of the array smoothed by a Gaussian."""
    return _summed(g, _smoothed(g, input, sigma, 2, mode, cval))


@implements_scipy("ndimage.gaussian_gradient_magnitude")
def gaussian_gradient_magnitude(g: Builder, input: Any, sigma: Any, *, mode: str = "reflect", cval: Any = 0.0) -> Value:
    """The length of the gradient of the array smoothed by a Gaussian."""
    return g.sqrt(_summed(g, [g.mul(v, v) for v in _smoothed(g, input, sigma, 1, mode, cval)]))


def _smoothed(g: Builder, x: Any, sigma: Any, order: int, mode: str, cval: Any) -> list[Value]:
    """Derivatives of an order along each axis."""
    value = to_float(g, x)
    orders = np.eye(value.type.rank, dtype=int) * order
    return [gaussian_filter(value, sigma, list(row), mode=mode, cval=cval) for row in orders]


def _summed(g: Builder, values: Sequence[Value]) -> Value:
    total, *more = values
    for value in more:
        total = g.add(total, value)
    return total


@implements_scipy("ndimage.shift")
def shift(
    g: Builder,
    input: Any,
    shift: Any,
    *,
    order: int = 3,
    mode: str = "constant",
    cval: Any = 0.0,
    prefilter: bool = True,
) -> Value:
    """The array moved along its axes, by splines of an order; how far may be traced."""
    x, far = to_float(g, input), to_float(g, shift)
    moved = g.broadcast(far, (x.type.rank,)) if far.type.rank < 2 else far
    grid = np.indices(x.shape).astype(np.float64)
    places = g.sub(grid, g.reshape(moved, (x.type.rank, *(1,) * x.type.rank)))
    return map_coordinates(x, places, order=order, mode=mode, cval=cval, prefilter=prefilter)


@implements_scipy("ndimage.zoom")
def zoom(
    g: Builder,
    input: Any,
    zoom: Any,
    *,
    order: int = 3,
    mode: str = "constant",
    cval: Any = 0.0,
    prefilter: bool = True,
) -> Value:
    """The array on another grid between its first and last elements, by splines of an order."""
    if isinstance(zoom, Value):
        raise Unsupported("zoom by a traced factor has no shape", "use a number that is known while tracing")
    x = to_float(g, input)
    factors = np.broadcast_to(zoom, (x.type.rank,))
    along = [np.linspace(0, n - 1, round(n * float(f))) for n, f in zip(x.shape, factors, strict=True)]
    grid = np.stack(np.meshgrid(*along, indexing="ij"))
    return map_coordinates(x, grid, order=order, mode=mode, cval=cval, prefilter=prefilter)


@implements_scipy("ndimage.affine_transform")
def affine_transform(
    g: Builder,
    input: Any,
    matrix: Any,
    offset: Any = 0.0,
    output_shape: Any = None,
    *,
    order: int = 3,
    mode: str = "constant",
    cval: Any = 0.0,
    prefilter: bool = True,
) -> Value:
    """The array at the places matrix @ i + offset, for positions i in the result; both may be traced.

    A vector for the matrix is its diagonal; one with one more row, or column, has the offset in that.
    """
    x, m, moved = to_float(g, input), to_float(g, matrix), to_float(g, offset)
    rank, shape = x.type.rank, tuple(x.shape if output_shape is None else output_shape)
    if m.type.rank == 2 and m.shape[1] == rank + 1:
        m, moved = getitem(g, m, np.s_[:rank, :rank]), getitem(g, m, np.s_[:rank, rank])
    places = g.constant(np.indices(shape).reshape(rank, -1).astype(np.float64))
    turned = g.mul(g.reshape(m, (rank, 1)), places) if m.type.rank == 1 else matmul(m, places)
    at = g.add(turned, g.reshape(g.broadcast(moved, (rank,)), (rank, 1)))
    return map_coordinates(x, g.reshape(at, (rank, *shape)), order=order, mode=mode, cval=cval, prefilter=prefilter)
