"""What LAPACK computes: routines that NumPy does not offer, and the order in which results lie."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradserve.execution.numpy.kernels.table import Kernel
from gradserve.ir.op import Op
from gradserve.ir.types import Array, TensorType


@functools.cache
def lapack(name: str, dtype: np.dtype[Any]) -> Any:
    """The routine for this precision, as SciPy wraps it."""
    from scipy.linalg.lapack import get_lapack_funcs  # an executor has SciPy; a client that only traces need not

    return get_lapack_funcs(name, dtype=dtype)


def row_major(compute: Callable[..., Any]) -> Kernel:
    """The same function with results that lie in row-major order, so that a schedule predicts it.

    LAPACK leaves columns one after the other, and a slice or a copy of what it leaves keeps their order.
    """

    def in_rows(*arrays: Array) -> Any:
        results = compute(*arrays)
        return tuple(map(_in_rows, results)) if isinstance(results, tuple) else _in_rows(results)

    return in_rows


def plain_rows(op: Op, types: Sequence[TensorType]) -> Kernel:
    """The op's `impl`, with results in row-major order."""
    del types
    return row_major(functools.partial(op.impl, np))


def _in_rows(x: Any) -> Any:
    return np.ascontiguousarray(x) if np.ndim(x) else x
