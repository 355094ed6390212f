"""Scalings: known multiples are merged, and leave sums, so that few and small arrays are multiplied.

Nothing but the last bits may change. So two factors are only merged if their product is no denormal and finite, and a
factor only leaves a sum if it is so near to 1 that no range is lost: x 1e-200 stays under the sum of squares that it
saves from overflow. Signs of zeros stay as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Op
from gradserve.ir.splat import splat
from gradserve.ops.elementwise.arithmetic import Mul, Neg

LARGEST = 1024.0
"""A factor leaves a sum if its size is at most this, and at least one over this."""


def scaling(g: Builder, value: Value) -> tuple[float, Value]:
    """The factor and the value that it multiplies: -1 for a negation, 1 and the value itself for anything else."""
    made = value.producer
    if made is None or not value.type.is_real:
        return 1.0, value
    if type(made.op) is Neg:
        return -1.0, made.operands[0]
    if type(made.op) is Mul:
        for one, other in (made.operands, made.operands[::-1]):
            factor = splat(g, one)
            if factor is not None and splat(g, other) is None:
                return float(factor), other
    return 1.0, value


def scaled(g: Builder, factor: float, value: Value) -> Value:
    """The multiple of a value."""
    if factor == 1.0:
        return value
    return g.neg(value) if factor == -1.0 else g.mul(value, factor)


def merged_scaling(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    """c (d x) becomes (c d) x, for a product or a negation."""
    factor, inner = _outer_scaling(g, op, operands)
    again, x = scaling(g, inner)
    if factor == 1.0 or again == 1.0 or not _is_normal(factor * again, x):
        return None
    return scaled(g, factor * again, x)


def _outer_scaling(g: Builder, op: Op, operands: Sequence[Value]) -> tuple[float, Value]:
    if type(op) is Neg:
        return -1.0, operands[0]
    for one, other in (tuple(operands), tuple(operands)[::-1]):
        factor = splat(g, one)
        if factor is not None and one.type.is_real:
            return float(factor), other
    return 1.0, operands[0]


def scaling_of_view(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    """f(c x) becomes c f(x), for an op that moves elements."""
    factor, x = scaling(g, operands[0])
    return scaled(g, factor, g.apply(op, [x])[0]) if factor != 1.0 else None


def scaling_of_sum(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    """f(c x) becomes c f(x), for an op that sums and is linear in each operand, if its result is the smaller one."""
    for k, operand in enumerate(operands):
        factor, x = scaling(g, operand)
        if factor == 1.0 or not _is_moderate(factor):
            continue
        if 2 * g.types(op, operands)[0].size <= x.type.size:
            (total,) = g.apply(op, [*operands[:k], x, *operands[k + 1 :]])
            multiple = scaled(g, abs(factor), total)
            # A sum that cancels is 0.0, of either sign of its terms: -0.0 in its place would not be the same.
            return multiple if factor > 0 else g.sub(0.0, multiple)
    return None


def shared_scaling(g: Builder, sign: float, x: Value, y: Value) -> Value | None:
    """For x + sign y: c a + c b becomes c (a + b), and c a - c b becomes c (a - b), for a positive c."""
    (c, a), (d, b) = scaling(g, x), scaling(g, y)
    d *= sign
    if (a is x and b is y) or abs(c) != abs(d) or not _is_moderate(c):
        return None
    if c == d:
        return scaled(g, c, g.add(a, b)) if c > 0 else None
    return scaled(g, c, g.sub(a, b)) if c > 0 else scaled(g, d, g.sub(b, a))


def _is_moderate(factor: float) -> bool:
    return 1.0 / LARGEST <= abs(factor) <= LARGEST


def _is_normal(factor: float, value: Value) -> bool:
    limits = np.finfo(value.type.element_type.dtype)
    return math.isfinite(factor) and float(limits.tiny) <= abs(factor) <= float(limits.max)
