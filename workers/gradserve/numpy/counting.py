"""Sums of weights by captured numbers: of whole ones, and between edges."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy.arguments import Unsupported, integer, lift
from gradserve.numpy.table import implements


@implements(np.bincount)
def bincount(g: Builder, x: Any, weights: Any = None, minlength: Any = 0) -> Value:
    """How often each whole number occurs among captured ones, or the sums of their weights."""
    if isinstance(x, Value):
        raise Unsupported("np.bincount of traced numbers has a length that depends on them", "capture the numbers")
    count = max(len(np.bincount(x)), integer(minlength, "a length"))
    values = g.convert(lift(g, weights), ElementType.FLOAT64)
    if values.type.shape != np.shape(x):
        raise ValueError("The weights and list don't have the same length.")
    return g.emit("scatter_add", values, np.asarray(x, np.int64), axis=0, length=count)


@implements(np.histogram)
def histogram(
    g: Builder, a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Value, Value]:
    """The sums of weights of captured numbers between edges, and the edges."""
    if isinstance(a, Value) or isinstance(bins, Value) or isinstance(range, Value):
        raise Unsupported(
            "np.histogram of traced numbers cannot be traced: counts have no derivative",
            "write soft ones: np.sum(expit((x - edges[:-1, None]) / width) - expit((x - edges[1:, None]) / width), "
            "axis=1), expit of scipy.special",
        )
    numbers, values = np.asarray(a), lift(g, weights)
    if values.type.shape != numbers.shape:
        raise ValueError("weights should have the same shape as a.")
    edges = np.histogram_bin_edges(numbers, bins, range)
    flat = numbers.ravel()
    place = np.searchsorted(edges, flat, side="right") - 1
    place = np.where(flat == edges[-1], len(edges) - 2, place)
    inside = np.flatnonzero((place >= 0) & (place < len(edges) - 1))
    chosen = g.emit("gather", g.reshape(values, (flat.size,)), inside, axis=0)
    sums = g.emit("scatter_add", chosen, place[inside], axis=0, length=len(edges) - 1)
    if density:
        widths = g.mul(g.reduce_sum(sums, axes=(0,)), np.diff(edges))
        sums = g.div(sums, widths)
    return sums, g.constant(edges)
