"""Logarithms of sums of exponentials, and what follows from them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import kept, promoted, reduced_axes, to_float
from gradserve.numpy.reductions import sum as sum_along
from gradserve.numpy.table import implements, own


def _shift(g: Builder, x: Value, axes: tuple[int, ...]) -> Value:
    """The largest term of each sum, or 0 if that is infinite; axes kept."""
    largest = g.emit("largest_term", x, axes=axes)
    return kept(g, g.select(g.is_finite(largest), largest, 0), x, axes, keepdims=True)


@own
def logsumexp(
    g: Builder, a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False
) -> Value | tuple[Value, Value]:
    """log sum b exp a along the axes, without overflow; -inf over nothing.

    With `return_sign`, the logarithm of the size of the sum, and its sign; without it NaN where the sum is negative.
    """
    x = to_float(g, a)
    if b is None:
        logarithm = _logsumexp(g, x, reduced_axes(x, axis, "logsumexp"), keepdims)
        return (logarithm, g.full(logarithm.type, 1)) if return_sign else logarithm
    x, weights = g.align(promoted(g, x, b))
    logarithm, sign = _weighted_logsumexp(g, x, weights, reduced_axes(x, axis, "logsumexp"), keepdims)
    if return_sign:
        return logarithm, sign
    return g.mul(logarithm, g.select(g.lt(sign, 0), math.nan, g.full(sign.type, 1)))


@implements(np.logaddexp.reduce)
def logaddexp_reduce(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """The logarithm of the sum of exponentials along axes."""
    x = to_float(g, a)
    return _logsumexp(g, x, reduced_axes(x, axis, "logsumexp"), keepdims)


def _logsumexp(g: Builder, x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
    """Over terms that are all -inf, or over none, it is -inf with derivative 0."""
    if not x.type.size:
        return g.full(sum_along(x, axes, keepdims=keepdims).type, -math.inf)
    shift = _shift(g, x, axes)
    total = sum_along(g.exp(g.sub(x, shift)), axes, keepdims=True)
    nothing = g.eq(total, 0)
    logarithm = g.add(g.log(g.select(nothing, 1, total)), shift)
    result = g.select(nothing, -math.inf, logarithm)
    return result if keepdims else sum_along(result, axes)


def _weighted_logsumexp(
    g: Builder, x: Value, weights: Value, axes: tuple[int, ...], keepdims: bool
) -> tuple[Value, Value]:
    """log |sum w exp x| along the axes, and the sign of the sum.

    Terms of weight 0 do not set the scale, whatever their exponent, but keep their derivative in the weight.
    """
    if not x.type.size:
        nothing = sum_along(x, axes, keepdims=keepdims)
        return g.full(nothing.type, -math.inf), nothing
    shift = _shift(g, g.select(g.eq(weights, 0), -math.inf, x), axes)
    largest = float(np.finfo(x.type.element_type.dtype).max)
    power = g.minimum(g.exp(g.sub(x, shift)), largest)  # 0 times infinity would be NaN
    total = sum_along(g.mul(weights, power), axes, keepdims=True)
    empty = g.eq(total, 0)
    logarithm = g.add(g.log(g.abs(g.select(empty, 1, total))), shift)
    results = (g.select(empty, -math.inf, logarithm), g.sign(total))
    if keepdims:
        return results
    size, sign = (sum_along(result, axes) for result in results)
    return size, sign


@own
def softmax(g: Builder, x: Any, axis: Any = None) -> Value:
    """exp x divided by its sum along the axes, without overflow."""
    value = to_float(g, x)
    if not value.type.size:
        return value
    axes = reduced_axes(value, axis, "softmax")
    power = g.exp(g.sub(value, _shift(g, value, axes)))
    return g.div(power, sum_along(power, axes, keepdims=True))


@own
def log_softmax(g: Builder, x: Any, axis: Any = None) -> Value:
    """The logarithm of softmax, without overflow or underflow."""
    value = to_float(g, x)
    if not value.type.size:
        return value
    axes = reduced_axes(value, axis, "log_softmax")
    moved = g.sub(value, _shift(g, value, axes))
    return g.sub(moved, g.log(sum_along(g.exp(moved), axes, keepdims=True)))


@own
def softplus(g: Builder, x: Any) -> Value:
    """log(1 + exp x), without overflow."""
    return g.logaddexp(0, to_float(g, x))
