"""Simplification: local rules that replace an application by something cheaper and equal.

No rule drops an operand that could be infinite or NaN: x * 0 stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, cast

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Op
from gradserve.ops.contraction import Contract
from gradserve.ops.movement import permuted
from gradserve.optimize.scaling import merged_scaling, scaling_of_sum, scaling_of_view, shared_scaling
from gradserve.optimize.splat import is_splat, splat

Rule: TypeAlias = Callable[[Builder, Any, Sequence[Value]], Value | None]


def simplify(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    """A value equal to the application, or None if no rule knows a better one."""
    if op.broadcasts:
        earlier = _before_broadcasts(g, op, operands)
        if earlier is not None:
            return earlier
    rule = RULES.get(op.name)
    return rule(g, op, operands) if rule else None


def _before_broadcasts(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    """An elementwise op on broadcasts alone is done before them."""
    found = [_producer(g, operand, "broadcast_to") for operand in operands]
    if None in found:
        return None
    sources = g.align([made[1][0] for made in found if made is not None])
    shape = operands[0].type.shape
    return g.broadcast(g.apply(op, sources)[0], shape) if sources[0].type.shape != shape else None


def _producer(g: Builder, value: Value, name: str) -> tuple[Any, tuple[Value, ...]] | None:
    """The op and operands behind a value, if that op is called `name`."""
    made = g.producer(value)
    return (made.op, made.operands) if made is not None and made.op.name == name else None


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
    found = splat(g, value)
    return found is not None and bool(found == 0) and (not value.type.is_float or np.signbit(found) == np.signbit(zero))


def _mul(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    x, y = operands
    for one, other in ((x, y), (y, x)):
        if is_splat(g, one, 1):
            return other
        if is_splat(g, one, -1):
            return g.neg(other)
    return merged_scaling(g, op, operands)


def _div(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    return operands[0] if is_splat(g, operands[1], 1) and operands[0].type.is_float else None


def _neg(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    twice = _producer(g, operands[0], "neg")
    return twice[1][0] if twice else merged_scaling(g, op, operands)


def _pow(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    x, exponent = operands
    if not x.type.is_float:
        return None
    filled = splat(g, exponent)
    power = 0.0 if filled is None else float(filled)
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
    again = _producer(g, x, "reshape")
    return g.reshape(again[1][0], op.shape) if again else scaling_of_view(g, op, operands)


def _permute(g: Builder, op: Any, operands: Sequence[Value]) -> Value | None:
    x = operands[0]
    if op.order == tuple(range(len(op.order))):
        return x
    again = _producer(g, x, "permute")
    if again:
        return permuted(g, again[1][0], tuple(again[0].order[k] for k in op.order))
    return scaling_of_view(g, op, operands)


def _reverse(g: Builder, op: Any, operands: Sequence[Value]) -> Value | None:
    x = operands[0]
    return x if all(x.shape[axis] == 1 for axis in op.axes) else None


def _whole(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    """A slice or a pad that keeps the shape keeps everything."""
    x = operands[0]
    return x if op.infer(x.type) == (x.type,) else None


def _broadcast_to(g: Builder, op: Any, operands: Sequence[Value]) -> Value | None:
    x = operands[0]
    if x.type.shape == op.shape:
        return x
    again = _producer(g, x, "broadcast_to")
    return g.broadcast(again[1][0], op.shape) if again else None


def _reduce_sum(g: Builder, op: Any, operands: Sequence[Value]) -> Value | None:
    x = operands[0]
    if not op.axes:
        return _begun_with_zero(g, x)
    return _sum_of_broadcast(g, op.axes, x) or scaling_of_sum(g, op, operands) or _sum_of_product(g, op.axes, x)


def _sum_of_broadcast(g: Builder, axes: tuple[int, ...], x: Value) -> Value | None:
    """A sum along axes that were made by broadcasting is a multiple."""
    spread = _producer(g, x, "broadcast_to")
    if spread is None or not x.type.is_float:
        return None
    (source,) = spread[1]
    new = x.type.rank - source.type.rank
    lengths = x.shape
    if not x.type.size:
        return None  # a sum of nothing is 0, and 0 times infinity is not
    if not all(axis < new or (source.shape[axis - new] == 1 != lengths[axis]) for axis in axes):
        return None
    count = math.prod(lengths[axis] for axis in axes)
    kept = tuple(lengths[axis] for axis in range(x.type.rank) if axis not in axes)
    squeezed = tuple(n for axis, n in enumerate(source.shape, start=new) if axis not in axes)
    return g.broadcast(_begun_with_zero(g, g.mul(g.reshape(source, squeezed), float(count))), kept)


def _begun_with_zero(g: Builder, value: Value) -> Value:
    """What a sum is that has the value as its only term: 0.0 + -0.0 is 0.0."""
    return g.add(value, 0.0) if value.type.is_float else value


def _sum_of_product(g: Builder, axes: tuple[int, ...], x: Value) -> Value | None:
    """A sum of products is a contraction, which stores no product.

    Only where BLAS takes it in one call: over all axes, or along one axis of matrices that meet in a vector.
    """
    product = _producer(g, x, "mul")
    if product is None or not x.type.is_float or len(axes) < x.type.rank:
        return None
    left, right = product[1]
    if splat(g, left) is not None or splat(g, right) is not None:
        return None
    size = (math.prod(x.shape),)
    if any(_producer(g, operand, "broadcast_to") or _producer(g, operand, "permute") for operand in (left, right)):
        return None
    flat = Contract(lhs_contract=(0,), rhs_contract=(0,), lhs_batch=(), rhs_batch=())
    (result,) = g.apply(flat, (g.reshape(left, size), g.reshape(right, size)))
    return result


def _contract(g: Builder, op: Any, operands: Sequence[Value]) -> Value | None:
    contract = cast("Contract", op)
    if not contract.lhs_contract:
        return _product(g, contract, *operands)
    return scaling_of_sum(g, op, operands) or _contract_of_permuted(g, contract, *operands)


def _product(g: Builder, contract: Contract, lhs: Value, rhs: Value) -> Value:
    """A contraction that sums nothing is a product of broadcasts."""
    left, right = contract.free(lhs.type.rank, rhs.type.rank)
    x = permuted(g, lhs, contract.lhs_batch + left)
    y = permuted(g, rhs, contract.rhs_batch + right)
    along = len(contract.lhs_batch)
    if x.type.rank:
        x = g.reshape(x, x.shape + (1,) * len(right))
    if along:
        y = g.reshape(y, y.shape[:along] + (1,) * len(left) + y.shape[along:])
    return g.mul(x, y)


def _contract_of_permuted(g: Builder, contract: Contract, lhs: Value, rhs: Value) -> Value | None:
    """Transpositions before a contraction become a choice of axes."""
    turned = _producer(g, lhs, "permute")
    if turned and _free_order_kept(turned[0].order, contract.lhs_contract + contract.lhs_batch):
        order = turned[0].order
        changed = replace(
            contract,
            lhs_contract=tuple(order[k] for k in contract.lhs_contract),
            lhs_batch=tuple(order[k] for k in contract.lhs_batch),
        )
        return g.apply(changed, (turned[1][0], rhs))[0]
    turned = _producer(g, rhs, "permute")
    if turned and _free_order_kept(turned[0].order, contract.rhs_contract + contract.rhs_batch):
        order = turned[0].order
        changed = replace(
            contract,
            rhs_contract=tuple(order[k] for k in contract.rhs_contract),
            rhs_batch=tuple(order[k] for k in contract.rhs_batch),
        )
        return g.apply(changed, (lhs, turned[1][0]))[0]
    return None


def _free_order_kept(order: tuple[int, ...], used: tuple[int, ...]) -> bool:
    free = [order[k] for k in range(len(order)) if k not in used]
    return free == sorted(free)


RULES: Mapping[str, Rule] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "neg": _neg,
    "pow": _pow,
    "select": _select,
    "convert": _convert,
    "reshape": _reshape,
    "permute": _permute,
    "reverse": _reverse,
    "slice": _whole,
    "pad": _whole,
    "broadcast_to": _broadcast_to,
    "reduce_sum": _reduce_sum,
    "contract": _contract,
}
