"""Logarithms of sums of exponentials, and what follows from them."""

from __future__ import annotations

import math

from gradserve.ir.builder import Operand, Value
from gradserve.ops.family import to_float
from gradserve.ops.functions.arguments import Axis, builder_of, kept, reduced_axes
from gradserve.ops.functions.reductions import sum as sum_along


def _shift(x: Value, axes: tuple[int, ...]) -> Value:
    """A number for each sum, within 1 of its largest term and with derivative zero; axes kept.

    Any shift near the maximum keeps exp in range. A whole one is constant between kinks that the sum does not have,
    so that the maximum is never differentiated.
    """
    g = x.builder
    low = g.emit("floor", g.emit("reduce_max", x, axes=axes))
    finite = g.emit("select", g.emit("is_finite", low), low, 0)
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
