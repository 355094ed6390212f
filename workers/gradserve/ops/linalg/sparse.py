"""Systems with sparse triangles: what the factors of a sparse matrix are solved by, with work and memory in proportion.

A matrix is its elements with their rows and columns, in any order, equal places added up. Of a triangle the diagonal is
apart, so that nobody has to look for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.errors import NumericalFailure
from gradserve.ir.guards import Guard
from gradserve.ir.op import Absorbed, Cost, Op, Sample, Unknown
from gradserve.ir.types import Array, TensorType
from gradserve.ops.absorption import absorbed_over
from gradserve.ops.family import (
    moved_bytes,
    only,
    require,
    require_arity,
    require_floats,
    total,
    with_batch,
    work,
)
from gradserve.ops.indexing.gather import OUTSIDE, offset_indices
from gradserve.ops.movement.shapes import permuted
from gradserve.ops.registry import register


@register
@dataclass(frozen=True)
class SparseTriangularSolve(Op):
    """The X with T X = B, or T^T X = B if `transposed`: T is a sparse triangle, the lower one if `lower`.

    Operands are the elements beside its diagonal, their rows, their columns, the diagonal, and B of shape (n, k).
    Elements that lie on the diagonal or in the other triangle are not read. Refused where the diagonal has a zero.
    """

    lower: bool
    transposed: bool

    name = "sparse_triangular_solve"
    takes_complex = True
    analytic = True
    folds = False
    arity = 5
    linear_in = (4,)
    constraints = {
        "C0": "five operands",
        "C1": "the first three are vectors of one length",
        "C2": "rows and columns are integers",
        "C3": "the diagonal is a vector, and the last operand a matrix with as many rows",
        "C4": "element types of the others are equal, real or complex",
    }

    def coerce(self, g: Builder, operands: Sequence[Operand]) -> tuple[Value, ...]:
        """The elements, the diagonal and B promoted to one element type."""
        if len(operands) != 5:
            return tuple(g.lift(operand) for operand in operands)
        elements, rows, columns, diagonal, b = operands
        elements, diagonal, b = g.promote([elements, diagonal, b])
        return (elements, g.lift(rows), g.lift(columns), diagonal, b)

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 5)
        elements, rows, columns, diagonal, b = types
        alike = elements.rank == 1 and elements.shape == rows.shape == columns.shape
        require(alike, "C1", f"{elements}, {rows} and {columns} are no vectors of one length")
        whole = rows.element_type.is_integer and columns.element_type.is_integer
        require(whole, "C2", f"rows and columns must be integers, not {rows} and {columns}")
        fits = diagonal.rank == 1 and b.rank == 2 and diagonal.shape[0] == b.shape[0]
        require(fits, "C3", f"a diagonal {diagonal} and {b} do not go together")
        equal = elements.element_type is diagonal.element_type is b.element_type
        require(equal, "C4", f"element types differ: {elements}, {diagonal}, {b}")
        require_floats(self, b, "C4")
        return (b,)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        """By the full matrix."""
        elements, rows, columns, diagonal, b = arrays
        places = xp.arange(diagonal.shape[0])
        by_row = xp.astype(xp.expand_dims(rows, axis=1) == places, elements.dtype)
        by_column = xp.astype(xp.expand_dims(columns, axis=1) == places, elements.dtype)
        full = xp.matrix_transpose(by_row * xp.expand_dims(elements, axis=1)) @ by_column
        beside = xp.tril(full, k=-1) if self.lower else xp.triu(full, k=1)
        triangle = beside + xp.eye(diagonal.shape[0], dtype=diagonal.dtype) * diagonal
        return xp.linalg.solve(xp.matrix_transpose(triangle) if self.transposed else triangle, b)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """A place outside the matrix, a zero on the diagonal."""
        text = "Singular matrix: element {where} of the diagonal is zero"
        return (
            Guard("R1", f"{OUTSIDE}: that of element {{where}}", NumericalFailure, _outside),
            Guard("R2", text, NumericalFailure, _zero_on_diagonal),
        )

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """T dX = dB - dT X."""
        (x,), (_, rows, columns, _, _) = outputs, primals
        moved, _, _, along, right = tangents
        terms = [right]
        if moved is not None:
            beside = g.gt(rows, columns) if self.lower else g.lt(rows, columns)
            there, here = (columns, rows) if self.transposed else (rows, columns)
            weights = g.reshape(g.select(beside, moved, 0.0), (*moved.type.lengths, 1))
            gathered = g.emit("gather", x, here, axis=0)
            terms.append(-g.emit("scatter_add", g.mul(weights, gathered), there, axis=0, length=x.shape[0]))
        if along is not None:
            terms.append(-g.mul(g.reshape(along, (x.shape[0], 1)), x))
        change = total(g, terms)
        return (None,) if change is None else g.apply(self, [*primals[:4], change])

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """A solve with the transposed triangle."""
        known = [x for x in operands[:4] if isinstance(x, Value)]
        turned = replace(self, transposed=not self.transposed)
        return (None, None, None, None, g.apply(turned, [*known, only(cotangents)])[0])

    def absorbing(self, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> Absorbed:
        """0 for a right-hand side of zeros."""
        assert reach[4] is not None
        return absorbed_over(g, g.apply(self, operands)[0], [(operands[4], reach[4])], 2, (-2,))

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """Right-hand sides alone become columns; several triangles lie one after the other on one diagonal."""
        b = operands[4]
        if not any(batched[:4]):
            _, n, count = b.shape
            columns = g.reshape(permuted(g, b, (1, 0, 2)), (n, size * count))
            apart = g.reshape(g.apply(self, [*operands[:4], columns])[0], (n, size, count))
            return (permuted(g, apart, (1, 0, 2)),)
        each = [with_batch(g, x, is_batched, size) for x, is_batched in zip(operands, batched, strict=True)]
        n, count = each[4].shape[1:]
        each[1:3] = [offset_indices(g, x, n) for x in each[1:3]]
        joined = [g.reshape(x, (x.type.size,)) for x in each[:4]]
        found = g.apply(self, [*joined, g.reshape(each[4], (size * n, count))])[0]
        return (g.reshape(found, (size, n, count)),)

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


def _outside(op: SparseTriangularSolve, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each element: its row or its column is none of the matrix."""
    _, rows, columns, diagonal, _ = operands
    low = xp.logical_or(rows < 0, columns < 0)
    return xp.logical_or(low, xp.logical_or(rows >= diagonal.shape[0], columns >= diagonal.shape[0]))


def _zero_on_diagonal(op: SparseTriangularSolve, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each element of the diagonal, if there is something to solve for."""
    return xp.logical_and(operands[3] == 0, operands[4].shape[1] > 0)
