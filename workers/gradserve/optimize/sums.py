"""Sums and contractions: each is brought into the form that costs least, which is mostly one BLAS call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Op
from gradserve.ir.records import dataclass
from gradserve.ir.splat import producer, splat
from gradserve.ops.contraction.contract import Contract
from gradserve.ops.elementwise.arithmetic import Add, Mul
from gradserve.ops.linalg.matrices import Inv
from gradserve.ops.movement.shapes import BroadcastTo, Permute, permuted
from gradserve.optimize.chains import reordered
from gradserve.optimize.rewriter import is_read_once
from gradserve.optimize.scaling import scaling_of_sum

MOST_TERMS = 64
"""Of a sum of products that is summed product by product."""
LONG_ROW = 16
"""From so many elements on, BLAS takes a row of two matrices in less time than NumPy multiplies and adds it."""


def simpler_sum(g: Builder, op: Any, operands: Sequence[Value]) -> Value | None:
    """A value equal to the sum, or None."""
    x = operands[0]
    if not op.axes:
        return _begun_with_zero(g, x)
    return (
        _sum_of_broadcast(g, op.axes, x)
        or scaling_of_sum(g, op, operands)
        or _sum_of_product(g, op.axes, x)
        or (_sum_of_contraction(g, op.axes, x) if _has_few_terms(g, x) else None)
    )


def _sum_of_broadcast(g: Builder, axes: tuple[int, ...], x: Value) -> Value | None:
    """A sum along axes that were made by broadcasting is a multiple."""
    spread = producer(g, x, BroadcastTo)
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


@dataclass(frozen=True, slots=True)
class _Factor:
    """A factor of a product before it was broadcast, and the axes of the product that it has."""

    value: Value
    axes: tuple[int, ...]

    def among(self, axes: Sequence[int]) -> tuple[int, ...]:
        """The positions, in the factor, of these axes of the product."""
        return tuple(self.axes.index(axis) for axis in axes)


def _factor(g: Builder, value: Value) -> _Factor:
    spread = producer(g, value, BroadcastTo)
    if spread is None:
        return _Factor(value, tuple(range(value.type.rank)))
    (source,) = spread[1]
    new = value.type.rank - source.type.rank
    axes = tuple(axis for axis, n in enumerate(source.shape, start=new) if n == value.shape[axis])
    return _Factor(g.reshape(source, tuple(value.shape[axis] for axis in axes)), axes)


def _sum_of_product(g: Builder, axes: tuple[int, ...], x: Value) -> Value | None:
    """A sum of products is a contraction, which stores no product.

    Where it is one BLAS call, that is: a product of vectors, matrices or both, or of all long rows of two matrices.
    """
    product = producer(g, x, Mul)
    if product is None or not x.type.is_float or any(splat(g, operand) is not None for operand in product[1]):
        return None
    left, right = (_factor(g, operand) for operand in product[1])
    both = [axis for axis in left.axes if axis in right.axes]
    kept = [axis for axis in range(x.type.rank) if axis not in axes]
    if any(axis not in both for axis in axes) or any(axis not in left.axes + right.axes for axis in kept):
        return None
    along = tuple(axis for axis in kept if axis in both)
    if not kept:
        return _inner_product(g, left.value, right.value)
    if along and (along != tuple(kept) or axes[0] < kept[-1] or math.prod(x.shape[a] for a in axes) < LONG_ROW):
        return None
    contract = Contract(left.among(axes), right.among(axes), left.among(along), right.among(along))
    (result,) = g.apply(contract, (left.value, right.value))
    order = [*along, *(a for a in left.axes if a not in both), *(a for a in right.axes if a not in both)]
    return permuted(g, result, [order.index(axis) for axis in kept])


def _inner_product(g: Builder, left: Value, right: Value) -> Value | None:
    """The sum of all products as one of vectors, unless flattening would copy what it saves."""
    if producer(g, left, Permute) or producer(g, right, Permute):
        return None
    size = (left.type.size,)
    flat = Contract(lhs_contract=(0,), rhs_contract=(0,), lhs_batch=(), rhs_batch=())
    return g.apply(flat, (g.reshape(left, size), g.reshape(right, size)))[0]


def _has_few_terms(g: Builder, x: Value) -> bool:
    """Whether a sum that nobody else reads has few enough terms to look at each."""
    terms = [x]
    for _ in range(MOST_TERMS):
        if not terms:
            return True
        both = producer(g, terms.pop(), Add)
        terms += [operand for operand in both[1] if is_read_once(g, operand)] if both else []
    return False


def _sum_of_contraction(g: Builder, axes: tuple[int, ...], x: Value) -> Value | None:
    """A sum along axes that one operand alone has is taken of that operand: the product has a dimension less.

    Unless others read the product as well. Of a sum of products too, as there are in derivatives of higher order. For a
    mixture of Gaussians this is a third of the gradient's time.
    """
    if not is_read_once(g, x):
        return None
    both = producer(g, x, Add)
    if both is not None:
        parts = [_sum_of_contraction(g, axes, operand) for operand in both[1]]
        return None if parts[0] is None or parts[1] is None else g.add(parts[0], parts[1])
    contraction = producer(g, x, Contract)
    if contraction is None or not x.type.is_float:
        return None
    contract, operands = contraction
    left, right = contract.free(*(operand.type.rank for operand in operands))
    owners = dict(enumerate([*((0, axis) for axis in left), *((1, axis) for axis in right)], len(contract.lhs_batch)))
    summed = [[owners[axis][1] for axis in axes if owners.get(axis, (2, 0))[0] == k] for k in (0, 1)]
    inverted = any(own and producer(g, operand, Inv) for own, operand in zip(summed, operands, strict=True))
    if inverted or len(summed[0]) + len(summed[1]) < len(axes):
        return None  # products with an inverse become solutions
    less = [
        g.reduce_sum(operand, axes=tuple(sorted(own))) if own else operand
        for operand, own in zip(operands, summed, strict=True)
    ]
    without = Contract(
        lhs_contract=_moved(contract.lhs_contract, summed[0]),
        lhs_batch=_moved(contract.lhs_batch, summed[0]),
        rhs_contract=_moved(contract.rhs_contract, summed[1]),
        rhs_batch=_moved(contract.rhs_batch, summed[1]),
    )
    return _begun_with_zero(g, g.apply(without, less)[0])


def _moved(axes: tuple[int, ...], gone: Sequence[int]) -> tuple[int, ...]:
    """The axes of an array that lacks others."""
    return tuple(axis - sum(other < axis for other in gone) for axis in axes)


def simpler_contraction(g: Builder, op: Op, operands: Sequence[Value]) -> Value | None:
    """A value equal to the contraction, or None."""
    contract = cast("Contract", op)
    lhs, rhs = operands
    if not contract.lhs_contract:
        return _product(g, contract, lhs, rhs)
    return (
        scaling_of_sum(g, op, operands)
        or _contraction_of_permuted(g, contract, lhs, rhs)
        or reordered(g, contract, operands)
    )


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


def _contraction_of_permuted(g: Builder, contract: Contract, lhs: Value, rhs: Value) -> Value | None:
    """Transpositions before a contraction become a choice of axes."""
    turned = _unturned(g, lhs, contract.lhs_contract, contract.lhs_batch)
    if turned:
        x, inner, along = turned
        return g.apply(replace(contract, lhs_contract=inner, lhs_batch=along), (x, rhs))[0]
    turned = _unturned(g, rhs, contract.rhs_contract, contract.rhs_batch)
    if turned:
        y, inner, along = turned
        return g.apply(replace(contract, rhs_contract=inner, rhs_batch=along), (lhs, y))[0]
    return None


def _unturned(
    g: Builder, value: Value, inner: tuple[int, ...], along: tuple[int, ...]
) -> tuple[Value, tuple[int, ...], tuple[int, ...]] | None:
    """The value before its transposition and its axes there, if its free axes come in the same order."""
    turned = producer(g, value, Permute)
    if turned is None:
        return None
    order = turned[0].order
    free = [order[k] for k in range(len(order)) if k not in inner + along]
    if free != sorted(free):
        return None
    return turned[1][0], tuple(order[k] for k in inner), tuple(order[k] for k in along)
