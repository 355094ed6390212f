"""Arrays put together as the rows of one, and rows taken of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Literal
from gradserve.ops.movement.placement import Slice
from gradserve.ops.movement.shapes import Reshape, permuted


def row_of(g: Builder, stack: Value, k: int) -> Value:
    """Row k of an array."""
    lengths = stack.shape
    starts, stops = (k, *[0] * len(lengths[1:])), (k + 1, *lengths[1:])
    taken = g.emit("slice", stack, starts=starts, stops=stops, strides=(1,) * len(lengths))
    return g.reshape(taken, stack.type.shape[1:])


def stacked(g: Builder, rows: Sequence[Value]) -> Value:
    """The array with these rows; parts of the arrays that they were taken of, where there are such."""
    literals = [g.literal(row) for row in rows]
    if all(isinstance(literal, Literal) for literal in literals):
        return g.constant(np.stack([literal.array for literal in literals if isinstance(literal, Literal)]))
    parts: list[Value] = []
    for _, group in itertools.groupby(rows, lambda row: _source_number(g, row)):
        together = list(group)
        found = _source(g, together) if len(together) > 1 else None
        parts += [g.reshape(row, (1, *row.type.shape)) for row in together] if found is None else [found]
    return parts[0] if len(parts) == 1 else g.emit("concatenate", *parts, axis=0)


def _source_number(g: Builder, row: Value) -> int:
    """The number of the array of which a row is a slice; -1 if it is none."""
    found = _slice_behind(g, row)
    return -1 if found is None else found[0].index


def _source(g: Builder, rows: Sequence[Value]) -> Value | None:
    """The part of an array of which the rows are slices, at regular places along an axis; None if they are not."""
    taken = [_slice_behind(g, row) for row in rows]
    source, first = taken[0] or (None, None)
    if source is None or first is None:
        return None
    bounds = np.array([[*op.starts, *op.stops, *op.strides] for _, op in filter(None, taken)])
    step = bounds[1] - bounds[0]
    rank = source.type.rank
    moving = np.flatnonzero(step[:rank])
    if len(moving) != 1 or not (bounds == bounds[0] + step * np.arange(len(rows))[:, None]).all():
        return None
    (axis,) = moving.tolist()
    if first.stops[axis] - first.starts[axis] != 1:
        return None
    ends = sorted((int(bounds[0][axis]), int(bounds[-1][axis])))
    starts, stops, strides = (list(given) for given in (first.starts, first.stops, first.strides))
    starts[axis], stops[axis], strides[axis] = ends[0], ends[1] + 1, abs(int(step[axis]))
    part = g.emit("slice", source, starts=tuple(starts), stops=tuple(stops), strides=tuple(strides))
    ordered = permuted(g, part, (axis, *(k for k in range(rank) if k != axis)))
    turned = g.emit("reverse", ordered, axes=(0,)) if step[axis] < 0 else ordered
    return g.reshape(turned, (len(rows), *rows[0].type.shape))


def _slice_behind(g: Builder, row: Value) -> tuple[Value, Slice] | None:
    """The array of which a row is a slice, in whatever shape, and the slice."""
    made = g.producer(row)
    if made is not None and isinstance(made.op, Reshape):
        made = g.producer(made.operands[0])
    return (made.operands[0], made.op) if made is not None and isinstance(made.op, Slice) else None
