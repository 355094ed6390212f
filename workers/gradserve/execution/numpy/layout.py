"""Where the elements of every value lie in memory, as far as shapes tell: NumPy's own rules, followed on paper.

Strides are counted in elements; 0 along an axis whose elements are one and the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from gradserve.execution.numpy.kernels.table import entry
from gradserve.ir.op import Op
from gradserve.ir.records import dataclass
from gradserve.ir.types import TensorType
from gradserve.ops.movement.placement import Reverse, Slice
from gradserve.ops.movement.shapes import BroadcastTo, Permute, Reshape
from gradserve.ops.reduction.ordered import RunningTotal
from gradserve.ops.reduction.reductions import OverAxes

Lengths: TypeAlias = tuple[int, ...]
Strides: TypeAlias = tuple[int, ...]

SHORT_LOOP = 16
"""NumPy needs about as long to begin an inner loop as for so many elements."""
_MUCH_SMALLER = 8
_WORTH_TURNING = 1 << 12


def strides_of(lengths: Lengths, order: Sequence[int]) -> Strides:
    """Those of a new array whose axes lie in `order`, the slowest first."""
    strides, step = [0] * len(lengths), 1
    for axis in reversed(order):
        strides[axis] = step
        step *= lengths[axis]
    return tuple(strides)


def row_major(lengths: Lengths) -> Strides:
    """Those of a new array with its axes in their own order."""
    return strides_of(lengths, range(len(lengths)))


def is_row_major(lengths: Lengths, strides: Strides) -> bool:
    """Whether the elements lie one after the other in row-major order."""
    return math.prod(lengths) <= 1 or all(
        n == 1 or s == t for n, s, t in zip(lengths, strides, row_major(lengths), strict=True)
    )


@dataclass(frozen=True, slots=True)
class Laid:
    """Where the results of an op lie, and what is copied for that."""

    strides: tuple[Strides, ...]
    copies: bool = False
    """Whether what is mostly a view must be a copy: a reshape of what lies in another order, or of a scalar."""
    order: tuple[int, ...] | None = None
    """The order of axes in which small operands are copied first; None if they are not."""


def place(op: Op, operands: Sequence[TensorType], strides: Sequence[Strides], results: Sequence[TensorType]) -> Laid:
    """Where NumPy puts the results of an op on operands with these strides."""
    order = _turned_order(operands, strides, results[0]) if entry(type(op)).broadcasts else None
    if order is not None:
        strides = [_turned_strides(t.lengths, order) for t in operands]
    found = [_result_strides(op, operands, strides, result) for result in results]
    placed = tuple(row_major(r.lengths) if s is None else s for r, s in zip(results, found, strict=True))
    return Laid(placed, None in found, order)


def _result_strides(
    op: Op, operands: Sequence[TensorType], strides: Sequence[Strides], result: TensorType
) -> Strides | None:
    """Those of a result; None for what is mostly a view and here is a copy."""
    if op.view:
        return view_strides(op, operands[0].lengths, strides[0], result.lengths)
    if entry(type(op)).broadcasts or isinstance(op, RunningTotal):
        return strides_of(result.lengths, kept_order(spread(operands, strides, result.lengths)))
    if isinstance(op, OverAxes):
        left = [axis for axis in range(operands[0].rank) if axis not in op.axes]
        order = kept_order(spread(operands, strides, operands[0].lengths))
        return strides_of(result.lengths, [left.index(axis) for axis in order if axis in left])
    return row_major(result.lengths)


def view_strides(op: Op, lengths: Lengths, strides: Strides, result: Lengths) -> Strides | None:
    """Those of a view of what has these lengths and strides; None if it has to be a copy."""
    match op:
        case BroadcastTo():
            return _spread_strides(lengths, strides, len(result))
        case _ if not lengths:
            return None  # a NumPy scalar has no memory to share
        case Reshape():
            return strides_cut_anew(lengths, strides, result)
        case Permute():
            return tuple(strides[axis] for axis in op.order)
        case Slice():
            return tuple(s * step for s, step in zip(strides, op.strides, strict=True))
        case Reverse():
            return tuple(-s if axis in op.axes else s for axis, s in enumerate(strides))
    raise TypeError(f"nobody has said where views by {op.name} lie")


def strides_cut_anew(lengths: Lengths, strides: Strides, result: Lengths) -> Strides | None:
    """The strides after a change of shape: axes that follow each other in memory may be joined and cut in another way.

    None where they do not follow each other.
    """
    if is_row_major(lengths, strides):
        return row_major(result)
    old = [(n, s) for n, s in zip(lengths, strides, strict=True) if n != 1]
    found: list[int] = []
    for n in reversed(result):
        if n == 1:
            found.append(0)
            continue
        length, stride = old.pop()
        while length % n and old and old[-1][1] == length * stride:
            length *= old.pop()[0]
        if length % n:
            return None
        found.append(stride)
        if length > n:
            old.append((length // n, n * stride))
    return tuple(reversed(found))


def spread(operands: Sequence[TensorType], strides: Sequence[Strides], lengths: Lengths) -> list[Strides]:
    """Each operand's strides when it is broadcast to these lengths."""
    return [_spread_strides(t.lengths, s, len(lengths)) for t, s in zip(operands, strides, strict=True)]


