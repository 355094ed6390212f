"""Systems with sparse matrices whose elements are values: by sparse factors, made anew for every solution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gradserve.ir.errors import NumericalFailure
from gradserve.ir.guards import Guard
from gradserve.ir.op import Cost, Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.family import moved_bytes, require, work
from gradserve.ops.linalg.sparse_systems import AWAY, SparseSystem, dense, outside
from gradserve.ops.registry import register

_UNTOLD_FLOPS = 1e9
"""What takes longer than a front end lets any step take by itself."""


@register
@dataclass(frozen=True)
class SparseSolve(SparseSystem):
    """The X with M X = B, or M^T X = B if `transposed`: M is a sparse matrix of any pattern.

    Operands are its elements, their rows, their columns, and B of shape (n, k). Refused where M is singular. Its
    factors are expected to have `fill` elements, which depends on the pattern, and is what the costs are reckoned by.
    """

    fill: int
    transposed: bool

    name = "sparse_solve"
    arity = 4
    linear_in = (3,)
    constraints = {
        "C0": "four operands",
        **SparseSystem.constraints,
        "C3": "the last operand is a matrix",
        "C5": "the factors are not expected to have fewer than 0 elements, or more than two triangles have",
    }

    @property
    def turned(self) -> SparseSolve:
        return replace(self, transposed=not self.transposed)

    def stacked(self, size: int) -> SparseSolve:
        return replace(self, fill=self.fill * size)

    def require_rows(self, others: Sequence[TensorType]) -> None:
        (b,) = others
        require(b.rank == 2, "C3", f"{b} is no matrix")
        n = b.shape[0]
        fits = self.fill >= 0 and (not isinstance(n, int) or self.fill <= n * (n + 1))
        require(fits, "C5", f"{self.fill} elements of factors are expected of {n} rows")

    def impl(self, xp: Any, *arrays: Array) -> Any:
        """By the full matrix."""
        elements, rows, columns, b = arrays
        full = dense(xp, elements, rows, columns, b.shape[0])
        return xp.linalg.solve(xp.matrix_transpose(full) if self.transposed else full, b)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """A place outside the matrix, a singular matrix as its solution shows."""
        text = "Singular matrix: the solution is not finite in row {where}"
        return (Guard("R1", AWAY, NumericalFailure, outside), Guard("R2", text, NumericalFailure, _not_finite))

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """Factors as if each of their rows and columns had as many elements, and a product for each element.

        At least what goes to a process that can be ended, unless a full matrix takes less: `fill` is what is expected.
        """
        b = operands[3]
        n = max(1, b.lengths[0])
        flops = work(2.0 * self.fill * (self.fill / n + b.lengths[1]), b)
        flops = max(flops, min(_UNTOLD_FLOPS, 2.0 * n**3 * (b.size > 0)))
        return Cost(flops, moved_bytes(operands, results) + 12.0 * self.fill)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """A matrix that is not symmetric, both ways, two elements in one place; no columns, nothing."""
        rows, columns = np.array([0, 1, 2, 2, 0, 2, 1, 0]), np.array([0, 1, 2, 0, 1, 2, 0, 2])
        elements = np.array([2.0, -1.5, 0.7, 0.4, -0.3, 0.6, 0.9, 0.2])
        b = np.array([[1.0, 2.0], [-0.5, 0.3], [0.7, -1.1]])
        for transposed in (False, True):
            yield Sample(cls(9, transposed), (elements, rows, columns, b))
        yield Sample(cls(9, False), (elements, rows, columns, b[:, :0]))
        yield Sample(cls(0, False), (elements[:0], rows[:0], columns[:0], b[:0]))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """A row behind the end, a column before the beginning, a column without elements."""
        one, b = np.array([0.5]), np.ones((2, 1))
        yield "R1", Sample(cls(4, False), (one, np.array([2]), np.array([0]), b))
        yield "R1", Sample(cls(4, False), (one, np.array([0]), np.array([-1]), b))
        yield "R2", Sample(cls(4, False), (one, np.array([0]), np.array([0]), b))


def _not_finite(op: SparseSolve, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each row of the solution, if the numbers that it is made of are finite."""
    elements, _, _, b = operands
    lost = xp.any(xp.logical_not(xp.isfinite(results[0])), axis=-1)
    whole = xp.logical_and(xp.all(xp.isfinite(elements)), xp.all(xp.isfinite(b)))
    return xp.logical_and(lost, whole)
