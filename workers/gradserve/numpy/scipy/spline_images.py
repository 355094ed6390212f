"""scipy.ndimage's splines through the points of a grid, of the orders 2 to 5."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import Array, ElementType
from gradserve.numpy.joining import stack
from gradserve.numpy.padding import pad
from gradserve.numpy.scipy.images import BEYOND, correlate1d
from gradserve.numpy.shaping import ravel

_MARGIN = 12
"""So many elements SciPy lays around an array whose coefficients would not go on beyond its edges."""
_PERIOD = 256
"""The length of a signal that is long enough for the coefficients of one point: they fall by 0.43 a step, or faster."""
_EVEN = {"reflect": "reflect", "grid-mirror": "reflect", "nearest": "reflect", "grid-wrap": "grid-wrap"}
"""How an array goes on beyond its edges where coefficients are found, by mode; in others it is mirrored at the last
point. SciPy's recursion for `reflect` takes a number that it has changed already for the first one, which is off by
0.27^(2 n - 1) for cubic splines through n points, and not followed here."""
_BEYOND = {
    "grid-constant": "grid-constant",
    "grid-mirror": "reflect",
    "grid-wrap": "grid-wrap",
    "nearest": "grid-constant",
    "reflect": "reflect",
}
"""How coefficients go on, for values."""


def interpolated(
    g: Builder, x: Value, along: Sequence[Value], order: int, mode: str, cval: Any, prefilter: bool
) -> Value:
    """The values of the spline of an order at coordinates, one array for each axis."""
    margin = _MARGIN if prefilter and mode in ("nearest", "grid-constant") else 0
    if margin and mode == "nearest":
        x = pad(x, margin, "edge")
    elif margin:
        x = pad(x, margin, "constant", constant_values=cval)
    places, inside = _placed(g, [g.add(place, float(margin)) for place in along], x.shape, mode)
    coefficients = _coefficients(x, order, mode) if prefilter else x
    found = _summed(g, coefficients, places, order, mode, cval)
    return found if inside is None else g.select(inside, found, cval)


def _coefficients(x: Value, order: int, mode: str) -> Value:
    """The coefficients of the spline through the elements of an array."""
    for axis, length in enumerate(x.shape):
        if length > 1:
            x = correlate1d(x, _kernel(order), axis, mode=_EVEN.get(mode, "mirror"))
    return x


@functools.cache
def _kernel(order: int) -> Array:
    """What the coefficients of one point alone are: they turn the values of the basis into 1 there."""
    samples = np.zeros(_PERIOD)
    values = _basis(order)
    reach = len(values) // 2
    samples[: reach + 1], samples[-reach:] = values[reach:], values[:reach]
    inverse = np.fft.ifft(1 / np.fft.fft(samples)).real
    reach = int(np.flatnonzero(np.abs(inverse[: _PERIOD // 2]) > 1e-17)[-1])
    return np.concatenate([inverse[-reach:], inverse[: reach + 1]])


def _basis(order: int) -> Array:
    """The basis spline of an order at the whole numbers within its support."""
    at = np.arange(-(order // 2), order // 2 + 1)
    shifts = np.arange(order + 2)
    binomials = np.array([(-1) ** k * math.comb(order + 1, k) for k in shifts])
    powers = np.maximum(at[:, None] + (order + 1) / 2 - shifts, 0.0) ** order
    return np.asarray(powers @ binomials / math.factorial(order))


def _placed(g: Builder, along: Sequence[Value], lengths: Sequence[int], mode: str) -> tuple[list[Value], Value | None]:
    """The coordinates within the array by its mode, and whether they are inside, if that counts."""
    places, inside = [], None
    for place, n in zip(along, lengths, strict=True):
        last = n - 1.0
        within = g.logical_and(g.ge(place, 0.0), g.le(place, last))
        if mode == "constant":
            inside = within if inside is None else g.logical_and(inside, within)
            place = g.clip(place, 0.0, last)
        elif mode == "wrap":  # which has the last point for the first one
            turns = g.stop_gradient(g.floor(g.div(place, max(last, 1.0))))
            place = g.select(within, place, g.sub(place, g.mul(turns, max(last, 1.0))))
        places.append(place)
    return places, inside


def _summed(g: Builder, x: Value, places: Sequence[Value], order: int, mode: str, cval: Any) -> Value:
    """Coefficients around each place, times the bases of their splines there."""
    rank, goes_on = len(places), BEYOND[_BEYOND.get(mode, "mirror")]
    position: Any = 0
    weight: Any = 1.0
    outside = None
    for axis, (place, n) in enumerate(zip(places, x.shape, strict=True)):
        moved = g.add(place, 0.5) if order % 2 == 0 else place
        first = g.stop_gradient(g.floor(moved))
        shape = (*place.shape, *(order + 1 if k == axis else 1 for k in range(rank)))
        own = _stacked(g, _weights(g, g.sub(moved, first), order), shape)
        starts = [g.add(first, float(k - order // 2)) for k in range(order + 1)]
        at = _stacked(g, starts, shape)
        if mode == "grid-constant":
            apart = g.logical_or(g.lt(at, 0.0), g.gt(at, n - 1.0))
            outside = apart if outside is None else g.logical_or(*g.align([outside, apart]))
        whole = g.convert(goes_on(g, at, float(n)), ElementType.INT64)
        position = g.add(g.mul(position, n), whole)
        weight = g.mul(own, weight)
    found = g.emit("gather", ravel(x), position, axis=0)
    if outside is not None:
        found = g.select(outside, cval, found)
    terms = g.mul(found, weight)
    return g.reduce_sum(terms, axes=tuple(range(terms.type.rank - rank, terms.type.rank)))


def _stacked(g: Builder, values: Sequence[Value], shape: tuple[int, ...]) -> Value:
    return g.reshape(stack(list(values), -1), shape)


def _weights(g: Builder, t: Value, order: int) -> list[Value]:
    """The splines that are not 0 at t of the way between two knots: each from two of the order before."""
    found: list[Any] = [g.full(t.type, 1.0)]
    for d in range(1, order + 1):
        rising = [g.mul(g.add(t, float(d - j)), found[j - 1]) for j in range(1, d + 1)]
        falling = [g.mul(g.sub(float(j + 1), t), found[j]) for j in range(d)]
        both = [falling[0], *(g.add(r, f) for r, f in zip(rising[:-1], falling[1:], strict=True)), rising[-1]]
        found = [g.div(each, float(d)) for each in both]
    return found
