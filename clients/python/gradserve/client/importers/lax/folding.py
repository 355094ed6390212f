"""Reductions of one array or several by any function that is associative: elements join in pairs, as a tree."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import part, permute
from gradserve.client.importers.lax.reductions import Frame
from gradserve.ir.builder import Builder, Value

Join: TypeAlias = Callable[[Builder, list[Operand]], list[Operand]]
"""From the elements before, of each array, and those behind to what they are together, element by element."""


def reduce(
    g: Builder, arrays: Sequence[Operand], first: Sequence[Operand], axes: Sequence[int], join: Join
) -> list[Value]:
    """All elements along axes, joined, and `first` before them."""
    kept = [k for k in range(arrays[0].rank) if k not in axes]
    shape = tuple(arrays[0].shape[k] for k in kept)
    count = math.prod(arrays[0].shape[k] for k in axes)
    start = [Operand(g.broadcast(x.value, shape), x.dtype) for x in first]
    if not count:
        return [x.value for x in start]
    rows = [Operand(g.reshape(permute(g, x.value, [*axes, *kept]), (count, *shape)), x.dtype) for x in arrays]
    while rows[0].shape[0] > 1:
        rows = _halved(g, rows, join)
    last = [Operand(g.reshape(x.value, shape), x.dtype) for x in rows]
    return [x.value for x in join(g, [*start, *last])]


def _halved(g: Builder, rows: list[Operand], join: Join) -> list[Operand]:
    """Each two neighbours joined; the last one of an odd number stays."""
    count, *shape = rows[0].shape
    half = count // 2

    def of_pairs(x: Operand, which: int) -> Operand:
        pairs = g.reshape(part(g, x.value, 0, 0, 2 * half), (half, 2, *shape))
        return Operand(g.reshape(part(g, pairs, 1, which, which + 1), (half, *shape)), x.dtype)

    joined = join(g, [of_pairs(x, which) for which in (0, 1) for x in rows])
    if count % 2 == 0:
        return joined
    return [
        Operand(g.emit("concatenate", made.value, part(g, x.value, 0, count - 1, count), axis=0), x.dtype)
        for made, x in zip(joined, rows, strict=True)
    ]


def reduce_window(
    g: Builder, arrays: Sequence[Operand], first: Sequence[Operand], frame: Frame, join: Join
) -> list[Value]:
    """The same of the elements of each window, with `first` around the arrays."""
    blocks = [
        Operand(g.emit("windows", frame.padded(g, x.value, fill.value), **frame.attributes), x.dtype)
        for x, fill in zip(arrays, first, strict=True)
    ]
    return reduce(g, blocks, first, range(arrays[0].rank, blocks[0].rank), join)
