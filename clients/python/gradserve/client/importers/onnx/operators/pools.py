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
from gradserve.ir.types import Array
from gradserve.numpy import windowing


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

    def counts(self, x: Operand, with_padding: bool) -> Array:
        """How many elements each window has, those of the padding counted or not."""
        spatial = np.ones(x.shape[2:])
        if with_padding:
            spatial = np.pad(spatial, self.pads, constant_values=1.0)
            spatial = np.pad(spatial, [(0, more) for more in self.more])
        else:
            spatial = np.pad(
                spatial, [(low, high + more) for (low, high), more in zip(self.pads, self.more, strict=True)]
            )
        spans = tuple((size - 1) * gap + 1 for size, gap in zip(self.sizes, self.dilations, strict=True))
        view = np.lib.stride_tricks.sliding_window_view(spatial, spans)
        outer = tuple(slice(None, None, step) for step in self.strides)
        inner = tuple(slice(None, None, gap) for gap in self.dilations)
        return np.asarray(view[(*outer, *inner)].sum(axis=tuple(range(-len(spans), 0))))


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
    counts = frame.counts(x, bool(n.get("count_include_pad", 0)))
    return g.div(sums, g.constant(counts.astype(x.dtype)))


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
