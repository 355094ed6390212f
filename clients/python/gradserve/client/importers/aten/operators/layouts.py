"""Arrays by the places of their elements in memory, which the program tells."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradserve.client.importers.aten.archive import Meta
from gradserve.client.importers.aten.operators.movement import put
from gradserve.client.importers.aten.table import Node, Result, axis_in, require_small, translates
from gradserve.client.importers.lax.elements import Operand
from gradserve.ir.builder import Value
from gradserve.ir.types import Array


def _places(shape: Sequence[int], strides: Sequence[int], offset: int) -> Array:
    """Where each element lies, counted in elements."""
    require_small(math.prod(shape))
    found = np.full(tuple(shape), offset, np.int64)
    for axis, (length, stride) in enumerate(zip(shape, strides, strict=True)):
        found += (np.arange(length) * stride).reshape(-1, *(1,) * (len(shape) - axis - 1))
    return found


def _strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Of elements that lie one behind the other."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def _sources(n: Node, layout: Meta, size: Sequence[int], stride: Sequence[int], offset: int | None) -> Array:
    """Which elements of x, in a row, lie at these places.

    Raises:
        Unsupported: one of them is none of x.
    """
    own = _places(layout.shape, layout.strides or _strides(layout.shape), layout.offset).ravel()
    wanted = _places(size, stride, layout.offset if offset is None else offset)
    order = np.argsort(own, kind="stable")
    at = np.minimum(np.searchsorted(own[order], wanted), max(len(own) - 1, 0))
    if wanted.size and (not len(own) or np.any(own[order][at] != wanted)):
        raise n.refuse("it reads beside the array", "use views and slices of the array that it lies in")
    return order[at] if len(own) else wanted


@translates("as_strided", "as_strided_copy")
def _as_strided(
    n: Node, x: Operand, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Result:
    """The elements at places in memory."""
    places = _sources(n, n.layout(0), size, stride, storage_offset)
    return n.g.emit("gather", n.g.reshape(x.value, (math.prod(x.shape),)), n.g.constant(places), axis=0)


@translates("as_strided_scatter")
def _as_strided_scatter(
    n: Node, x: Operand, new: Operand, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Result:
    """x with other elements at places in memory; of equal places the last one counts."""
    return _written(n, x, n.of(new), _sources(n, n.layout(0), size, stride, storage_offset))


@translates("diagonal_scatter")
def _diagonal_scatter(n: Node, x: Operand, new: Operand, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Result:
    """x with another diagonal of two axes."""
    count = math.prod(x.shape)
    require_small(count)
    places = np.diagonal(np.arange(count).reshape(x.shape), offset, axis_in(dim1, x.rank), axis_in(dim2, x.rank))
    return _written(n, x, n.of(new), places)


def _written(n: Node, x: Operand, new: Value, places: Array) -> Value:
    """x with new elements at places in a row."""
    g, count = n.g, math.prod(x.shape)
    flat = Operand(g.reshape(x.value, (count,)), x.dtype)
    return g.reshape(put(n, flat, g.reshape(new, (places.size,)), 0, places.ravel()), x.shape)
