"""Arrays of classes whose arithmetic is not NumPy's, such as np.matrix and masked ones: no graph knows theirs."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

_OPERATIONS = ("__add__", "__mul__", "__pow__", "__array_ufunc__", "__array_function__")
_MASKED = "give m.filled(0) and write np.where(np.ma.getmaskarray(m), 0, ...) for what is masked"
_MATRIX = "write np.asarray(M), and @ for products of matrices"
_OTHER = "write np.asarray(x), if its elements say all"


def has_own_arithmetic(kind: Any) -> bool:
    """Whether it is a class of arrays that has operators of its own."""
    return kind is not np.ndarray and _differs(kind)


@functools.cache
def _differs(kind: Any) -> bool:
    own = issubclass(kind, np.ndarray) and not kind.__module__.startswith("gradserve.")
    return own and any(getattr(kind, name) is not getattr(np.ndarray, name) for name in _OPERATIONS)


def described(kind: type) -> tuple[str, str]:
    """What arrays of such a class are, and what to write instead."""
    if issubclass(kind, np.ma.MaskedArray):
        return "masked, and no graph knows masks", _MASKED
    if issubclass(kind, np.matrix):
        return "a np.matrix, whose * and ** are of matrices", _MATRIX
    return f"a {kind.__name__}, which has its own arithmetic", _OTHER
