"""What NumPy computes in XLA's place, called from the compiled program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from gradserve.ir.types import Array, TensorType


def called_back(kernel: Callable[..., Any], types: Sequence[TensorType], operands: Sequence[Any]) -> Sequence[Any]:
    """The results of a NumPy kernel, of these types, while the compiled program waits.

    NaN where the kernel refuses: an exception would end the program without a word of where, which the guards have.
    """

    def compute(*arrays: Array) -> tuple[Array, ...]:
        try:
            with np.errstate(all="ignore"):
                found = kernel(*map(np.asarray, arrays))
        except (np.linalg.LinAlgError, IndexError):
            return tuple(np.full(t.lengths, np.nan, t.element_type.dtype) for t in types)
        results = found if isinstance(found, tuple) else (found,)
        return tuple(np.asarray(r, t.element_type.dtype) for r, t in zip(results, types, strict=True))

    described: Any = jax.ShapeDtypeStruct  # which carries no annotations
    shapes = tuple(described(type_.lengths, type_.element_type.dtype) for type_ in types)
    results: Sequence[Any] = jax.pure_callback(compute, shapes, *operands)
    return results
