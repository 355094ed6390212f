"""Elements and slices at positions: taken, or written."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradserve.client.importers.lax import indexing as lax
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.onnx.table import Node, Result, axis_in, translates
from gradserve.ir.builder import Value
from gradserve.ir.types import ElementType
from gradserve.numpy import indexing

_COMBINED = {"none": "set", "add": "add", "mul": "mul", "max": "max", "min": "min"}


@translates("Gather", moves=True)
def gather(n: Node, x: Operand, indices: Operand) -> Result:
    """The slices at positions along an axis."""
    return indexing.take(x.value, indices.value, axis=axis_in(n.get("axis", 0), x.rank))


def _grid(n: Node, x: Operand, indices: Operand, axis: int) -> list[Value]:
    """For each element of `indices` its place in x: there along the axis, and its own along all others."""
    g, rank = n.g, indices.rank
    found = []
    for k, length in enumerate(indices.shape):
        line = g.emit("iota", length=length, element_type=ElementType.INT64)
        own = g.reshape(line, tuple(length if j == k else 1 for j in range(rank)))
        found.append(g.convert(indices.value, ElementType.INT64) if k == axis else g.broadcast(own, indices.shape))
    return found


@translates("GatherElements", moves=True)
def gather_elements(n: Node, x: Operand, indices: Operand) -> Result:
    """The elements at positions along an axis, and at their own places along all others."""
    return indexing.getitem(n.g, x.value, tuple(_grid(n, x, indices, axis_in(n.get("axis", 0), x.rank))))


def _columns(n: Node, indices: Operand) -> list[Value]:
    """The numbers of positions, which lie along the last axis."""
    g, lead = n.g, indices.shape[:-1]
    found = []
    for k in range(indices.shape[-1]):
        starts, stops = (*(0,) * len(lead), k), (*lead, k + 1)
        column = g.emit("slice", indices.value, starts=starts, stops=stops, strides=(1,) * indices.rank)
        found.append(g.convert(g.reshape(column, lead), ElementType.INT64))
    return found


@translates("GatherND", moves=True)
def gather_nd(n: Node, x: Operand, indices: Operand) -> Result:
    """The slices at positions of several axes."""
    g, lead, found = n.g, indices.shape[:-1], []
    for k in range(n.get("batch_dims", 0)):
        line = g.emit("iota", length=lead[k], element_type=ElementType.INT64)
        found.append(g.broadcast(g.reshape(line, tuple(lead[k] if j == k else 1 for j in range(len(lead)))), lead))
    return indexing.getitem(g, x.value, (*found, *_columns(n, indices)))


@translates("ScatterElements", "Scatter")
def scatter_elements(n: Node, x: Operand, indices: Operand, updates: Operand) -> Result:
    """x with elements written at positions along an axis, and at their own places along all others."""
    grid = _grid(n, x, indices, axis_in(n.get("axis", 0), x.rank))
    return _scattered(n, x, grid, updates)


@translates("ScatterND")
def scatter_nd(n: Node, x: Operand, indices: Operand, updates: Operand) -> Result:
    """x with slices written at positions of several axes."""
    return _scattered(n, x, _columns(n, indices), updates)


def _scattered(n: Node, x: Operand, places: Sequence[Value], updates: Operand) -> Value:
    g, shape, count = n.g, x.shape, len(places)
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
    windows = lax.Windows((rows, *rest), (1, *rest), tuple(range(1, 1 + len(rest))), (0,), (0,), {}, "drop")
    made = lax.scatter(g, matrix, indices, new, windows, _COMBINED[n.get("reduction", "none")], False)  # type: ignore[arg-type]
    return g.reshape(made, shape)


@translates("Compress", known=(1,), moves=True)
def compress(n: Node, x: Operand, condition: Operand) -> Result:
    """The slices along an axis where a known condition holds; of all elements in a row without an axis."""
    found, axis = n.array(1), n.get("axis")
    assert found is not None
    value = n.g.reshape(x.value, (math.prod(x.shape),)) if axis is None else x.value
    places = np.flatnonzero(found)
    return indexing.take(value, places, axis=0 if axis is None else axis_in(axis, x.rank))


@translates("NonZero", known=(0,))
def nonzero(n: Node, x: Operand) -> Result:
    """Where the elements of a known array are not zero."""
    found = n.array(0)
    assert found is not None
    return n.g.constant(np.array(np.nonzero(found), np.int64))


@translates("TensorScatter", known=(2,))
def tensor_scatter(n: Node, x: Operand, update: Operand, begins: Operand | None = None) -> Result:
    """A cache with new slices written from known places on along an axis, round to its begin if it is circular."""
    g, axis, found = n.g, axis_in(n.get("axis", -2), x.rank), n.ints(2) or (0,) * x.shape[0]
    length, count = x.shape[axis], update.shape[axis]
    line = g.emit("iota", length=count, element_type=ElementType.INT64)
    steps = g.reshape(line, tuple(count if k == axis else 1 for k in range(x.rank)))
    places = g.add(g.constant(np.array(found, np.int64).reshape(-1, *(1,) * (x.rank - 1))), steps)
    if n.get("mode", "linear") == "circular":
        places = g.remainder(places, length)
    wide = Operand(g.broadcast(places, update.shape), np.dtype(np.int64))
    return _scattered(n, x, _grid(n, x, wide, axis), update)
