"""Indexing: NumPy's own functions, and sums over indices as sparse products."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradserve.execution.numpy.kernels.table import Kernel, kernel
from gradserve.ir.types import Array, TensorType
from gradserve.ops.indexing.gather import OUTSIDE, Gather, ScatterAdd
from gradserve.ops.indexing.sorting import Argsort, Sort

_WORTH_A_SPARSE_PRODUCT = 4096
"""Elements from which a sparse product beats np.add.at (3 to 5 times) despite its 20 us of preparation."""

_AT_ONCE = 1 << 19
"""Elements that are added in a few milliseconds."""


@kernel(Gather, covers=("R1",))
def _gather(op: Gather, types: Sequence[TensorType]) -> Kernel:
    axis, length = op.axis, types[0].lengths[op.axis]

    def gather(x: Array, indices: Array) -> Any:
        require_inside(indices, length)
        return np.take(x, indices, axis)

    return gather


@kernel(ScatterAdd, covers=("R1",))
def _scatter_add(op: ScatterAdd, types: Sequence[TensorType]) -> Kernel:
    updates, indices = types
    axis, length = op.axis, op.length
    before, after = updates.lengths[:axis], updates.lengths[axis + indices.rank :]
    width, size = math.prod(before + after), indices.size

    def scatter_add(updates: Array, indices: Array) -> Any:
        require_inside(indices, length)
        rows = np.moveaxis(updates.reshape(*before, size, *after), axis, 0)
        summed = _add_rows(rows.reshape(size, width), indices.reshape(-1), length)
        return np.ascontiguousarray(np.moveaxis(summed.reshape(length, *before, *after), 0, axis))

    return scatter_add


@kernel(Argsort)
def _argsort(op: Argsort, types: Sequence[TensorType]) -> Kernel:
    """The array's own method; its results are int64 already."""
    (x,) = types
    lines = _lines(x, op.axis)

    def argsort(x: Any) -> Any:
        return np.ascontiguousarray(x).reshape(lines).argsort(axis=1, kind="stable").reshape(x.shape)

    return argsort


@kernel(Sort)
def _sort(op: Sort, types: Sequence[TensorType]) -> Kernel:
    """A row-major copy sorted in place: by itself NumPy would keep the operand's order in memory."""
    lines = _lines(types[0], op.axis)

    def sort(x: Any) -> Any:
        result = np.array(x, order="C", copy=True)
        result.reshape(lines).sort(axis=1)
        return result

    return sort


def _lines(x: TensorType, axis: int) -> tuple[int, int, int]:
    """The array's lengths before the axis, along it, and after: NumPy sorts no array of more than 32 axes."""
    return math.prod(x.lengths[:axis]), x.lengths[axis], math.prod(x.lengths[axis + 1 :])


def require_inside(indices: Any, length: int, words: str = OUTSIDE) -> None:
    """Refuses what NumPy would count from the end, and others believe.

    Raises:
        IndexError: an index lies outside [0, length).
    """
    if indices.size and (indices.min() < 0 or indices.max() >= length):
        raise IndexError(words)


@functools.cache
def _sparse() -> Any:
    """scipy.sparse, or None where SciPy is not installed."""
    try:
        from scipy import sparse
    except ImportError:
        return None
    return sparse


def _add_rows(rows: Array, indices: Array, length: int) -> Array:
    """Row `i` of the result is the sum of the rows whose index is i, added in their order on either path."""
    count, width = rows.shape
    if width > 1 and rows.size >= _WORTH_A_SPARSE_PRODUCT and rows.dtype.kind == "f" and _sparse():
        ones = np.ones(count, rows.dtype)
        selection = _sparse().csc_array((ones, indices, np.arange(count + 1)), shape=(length, count))
        summed: Array = selection @ np.ascontiguousarray(rows)
        return summed
    # On flat arrays np.add.at is five times as fast as along an axis.
    result = np.zeros(length * width, rows.dtype)
    wide = indices.astype(np.int64, copy=False)
    flat = wide if width == 1 else (wide[:, None] * width + np.arange(width)).reshape(-1)
    values = rows.reshape(-1)
    for first in range(0, len(flat), _AT_ONCE):  # np.add.at lets no other thread run
        np.add.at(result, flat[first : first + _AT_ONCE], values[first : first + _AT_ONCE])
    return result.reshape(length, width)
