"""scipy.ndimage: values between the points of a grid."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy.arguments import Unsupported, refuse, to_float
from gradserve.numpy.indexing import getitem
from gradserve.numpy.scipy.images import BEYOND
from gradserve.numpy.scipy.spline_images import interpolated
from gradserve.numpy.table import implements_scipy


@implements_scipy("ndimage.map_coordinates")
def map_coordinates(
    g: Builder,
    input: Any,
    coordinates: Any,
    *,
    order: int = 3,
    mode: str = "constant",
    cval: Any = 0.0,
    prefilter: bool = True,
) -> Value:
    """The values at coordinates, one for each axis along the first, by splines of an order from 0 to 5.

    Order 0, the nearest point, is with a constant beyond edges or the nearest point. Of order 1 the slope on the points
    of the grid is that on their right.
    """
    if order not in range(6):
        raise RuntimeError("spline order not supported")
    if mode not in ("constant", "nearest") and (order == 0 or mode not in BEYOND):
        text = f"map_coordinates of order {order} with mode={mode!r} cannot be traced"
        raise Unsupported(text, "give mode='nearest' or 'constant'" + ", or order=1" * (mode in BEYOND))
    x, places = to_float(g, input), to_float(g, coordinates)
    if places.shape[0] != x.type.rank:
        refuse(g, "map_coordinates", f"{places.type} has not one coordinate for each axis of {x.type}")
    along = [getitem(g, places, k) for k in range(x.type.rank)]
    if order > 1:
        return interpolated(g, x, along, order, mode, cval, prefilter)
    if mode in BEYOND:
        return _extended(g, x, along, mode, cval)
    lengths = x.shape
    inside = None
    for k, place in enumerate(along):
        last = lengths[k] - 1.0
        within = g.logical_and(g.ge(place, 0.0), g.le(place, last))
        inside = within if inside is None else g.logical_and(inside, within)
        along[k] = g.clip(place, 0.0, last)
    found = _nearest(g, x, along) if order == 0 else _linear(g, x, along)
    return found if mode == "nearest" or inside is None else g.select(inside, found, cval)


def _nearest(g: Builder, x: Value, along: Sequence[Value]) -> Value:
    return getitem(g, x, tuple(_whole(g, g.floor(g.add(place, 0.5))) for place in along))


def _linear(g: Builder, x: Value, along: Sequence[Value]) -> Value:
    """The corners of a cell, weighted by the volumes opposite."""
    lows = [g.minimum(g.floor(p), max(n - 2.0, 0.0)) for p, n in zip(along, x.shape, strict=True)]
    shares = [g.sub(p, g.stop_gradient(low)) for p, low in zip(along, lows, strict=True)]
    total: Value | None = None
    for corner in itertools.product((0, 1), repeat=len(along)):
        weight: Any = 1.0
        places = []
        for side, low, share, n in zip(corner, lows, shares, x.shape, strict=True):
            places.append(_whole(g, g.minimum(g.add(low, float(side)), n - 1.0)))
            weight = g.mul(share if side else g.sub(1.0, share), weight)
        term = g.mul(getitem(g, x, tuple(places)), weight)
        total = term if total is None else g.add(total, term)
    assert total is not None
    return total


def _extended(g: Builder, x: Value, along: list[Value], mode: str, cval: Any) -> Value:
    """The corners of a cell of the array that goes on for ever, weighted by the volumes opposite."""
    lengths = [float(n) for n in x.shape]
    if mode == "wrap":  # which has the last point for the first one
        for k, n in enumerate(lengths):
            period = max(n - 1.0, 1.0)
            turns = g.stop_gradient(g.floor(g.div(along[k], period)))
            inside = g.logical_and(g.ge(along[k], 0.0), g.le(along[k], n - 1.0))
            along[k] = g.select(inside, along[k], g.sub(along[k], g.mul(turns, period)))
    lows = [g.stop_gradient(g.floor(place)) for place in along]
    shares = [g.sub(place, low) for place, low in zip(along, lows, strict=True)]
    total: Value | None = None
    for corner in itertools.product((0, 1), repeat=len(along)):
        weight: Any = 1.0
        places, outside = [], None
        for side, low, share, n in zip(corner, lows, shares, lengths, strict=True):
            place = g.add(low, float(side))
            beyond = g.logical_or(g.lt(place, 0.0), g.gt(place, n - 1.0))
            outside = beyond if outside is None else g.logical_or(outside, beyond)
            places.append(_whole(g, BEYOND[mode](g, place, n)))
            weight = g.mul(share if side else g.sub(1.0, share), weight)
        found = getitem(g, x, tuple(places))
        if mode == "grid-constant" and outside is not None:
            found = g.select(outside, cval, found)
        term = g.mul(found, weight)
        total = term if total is None else g.add(total, term)
    assert total is not None
    return total


def _whole(g: Builder, place: Value) -> Value:
    return g.convert(place, ElementType.INT64)
