"""Simplification: local rules that replace an application by something cheaper and equal.

No rule drops an operand that could be infinite or NaN: x * 0 stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Op
from gradserve.ir.splat import producer, splat
from gradserve.ops.contraction.contract import Contract
from gradserve.ops.elementwise.arithmetic import Add, Div, Mul, Neg, Sub
from gradserve.ops.elementwise.comparison import Select
from gradserve.ops.elementwise.conversion import Convert
from gradserve.ops.elementwise.differentiate_as import DifferentiateAs
from gradserve.ops.elementwise.powers import Pow
from gradserve.ops.elementwise.stop_gradient import StopGradient
from gradserve.ops.movement.placement import Pad, Reverse, Slice
from gradserve.ops.movement.shapes import BroadcastTo, Permute, Reshape, permuted
from gradserve.ops.reduction.reductions import ReduceSum
from gradserve.optimize.scaling import merged_scaling, scaling_of_view, shared_scaling
from gradserve.optimize.sums import simpler_contraction, simpler_sum

Rule: TypeAlias = Callable[[Builder, Any, Sequence[Value]], Value | None]


def simplify(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    """A value equal to the application, or None if no rule knows a better one."""
    if op.elementwise:
        earlier = _before_broadcasts(g, op, operands)
        if earlier is not None:
            return earlier
    rule = RULES.get(type(op))
    return rule(g, op, operands) if rule else None


def _before_broadcasts(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    """An elementwise op on broadcasts alone is done before them."""
    found = []
    for operand in operands:
        made = operand.producer
        if made is None or type(made.op) is not BroadcastTo:
            return None
        found.append(made.operands[0])
    sources = g.align(found)
    shape = operands[0].type.shape
    return g.broadcast(g.apply(op, sources)[0], shape) if sources[0].type.shape != shape else None


def _add(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    x, y = operands
    if _is_neutral(g, x, -0.0):
        return y
    if _is_neutral(g, y, -0.0):
        return x
    if x is y and x.type.is_float:
        return g.mul(x, 2.0)
    return shared_scaling(g, 1.0, x, y)


def _sub(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    x, y = operands
    if _is_neutral(g, y, 0.0):
        return x
    if x.type.is_float and _is_neutral(g, x, -0.0):
        return g.neg(y)
    return shared_scaling(g, -1.0, x, y)


def _is_neutral(g: Builder, value: Value, zero: float) -> bool:
    """Whether `value` is filled by this zero: -0.0 + 0.0 is 0.0, and 1/x and atan2 tell the two apart."""
    found = None if value.type.is_complex else splat(g, value)
    return found is not None and bool(found == 0) and (not value.type.is_float or np.signbit(found) == np.signbit(zero))


def _mul(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    x, y = operands
    filled = [(splat(g, x), y), (splat(g, y), x)]
    for number, other in filled:
        if number is not None and number == 1:
            return other
        if number is not None and number == -1:
            return g.neg(other)
    return merged_scaling(g, op, operands) if filled[0][0] is not None or filled[1][0] is not None else None


def _div(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    x, y = operands
    divisor = splat(g, y)
    if divisor is None or not x.type.is_real or abs(math.frexp(divisor)[0]) != 0.5:
        return None
    return g.mul(x, 1.0 / float(divisor))  # exact: the divisor is a power of 2


def _neg(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    twice = producer(g, operands[0], Neg)
    return twice[1][0] if twice else merged_scaling(g, op, operands)


def _pow(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    x, exponent = operands
    if not x.type.is_float:
        return None
    filled = splat(g, exponent)
    power = 0.0 if filled is None or filled.imag else float(filled.real)
    if abs(power) not in (1.0, 2.0, 3.0, 4.0):
        return None
    square = g.mul(x, x)
    whole = {1.0: x, 2.0: square, 3.0: g.mul(square, x), 4.0: g.mul(square, square)}[abs(power)]
    return whole if power > 0 else g.div(1.0, whole)


def _select(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    condition, x, y = operands
    known = splat(g, condition)
    return None if known is None else (x if known else y)


def _convert(g: Builder, op: Any, operands: Sequence[Value]) -> Value | None:
    return operands[0] if operands[0].type.element_type is op.element_type else None


def _reshape(g: Builder, op: Any, operands: Sequence[Value]) -> Value | None:
    x = operands[0]
    if x.type.shape == op.shape:
        return x
    again = producer(g, x, Reshape)
    return g.reshape(again[1][0], op.shape) if again else scaling_of_view(g, op, operands)


def _permute(g: Builder, op: Any, operands: Sequence[Value]) -> Value | None:
    x = operands[0]
    if op.order == tuple(range(len(op.order))):
        return x
    again = producer(g, x, Permute)
    if again:
        return permuted(g, again[1][0], tuple(again[0].order[k] for k in op.order))
    return scaling_of_view(g, op, operands)


def _reverse(g: Builder, op: Any, operands: Sequence[Value]) -> Value | None:
    x = operands[0]
    return x if all(x.shape[axis] == 1 for axis in op.axes) else None


def _whole(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    """A slice or a pad that keeps the shape keeps everything."""
    x = operands[0]
    return x if g.types(op, operands) == (x.type,) else None


def _broadcast_to(g: Builder, op: Any, operands: Sequence[Value]) -> Value | None:
    x = operands[0]
    if x.type.shape == op.shape:
        return x
    again = producer(g, x, BroadcastTo)
    return g.broadcast(again[1][0], op.shape) if again else None


def _first(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    return operands[0]  # derivatives are there by now


RULES: Mapping[type[Op], Rule] = {
    Add: _add,
    Sub: _sub,
    Mul: _mul,
    Div: _div,
    Neg: _neg,
    Pow: _pow,
    Select: _select,
    StopGradient: _first,
    DifferentiateAs: _first,
    Convert: _convert,
    Reshape: _reshape,
    Permute: _permute,
    Reverse: _reverse,
    Slice: _whole,
    Pad: _whole,
    BroadcastTo: _broadcast_to,
    ReduceSum: simpler_sum,
    Contract: simpler_contraction,
}
