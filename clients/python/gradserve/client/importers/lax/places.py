"""Elements at places that are told along every axis: a grid of them, and what is written there."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.indexing import Combine, Windows, scatter
from gradserve.client.importers.lax.movement import along, numbers
from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType


def grid(g: Builder, indices: Operand, axis: int) -> list[Value]:
    """For each element of `indices` its place in an array: there along the axis, and its own along all others."""
    found = []
    for k, length in enumerate(indices.shape):
        own = along(g, numbers(g, length), k, indices.rank)
        found.append(g.convert(indices.value, ElementType.INT64) if k == axis else g.broadcast(own, indices.shape))
    return found


def scattered(g: Builder, x: Operand, places: Sequence[Value], updates: Operand, combine: Combine) -> Value:
    """x with slices written at places along its first axes, or combined with what was there.

    Negative numbers count from behind; what lies outside is refused when it is run.
    """
    shape, count = x.shape, len(places)
    flat = g.zeros(places[0].type)
    for place, length in zip(places, shape, strict=False):
        own = g.select(g.lt(place, 0), g.add(place, length), place)
        there = g.logical_and(g.ge(own, 0), g.lt(own, length))
        # What lies outside of one axis is outside of all, and is refused when it is run.
        flat = g.select(there, g.add(g.mul(flat, length), own), -math.prod(shape[:count]) - 1)
    rows, rest, lines = math.prod(shape[:count]), shape[count:], math.prod(places[0].shape)
    checked = g.emit("gather", g.emit("iota", length=rows, element_type=ElementType.INT64), flat, axis=0)
    matrix = Operand(g.reshape(x.value, (rows, *rest)), x.dtype)
    new = Operand(g.reshape(updates.value, (lines, *rest)), x.dtype)
    indices = Operand(g.reshape(checked, (lines, 1)), np.dtype(np.int64))
    windows = Windows((rows, *rest), (1, *rest), tuple(range(1, 1 + len(rest))), (0,), (0,), {}, "drop")
    return g.reshape(scatter(g, matrix, indices, new, windows, combine, False), shape)
