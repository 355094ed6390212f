"""Windows as one copy out of a view in which they overlap, and sums of them in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradserve.execution.numpy.kernels.table import Kernel, kernel
from gradserve.ir.types import TensorType
from gradserve.ops.windows.windows import OverlapAdd, Windows


@kernel(Windows)
def _windows(op: Windows, types: Sequence[TensorType]) -> Kernel:
    shape = op.infer(*types)[0].lengths
    steps = dict(zip(op.axes, op.strides, strict=True))
    axes, dilations = op.axes, op.dilations

    def windows(x: Any) -> Any:
        strides = [s * steps.get(axis, 1) for axis, s in enumerate(x.strides)]
        strides += [x.strides[axis] * gap for axis, gap in zip(axes, dilations, strict=True)]
        # Where there is one window alone its stride is never gone, and may be any number.
        taken = [s if n > 1 else 0 for s, n in zip(strides, shape, strict=True)]
        return np.array(np.lib.stride_tricks.as_strided(x, shape, taken, writeable=False), order="C")

    return windows


@kernel(OverlapAdd)
def _overlap_add(op: OverlapAdd, types: Sequence[TensorType]) -> Kernel:
    (x,), (result,) = types, op.infer(*types)
    shape, dtype = result.lengths, result.element_type.dtype
    whole = (slice(None),) * result.rank
    moves = [(_where(op, first, x), (*whole, *index)) for index, first in op.offsets()]

    def overlap_add(windows: Any) -> Any:
        total = np.zeros(shape, dtype)
        for where, index in moves:
            total[where] += windows[index]
        return total

    return overlap_add


def _where(op: OverlapAdd, first: Sequence[int], windows: TensorType) -> tuple[slice, ...]:
    """The elements of the array that one element of every window lies on."""
    where = [slice(None)] * (windows.rank - len(op.axes))
    for axis, start, stride in zip(op.axes, first, op.strides, strict=True):
        where[axis] = slice(start, start + (windows.lengths[axis] - 1) * stride + 1, stride)
    return tuple(where)
