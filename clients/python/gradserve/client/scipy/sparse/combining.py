"""Operators between captured sparse matrices and traced arrays, which NumPy hands on as ufuncs."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradserve.client.scipy.sparse.matrices import Sparse
from gradserve.client.tracing.origins import untraceable
from gradserve.numpy.scipy.sparse import is_sparse

_OPERATORS: dict[np.ufunc, Callable[[Any, Any], Any]] = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.matmul: operator.matmul,
    np.true_divide: operator.truediv,
}


def combined(ufunc: np.ufunc, operands: Sequence[Any]) -> Any:
    """The result of a ufunc of a sparse matrix and a traced array."""
    apply = _OPERATORS.get(ufunc)
    if apply is None or len(operands) != 2 or (ufunc is np.true_divide and is_sparse(operands[1])):
        raise untraceable(
            f"np.{ufunc.__name__} of a sparse matrix and a traced array cannot be traced",
            "write products A @ x, or A.toarray() if it is small",
        )
    left, right = (Sparse.of(x) if is_sparse(x) else x for x in operands)
    return apply(left, right)
