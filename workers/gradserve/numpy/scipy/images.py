"""scipy.ndimage: filters along axes, and what lies beyond their edges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import Array
from gradserve.numpy.arguments import Unsupported, axes_of, axis_of, lift, to_float
from gradserve.numpy.padding import pad
from gradserve.numpy.shaping import flip, moveaxis
from gradserve.numpy.table import OWN, implements_scipy

_EDGES = {
    "reflect": "symmetric",
    "grid-mirror": "symmetric",
    "mirror": "reflect",
    "nearest": "edge",
    "wrap": "wrap",
    "grid-wrap": "wrap",
    "constant": "constant",
    "grid-constant": "constant",
}
"""SciPy's names of what lies beyond edges, and NumPy's."""


def _periodic(g: Builder, place: Value, period: float, last: float) -> Value:
    """The place within a period, which runs back from `last` on."""
    within = g.remainder(place, max(period, 1.0))
    return g.minimum(within, g.sub(last, within))


BEYOND: dict[str, Callable[[Builder, Value, float], Value]] = {
    "reflect": lambda g, i, n: _periodic(g, i, 2 * n, 2 * n - 1),
    "grid-mirror": lambda g, i, n: _periodic(g, i, 2 * n, 2 * n - 1),
    "mirror": lambda g, i, n: _periodic(g, i, 2 * n - 2, 2 * n - 2),
    "grid-wrap": lambda g, i, n: g.remainder(i, n),
    "wrap": lambda g, i, n: g.minimum(i, n - 1),
    "grid-constant": lambda g, i, n: g.clip(i, 0.0, n - 1),
}
"""Modes in which an array goes on beyond its edges: the place in it of one anywhere, and of its length."""


def framed(g: Builder, x: Value, before: int, after: int, axis: int, mode: str, cval: Any) -> Value:
    """The array with what lies beyond its edges along an axis."""
    if mode not in _EDGES:
        raise ValueError(f"boundary mode not supported: {mode}")
    width = [(before, after) if k == axis else (0, 0) for k in range(x.type.rank)]
    if _EDGES[mode] == "constant":
        return pad(x, width, "constant", constant_values=cval)
    return pad(x, width, _EDGES[mode])


@implements_scipy("ndimage.correlate1d")
def correlate1d(
    g: Builder, input: Any, weights: Any, axis: Any = -1, *, mode: str = "reflect", cval: Any = 0.0, origin: int = 0
) -> Value:
    """The inner products of weights with the array along an axis, and what lies beyond its edges."""
    x, w = g.promote([to_float(g, input), to_float(g, weights)])
    along, size = axis_of(x, axis, "correlate1d"), w.type.size
    before = size // 2 + origin
    wider = framed(g, x, before, size - 1 - before, along, mode, cval)
    found = OWN["convolve"].call(g, wider, flip(w), "valid", ((along,), (0,)))
    return moveaxis(found, -1, along)


@implements_scipy("ndimage.convolve1d")
def convolve1d(
    g: Builder, input: Any, weights: Any, axis: Any = -1, *, mode: str = "reflect", cval: Any = 0.0, origin: int = 0
) -> Value:
    """The convolution of the array with weights along an axis."""
    w = lift(g, weights)
    return correlate1d(lift(g, input), flip(w), axis, mode=mode, cval=cval, origin=-origin - (w.type.size % 2 == 0))


@implements_scipy("ndimage.uniform_filter1d")
def uniform_filter1d(
    g: Builder, input: Any, size: int, axis: Any = -1, *, mode: str = "reflect", cval: Any = 0.0, origin: int = 0
) -> Value:
    """The means of so many elements along an axis."""
    return correlate1d(lift(g, input), np.full(size, 1 / size), axis, mode=mode, cval=cval, origin=origin)


@implements_scipy("ndimage.uniform_filter")
def uniform_filter(g: Builder, input: Any, size: Any = 3, *, mode: str = "reflect", cval: Any = 0.0) -> Value:
    """The means over boxes."""
    x = to_float(g, input)
    for axis, length in enumerate(np.broadcast_to(size, (x.type.rank,))):
        x = uniform_filter1d(x, int(length), axis, mode=mode, cval=cval)
    return x


@implements_scipy("ndimage.gaussian_filter1d")
def gaussian_filter1d(
    g: Builder,
    input: Any,
    sigma: Any,
    axis: Any = -1,
    order: int = 0,
    *,
    mode: str = "reflect",
    cval: Any = 0.0,
    truncate: float = 4.0,
    radius: int | None = None,
) -> Value:
    """The array smoothed by a Gaussian along an axis, or the derivative of that; sigma is known while tracing."""
    if isinstance(sigma, Value):
        raise Unsupported("sigma of a Gaussian filter is traced", "use a number that is known while tracing")
    reach = int(truncate * float(sigma) + 0.5) if radius is None else radius
    return correlate1d(to_float(g, input), _gaussian(float(sigma), order, reach)[::-1], axis, mode=mode, cval=cval)


def _gaussian(sigma: float, order: int, radius: int) -> Array:
    """The samples of a Gaussian, which sum to 1, times the polynomial of its derivative."""
    x = np.arange(-radius, radius + 1)
    samples = np.exp(-0.5 / sigma**2 * x**2)
    factor = np.polynomial.Polynomial([1.0])
    for _ in range(order):
        factor = factor.deriv() + factor * np.polynomial.Polynomial([0.0, -1 / sigma**2])
    return np.asarray(samples / samples.sum() * factor(x))


@implements_scipy("ndimage.gaussian_filter")
def gaussian_filter(
    g: Builder,
    input: Any,
    sigma: Any,
    order: Any = 0,
    *,
    mode: str = "reflect",
    cval: Any = 0.0,
    truncate: float = 4.0,
    radius: Any = None,
    axes: Any = None,
) -> Value:
    """The array smoothed by Gaussians along axes, all of them unless named."""
    x = to_float(g, input)
    chosen = axes_of(x, axes, "gaussian_filter")
    if isinstance(sigma, Value):
        raise Unsupported("sigma of a Gaussian filter is traced", "use numbers that are known while tracing")
    for given in zip(chosen, *(_each(v, len(chosen)) for v in (sigma, order, radius)), strict=True):
        axis, width, degree, reach = given
        if width > 1e-15:
            x = gaussian_filter1d(x, width, axis, degree, mode=mode, cval=cval, truncate=truncate, radius=reach)
    return x


def _each(number: Any, count: int) -> Sequence[Any]:
    return list(number) if isinstance(number, list | tuple | np.ndarray) else [number] * count
