"""Special functions: the ufuncs of SciPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradserve.execution.numpy.kernels.table import Kernel, kernel
from gradserve.ir.types import TensorType
from gradserve.ops.special.erf import Special


@kernel(Special, broadcasts=True, overwrites=True)
def _special(op: Special, types: Sequence[TensorType]) -> Kernel:
    del types
    return op.chosen(np)
