"""Reductions and running ones by the ufuncs' own methods; slice by slice where the last axis is short."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradserve.execution.numpy.kernels.table import Kernel, kernel
from gradserve.ir.op import Op
from gradserve.ir.types import TensorType
from gradserve.ops.reduction.ordered import Cumprod, Cumsum, Position, RunningTotal
from gradserve.ops.reduction.quantifiers import ReduceAll, ReduceAny
from gradserve.ops.reduction.reductions import LargestTerm, OverAxes, ReduceMax, ReduceMin, ReduceProd, ReduceSum

UFUNCS: Mapping[type[Op], np.ufunc] = {
    ReduceSum: np.add,
    ReduceProd: np.multiply,
    ReduceMax: np.maximum,
    LargestTerm: np.maximum,
    ReduceMin: np.minimum,
    ReduceAny: np.logical_or,
    ReduceAll: np.logical_and,
    Cumsum: np.add,
    Cumprod: np.multiply,
}
"""What each applies between elements."""
SHORT_AXIS = 16
"""NumPy begins an inner loop for each row of a last axis; for so few elements that takes longer than the elements."""
WORTH_SLICING = 1 << 12


@kernel(OverAxes)
def _reduction(op: OverAxes, types: Sequence[TensorType]) -> Kernel:
    (x,) = types
    if isinstance(op, ReduceAny) and x.size and x.rank == len(op.axes) == 1:
        return _any
    result, ufunc = op.infer(x)[0], UFUNCS[type(op)]
    axis = op.axes[0] if len(op.axes) == 1 else op.axes
    whole = functools.partial(ufunc.reduce, axis=axis, dtype=result.element_type.dtype)
    if x.rank < 2 or x.size < WORTH_SLICING or not 1 < x.lengths[-1] <= SHORT_AXIS:
        return whole
    if op.axes == (x.rank - 1,):
        return _folded(ufunc, x.lengths[-1])
    beside = op.axes[-1:] == (x.rank - 2,) and x.lengths[-2] > x.lengths[-1]
    return _slice_by_slice(whole, result) if beside else whole


def _any(x: Any) -> Any:
    """Whether an element is true: the first that is, or else any. NumPy finds it sooner than it begins a reduction."""
    return x[x.argmax()]


def _folded(ufunc: np.ufunc, count: int) -> Callable[[Any], Any]:
    """The reduction along a short last axis: all first elements with all second ones, then with all third ones."""

    def fold(x: Any) -> Any:
        total = ufunc(x[..., 0], x[..., 1])
        for k in range(2, count):
            ufunc(total, x[..., k], out=total)
        # A sum begins with 0.0, so that it is never -0.0.
        return ufunc(total, 0, out=total) if ufunc is np.add else total

    return fold


def _slice_by_slice(reduce: Callable[..., Any], result: TensorType) -> Callable[[Any], Any]:
    """The reduction along other axes, for one element of a short last axis at a time."""
    shape, dtype, empty = result.lengths, result.element_type.dtype, np.empty

    def slices(x: Any) -> Any:
        reduced = empty(shape, dtype)
        for k in range(shape[-1]):
            reduce(x[..., k], out=reduced[..., k])
        return reduced

    return slices


@kernel(RunningTotal)
def _running(op: RunningTotal, types: Sequence[TensorType]) -> Kernel:
    """The ufunc's own accumulation."""
    return functools.partial(UFUNCS[type(op)].accumulate, axis=op.axis, dtype=types[0].element_type.dtype)


@kernel(Position)
def _position(op: Position, types: Sequence[TensorType]) -> Kernel:
    """The array's own method; its results are int64 already."""
    del types
    return operator.methodcaller(op.function, op.axis)
