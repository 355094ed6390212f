"""Ops that work row by row: a row of the result is made of that row of operands, and of others as a whole."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gradserve.ir.op import Op
from gradserve.ir.types import TensorType
from gradserve.ops.contraction.contract import Contract
from gradserve.ops.movement.placement import Concatenate, Pad, Reverse, Slice
from gradserve.ops.movement.shapes import BroadcastTo, Permute, Reshape
from gradserve.ops.reduction.ordered import AlongAxis
from gradserve.ops.reduction.reductions import OverAxes

_MOST_WHOLE = 1 << 17
"""Bytes of a matrix that may be multiplied with one block of rows after the other: BLAS packs it anew each time."""

_FEW_COLUMNS = 4


@functools.singledispatch
def by_rows(op: Op, operands: Sequence[TensorType], result: TensorType) -> tuple[bool, ...] | None:
    """Which operands are cut into rows where the result is, along their first axes; None if the op mixes rows."""
    del result
    return (True,) * len(operands) if op.elementwise else None


@by_rows.register
def _(op: BroadcastTo, operands: Sequence[TensorType], result: TensorType) -> tuple[bool, ...]:
    (x,) = operands
    return (x.rank == result.rank and x.lengths[0] == result.lengths[0],)


@by_rows.register
def _(op: Reshape, operands: Sequence[TensorType], result: TensorType) -> tuple[bool, ...] | None:
    (x,) = operands
    return (True,) if x.rank and x.lengths[0] == result.lengths[0] else None


@by_rows.register
def _(op: Permute, operands: Sequence[TensorType], result: TensorType) -> tuple[bool, ...] | None:
    return (True,) if op.order[0] == 0 else None


@by_rows.register
def _(op: Slice, operands: Sequence[TensorType], result: TensorType) -> tuple[bool, ...] | None:
    return (True,) if operands[0].lengths[0] == result.lengths[0] else None


@by_rows.register
def _(op: Pad, operands: Sequence[TensorType], result: TensorType) -> tuple[bool, ...] | None:
    return (True,) if not (op.low[0] or op.high[0] or op.interior[0]) else None


@by_rows.register
def _(op: Concatenate, operands: Sequence[TensorType], result: TensorType) -> tuple[bool, ...] | None:
    return (True,) * len(operands) if op.axis else None


@by_rows.register(OverAxes)
@by_rows.register(Reverse)
def _(op: Any, operands: Sequence[TensorType], result: TensorType) -> tuple[bool, ...] | None:
    return None if 0 in op.axes else (True,)


@by_rows.register
def _(op: AlongAxis, operands: Sequence[TensorType], result: TensorType) -> tuple[bool, ...] | None:
    return (True,) if op.axis else None


@by_rows.register
def _(op: Contract, operands: Sequence[TensorType], result: TensorType) -> tuple[bool, ...] | None:
    x, y = operands
    if op.lhs_batch:
        return (True, True) if op.lhs_batch[0] == op.rhs_batch[0] == 0 else None
    left, right = op.free(x.rank, y.rank)
    if left and left[0] == 0 and _is_given_whole(y):
        return True, False
    return (False, True) if not left and right and right[0] == 0 and _is_given_whole(x) else None


def _is_given_whole(type_: TensorType) -> bool:
    """Whether an operand is a small matrix, or less: others may have to be copied before BLAS can read them."""
    return type_.rank <= 2 and type_.nbytes <= _MOST_WHOLE


def sums_rows(op: Op, operands: Sequence[TensorType], rows: int) -> bool:
    """Whether an op sums products over all rows of both operands, of which one has few columns.

    BLAS reads a large matrix once for such a product, and does too little with it to be faster on more rows.
    """
    if not isinstance(op, Contract) or op.lhs_batch or (0, 0) not in zip(op.lhs_contract, op.rhs_contract, strict=True):
        return False
    x, y = operands
    left, right = op.free(x.rank, y.rank)
    columns = min(math.prod(v.lengths[axis] for axis in axes) for v, axes in ((x, left), (y, right)))
    return x.lengths[0] == rows and columns <= _FEW_COLUMNS


@functools.singledispatch
def of_rows(op: Op, count: int) -> Op:
    """The op that makes so many rows of what this one makes."""
    del count
    return op


@of_rows.register(BroadcastTo)
@of_rows.register(Reshape)
def _(op: BroadcastTo | Reshape, count: int) -> Op:
    return replace(op, shape=(count, *op.shape[1:]))


@of_rows.register
def _(op: Slice, count: int) -> Op:
    return replace(op, stops=(count, *op.stops[1:]))
