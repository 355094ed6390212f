"""What XLA cannot do, or does wrongly, and NumPy with SciPy does in its place, called from the compiled program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from gradserve.ir.op import Op
from gradserve.ir.types import Array, TensorType
from gradserve.ops.special.bessel import Bessel
from gradserve.ops.special.erf import Erfcinv
from gradserve.ops.special.gammas import Beta, Digamma, Zeta

BY_CALLBACK: tuple[type[Op], ...] = (Bessel, Erfcinv, Digamma, Zeta, Beta)
"""JAX lacks the first two, and gives NaN for the others at some poles and limits (0.10)."""


def called_back(op: Op, types: Sequence[TensorType], operands: Sequence[Any]) -> Sequence[Any]:
    """The results of an op, of these types, computed by NumPy while the compiled program waits."""

    def compute(*arrays: Array) -> tuple[Array, ...]:
        with np.errstate(all="ignore"):
            return tuple(
                np.asarray(result, type_.element_type.dtype)
                for result, type_ in zip(op.results(np, *map(np.asarray, arrays)), types, strict=True)
            )

    described: Any = jax.ShapeDtypeStruct  # which carries no annotations
    shapes = tuple(described(type_.lengths, type_.element_type.dtype) for type_ in types)
    results: Sequence[Any] = jax.pure_callback(compute, shapes, *operands)
    return results
