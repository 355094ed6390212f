"""Windows that move over the last axes of an array, and what is made of the elements of each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import padded
from gradserve.client.importers.lax.ordering import along_axis
from gradserve.client.importers.lax.reductions import identity
from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.numpy import windowing

_MOST = 1 << 24


@dataclass(frozen=True)
class Frame:
    """The windows of a pool."""

    sizes: Sequence[int]
    strides: Sequence[int]
    dilations: Sequence[int]
    pads: Sequence[tuple[int, int]]
    more: Sequence[int]
    """What is laid behind beside the padding, so that the last window fits."""

    def blocks(self, g: Builder, x: Value, fill: Value) -> Value:
        """All windows, with their sizes as the last axes."""
        rest = x.type.rank - len(self.sizes)
        low = [0] * rest + [low for low, _ in self.pads]
        high = [0] * rest + [high + more for (_, high), more in zip(self.pads, self.more, strict=True)]
        return windowing.windows(padded(g, x, fill, low, high), self.sizes, None, self.strides, self.dilations)

    def reduced(self, g: Builder, x: Value, fill: Value, fold: str) -> Value:
        """The windows reduced."""
        blocks = self.blocks(g, x, fill)
        return g.emit(f"reduce_{fold}", blocks, axes=tuple(range(x.type.rank, blocks.type.rank)))

    def largest(self, g: Builder, x: Operand) -> tuple[Value, Value]:
        """The largest element of each window, and where the first such is among those of the last axes, in a row.

        It alone has a derivative.
        """
        blocks = self.blocks(g, x.value, identity(g, "max", x.dtype))
        lead, size = blocks.shape[: x.rank], math.prod(self.sizes)
        flat = g.reshape(blocks, (*lead, size))
        place = g.reshape(g.emit("argmax", flat, axis=x.rank), (*lead, 1))
        first = x.rank - len(self.sizes)
        table = g.broadcast(g.constant(self._sources(x.shape[first:], lead[first:])), (*lead, size))
        found, where = (g.reshape(along_axis(g, each, place, x.rank), lead) for each in (flat, table))
        return found, where

    def _sources(self, lengths: Sequence[int], counts: Sequence[int]) -> Array:
        """For each window and each of its elements, where that is among all elements in a row."""
        rank, size = len(lengths), math.prod(counts) * math.prod(self.sizes)
        if size > _MOST:
            raise LimitExceeded("pool_constant_bytes", f"{size} elements of windows are counted; the limit is {_MOST}")
        found = np.zeros((*counts, *self.sizes), np.int64)
        for k, (length, count, extent) in enumerate(zip(lengths, counts, self.sizes, strict=True)):
            own = np.arange(count)[:, None] * self.strides[k] + np.arange(extent) * self.dilations[k] - self.pads[k][0]
            shape = [1] * (2 * rank)
            shape[k], shape[rank + k] = count, extent
            found = found * length + np.clip(own, 0, length - 1).reshape(shape)
        return found.reshape(*counts, math.prod(self.sizes))

    def counts(self, g: Builder, x: Operand, windows: Sequence[int], with_padding: bool) -> Value:
        """How many elements each window has, those of the padding counted or not: a product over the axes.

        Raises:
            LimitExceeded: there are too many along one axis to look at each.
        """
        found, lengths = g.constant(1, x.value.type.element_type), x.shape[x.rank - len(self.sizes) :]
        for k, count in enumerate(windows):
            if count * self.sizes[k] > _MOST:
                raise LimitExceeded("pool_constant_bytes", f"{count} windows of {self.sizes[k]} along an axis")
            low, high = self.pads[k]
            first, last = (0, low + lengths[k] + high) if with_padding else (low, low + lengths[k])
            places = np.arange(count)[:, None] * self.strides[k] + np.arange(self.sizes[k]) * self.dilations[k]
            own = ((places >= first) & (places < last)).sum(axis=1).astype(x.dtype)
            found = g.mul(g.reshape(found, (*found.shape, 1)), g.constant(own))
        return found


def ceiling(
    lengths: Sequence[int], spans: Sequence[int], strides: Sequence[int], pads: Sequence[tuple[int, int]]
) -> list[int]:
    """How much more is needed behind each axis for the last window that begins in it or in the padding before."""
    more = []
    for length, span, stride, (low, high) in zip(lengths, spans, strides, pads, strict=True):
        room = length + low + high - span
        count = math.ceil(room / stride) + 1
        if (count - 1) * stride >= length + low:
            count -= 1
        more.append(max((count - 1) * stride - room, 0))
    return more
