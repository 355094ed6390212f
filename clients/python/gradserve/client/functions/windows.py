"""What networks and filters compute from the windows of an array.

Derivatives are exact; where several elements of a window are largest, max_pool shares the derivative evenly.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.client.functions.of_arrays import of_arrays
from gradserve.client.numpy_surface.operands import integer, integers, lift
from gradserve.ir.builder import Builder, Value
from gradserve.numpy import windows as of_values


def _numbers(argument: Any, what: str) -> int | tuple[int, ...]:
    return integers(argument, what) if np.iterable(argument) else integer(argument, what)


def _padding(padding: Any) -> Any:
    if isinstance(padding, str):
        return padding
    if not np.iterable(padding):
        return integer(padding, "a padding")
    return [_numbers(pair, "a padding") for pair in padding]


@of_arrays
def windows(g: Builder, x: Any, sizes: Any, axes: Any = None, strides: Any = 1, dilations: Any = 1) -> Value:
    """All windows of these sizes along axes, the last ones unless named.

    Shape: counts of windows in place of the lengths, then the sizes as new last axes. A window moves on by `strides`;
    its elements are `dilations` apart.
    """
    value, shape = lift(g, x), integers(sizes, "a size")
    named = range(-len(shape), 0) if axes is None else integers(axes, "an axis")
    return of_values.windows(value, shape, named, _numbers(strides, "a stride"), _numbers(dilations, "a dilation"))


@of_arrays
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
    return of_values.convolution(
        lift(g, x),
        lift(g, kernel),
        _numbers(strides, "a stride"),
        _padding(padding),
        _numbers(dilations, "a dilation"),
        _numbers(input_dilations, "a dilation"),
        integer(groups, "a number of groups"),
    )


@of_arrays
def max_pool(g: Builder, x: Any, sizes: Any, strides: Any = None, padding: Any = "valid", dilations: Any = 1) -> Value:
    """The largest element of each window along the last axes; side by side unless strides say otherwise."""
    steps = None if strides is None else _numbers(strides, "a stride")
    shape = integers(sizes, "a size")
    return of_values.max_pool(lift(g, x), shape, steps, _padding(padding), _numbers(dilations, "a dilation"))


@of_arrays
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
    steps = None if strides is None else _numbers(strides, "a stride")
    gaps = _numbers(dilations, "a dilation")
    return of_values.mean_pool(lift(g, x), integers(sizes, "a size"), steps, _padding(padding), gaps, count_padding)


@of_arrays
def convolve(g: Builder, x: Any, y: Any, mode: str = "full", axes: Any = None, dot_axes: Any = ((), ())) -> Value:
    """The convolution of x and y, as scipy.signal.convolve: of the mode 'full', 'same' (as x) or 'valid'.

    `axes` are the convolved axes of x and those of y, all of them unless named; over `dot_axes`, of x and of y,
    products are summed. The result has the axes that only x has, then those that only y has, then the convolved ones.
    """
    pairs = None if axes is None else _pair(axes)
    return of_values.convolve(lift(g, x), lift(g, y), mode, pairs, _pair(dot_axes))


def _pair(axes: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    first, second = axes
    return integers(first, "an axis"), integers(second, "an axis")
