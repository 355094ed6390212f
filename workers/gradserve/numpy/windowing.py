"""What networks and filters compute from the windows of an array: convolutions and pools.

Derivatives are exact; where several elements of a window are largest, max_pool shares the derivative evenly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import axes_of, axis_of, integer, integers, lift, promoted, refuse
from gradserve.numpy.shaping import flip, moveaxis
from gradserve.numpy.table import implements, own
from gradserve.ops.movement.shapes import permuted


@own
def windows(g: Builder, x: Any, sizes: Any, axes: Any = None, strides: Any = 1, dilations: Any = 1) -> Value:
    """All windows of these sizes along axes, the last ones unless named.

    Shape: counts of windows in place of the lengths, then the sizes as new last axes. A window moves on by `strides`;
    its elements are `dilations` apart.
    """
    value, lengths = lift(g, x), integers(sizes, "a size")
    named = axes_of(value, range(-len(lengths), 0) if axes is None else axes, "windows")
    order = sorted(range(len(named)), key=named.__getitem__)
    numbers = [_each(n, len(named), "windows", value) for n in (lengths, strides, dilations)]
    sorted_numbers = [tuple(given[k] for k in order) for given in numbers]
    attributes = dict(zip(("sizes", "strides", "dilations"), sorted_numbers, strict=True))
    found = g.emit("windows", value, axes=tuple(named[k] for k in order), **attributes)
    rank = value.type.rank
    return permuted(g, found, (*range(rank), *(rank + order.index(k) for k in range(len(named)))))


def _each(numbers: Any, count: int, function: str, x: Value) -> tuple[int, ...]:
    """One number for each of several axes."""
    given = integers(numbers, "a number") if np.iterable(numbers) else (integer(numbers, "a number"),) * count
    if len(given) != count:
        refuse(x.builder, function, f"{given} has not one number for each of {count} axes of {x.type}")
    return given


@implements(np.lib.stride_tricks.sliding_window_view, view=True)
def sliding_window_view(g: Builder, x: Any, window_shape: Any, axis: Any = None) -> Value:
    """All windows of a shape, along new last axes."""
    value, sizes = lift(g, x), integers(window_shape, "a window")
    named = range(value.type.rank) if axis is None else integers(axis, "an axis")
    if len(sizes) != len(named):
        raise ValueError("Must provide window_shape for all dimensions of `x`, or one for each axis")
    for along, window in zip(named, sizes, strict=True):  # one after the other, as an axis may be named twice
        place = axis_of(value, along, "sliding_window_view", lift(g, x).type.rank)
        if window > value.shape[place]:
            raise ValueError("window shape cannot be larger than input array shape")
        value = windows(value, window, place)
    return value


def _padded(x: Value, sizes: Sequence[int], padding: Any, strides: Any, dilations: Any, fill: float = 0.0) -> Value:
    """x with elements laid around its last axes, so that the windows there fit as the padding says."""
    g, count = x.builder, len(sizes)
    first = x.type.rank - count
    steps, gaps = (_each(n, count, "padding", x) for n in (strides, dilations))
    spans = [(size - 1) * gap + 1 for size, gap in zip(sizes, gaps, strict=True)]
    pairs = _pairs(x, padding, x.shape[first:], spans, steps)
    if not any(map(any, pairs)):
        return x
    low, high = ((*(0,) * first, *(pair[side] for pair in pairs)) for side in (0, 1))
    zeros = (0,) * x.type.rank
    framed = g.emit("pad", x, low=low, high=high, interior=zeros)
    if not fill:
        return framed
    inside = g.emit("pad", g.full(x.type, 1), low=low, high=high, interior=zeros)
    return g.select(inside, framed, g.constant(fill, x.type.element_type))


def _pairs(
    x: Value, padding: Any, lengths: Sequence[int], spans: Sequence[int], strides: Sequence[int]
) -> list[tuple[int, int]]:
    if padding == "valid":
        return [(0, 0)] * len(spans)
    if padding == "full":
        return [(span - 1, span - 1) for span in spans]
    if padding == "same":  # as many windows as strides begin in the array
        rests = [
            max((math.ceil(n / stride) - 1) * stride + span - n, 0)
            for n, span, stride in zip(lengths, spans, strides, strict=True)
        ]
        return [(rest // 2, rest - rest // 2) for rest in rests]
    if isinstance(padding, str):
        refuse(x.builder, "padding", f"padding is 'valid', 'same', 'full' or numbers, not {padding!r}")
    given = tuple(padding) if np.iterable(padding) else (padding,) * len(spans)
    if len(given) != len(spans):
        refuse(x.builder, "padding", f"{given} has not one number or pair for each of {len(spans)} axes")
    pairs = [integers(pair, "a padding") for pair in given]
    return [(pair[0], pair[-1]) for pair in pairs]


@own
def convolution(
    g: Builder,
    x: Any,
    kernel: Any,
    strides: Any = 1,
    padding: Any = "valid",
    dilations: Any = 1,
    input_dilations: Any = 1,
    groups: Any = 1,
) -> Value:
    """The inner products of kernels with all windows of x: what networks call convolution; no kernel is turned round.

    Of x (..., channels, *lengths) and a kernel (results, channels / groups, *sizes) it makes (..., results, *counts).
    A window moves on by `strides`, and its elements are `dilations` apart: one number, or one for each length.
    `padding` lays zeros around the lengths: 'valid' none, 'same' so that as many windows fit as strides begin in x,
    'full' so that all fit that overlap it; or numbers before and after, one, or one or a pair for each length.
    `input_dilations` moves the elements of x apart by zeros first, as a transposed convolution does. Channels and
    results fall into `groups`, each apart from the others.
    """
    value, weights = promoted(g, x, kernel)
    groups = integer(groups, "a number of groups")
    count = weights.type.rank - 2
    if count < 0 or value.type.rank <= count:
        refuse(g, "convolution", f"{weights.type} is no kernel (results, channels, *sizes) for {value.type}")
    results, channels, *sizes = weights.shape
    first = value.type.rank - count - 1
    fits = groups >= 1 and value.shape[first] == channels * groups and results % groups == 0
    if not fits:
        refuse(g, "convolution", f"kernel {weights.type} in {groups} groups does not fit the channels of {value.type}")
    spread = _each(input_dilations, count, "convolution", value)
    if any(n != 1 for n in spread):
        zeros = (0,) * value.type.rank
        value = g.emit("pad", value, low=zeros, high=zeros, interior=(*(0,) * (first + 1), *(n - 1 for n in spread)))
    value = _padded(value, sizes, padding, strides, dilations)
    blocks = windows(value, sizes, range(first + 1, value.type.rank), strides, dilations)
    counts = blocks.shape[first + 1 : first + 1 + count]
    lead = blocks.shape[:first]
    blocks = g.reshape(blocks, (*lead, groups, channels, *counts, *sizes))
    weights = g.reshape(weights, (groups, results // groups, channels, *sizes))
    inner = (first + 1, *range(first + 2 + count, first + 2 + 2 * count))
    products = g.emit(
        "contract",
        blocks,
        weights,
        lhs_batch=(first,),
        rhs_batch=(0,),
        lhs_contract=inner,
        rhs_contract=tuple(range(2, 3 + count)),
    )
    # The axes are now: group, leading ones, counts, results of the group.
    order = (*range(1, first + 1), 0, products.type.rank - 1, *range(first + 1, first + 1 + count))
    return g.reshape(permuted(g, products, order), (*lead, results, *counts))


@own
def max_pool(g: Builder, x: Any, sizes: Any, strides: Any = None, padding: Any = "valid", dilations: Any = 1) -> Value:
    """The largest element of each window along the last axes; side by side unless strides say otherwise.

    Equal ones share the derivative evenly. What padding lays around is never chosen.
    """
    value, lengths = _real(g, x, "max_pool"), integers(sizes, "a size")
    steps = lengths if strides is None else strides
    blocks = windows(_padded(value, lengths, padding, steps, dilations, -math.inf), lengths, None, steps, dilations)
    return g.reduce_max(blocks, axes=tuple(range(value.type.rank, blocks.type.rank)))


@own
def mean_pool(
    g: Builder,
    x: Any,
    sizes: Any,
    strides: Any = None,
    padding: Any = "valid",
    dilations: Any = 1,
    count_padding: bool = False,
) -> Value:
    """The mean of each window along the last axes, of its elements alone unless padding is to be counted."""
    value, lengths = _real(g, x, "mean_pool"), integers(sizes, "a size")
    steps = lengths if strides is None else strides

    def sums(values: Value) -> Value:
        blocks = windows(_padded(values, lengths, padding, steps, dilations), lengths, None, steps, dilations)
        return g.reduce_sum(blocks, axes=tuple(range(values.type.rank, blocks.type.rank)))

    if count_padding:
        return g.div(sums(value), float(math.prod(lengths)))
    pattern = value.type.with_shape(value.shape[value.type.rank - len(lengths) :])
    return g.div(sums(value), sums(g.full(pattern, 1)))


def _real(g: Builder, x: Any, function: str) -> Value:
    value = lift(g, x)
    if not value.type.is_float:
        refuse(g, function, f"elements must be real, not {value.type}; convert them")
    return value


@own
def convolve(g: Builder, x: Any, y: Any, mode: str = "full", axes: Any = None, dot_axes: Any = ((), ())) -> Value:
    """The convolution of x and y, as scipy.signal.convolve: of the mode 'full', 'same' (as x) or 'valid'.

    `axes` are the convolved axes of x and those of y, all of them unless named; over `dot_axes`, of x and of y,
    products are summed. The result has the axes that only x has, then those that only y has, then the convolved ones.
    """
    a, b = promoted(g, x, y)
    pairs = axes if axes is not None else (range(a.type.rank), range(b.type.rank))
    (own_axes, other), (dot, dot_other) = (
        tuple(axes_of(v, named, "convolve") for v, named in zip((a, b), given, strict=True))
        for given in (pairs, dot_axes)
    )
    if len(own_axes) != len(other) or len(dot) != len(dot_other):
        refuse(g, "convolve", f"axes {pairs} or {dot_axes} of {a.type} and {b.type} are no pairs")
    lengths, sizes = [a.shape[k] for k in own_axes], [b.shape[k] for k in other]
    if mode == "valid" and any(n < m for n, m in zip(lengths, sizes, strict=True)):
        swapped = convolve(b, a, mode, (other, own_axes), (dot_other, dot)) if _longer(sizes, lengths) else None
        if swapped is None:
            refuse(g, "convolve", f"neither of {a.type} and {b.type} is the longer one along all axes")
        only_b, only_a = b.type.rank - len(other) - len(dot_other), a.type.rank - len(own_axes) - len(dot)
        return moveaxis(swapped, tuple(range(only_b)), tuple(range(only_a, only_a + only_b)))
    margins = {"full": [(m - 1, m - 1) for m in sizes], "same": [(m // 2, (m - 1) // 2) for m in sizes]}
    if mode not in (*margins, "valid"):
        refuse(g, "convolve", f"mode is 'full', 'same' or 'valid', not {mode!r}")
    frame = dict(zip(own_axes, margins.get(mode, [(0, 0)] * len(own_axes)), strict=True))
    low, high = (tuple(frame.get(k, (0, 0))[side] for k in range(a.type.rank)) for side in (0, 1))
    framed = g.emit("pad", a, low=low, high=high, interior=(0,) * a.type.rank)
    blocks = windows(framed, sizes, own_axes)
    rank = a.type.rank
    product = g.emit(
        "contract",
        blocks,
        flip(b, other) if other else b,
        lhs_contract=(*dot, *range(rank, rank + len(own_axes))),
        rhs_contract=(*dot_other, *other),
        lhs_batch=(),
        rhs_batch=(),
    )
    left = [k for k in range(rank) if k not in dot]
    return moveaxis(product, tuple(left.index(k) for k in own_axes), tuple(range(-len(own_axes), 0)))


def _longer(lengths: Sequence[int], others: Sequence[int]) -> bool:
    return all(n >= m for n, m in zip(lengths, others, strict=True))
