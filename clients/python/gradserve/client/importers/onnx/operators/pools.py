"""Pools: what is made of the elements of each window."""

from __future__ import annotations

import math

import numpy as np

from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import numbers
from gradserve.client.importers.lax.pools import Frame, ceiling
from gradserve.client.importers.lax.reductions import identity
from gradserve.client.importers.onnx.operators.frames import auto_padding
from gradserve.client.importers.onnx.table import Node, Result, translates
from gradserve.ir.builder import Value


def frame_of(n: Node, x: Operand) -> Frame:
    """The windows that the attributes tell."""
    sizes = n.get("kernel_shape")
    count = len(sizes)
    strides, dilations = n.get("strides", [1] * count), n.get("dilations", [1] * count)
    pads = auto_padding(n, x.shape[2:], sizes, strides, dilations)
    spans = [(size - 1) * gap + 1 for size, gap in zip(sizes, dilations, strict=True)]
    more = ceiling(x.shape[2:], spans, strides, pads) if n.get("ceil_mode", 0) else [0] * count
    return Frame(sizes, strides, dilations, pads, more)


@translates("MaxPool", moves=True, uint64=False)
def max_pool(n: Node, x: Operand) -> Result:
    """The largest element of each window; equal ones share the derivative evenly."""
    frame = frame_of(n, x)
    if n.outputs > 1:
        return _with_places(n, x, frame)
    return frame.reduced(n.g, x.value, identity(n.g, "max", x.dtype), "max")


def _with_places(n: Node, x: Operand, frame: Frame) -> Result:
    """The largest element of each window, and where the first such is in all of x, which alone has a derivative."""
    if n.get("storage_order", 0):
        raise n.refuse("positions are counted by columns", "export the model with storage_order=0")
    g, (found, where) = n.g, frame.largest(n.g, x)
    begins = g.mul(numbers(g, math.prod(x.shape[:2])), math.prod(x.shape[2:]))
    lead = g.reshape(begins, (*x.shape[:2], *(1,) * (x.rank - 2)))
    return [found, Operand(g.add(where, lead), np.dtype(np.int64))]


@translates("AveragePool")
def average_pool(n: Node, x: Operand) -> Result:
    """The mean of each window."""
    frame, g = frame_of(n, x), n.g
    sums = frame.reduced(n.g, x.value, g.constant(0.0, x.value.type.element_type), "sum")
    return g.div(sums, frame.counts(g, x, sums.shape[2:], bool(n.get("count_include_pad", 0))))


@translates("LpPool")
def lp_pool(n: Node, x: Operand) -> Result:
    """The p-norm of each window."""
    g, p = n.g, float(n.get("p", 2))
    zero = g.constant(0.0, x.value.type.element_type)
    return _root(n, frame_of(n, x).reduced(n.g, _powers(n, x.value, p), zero, "sum"), p)


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
