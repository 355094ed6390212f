"""Which values a plan stores in row-major order, as far as shapes tell.

Only reshapes ask: in row-major order a reshape is a view, in any other it is a copy, and memory must be known before
anything runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.ir.op import Op
from gradserve.ir.types import TensorType


def is_row_major(
    op: Op, operand_types: Sequence[TensorType], operand_flags: Sequence[bool], result: TensorType
) -> bool:
    """Whether NumPy's result is in row-major order, given whether each operand is."""
    if result.size <= 1 or result.rank <= 1 and not op.is_view:
        return True
    if op.name == "reshape":
        return True
    if op.is_view:
        return operand_flags[0] and _keeps_order(op, operand_types[0], result)
    if op.broadcasts:
        # The result takes the order of the operands that have its shape.
        full = [flag for t, flag in zip(operand_types, operand_flags, strict=True) if t.shape == result.shape]
        return bool(full) and all(full)
    return True


def _keeps_order(op: Op, operand: TensorType, result: TensorType) -> bool:
    if op.name == "permute":
        order: tuple[int, ...] = op.attributes()["order"]  # type: ignore[assignment]
        moved = [axis for axis in order if operand.lengths[axis] != 1]
        return moved == sorted(moved)
    return operand.shape == result.shape and op.name == "broadcast_to"
