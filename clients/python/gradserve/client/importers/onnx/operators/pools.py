"""Pools: what is made of the elements of each window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import padded
from gradserve.client.importers.lax.reductions import identity
from gradserve.client.importers.onnx.operators.frames import auto_padding, ceiling
from gradserve.client.importers.onnx.table import Node, Result, translates
from gradserve.ir.builder import Value
from gradserve.ir.errors import LimitExceeded
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

    @staticmethod
    def of(n: Node, x: Operand) -> Frame:
        """What the attributes say."""
        sizes = n.get("kernel_shape")
        count = len(sizes)
        strides, dilations = n.get("strides", [1] * count), n.get("dilations", [1] * count)
        pads = auto_padding(n, x.shape[2:], sizes, strides, dilations)
        spans = [(size - 1) * gap + 1 for size, gap in zip(sizes, dilations, strict=True)]
        more = ceiling(x.shape[2:], spans, strides, pads) if n.get("ceil_mode", 0) else [0] * count
        return Frame(sizes, strides, dilations, pads, more)

    def blocks(self, n: Node, x: Value, fill: Value) -> Value:
        """All windows, with their sizes as the last axes."""
        rest = x.type.rank - len(self.sizes)
        low = [0] * rest + [low for low, _ in self.pads]
        high = [0] * rest + [high + more for (_, high), more in zip(self.pads, self.more, strict=True)]
        return windowing.windows(padded(n.g, x, fill, low, high), self.sizes, None, self.strides, self.dilations)

    def reduced(self, n: Node, x: Value, fill: Value, fold: str) -> Value:
        """The windows reduced."""
        blocks = self.blocks(n, x, fill)
        return n.g.emit(f"reduce_{fold}", blocks, axes=tuple(range(x.type.rank, blocks.type.rank)))

    def counts(self, n: Node, x: Operand, windows: Sequence[int], with_padding: bool) -> Value:
        """How many elements each window has, those of the padding counted or not: a product over the axes.

        Raises:
            LimitExceeded: there are too many along one axis to look at each.
        """
        found = n.g.constant(1, x.value.type.element_type)
        for k, count in enumerate(windows):
            if count * self.sizes[k] > _MOST:
                raise LimitExceeded("onnx_constant_bytes", f"{count} windows of {self.sizes[k]} along an axis")
            low, high = self.pads[k]
            first, last = (0, low + x.shape[2 + k] + high) if with_padding else (low, low + x.shape[2 + k])
            places = np.arange(count)[:, None] * self.strides[k] + np.arange(self.sizes[k]) * self.dilations[k]
            own = ((places >= first) & (places < last)).sum(axis=1).astype(x.dtype)
            found = n.g.mul(n.g.reshape(found, (*found.shape, 1)), n.g.constant(own))
        return found


@translates("MaxPool", moves=True, uint64=False)
def max_pool(n: Node, x: Operand) -> Result:
    """The largest element of each window; equal ones share the derivative evenly."""
    frame = Frame.of(n, x)
    if n.outputs > 1:
        raise n.refuse("positions of the largest elements are not made", "export the model without return_indices")
    return frame.reduced(n, x.value, identity(n.g, "max", x.dtype), "max")


@translates("AveragePool")
def average_pool(n: Node, x: Operand) -> Result:
    """The mean of each window."""
    frame, g = Frame.of(n, x), n.g
    sums = frame.reduced(n, x.value, g.constant(0.0, x.value.type.element_type), "sum")
    return g.div(sums, frame.counts(n, x, sums.shape[2:], bool(n.get("count_include_pad", 0))))


@translates("LpPool")
def lp_pool(n: Node, x: Operand) -> Result:
    """The p-norm of each window."""
    g, p = n.g, float(n.get("p", 2))
    zero = g.constant(0.0, x.value.type.element_type)
    return _root(n, Frame.of(n, x).reduced(n, _powers(n, x.value, p), zero, "sum"), p)


def _powers(n: Node, x: Value, p: float) -> Value:
    g = n.g
    return g.abs(x) if p == 1 else g.mul(x, x) if p == 2 else g.pow(g.abs(x), p)


def _root(n: Node, x: Value, p: float) -> Value:
    g = n.g
    return x if p == 1 else g.sqrt(x) if p == 2 else g.pow(x, 1 / p)


@translates("GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool")
def global_pool(n: Node, x: Operand) -> Result:
    """The largest element, the mean or the p-norm of each channel."""
    g, axes = n.g, tuple(range(2, x.rank))
    if n.operation == "GlobalMaxPool":
        found = g.reduce_max(x.value, axes=axes)
    elif n.operation == "GlobalAveragePool":
        found = g.div(g.reduce_sum(x.value, axes=axes), float(math.prod(x.shape[2:])))
    else:
        p = float(n.get("p", 2))
        found = _root(n, g.reduce_sum(_powers(n, x.value, p), axes=axes), p)
    return g.reshape(found, (*x.shape[:2], *(1,) * len(axes)))
