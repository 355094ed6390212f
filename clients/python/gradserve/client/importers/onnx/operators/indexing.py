"""Elements and slices at positions: taken, or written."""

from __future__ import annotations

import math

import numpy as np

from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.indexing import Combine
from gradserve.client.importers.lax.places import grid, scattered
from gradserve.client.importers.onnx.table import Node, Result, axis_in, translates
from gradserve.ir.builder import Value
from gradserve.ir.types import ElementType
from gradserve.numpy import indexing

_COMBINED: dict[str, Combine] = {"none": "set", "add": "add", "mul": "mul", "max": "max", "min": "min"}


def _combine(n: Node) -> Combine:
    return _COMBINED[n.get("reduction", "none")]


@translates("Gather", moves=True)
def gather(n: Node, x: Operand, indices: Operand) -> Result:
    """The slices at positions along an axis."""
    return indexing.take(x.value, indices.value, axis=axis_in(n.get("axis", 0), x.rank))


@translates("GatherElements", moves=True)
def gather_elements(n: Node, x: Operand, indices: Operand) -> Result:
    """The elements at positions along an axis, and at their own places along all others."""
    return indexing.getitem(n.g, x.value, tuple(grid(n.g, indices, axis_in(n.get("axis", 0), x.rank))))


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
    places = grid(n.g, indices, axis_in(n.get("axis", 0), x.rank))
    return scattered(n.g, x, places, updates, _combine(n))


@translates("ScatterND")
def scatter_nd(n: Node, x: Operand, indices: Operand, updates: Operand) -> Result:
    """x with slices written at positions of several axes."""
    return scattered(n.g, x, _columns(n, indices), updates, _combine(n))


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
    return scattered(n.g, x, grid(n.g, wide, axis), update, _combine(n))
