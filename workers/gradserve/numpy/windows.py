"""Convolutions and pools: what is computed from every window of an array."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from gradserve.ir.builder import Operand, Value
from gradserve.numpy.arguments import all_axes, builder_of, lifted, promoted, refuse
from gradserve.numpy.shaping import flip, moveaxis
from gradserve.ops.movement.shapes import permuted

Numbers: TypeAlias = int | Sequence[int]
"""One number for all axes, or one for each."""
Padding: TypeAlias = str | int | Sequence[int | tuple[int, int]]
"""`valid`, `same` or `full`, or how many elements before and after, for all axes or for each."""


def windows(
    x: Operand, sizes: Sequence[int], axes: Sequence[int], strides: Numbers = 1, dilations: Numbers = 1
) -> Value:
    """The windows of these sizes along the axes: their counts in place of the lengths, the sizes as new last axes."""
    g, (value,) = lifted(x)
    named = all_axes(value, axes, "windows")
    order = sorted(range(len(named)), key=named.__getitem__)
    numbers = [_each(n, len(named), "windows", value) for n in (sizes, strides, dilations)]
    sorted_numbers = [tuple(given[k] for k in order) for given in numbers]
    attributes = dict(zip(("sizes", "strides", "dilations"), sorted_numbers, strict=True))
    found = g.emit("windows", value, axes=tuple(named[k] for k in order), **attributes)
    rank = value.type.rank
    return permuted(g, found, (*range(rank), *(rank + order.index(k) for k in range(len(named)))))


def _each(numbers: Numbers, count: int, function: str, x: Value) -> tuple[int, ...]:
    given = (numbers,) * count if isinstance(numbers, int) else tuple(numbers)
    if len(given) != count:
        refuse(x.builder, function, f"{given} has not one number for each of {count} axes of {x.type}")
    return given


def padded(
    x: Value, sizes: Sequence[int], padding: Padding, strides: Numbers, dilations: Numbers, fill: float = 0.0
) -> Value:
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
    x: Value, padding: Padding, lengths: Sequence[int], spans: Sequence[int], strides: Sequence[int]
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
    given = (padding,) * len(spans) if isinstance(padding, int) else tuple(padding)
    if len(given) != len(spans):
        refuse(x.builder, "padding", f"{given} has not one number or pair for each of {len(spans)} axes")
    return [(pair, pair) if isinstance(pair, int) else (pair[0], pair[1]) for pair in given]


def convolution(
    x: Operand,
    kernel: Operand,
    strides: Numbers = 1,
    padding: Padding = "valid",
    dilations: Numbers = 1,
    input_dilations: Numbers = 1,
    groups: int = 1,
) -> Value:
    """The inner products of kernels with all windows of x, as networks say convolution: no kernel is turned round.

    x has the shape (..., channels, *lengths), the kernel (results, channels / groups, *sizes); the result has
    (..., results, *counts). Channels and results fall into as many groups as `groups` says, each apart from the others.
    """
    g, (value, weights) = promoted(x, kernel)
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
    value = padded(value, sizes, padding, strides, dilations)
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


def max_pool(
    x: Operand, sizes: Sequence[int], strides: Numbers | None = None, padding: Padding = "valid", dilations: Numbers = 1
) -> Value:
    """The largest element of each window along the last axes; equal ones share the derivative evenly.

    Windows lie side by side unless strides say otherwise. What padding lays around is never chosen.
    """
    g, (value,) = lifted(x)
    steps = tuple(sizes) if strides is None else strides
    lowest = -math.inf if value.type.is_float else 0
    if not value.type.is_float:
        refuse(g, "max_pool", f"elements must be real, not {value.type}; convert them")
    blocks = _pooled(padded(value, sizes, padding, steps, dilations, lowest), sizes, steps, dilations)
    return g.emit("reduce_max", blocks, axes=tuple(range(value.type.rank, blocks.type.rank)))


def mean_pool(
    x: Operand,
    sizes: Sequence[int],
    strides: Numbers | None = None,
    padding: Padding = "valid",
    dilations: Numbers = 1,
    count_padding: bool = False,
) -> Value:
    """The mean of each window along the last axes; of its elements alone unless padding is to be counted."""
    g = builder_of(x)
    value = g.lift(x)
    if not value.type.is_float:
        refuse(g, "mean_pool", f"elements must be real, not {value.type}; convert them")
    steps = tuple(sizes) if strides is None else strides
    blocks = _pooled(padded(value, sizes, padding, steps, dilations), sizes, steps, dilations)
    axes = tuple(range(value.type.rank, blocks.type.rank))
    total = g.emit("reduce_sum", blocks, axes=axes)
    if count_padding:
        return g.div(total, float(math.prod(sizes)))
    ones = g.full(value.type.with_shape(value.shape[value.type.rank - len(sizes) :]), 1)
    counted = _pooled(padded(ones, sizes, padding, steps, dilations), sizes, steps, dilations)
    present = g.emit("reduce_sum", counted, axes=tuple(range(len(sizes), 2 * len(sizes))))
    return g.div(total, present)


def _pooled(x: Value, sizes: Sequence[int], strides: Numbers, dilations: Numbers) -> Value:
    return windows(x, sizes, range(x.type.rank - len(sizes), x.type.rank), strides, dilations)


def convolve(
    x: Operand,
    y: Operand,
    mode: str = "full",
    axes: tuple[Sequence[int], Sequence[int]] | None = None,
    dot_axes: tuple[Sequence[int], Sequence[int]] = ((), ()),
) -> Value:
    """The convolution of x and y along pairs of axes, all of them unless named, as scipy.signal.convolve.

    Over the pairs `dot_axes` products are summed. The result has the axes that only x has, then those that only y has,
    then the convolved ones.
    """
    g, (a, b) = promoted(x, y)
    pairs = axes if axes is not None else (range(a.type.rank), range(b.type.rank))
    (own, other), (dot, dot_other) = (
        tuple(all_axes(v, tuple(named), "convolve") for v, named in zip((a, b), given, strict=True))
        for given in (pairs, dot_axes)
    )
    if len(own) != len(other) or len(dot) != len(dot_other):
        refuse(g, "convolve", f"axes {pairs} or {dot_axes} of {a.type} and {b.type} are no pairs")
    lengths, sizes = [a.shape[k] for k in own], [b.shape[k] for k in other]
    if mode == "valid" and any(n < m for n, m in zip(lengths, sizes, strict=True)):
        swapped = convolve(b, a, mode, (other, own), (dot_other, dot)) if _longer(sizes, lengths) else None
        if swapped is None:
            refuse(g, "convolve", f"neither of {a.type} and {b.type} is the longer one along all axes")
        only_b, only_a = b.type.rank - len(other) - len(dot_other), a.type.rank - len(own) - len(dot)
        return moveaxis(swapped, tuple(range(only_b)), tuple(range(only_a, only_a + only_b)))
    margins = {"full": [(m - 1, m - 1) for m in sizes], "same": [(m // 2, (m - 1) // 2) for m in sizes]}
    if mode not in (*margins, "valid"):
        refuse(g, "convolve", f"mode is 'full', 'same' or 'valid', not {mode!r}")
    frame = dict(zip(own, margins.get(mode, [(0, 0)] * len(own)), strict=True))
    low, high = (tuple(frame.get(k, (0, 0))[side] for k in range(a.type.rank)) for side in (0, 1))
    framed = g.emit("pad", a, low=low, high=high, interior=(0,) * a.type.rank)
    blocks = windows(framed, sizes, own)
    rank = a.type.rank
    product = g.emit(
        "contract",
        blocks,
        flip(b, other) if other else b,
        lhs_contract=(*dot, *range(rank, rank + len(own))),
        rhs_contract=(*dot_other, *other),
        lhs_batch=(),
        rhs_batch=(),
    )
    left = [k for k in range(rank) if k not in dot]
    return moveaxis(product, tuple(left.index(k) for k in own), tuple(range(-len(own), 0)))


def _longer(lengths: Sequence[int], others: Sequence[int]) -> bool:
    return all(n >= m for n, m in zip(lengths, others, strict=True))
