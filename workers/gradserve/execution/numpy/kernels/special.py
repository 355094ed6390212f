"""Special functions: the ufuncs of SciPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradserve.execution.numpy.kernels.table import Kernel, kernel, plain
from gradserve.ir.types import Array, TensorType
from gradserve.ops.special.erf import Special
from gradserve.ops.special.gammas import FAR, Zeta
from gradserve.ops.special.rare import OfScipy


@kernel(Special, broadcasts=True, overwrites=True)
def _special(op: Special, types: Sequence[TensorType]) -> Kernel:
    del types
    return op.chosen(np)


kernel(OfScipy, broadcasts=True)(plain)


@kernel(Zeta, broadcasts=True)
def _zeta(op: Zeta, types: Sequence[TensorType]) -> Kernel:
    """The routine alone where no x is far below 0."""
    del types
    zeta = op.chosen(np)

    def run(x: Array) -> Any:
        return op.impl(np, x) if np.any(x < FAR) else zeta(x)

    return run
