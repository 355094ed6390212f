"""Elements and slices at positions: taken, or written."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradserve.client.importers.aten.table import Given, Node, Result, axis_in, translates
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.indexing import Combine
from gradserve.client.importers.lax.movement import along, numbers, stack
from gradserve.client.importers.lax.places import grid, scattered
from gradserve.ir.builder import Value
from gradserve.ir.types import ElementType
from gradserve.numpy import indexing, ufuncs

COMBINED: dict[str, Combine] = {"sum": "add", "add": "add", "prod": "mul", "multiply": "mul", "amax": "max"}
COMBINED |= {"amin": "min"}


def _row(n: Node, x: Operand) -> Operand:
    """An array without axes as one with one."""
    return x if x.rank else Operand(n.g.reshape(x.value, (1,)), x.dtype)


def _keys(n: Node, indices: Sequence[Operand | None]) -> list[Value | slice]:
    """What stands in brackets; a mask that is known becomes positions.

    Raises:
        Unsupported: a mask is computed, so that the shape of the result depends on numbers.
    """
    found: list[Value | slice] = []
    for x in indices:
        if x is None:
            found.append(slice(None))
        elif x.dtype.kind == "b":
            mask = n.known(x)
            if mask is None:
                raise n.refuse(
                    "a computed mask gives a shape that depends on numbers", "choose by torch.where instead of x[mask]"
                )
            found += [n.g.constant(np.asarray(places)) for places in np.nonzero(mask)]
        else:
            found.append(n.g.convert(x.value, ElementType.INT64))
    return found


@translates("index", "_unsafe_index")
def _index(n: Node, x: Operand, indices: Sequence[Operand | None]) -> Result:
    """The elements at positions along several axes."""
    return indexing.getitem(n.g, x.value, tuple(_keys(n, indices)))


@translates("index_put", "_unsafe_index_put")
def _index_put(
    n: Node, x: Operand, indices: Sequence[Operand | None], values: Operand, accumulate: bool = False
) -> Result:
    """x with elements written or added at positions along several axes."""
    g = n.g
    (mask, *others), new = indices, n.of(values)
    if mask is not None and mask.dtype.kind == "b" and not others:
        # What is the same for all elements that are chosen may be written without knowing how many these are.
        one = g.reshape(new, ()) if new.type.size == 1 else new
        if one.type.rank <= x.rank - mask.rank:
            wide = g.broadcast(g.reshape(mask.value, (*mask.shape, *(1,) * (x.rank - mask.rank))), x.shape)
            written = g.broadcast(one, x.shape)
            return g.select(wide, g.add(x.value, written) if accumulate else written, x.value)
    keys = _keys(n, indices)
    axes = [k for k, key in enumerate(keys) if isinstance(key, Value)]
    rest = [k for k in range(x.rank) if k not in axes]
    places = g.align([key for key in keys if isinstance(key, Value)])
    lead = places[0].shape
    together = axes == list(range(axes[0], axes[0] + len(axes)))
    at = axes[0] if together else 0
    shape = (*(x.shape[k] for k in rest[:at]), *lead, *(x.shape[k] for k in rest[at:]))
    new = g.broadcast(new, shape)
    order = [*range(at, at + len(lead)), *range(at), *range(at + len(lead), len(shape))]
    ordered = Operand(_permuted(n, new, order), x.dtype)
    front = Operand(_permuted(n, x.value, [*axes, *rest]), x.dtype)
    made = scattered(g, front, places, ordered, "add" if accumulate else "set")
    inverse = np.argsort([*axes, *rest])
    return _permuted(n, made, [int(k) for k in inverse])


def _permuted(n: Node, x: Value, order: Sequence[int]) -> Value:
    return x if list(order) == list(range(len(order))) else n.g.emit("permute", x, order=tuple(order))


@translates("index_select")
def _index_select(n: Node, x: Operand, dim: int, index: Operand) -> Result:
    """The slices at positions along an axis."""
    if not x.rank:
        return x
    line = n.g.reshape(index.value, (index.value.type.size,))
    return n.g.emit("gather", x.value, n.g.convert(line, ElementType.INT64), axis=axis_in(dim, x.rank))


@translates("take")
def _take(n: Node, x: Operand, index: Operand) -> Result:
    """The elements at positions among all in a row."""
    flat = n.g.reshape(x.value, (math.prod(x.shape),))
    return n.g.emit("gather", flat, n.g.convert(index.value, ElementType.INT64), axis=0)


@translates("put")
def _put(n: Node, x: Operand, index: Operand, source: Operand, accumulate: bool = False) -> Result:
    """x with elements written or added at positions among all in a row."""
    g, count = n.g, index.value.type.size
    flat = Operand(g.reshape(x.value, (math.prod(x.shape),)), x.dtype)
    line = g.reshape(g.convert(index.value, ElementType.INT64), (count,))
    new = Operand(g.reshape(n.of(source), (count,)), x.dtype)
    return g.reshape(scattered(g, flat, [line], new, "add" if accumulate else "set"), x.shape)


@translates("nonzero_static")
def _nonzero_static(n: Node, x: Operand, *, size: int, fill_value: int = -1) -> Result:
    """Where the first so many elements are that are not zero; behind them one number."""
    g, count = n.g, math.prod(x.shape)
    some = g.convert(g.reshape(n.of(x, np.dtype(np.bool_)), (count,)), ElementType.INT32)
    order = g.argsort(g.sub(1, some), axis=0)
    total = g.convert(g.reduce_sum(some, axes=(0,)), ElementType.INT64)
    rows = numbers(g, size)
    within = g.lt(rows, total)
    flat = g.emit("gather", order, g.minimum(rows, max(count - 1, 0)), axis=0)
    found, behind = [], count
    for length in x.shape:
        behind //= max(length, 1)
        row = ufuncs.floor_divide(flat, g.full(flat.type, max(behind, 1)))
        own = g.remainder(row, g.full(flat.type, max(length, 1)))
        found.append(Operand(g.select(within, own, fill_value), np.dtype(np.int64)))
    return stack(g, found, 1) if found else g.zeros(flat.type.with_shape((size, 0)))


@translates("embedding")
def _embedding(
    n: Node,
    weight: Operand,
    indices: Operand,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Result:
    """The rows at positions; the row `padding_idx` is not differentiated."""
    g, places = n.g, n.g.convert(indices.value, ElementType.INT64)
    if scale_grad_by_freq:
        raise n.refuse("its gradient is not that of its values", "leave scale_grad_by_freq out")
    found = g.emit("gather", weight.value, places, axis=0)
    if padding_idx < 0:
        return found
    padding = g.reshape(g.eq(places, padding_idx), (*indices.shape, 1))
    return g.select(g.broadcast(padding, found.shape), g.stop_gradient(found), found)


@translates("gather")
def _gather(n: Node, x: Operand, dim: int, index: Operand, sparse_grad: bool = False) -> Result:
    """The elements at positions along an axis, and at their own places along all others."""
    source, places = _row(n, x), _row(n, index)
    keys = tuple(grid(n.g, places, axis_in(dim, source.rank)))
    return n.g.reshape(indexing.getitem(n.g, source.value, keys), index.shape)


def _scatter_at(n: Node, x: Operand, dim: int, index: Operand, new: Value, combine: Combine) -> Value:
    """x with elements written at positions along an axis, and at their own places along all others."""
    target, places = _row(n, x), _row(n, index)
    if places.rank == target.rank and not places.value.type.size:
        return x.value
    shape = new.shape or (1,)
    part = n.g.reshape(new, shape)
    if shape != places.shape:
        part = n.g.emit("slice", part, starts=(0,) * len(shape), stops=places.shape, strides=(1,) * len(shape))
    keys = grid(n.g, places, axis_in(dim, target.rank))
    return n.g.reshape(scattered(n.g, target, keys, Operand(part, x.dtype), combine), x.shape)


@translates("scatter", "scatter_add")
def _scatter(n: Node, x: Operand, dim: int, index: Operand, src: Given, reduce: str | None = None) -> Result:
    """x with elements, or one number, written or added at positions along an axis."""
    new = n.of(src)
    if not isinstance(src, Operand) or n.operation.endswith("value"):
        new = n.g.broadcast(new, index.shape)
    combine: Combine = "add" if n.name == "scatter_add" else "set" if reduce is None else COMBINED[reduce]
    return _scatter_at(n, x, dim, index, new, combine)


@translates("scatter_reduce")
def _scatter_reduce(
    n: Node, x: Operand, dim: int, index: Operand, src: Operand, reduce: str, *, include_self: bool = True
) -> Result:
    """x with elements at positions along an axis added to it, or multiplied with it, or the extremes or means."""
    g, base = n.g, x
    if not include_self:
        identity = {"prod": 1.0, "amax": -np.inf, "amin": np.inf}.get(reduce, 0.0)
        hit = _scatter_at(n, Operand(g.zeros(x.value.type), x.dtype), dim, index, _ones(n, index), "add")
        base = Operand(g.select(g.gt(hit, 0), n.of(identity), x.value), x.dtype)
    if reduce != "mean":
        return _scatter_at(n, base, dim, index, n.of(src), COMBINED[reduce])
    sums = _scatter_at(n, base, dim, index, n.of(src), "add")
    start = Operand(g.full(x.value.type, 1 if include_self else 0), x.dtype)
    counts = _scatter_at(n, start, dim, index, _ones(n, index), "add")
    return g.div(sums, g.maximum(counts, n.of(1)))


def _ones(n: Node, index: Operand) -> Value:
    return n.g.broadcast(n.of(1), index.shape)


@translates("index_add", "index_copy")
def _index_add(n: Node, x: Operand, dim: int, index: Operand, source: Operand, alpha: float = 1) -> Result:
    """x with slices added or written at positions along an axis."""
    g, target, places = n.g, _row(n, x), _row(n, index)
    axis = axis_in(dim, target.rank)
    order = [axis, *(k for k in range(target.rank) if k != axis)]
    new = g.mul(n.of(source), n.of(alpha)) if alpha != 1 else n.of(source)
    rows = g.reshape(new, (*target.shape[:axis], places.shape[0], *target.shape[axis + 1 :]))
    front = Operand(_permuted(n, target.value, order), x.dtype)
    combine: Combine = "add" if n.name == "index_add" else "set"
    line = g.convert(places.value, ElementType.INT64)
    made = scattered(g, front, [line], Operand(_permuted(n, rows, order), x.dtype), combine)
    return g.reshape(_permuted(n, made, [int(k) for k in np.argsort(order)]), x.shape)


@translates("index_fill")
def _index_fill(n: Node, x: Operand, dim: int, index: Operand, value: Given) -> Result:
    """x with one number at positions along an axis."""
    g, target, places = n.g, _row(n, x), _row(n, index)
    axis, length = axis_in(dim, target.rank), target.shape[axis_in(dim, target.rank)]
    own = g.convert(places.value, ElementType.INT64)
    line = g.reshape(g.select(g.lt(own, 0), g.add(own, length), own), (places.shape[0], 1))
    hit = g.emit("reduce_any", g.eq(line, g.reshape(numbers(g, length), (1, length))), axes=(0,))
    chosen = g.broadcast(along(g, hit, axis, target.rank), target.shape)
    return g.reshape(g.select(chosen, n.of(value), target.value), x.shape)


@translates("masked_fill")
def _masked_fill(n: Node, x: Operand, mask: Operand, value: Given) -> Result:
    """x with one number where the mask holds."""
    truth, kept = n.g.align([mask.value, n.of(x)])
    return n.g.select(truth, n.of(value), kept)


@translates("masked_scatter")
def _masked_scatter(n: Node, x: Operand, mask: Operand, source: Operand) -> Result:
    """x with the elements of another array, in their order, where the mask holds."""
    g = n.g
    truth, kept = g.align([mask.value, x.value])
    count = truth.type.size
    flat = g.reshape(g.convert(truth, ElementType.INT64), (count,))
    order = g.sub(g.emit("cumsum", flat, axis=0), 1)
    places = g.minimum(g.maximum(order, 0), max(source.value.type.size - 1, 0))
    taken = g.emit("gather", g.reshape(source.value, (source.value.type.size,)), places, axis=0)
    return g.select(truth, g.reshape(taken, truth.shape), kept)
