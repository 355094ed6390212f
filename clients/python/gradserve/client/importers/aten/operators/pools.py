"""Pools: what is made of the elements of each window."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradserve.client.importers.aten.table import Node, Result, translates
from gradserve.client.importers.lax import ordering
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.places import scattered
from gradserve.client.importers.lax.pools import Frame, ceiling
from gradserve.ir.builder import Value
from gradserve.ir.types import Array
from gradserve.numpy import shaping


def _frame(
    x: Operand,
    count: int,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> Frame:
    sizes, pads, gaps = (_each(numbers, count) for numbers in (kernel_size, padding, dilation))
    steps = _each(stride, count) if stride else sizes
    edges, lengths = [(p, p) for p in pads], x.shape[x.rank - count :]
    spans = [(size - 1) * gap + 1 for size, gap in zip(sizes, gaps, strict=True)]
    more = ceiling(lengths, spans, steps, edges) if ceil_mode else [0] * count
    return Frame(sizes, steps, gaps, edges, more)


def _each(numbers: int | Sequence[int], count: int) -> list[int]:
    found = [numbers] if isinstance(numbers, int) else list(numbers)
    return found * count if len(found) == 1 else found


@translates("max_pool2d_with_indices", "max_pool3d_with_indices", "max_pool1d_with_indices")
def _max_pool(
    n: Node,
    x: Operand,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> Result:
    """The largest element of each window, and where the first such is; it alone has a derivative."""
    count = int(n.name[len("max_pool")])
    return _frame(x, count, kernel_size, stride, padding, dilation, ceil_mode).largest(n.g, x)


@translates(
    *(
        f"{kind}_pool{k}d{end}"
        for k in (2, 3)
        for kind, end in (("max", "_with_indices_backward"), ("adaptive_max", "_backward"))
    )
)
def _max_pool_backward(n: Node, cotangent: Operand, x: Operand, *frame: object) -> Result:
    """The cotangent at the places where the largest elements were, which are the last operand."""
    *_, where = frame
    assert isinstance(where, Operand)
    count = int(n.name[n.name.index("d_") - 1])
    g, lead, size = n.g, x.shape[:-count], math.prod(x.shape[-count:])
    rows = math.prod(lead)
    begins = np.arange(rows).reshape(-1, 1) * size
    flat = g.add(g.reshape(where.value, (rows, math.prod(where.shape[-count:]))), g.constant(begins))
    zeros = Operand(g.zeros(cotangent.value.type.with_shape((rows * size,))), cotangent.dtype)
    line = g.reshape(flat, (flat.type.size,))
    new = Operand(g.reshape(cotangent.value, (flat.type.size,)), cotangent.dtype)
    return g.reshape(scattered(g, zeros, [line], new, "add"), x.shape)


@translates("avg_pool1d", "avg_pool2d", "avg_pool3d")
def _average_pool(
    n: Node,
    x: Operand,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Result:
    """The mean of each window."""
    g, count = n.g, int(n.name[len("avg_pool")])
    frame = _frame(x, count, kernel_size, stride, padding, (1,), ceil_mode)
    sums = frame.reduced(g, x.value, n.of(0), "sum")
    if divisor_override:
        return g.div(sums, n.of(divisor_override))
    return g.div(sums, frame.counts(g, x, sums.shape[x.rank - count :], count_include_pad))


@translates("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_avg_pool1d")
def _adaptive_average(n: Node, x: Operand, output_size: Sequence[int]) -> Result:
    """The means of as many windows, about equally long, as are asked for."""
    found, count = x.value, len(output_size)
    for k, wanted in enumerate(output_size):
        axis, length = x.rank - count + k, x.shape[x.rank - count + k]
        first, last = _bounds(length, wanted)
        places = np.arange(length)
        inside = (places >= first[:, None]) & (places < last[:, None])
        found = times(n, inside / (last - first)[:, None], found, axis)
    return found


def _bounds(length: int, wanted: int) -> tuple[Array, Array]:
    k = np.arange(wanted)
    return k * length // wanted, -(-((k + 1) * length) // wanted)


@translates("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
def _adaptive_max(n: Node, x: Operand, output_size: Sequence[int]) -> Result:
    """The largest elements of as many windows as are asked for, and where the first such are."""
    g, found, where, lead = n.g, x.value, n.g.constant(0), x.rank - len(output_size)
    stride = 1
    # The last axis comes first: of equal elements the first in a row counts.
    for axis, wanted in reversed(list(enumerate(output_size, start=lead))):
        first, last = _bounds(x.shape[axis], wanted)
        size = int((last - first).max()) if wanted else 1
        # What lies behind a window is its last element once more, and the first of equal ones counts.
        places = np.minimum(first[:, None] + np.arange(size), (last - 1)[:, None])
        blocks = g.emit("gather", found, g.constant(places), axis=axis)
        own = g.reshape(g.constant(places * stride), (*places.shape, *(1,) * (found.type.rank - axis - 1)))
        inner = g.emit("gather", g.broadcast(where, found.shape), g.constant(places), axis=axis)
        place = g.emit("argmax", blocks, axis=axis + 1)
        wide = g.reshape(place, (*place.shape[: axis + 1], 1, *place.shape[axis + 1 :]))
        chosen = [blocks, g.add(inner, g.broadcast(own, blocks.shape))]
        found, where = (g.reshape(ordering.along_axis(g, each, wide, axis + 1), place.shape) for each in chosen)
        stride *= x.shape[axis]
    return [found, where]


def times(n: Node, matrix: Array, x: Value, axis: int) -> Value:
    """A known matrix times all vectors along an axis."""
    known = n.g.constant(np.asarray(matrix, x.type.element_type.dtype))
    product = n.g.emit("contract", x, known, lhs_contract=(axis,), rhs_contract=(1,), lhs_batch=(), rhs_batch=())
    return shaping.moveaxis(product, -1, axis)