def _spread_strides(lengths: Lengths, strides: Strides, rank: int) -> Strides:
    own = tuple(0 if n == 1 else s for n, s in zip(lengths, strides, strict=True))
    return (0,) * (rank - len(own)) + own


def kept_order(operands: Sequence[Strides]) -> list[int]:
    """The order of axes, the slowest first, that NumPy gives to an array made from operands with these strides."""
    order: list[int] = []
    for axis in reversed(range(len(operands[0]))):
        place = 0
        for k, other in enumerate(order):
            steps = [(abs(s[axis]), abs(s[other])) for s in operands if s[axis] and s[other]]
            if steps and not all(mine < theirs for mine, theirs in steps):
                break
            place = k + 1 if steps else place
        order.insert(place, axis)
    return order


def _turned_order(
    operands: Sequence[TensorType], strides: Sequence[Strides], result: TensorType
) -> tuple[int, ...] | None:
    """The order of axes in which small operands had better be copied before they are broadcast; None if that is no use.

    Points in space are the example: x[:, None, :] - x[None, :, :] has its short axis last, and NumPy would begin an
    inner loop for every pair. Turned, a long axis comes last in memory, and what is computed from it keeps that order.
    """
    lengths = result.lengths
    if result.size < _WORTH_TURNING or _MUCH_SMALLER * sum(t.size for t in operands) > result.size:
        return None
    if _loop_length(lengths, spread(operands, strides, lengths)) >= SHORT_LOOP:
        return None
    longest = max(range(len(lengths)), key=lambda axis: (lengths[axis], axis))
    order = (*range(longest + 1, len(lengths)), *range(longest + 1))
    turned = spread(operands, [_turned_strides(t.lengths, order) for t in operands], lengths)
    return order if _loop_length(lengths, turned) >= SHORT_LOOP else None


def own_order(order: Sequence[int], rank: int) -> tuple[int, ...]:
    """The order of axes of a result, for an operand that has only the last `rank` of them."""
    missing = len(order) - rank
    return tuple(axis - missing for axis in order if axis >= missing)


def _turned_strides(lengths: Lengths, order: Sequence[int]) -> Strides:
    """Those of an operand copied so that its axes lie in the order of a result's."""
    return strides_of(lengths, own_order(order, len(lengths)))


def _loop_length(lengths: Lengths, operands: Sequence[Strides]) -> int:
    """How many elements NumPy takes in one inner loop over operands with these strides."""
    run, previous = 1, None
    for axis in reversed(kept_order(operands)):
        if lengths[axis] == 1:
            continue
        if previous is not None and any(s[axis] != s[previous] * lengths[previous] for s in operands):
            break
        run, previous = run * lengths[axis], axis
    return run
