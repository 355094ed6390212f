"""Logarithms of sums of exponentials, and what follows from them."""

from __future__ import annotations

import math

import numpy as np
from gradserve.ir.builder import Operand, Value
from gradserve.numpy.arguments import Axis, builder_of, kept, promoted, reduced_axes
from gradserve.numpy.reductions import sum as sum_along
from gradserve.ops.family import to_float


def _shift(x: Value, axes: tuple[int, ...]) -> Value:
    """The largest term of each sum, or 0 if that is infinite; axes kept.

    The sum does not depend on its shift, so that it is a constant, and the kinks of the maximum are none of the sum.
    """
    g = x.builder
    largest = g.emit("reduce_max", g.emit("stop_gradient", x), axes=axes)
    finite = g.emit("select", g.emit("is_finite", largest), largest, 0)
    return kept(g, finite, x, axes, keepdims=True)


def logsumexp(x: Operand, axis: Axis = None, keepdims: bool = False) -> Value:
    """log sum exp x along the axes, without overflow, as scipy.special.logsumexp.

    Over terms that are all -inf, or over none, it is -inf with derivative 0.
    """
    g = builder_of(x)
    value = to_float(g, x)
    axes = reduced_axes(value, axis, "logsumexp")
    if not value.type.size:
        return g.full(sum_along(value, axes, keepdims).type, -math.inf)
    shift = _shift(value, axes)
    total = sum_along(g.emit("exp", value - shift), axes, keepdims=True)
    nothing = g.emit("eq", total, 0)
    logarithm = g.emit("log", g.emit("select", nothing, 1, total)) + shift
    result = g.emit("select", nothing, -math.inf, logarithm)
    return result if keepdims else sum_along(result, axes)


def weighted_logsumexp(x: Operand, weights: Operand, axis: Axis = None, keepdims: bool = False) -> tuple[Value, Value]:
    """log |sum w exp x| along the axes, and the sign of the sum, as scipy.special.logsumexp with b.

    Terms of weight 0 do not set the scale, whatever their exponent, but keep their derivative in the weight.
    """
    g, (value, weight) = promoted(to_float(builder_of(x, weights), x), weights)
    value, weight = g.align([value, weight])
    axes = reduced_axes(value, axis, "logsumexp")
    if not value.type.size:
        nothing = sum_along(value, axes, keepdims)
        return g.full(nothing.type, -math.inf), nothing
    shift = _shift(g.select(g.eq(weight, 0), -math.inf, value), axes)
    largest = float(np.finfo(value.type.element_type.dtype).max)
    power = g.minimum(g.emit("exp", value - shift), largest)  # 0 times infinity would be NaN
    total = sum_along(weight * power, axes, keepdims=True)
    empty = g.eq(total, 0)
    logarithm = g.emit("log", g.abs(g.select(empty, 1, total))) + shift
    results = (g.select(empty, -math.inf, logarithm), g.sign(total))
    if keepdims:
        return results
    size, sign = (sum_along(result, axes) for result in results)
    return size, sign


def softmax(x: Operand, axis: Axis = None) -> Value:
    """exp x divided by its sum along the axes, without overflow, as scipy.special.softmax."""
    value = to_float(builder_of(x), x)
    if not value.type.size:
        return value
    axes = reduced_axes(value, axis, "softmax")
    power = value.builder.emit("exp", value - _shift(value, axes))
    return power / sum_along(power, axes, keepdims=True)


def log_softmax(x: Operand, axis: Axis = None) -> Value:
    """The logarithm of softmax, without overflow or underflow, as scipy.special.log_softmax."""
    value = to_float(builder_of(x), x)
    if not value.type.size:
        return value
    axes = reduced_axes(value, axis, "log_softmax")
    moved = value - _shift(value, axes)
    total = sum_along(value.builder.emit("exp", moved), axes, keepdims=True)
    return moved - value.builder.emit("log", total)
