"""The contraction: one BLAS call, on views wherever the layout allows."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.execution.numpy.kernels.products import product_kernel
from gradserve.execution.numpy.kernels.table import Kernel, kernel
from gradserve.ir.types import TensorType
from gradserve.ops.contraction.contract import Contract


@kernel(Contract)
def _contract(op: Contract, types: Sequence[TensorType]) -> Kernel:
    x, y = types
    left, right = op.free(x.rank, y.rank)
    mine, other = (op.lhs_batch, left, op.lhs_contract), (op.rhs_batch, right, op.rhs_contract)
    return product_kernel(x.lengths, mine, y.lengths, other)
