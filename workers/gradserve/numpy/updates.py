"""Arrays with some elements replaced or added to: what to write where NumPy would assign.

Keys are NumPy's: numbers, slices, masks and arrays of positions, such as `np.s_[1:, 0]`. Where positions repeat,
`set_at` keeps the last value, as an assignment does, and `add_at` adds all. The derivative in what is replaced is zero.
A traced mask among numbers and slices takes values that fit however many elements it selects.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.evaluate import evaluated
from gradserve.ir.graph import Literal
from gradserve.ir.types import ElementType
from gradserve.numpy.arguments import as_operand, axis_of, lift, promoted
from gradserve.numpy.indexing import along_axis, getitem
from gradserve.numpy.joining import concatenate
from gradserve.numpy.masks import masked
from gradserve.numpy.repeating import tile
from gradserve.numpy.shaping import part, ravel
from gradserve.numpy.table import own


@own
def set_at(g: Builder, x: Any, key: Any, values: Any) -> Value:
    """x with values in place of the elements x[key]."""
    whole = lift(g, x)
    if (chosen := masked(g, whole, key)) is not None:
        region = getitem(g, whole, chosen.region)
        new = chosen.spread(g, region, g.convert(lift(g, values), region.type.element_type))
        return set_at(whole, chosen.region, g.select(chosen.over(g, region), new, region))
    return _replaced(g, whole, _positions(g, whole, key), values)


@own
def add_at(g: Builder, x: Any, key: Any, values: Any) -> Value:
    """x with values added to the elements x[key], all of them where positions repeat."""
    whole = lift(g, x)
    if (chosen := masked(g, whole, key)) is not None:
        region = getitem(g, whole, chosen.region)
        addends = chosen.spread(g, region, promoted(g, whole, values)[1])
        return add_at(whole, chosen.region, g.select(chosen.over(g, region), addends, 0))
    positions = _positions(g, whole, key)
    addends = _fitted(g, promoted(g, whole, values)[1], positions.type.shape)
    added = g.emit("scatter_add", ravel(addends), ravel(positions), axis=0, length=whole.type.size)
    return g.add(whole, g.reshape(added, whole.type.shape))


@own
def put(g: Builder, a: Any, ind: Any, v: Any) -> Value:
    """The array with values at positions in row-major order; as NumPy's put, but for a new array."""
    flat = ravel(lift(g, a))
    positions = _positions(g, flat, as_operand(g, ind))
    values = ravel(lift(g, v))
    if values.type.size and values.type.size != positions.type.size:
        copies = -(-positions.type.size // values.type.size)
        values = part(tile(values, copies), 0, 0, positions.type.size)
    placed = _replaced(g, flat, ravel(positions), values)
    return g.reshape(placed, lift(g, a).type.shape)


@own
def put_along_axis(g: Builder, arr: Any, indices: Any, values: Any, axis: Any = -1) -> Value:
    """For each vector along an axis, values at the positions in the same place; as NumPy's, but for a new array."""
    whole = lift(g, arr)
    if axis is None:
        flat = ravel(whole)
        positions = _positions(g, flat, ravel(lift(g, indices)))
        return g.reshape(_replaced(g, flat, positions, values), whole.type.shape)
    key = along_axis(g, whole, as_operand(g, indices), axis_of(whole, axis, "put_along_axis"))
    return _replaced(g, whole, _positions(g, whole, key), values)


def _positions(g: Builder, x: Value, key: Any) -> Value:
    """The positions in row-major order that a key selects."""
    everything = np.arange(math.prod(x.shape)).reshape(x.shape)
    if isinstance(key, Value):
        literal = g.literal(key)
        key = literal.array if isinstance(literal, Literal) else key
    return getitem(g, g.constant(everything), key)


def _fitted(g: Builder, values: Value, shape: Any) -> Value:
    """Values broadcast to what is assigned; axes of length 1 in front may be too many, as in NumPy."""
    while values.type.rank > len(shape) and values.shape[0] == 1:
        values = g.reshape(values, values.type.shape[1:])
    return g.broadcast(values, shape)


def _replaced(g: Builder, x: Value, positions: Value, values: Any) -> Value:
    new = _fitted(g, g.convert(lift(g, values), x.type.element_type), positions.type.shape)
    (known,), size = evaluated(g, [positions]), x.type.size
    if known is not None and (slab := _slab(x.shape, known)) is not None:
        axis, start, stop = slab
        wide = g.reshape(new, (*x.shape[:axis], stop - start, *x.shape[axis + 1 :]))
        sides = (part(x, axis, 0, start), part(x, axis, stop, x.shape[axis]))
        return concatenate([piece for piece in (sides[0], wide, sides[1]) if piece.shape[axis]], axis)
    if known is not None:
        source = np.arange(size)
        source[known.reshape(-1)] = size + np.arange(known.size)
        both = concatenate([ravel(x), ravel(new)])
        return g.reshape(g.emit("gather", both, source, axis=0), x.type.shape)
    return _replaced_later(g, x, ravel(positions), ravel(new))


def _slab(shape: Any, positions: Any) -> tuple[int, int, int] | None:
    """The axis along which positions are all from a start to a stop, and the whole others; None if they are not so."""
    everything = np.arange(math.prod(shape)).reshape(shape)
    for axis, length in enumerate(shape):
        across = everything.size // max(1, length)
        if not positions.size or positions.size % across:
            continue
        start = int(positions.reshape(-1)[0]) // math.prod(shape[axis + 1 :]) % length
        stop = start + positions.size // across
        chosen = everything.take(np.arange(start, stop), axis, mode="clip")
        if stop <= length and np.array_equal(chosen.reshape(-1), positions.reshape(-1)):
            return axis, start, stop
    return None


def _replaced_later(g: Builder, x: Value, positions: Value, values: Value) -> Value:
    """The same at traced positions: in ascending order, the last of equal ones counts."""
    order, size = g.argsort(positions, axis=0), x.type.size
    ordered, sorted_values = (g.emit("gather", v, order, axis=0) for v in (positions, values))
    count = ordered.type.size
    following = concatenate([part(ordered, 0, 1, count), g.constant(np.array([-1]))])
    last = g.ne(ordered, following)
    placed = g.emit("scatter_add", g.select(last, sorted_values, 0), ordered, axis=0, length=size)
    hits = g.emit("scatter_add", g.convert(last, ElementType.INT64), ordered, axis=0, length=size)
    shape = x.type.shape
    return g.select(g.reshape(hits, shape), g.reshape(placed, shape), x)
