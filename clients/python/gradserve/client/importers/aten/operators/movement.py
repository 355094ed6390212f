"""Arrays in other shapes, parts of them, and arrays put together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradserve.client.importers.aten.table import Node, Result, Scalar, axes_in, axis_in, translates
from gradserve.client.importers.lax import movement as lax
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import part, permute
from gradserve.ir.builder import Value
from gradserve.ir.types import Array
from gradserve.numpy import matrices, repeating, shaping


@translates("view", "reshape", "_unsafe_view", "view_copy", "_reshape_copy", "squeeze", "unsqueeze", "flatten")
def _reshape(n: Node, x: Operand, *shape: object, **named: object) -> Result:
    """x in another shape, which the program tells."""
    if n.operation == "view.dtype":
        raise n.refuse("the bits of numbers as other elements are no arithmetic", "convert by .to(dtype)")
    return n.g.reshape(x.value, n.shape)


@translates("resize", "resize_as")
def _resize(n: Node, x: Operand, *size: object, **named: object) -> Result:
    """The first elements of x in another shape."""
    count = math.prod(n.shape)
    if count > x.value.type.size:
        raise n.refuse("it has more elements than the array", "join arrays by torch.cat")
    flat = n.g.reshape(x.value, (x.value.type.size,))
    return n.g.reshape(part(n.g, flat, 0, 0, count), n.shape)


@translates("clone", "alias", "contiguous", "detach_copy", "lift_fresh_copy", "lift", "view_as", "positive")
@translates("alias_copy", "resolve_conj", "resolve_neg", "_neg_view", "lift_fresh")
def _same(n: Node, x: Operand) -> Result:
    """x."""
    return x


@translates("detach")
def _detach(n: Node, x: Operand) -> Result:
    """x, which is not differentiated."""
    return x if x.is_whole else n.g.stop_gradient(x.value)


@translates("copy")
def _copy(n: Node, x: Operand, new: Operand, non_blocking: bool = False) -> Result:
    """The new one in the shape of x."""
    return n.g.broadcast(n.of(new), x.shape)


@translates("permute", "permute_copy")
def _permute(n: Node, x: Operand, dims: Sequence[int]) -> Result:
    """The axes in another order."""
    return permute(n.g, x.value, [axis_in(dim, x.rank) for dim in dims])


@translates("transpose", "t", "transpose_copy", "t_copy", "mT", "numpy_T")
def _transpose(n: Node, x: Operand, first: int = 0, second: int = 1) -> Result:
    """Two axes exchanged."""
    if x.rank < 2:
        return x
    return shaping.swapaxes(x.value, axis_in(first, x.rank), axis_in(second, x.rank))


@translates("expand", "broadcast_to", "expand_copy")
def _expand(n: Node, x: Operand, size: Sequence[int], implicit: bool = False) -> Result:
    """x repeated along axes of length 1, and along new ones before."""
    return n.g.broadcast(x.value, n.shape)


@translates("repeat")
def _repeat(n: Node, x: Operand, repeats: Sequence[int]) -> Result:
    """x several times along each axis."""
    return repeating.tile(n.g.reshape(x.value, (*(1,) * (len(repeats) - x.rank), *x.shape)), tuple(repeats))


@translates("cat", "concat")
def _cat(n: Node, tensors: Sequence[Operand], dim: int = 0) -> Result:
    """Arrays one behind the other."""
    kept = [x for x in tensors if x.shape != (0,)] or list(tensors[:1])
    if len(kept) == 1:
        return n.of(kept[0])
    return n.g.emit("concatenate", *(n.of(x) for x in kept), axis=axis_in(dim, kept[0].rank))


@translates("stack")
def _stack(n: Node, tensors: Sequence[Operand], dim: int = 0) -> Result:
    """Arrays one behind the other along a new axis."""
    return lax.stack(n.g, [n.operand(x) for x in tensors], axis_in(dim, tensors[0].rank + 1))


@translates("split_with_sizes", "split_with_sizes_copy")
def _split_with_sizes(n: Node, x: Operand, sizes: Sequence[int], dim: int = 0) -> Result:
    """Parts of these lengths along an axis."""
    axis, begins = axis_in(dim, x.rank), np.cumsum([0, *sizes])
    return [part(n.g, x.value, axis, int(at), int(at) + size) for at, size in zip(begins, sizes, strict=False)]


@translates("split", "split_copy", "chunk")
def _split(n: Node, x: Operand, size: int, dim: int = 0) -> Result:
    """Parts of one length along an axis, the last one shorter if need be."""
    axis = axis_in(dim, x.rank)
    ends = np.cumsum([0 if shape is None else shape[axis] for shape in n.shapes])
    return [part(n.g, x.value, axis, int(at), int(to)) for at, to in zip([0, *ends], ends, strict=False)]


@translates("unbind", "unbind_copy")
def _unbind(n: Node, x: Operand, dim: int = 0) -> Result:
    """The slices along an axis, without it."""
    if x.shape[axis_in(dim, x.rank)] != len(n.shapes):
        raise ValueError(f"it gives {x.shape[axis_in(dim, x.rank)]} slices here, and {len(n.shapes)} in torch")
    return lax.unstack(n.g, x, axis_in(dim, x.rank))


@translates("slice", "slice_copy")
def _slice(
    n: Node, x: Operand, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Result:
    """Every so many elements from a start to before an end along an axis."""
    axis = axis_in(dim, x.rank)
    first, last = _span(x.shape[axis], start, end)
    return shaping.part(x.value, axis, first, last, step)


def _span(length: int, start: int | None, end: int | None) -> tuple[int, int]:
    first, last, _ = slice(start, end).indices(length)
    return first, max(first, last)


@translates("narrow", "narrow_copy")
def _narrow(n: Node, x: Operand, dim: int, start: int, length: int) -> Result:
    """So many elements from a start on along an axis."""
    axis = axis_in(dim, x.rank)
    first = start % x.shape[axis] if start < 0 else start
    return part(n.g, x.value, axis, first, first + length)


@translates("select", "select_copy")
def _select(n: Node, x: Operand, dim: int, index: int) -> Result:
    """The slice at a position along an axis, without it."""
    axis = axis_in(dim, x.rank)
    at = index % x.shape[axis]
    return n.g.reshape(part(n.g, x.value, axis, at, at + 1), n.shape)


@translates("select_scatter")
def _select_scatter(n: Node, x: Operand, new: Operand, dim: int, index: int) -> Result:
    """x with another slice at a position along an axis."""
    axis = axis_in(dim, x.rank)
    at = index % x.shape[axis]
    shape = tuple(1 if k == axis else length for k, length in enumerate(x.shape))
    return put(n, x, n.g.reshape(n.of(new), shape), axis, range(at, at + 1))


@translates("slice_scatter")
def _slice_scatter(
    n: Node, x: Operand, new: Operand, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Result:
    """x with other elements in the place of a slice."""
    axis = axis_in(dim, x.rank)
    return put(n, x, n.of(new), axis, range(*_span(x.shape[axis], start, end), step))


def put(n: Node, x: Operand, new: Value, axis: int, places: Sequence[int] | Array) -> Value:
    """x with new slices at these places along an axis; of equal places the last one counts."""
    g, length = n.g, x.shape[axis]
    source = np.full(length, -1)
    source[np.asarray(places, np.int64)] = np.arange(len(places))
    if not len(places):
        return x.value
    taken = g.emit("gather", new, g.constant(np.maximum(source, 0)), axis=axis)
    return g.select(lax.along(g, g.constant(source >= 0), axis, x.rank), taken, x.value)


@translates("flip")
def _flip(n: Node, x: Operand, dims: Sequence[int]) -> Result:
    """The elements in reverse order along axes."""
    return lax.reverse(n.g, x, axes_in(dims, x.rank) if dims and x.rank else ())


@translates("roll")
def _roll(n: Node, x: Operand, shifts: Sequence[int], dims: Sequence[int] = ()) -> Result:
    """The elements moved on along axes, the last ones to the begin."""
    if not dims:
        return repeating.roll(x.value, shifts[0] if isinstance(shifts, list) else shifts)
    return repeating.roll(x.value, tuple(shifts), tuple(axis_in(dim, x.rank) for dim in dims))


@translates("diagonal", "diagonal_copy")
def _diagonal(n: Node, x: Operand, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Result:
    """A diagonal of two axes, as the last one."""
    return matrices.diagonal(x.value, offset, axis_in(dim1, x.rank), axis_in(dim2, x.rank))


@translates("constant_pad_nd")
def _constant_pad(n: Node, x: Operand, pad: Sequence[int], value: Scalar = 0) -> Result:
    """x with a number around it; negative lengths take elements away."""
    pairs = [(pad[2 * k], pad[2 * k + 1], 0) for k in range(len(pad) // 2)][::-1]
    config = [(0, 0, 0)] * (x.rank - len(pairs)) + pairs
    return lax.pad(n.g, x, n.operand(value, x.dtype), config)


@translates(*(f"{kind}_pad{k}d" for kind in ("reflection", "replication") for k in (1, 2, 3)))
def _edge_pad(n: Node, x: Operand, padding: Sequence[int]) -> Result:
    """x with its own elements around it: mirrored at the first and last ones, or these repeated."""
    found = x.value
    for k in range(len(padding) // 2):
        axis = x.rank - 1 - k
        length = x.shape[axis]
        places = np.arange(-padding[2 * k], length + padding[2 * k + 1])
        if n.name.startswith("reflection"):
            places = length - 1 - np.abs(length - 1 - np.abs(places))
        found = n.g.emit("gather", found, n.g.constant(np.clip(places, 0, length - 1)), axis=axis)
    return found


@translates("unfold", "unfold_copy")
def _unfold(n: Node, x: Operand, dim: int, size: int, step: int) -> Result:
    """All windows along an axis, their elements as a last axis."""
    if not x.rank:
        return n.g.reshape(x.value, n.shape)
    return n.g.emit("windows", x.value, axes=(axis_in(dim, x.rank),), sizes=(size,), strides=(step,), dilations=(1,))


@translates("tril", "triu")
def _triangle(n: Node, x: Operand, diagonal: int = 0) -> Result:
    """The lower or the upper triangle, zeros elsewhere."""
    kept = getattr(np, n.name)(np.ones(x.shape[-2:], np.bool_), diagonal)
    return n.g.select(n.g.constant(kept), x.value, n.of(0))


@translates("diag_embed", "diag_embed_copy")
def _diag_embed(n: Node, x: Operand, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Result:
    """Matrices with the vectors along the last axis on a diagonal."""
    g, size = n.g, x.shape[-1] + abs(offset)
    low, high = [0] * x.rank, [0] * x.rank
    low[-1], high[-1] = max(offset, 0), max(-offset, 0)
    line = g.reshape(lax.padded(g, x.value, n.of(0), low, high), (*x.shape[:-1], 1, size))
    rows, columns = np.arange(size)[:, None], np.arange(size)[None, :]
    matrix = g.select(g.constant(columns - rows == offset), line, n.of(0))
    return shaping.moveaxis(matrix, (-2, -1), (axis_in(dim1, x.rank + 1), axis_in(dim2, x.rank + 1)))
