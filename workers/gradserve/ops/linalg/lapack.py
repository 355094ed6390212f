"""What LAPACK computes: routines that NumPy does not offer, and the order in which results lie."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.ir.types import Array


@functools.cache
def routine(name: str, dtype: np.dtype[Any]) -> Any:
    """The routine for this precision, as SciPy wraps it."""
    from scipy.linalg.lapack import get_lapack_funcs  # an executor has SciPy; a client that only traces need not

    return get_lapack_funcs(name, dtype=dtype)


def row_major(compute: Callable[..., Any], xp: Any) -> Callable[..., Any]:
    """The same function, with results that lie in row-major order where they are NumPy's: so a plan predicts it.

    LAPACK leaves columns one after the other, and a slice or a copy of what it leaves keeps their order.
    """
    if xp is not np:
        return compute

    def in_rows(*arrays: Array) -> Any:
        results = compute(*arrays)
        return tuple(map(_in_rows, results)) if isinstance(results, tuple) else _in_rows(results)

    return in_rows


def _in_rows(x: Any) -> Any:
    return np.ascontiguousarray(x) if np.ndim(x) else x
