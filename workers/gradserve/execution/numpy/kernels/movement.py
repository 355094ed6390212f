"""Moving elements: views by the arrays' own methods, and copies into arrays made beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradserve.execution.numpy.kernels.table import Kernel, kernel
from gradserve.ir.types import TensorType
from gradserve.ops.movement.placement import Concatenate, Pad, Reverse, Slice
from gradserve.ops.movement.shapes import BroadcastTo, Permute, Reshape


@kernel(Reshape)
def _reshape(op: Reshape, types: Sequence[TensorType]) -> Kernel:
    del types
    shape = op.shape
    return lambda x: x.reshape(shape)


@kernel(Permute)
def _permute(op: Permute, types: Sequence[TensorType]) -> Kernel:
    del types
    order = op.order
    return lambda x: x.transpose(order)


@kernel(BroadcastTo)
def _broadcast_to(op: BroadcastTo, types: Sequence[TensorType]) -> Kernel:
    return _broadcaster(types[0], op.infer(*types)[0].lengths)


def _broadcaster(operand: TensorType, shape: tuple[int, ...]) -> Callable[[Any], Any]:
    """np.broadcast_to for one type: its strides are known beforehand, which saves most of its time."""
    dtype = operand.element_type.dtype
    strides: list[int] = []
    step = dtype.itemsize
    for n in reversed(operand.lengths):
        strides.insert(0, 0 if n == 1 else step)
        step *= n
    strides = [0] * (len(shape) - operand.rank) + strides

    def broadcast(x: Any) -> Any:
        if not x.flags.c_contiguous or not x.size:
            return np.broadcast_to(x, shape)
        result = np.ndarray(shape, dtype, x, 0, strides)
        result.flags.writeable = False  # its elements share memory with each other
        return result

    return broadcast


@kernel(Slice)
def _slice(op: Slice, types: Sequence[TensorType]) -> Kernel:
    del types
    key = op.key
    return lambda x: x[key]


@kernel(Reverse)
def _reverse(op: Reverse, types: Sequence[TensorType]) -> Kernel:
    key = tuple(slice(None, None, -1 if axis in op.axes else None) for axis in range(types[0].rank))
    return lambda x: x[key]


@kernel(Pad)
def _pad(op: Pad, types: Sequence[TensorType]) -> Kernel:
    """Zeros with the operand written into them."""
    (result,) = op.infer(*types)
    shape, dtype, zeros = result.lengths, result.element_type.dtype, np.zeros
    where = tuple(
        slice(low, low + (n - 1) * (gap + 1) + 1 if n else low, gap + 1)
        for n, low, gap in zip(types[0].lengths, op.low, op.interior, strict=True)
    )

    def pad(x: Any) -> Any:
        padded = zeros(shape, dtype)
        padded[where] = x
        return padded

    return pad


@kernel(Concatenate)
def _concatenate(op: Concatenate, types: Sequence[TensorType]) -> Kernel:
    """Into an array made beforehand: by itself NumPy would follow the order of the operands' axes in memory."""
    axis, concatenate, empty = op.axis, np.concatenate, np.empty
    (result,) = op.infer(*types)
    shape, dtype = result.lengths, result.element_type.dtype
    return lambda *arrays: concatenate(arrays, axis, empty(shape, dtype))
