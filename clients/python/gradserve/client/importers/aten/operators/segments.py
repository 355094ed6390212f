"""Rows in bags and segments: what is made of the rows of each."""

from __future__ import annotations

import numpy as np

from gradserve.client.importers.aten.operators.indexing import COMBINED
from gradserve.client.importers.aten.table import Node, Result, axis_in, translates
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import numbers
from gradserve.client.importers.lax.places import scattered
from gradserve.ir.builder import Value
from gradserve.ir.types import ElementType
from gradserve.numpy import ordering, shaping

_MODES = ("sum", "mean", "amax")
_IDENTITY = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "amax": -np.inf, "amin": np.inf}


def _joined(n: Node, rows: Value, ids: Value, start: Value, kind: str) -> Value:
    """What rows of the same number make together with what is there."""
    dtype = np.dtype(rows.type.element_type.dtype)
    combine = COMBINED["sum" if kind == "mean" else kind]
    return scattered(n.g, Operand(start, dtype), [ids], Operand(rows, dtype), combine)


def _counts(n: Node, weights: Value, ids: Value, count: int) -> Value:
    """How many rows of each number there are."""
    return _joined(n, weights, ids, n.g.zeros(weights.type.with_shape((count,))), "sum")


def _wide(n: Node, line: Value, like: Value) -> Value:
    return n.g.reshape(line, (*line.shape, *(1,) * (like.type.rank - 1)))


@translates("_embedding_bag", "_embedding_bag_forward_only", "embedding_bag")
def _embedding_bag(
    n: Node,
    weight: Operand,
    indices: Operand,
    offsets: Operand,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Operand | None = None,
    include_last_offset: bool = False,
    padding_idx: int = -1,
) -> Result:
    """The sums, means or largest elements of the rows of each bag; which these are is not made."""
    g, kind, bags = n.g, _MODES[mode], n.shape[0]
    if scale_grad_by_freq:
        raise n.refuse("its gradient is not that of its values", "leave scale_grad_by_freq out")
    places, begins = (g.convert(x.value, ElementType.INT64) for x in (indices, offsets))
    begins = shaping.part(begins, 0, 0, bags, 1)
    ids = g.sub(ordering.searchsorted(begins, numbers(g, places.shape[0]), "right"), 1)
    rows = g.emit("gather", weight.value, places, axis=0)
    kept = g.convert(g.ne(places, padding_idx), rows.type.element_type)
    if per_sample_weights is not None:
        rows = g.mul(rows, _wide(n, n.of(per_sample_weights), rows))
    counts = _counts(n, kept, ids, bags)
    some = g.gt(_wide(n, counts, rows), 0)
    left = g.select(g.gt(_wide(n, kept, rows), 0), rows, _IDENTITY[kind])
    start = g.full(rows.type.with_shape(n.shape), _IDENTITY[kind])
    found = g.select(some, _joined(n, left, ids, start, kind), 0.0)
    if kind == "mean":
        found = g.div(found, g.select(some, _wide(n, counts, rows), 1.0))
    return [found, None, None, None]


@translates("segment_reduce", "_segment_reduce")
def _segment_reduce(
    n: Node,
    data: Operand,
    reduce: str,
    *,
    lengths: Operand | None = None,
    indices: Operand | None = None,
    offsets: Operand | None = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: float | None = None,
) -> Result:
    """What the elements of each segment along an axis make."""
    told = lengths if offsets is None else offsets
    if told is None or told.rank != 1 or indices is not None or axis_in(axis, data.rank):
        raise n.refuse("its segments are told for each row, or along a later axis", "call it for each row by itself")
    kind = {"max": "amax", "min": "amin"}.get(reduce, reduce)
    g, count, size = n.g, n.shape[0], data.shape[0]
    line = g.convert(told.value, ElementType.INT64)
    ends = shaping.part(line, 0, 1, count + 1, 1) if offsets is not None else g.emit("cumsum", line, axis=0)
    ids = ordering.searchsorted(ends, numbers(g, size), "right")
    first = _IDENTITY[kind] if initial is None else initial
    start = g.full(data.value.type.with_shape(n.shape), first)
    found = _joined(n, data.value, ids, start, kind)
    if kind != "mean":
        return found
    counts = _wide(n, _counts(n, n.g.full(data.value.type.with_shape((size,)), 1), ids, count), data.value)
    empty = float("nan") if initial is None else initial
    return g.select(g.gt(counts, 0), g.div(found, g.select(g.gt(counts, 0), counts, 1.0)), empty)


@translates("index_reduce")
def _index_reduce(
    n: Node, x: Operand, dim: int, index: Operand, source: Operand, reduce: str, *, include_self: bool = True
) -> Result:
    """x with slices at positions along an axis multiplied with it, or their extremes or means."""
    g, rank = n.g, max(x.rank, 1)
    axis = axis_in(dim, x.rank)
    front = shaping.moveaxis(g.reshape(x.value, x.shape or (1,)), axis, 0)
    rows = shaping.moveaxis(g.reshape(n.of(source), source.shape or (1,)), axis, 0)
    ids = g.reshape(g.convert(index.value, ElementType.INT64), (index.value.type.size,))
    ones = g.full(rows.type.with_shape(ids.shape), 1)
    counts = _wide(n, _counts(n, ones, ids, front.shape[0]), front)
    start = front if include_self else g.select(g.gt(counts, 0), _IDENTITY[reduce], front)
    found = _joined(n, rows, ids, start, reduce)
    if reduce == "mean":
        share = g.add(counts, 1.0) if include_self else g.maximum(counts, g.full(counts.type, 1))
        found = g.div(found, share)
    return g.reshape(shaping.moveaxis(found, 0, axis), x.shape) if rank else found
