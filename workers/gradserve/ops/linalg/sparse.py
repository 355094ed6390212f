"""Systems with sparse triangles: what the factors of a sparse matrix are solved by, with work and memory in proportion.

Of a triangle the diagonal is apart, so that nobody has to look for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import NumericalFailure
from gradserve.ir.guards import Guard
from gradserve.ir.op import Cost, Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.family import moved_bytes, require, work
from gradserve.ops.linalg.sparse_systems import AWAY, SparseSystem, dense, outside
from gradserve.ops.registry import register


@register
@dataclass(frozen=True)
class SparseTriangularSolve(SparseSystem):
    """The X with T X = B, or T^T X = B if `transposed`: T is a sparse triangle, the lower one if `lower`.

    Operands are the elements beside its diagonal, their rows, their columns, the diagonal, and B of shape (n, k).
    Elements that lie on the diagonal or in the other triangle are not read. Refused where the diagonal has a zero.
    """

    lower: bool
    transposed: bool

    name = "sparse_triangular_solve"
    arity = 5
    linear_in = (4,)
    constraints = {
        "C0": "five operands",
        **SparseSystem.constraints,
        "C3": "the diagonal is a vector, and the last operand a matrix with as many rows",
    }

    @property
    def turned(self) -> SparseTriangularSolve:
        return replace(self, transposed=not self.transposed)

    def require_rows(self, others: Sequence[TensorType]) -> None:
        diagonal, b = others
        fits = diagonal.rank == 1 and b.rank == 2 and diagonal.shape[0] == b.shape[0]
        require(fits, "C3", f"a diagonal {diagonal} and {b} do not go together")

    def impl(self, xp: Any, *arrays: Array) -> Any:
        """By the full matrix."""
        elements, rows, columns, diagonal, b = arrays
        full = dense(xp, elements, rows, columns, diagonal.shape[0])
        beside = xp.tril(full, k=-1) if self.lower else xp.triu(full, k=1)
        triangle = beside + xp.eye(diagonal.shape[0], dtype=diagonal.dtype) * diagonal
        return xp.linalg.solve(xp.matrix_transpose(triangle) if self.transposed else triangle, b)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """A place outside the matrix, a zero on the diagonal."""
        text = "Singular matrix: element {where} of the diagonal is zero"
        return (
            Guard("R1", AWAY, NumericalFailure, outside),
            Guard("R2", text, NumericalFailure, _zero_on_diagonal),
        )

    def read(self, g: Builder, elements: Value, rows: Value, columns: Value) -> Value:
        """Those of the triangle."""
        return g.select(g.gt(rows, columns) if self.lower else g.lt(rows, columns), elements, 0.0)

    def along_others(self, g: Builder, x: Value, tangents: Sequence[Value | None]) -> list[Value | None]:
        """The diagonal."""
        (along,) = tangents
        return [None if along is None else -g.mul(g.reshape(along, (x.shape[0], 1)), x)]

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """A product and a sum for each element and column."""
        elements, _, _, diagonal, b = operands
        return Cost(work(2.0 * (elements.size + diagonal.size) * b.lengths[1], b), moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Both triangles, both ways, two elements in one place, others not to be read; no columns, no elements."""
        rows, columns = np.array([1, 2, 2, 0, 2, 1, 0, 2]), np.array([0, 0, 1, 2, 0, 2, 1, 2])
        elements, diagonal = np.linspace(-1.0, 1.3, 8), np.array([1.5, -0.7, 2.0])
        b = np.array([[1.0, 2.0], [-0.5, 0.3], [0.7, -1.1]])
        for lower in (True, False):
            for transposed in (True, False):
                yield Sample(cls(lower, transposed), (elements, rows, columns, diagonal, b))
        yield Sample(cls(True, False), (elements, rows, columns, diagonal, b[:, :0]))
        yield Sample(cls(False, True), (elements[:0], rows[:0], columns[:0], diagonal, b))
        yield Sample(cls(True, True), (elements[:0], rows[:0], columns[:0], diagonal[:0], b[:0]))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """A row behind the end, a column before the beginning, a zero on the diagonal."""
        one, b = np.array([0.5]), np.ones((2, 1))
        yield "R1", Sample(cls(True, False), (one, np.array([2]), np.array([0]), np.ones(2), b))
        yield "R1", Sample(cls(False, False), (one, np.array([0]), np.array([-1]), np.ones(2), b))
        yield "R2", Sample(cls(True, False), (one, np.array([1]), np.array([0]), np.array([1.0, 0.0]), b))


def _zero_on_diagonal(op: SparseTriangularSolve, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each element of the diagonal, if there is something to solve for."""
    return xp.logical_and(operands[3] == 0, operands[4].shape[1] > 0)
