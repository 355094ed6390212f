"""Linear systems A X = B, batched over leading axes: each is linear in B, and its transpose is a solve with A^T."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.errors import NumericalFailure
from gradserve.ir.guards import Guard
from gradserve.ir.op import Absorbed, Cost, Op, Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.absorption import absorbed_over
from gradserve.ops.contraction.contract import matrix_product
from gradserve.ops.family import moved_bytes, only, require, require_arity, require_floats, with_batch, work
from gradserve.ops.linalg.matrices import REGULAR
from gradserve.ops.linalg.triangles import flipped, lower, upper
from gradserve.ops.movement.shapes import permuted
from gradserve.ops.registry import register


class System(Op):
    """The X with M(A) X = B, where M(A) is a matrix made from A by choosing elements of it."""

    takes_complex = True
    arity = 2
    linear_in = (1,)
    constraints = {
        "C0": "two operands",
        "C1": "the first is a square matrix or a batch of them",
        "C2": "the second has as many rows as the first",
        "C3": "leading axes are equal",
        "C4": "element types are equal, real or complex",
    }

    @abstractmethod
    def product(self, g: Builder, a: Value, x: Value) -> Value:
        """M(A) X, linear in A."""

    @abstractmethod
    def adjoint(self, g: Builder, a: Value, b: Value) -> Value:
        """The X with M(A)^T X = B."""

    def coerce(self, g: Builder, operands: Sequence[Operand]) -> tuple[Value, ...]:
        """The operands promoted to one element type."""
        return g.promote(operands)

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 2)
        a, b = types
        require(a.rank >= 2 and a.shape[-1] == a.shape[-2], "C1", f"{a} is no square matrix")
        require(b.rank >= 2 and b.shape[-2] == a.shape[-1], "C2", f"{a} and {b} differ in rows")
        require(a.shape[:-2] == b.shape[:-2], "C3", f"leading axes differ: {a} and {b}")
        require(a.element_type is b.element_type, "C4", f"element types differ: {a}, {b}")
        require_floats(self, a, "C4")
        return (b,)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """dX = M(A)^-1 (dB - M(dA) X)."""
        (a, _), (da, db), (x,) = primals, tangents, outputs
        change = db
        if da is not None:
            moved = self.product(g, da, x)
            change = -moved if db is None else db - moved
        return (None,) if change is None else g.apply(self, [a, change])

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """A solve with the transposed matrix."""
        a = operands[0]
        assert isinstance(a, Value)
        return (None, self.adjoint(g, a, only(cotangents)))

    def absorbing(self, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> Absorbed:
        """0 for a right-hand side of zeros."""
        assert reach[1] is not None
        return absorbed_over(g, g.apply(self, operands)[0], [(operands[1], reach[1])], 2, (-2,))

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """One more leading axis; a batch of right-hand sides alone becomes columns, so that A is factorised once."""
        a, b = operands
        if batched[0]:
            return g.apply(self, [a, with_batch(g, b, batched[1], size)])
        rank = b.type.rank  # (size, ..., n, k) -> (..., n, size, k)
        columns = permuted(g, b, (*range(1, rank - 1), 0, rank - 1))
        merged = g.reshape(columns, (*columns.shape[:-2], size * b.shape[-1]))
        apart = g.reshape(g.apply(self, [a, merged])[0], columns.shape)
        return (permuted(g, apart, (rank - 2, *range(rank - 2), rank - 1)),)


@register
@dataclass(frozen=True)
class Solve(System):
    """The X with A X = B: A is (..., n, n), B is (..., n, k). Refused where A is singular."""

    name = "solve"
    analytic = True

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return xp.linalg.solve(*arrays)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """A singular matrix."""
        return (REGULAR,)

    def product(self, g: Builder, a: Value, x: Value) -> Value:
        return matrix_product(g, a, x)

    def adjoint(self, g: Builder, a: Value, b: Value) -> Value:
        return g.emit("solve", flipped(g, a), b)

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """2/3 n^3 for the factors, 2 n^2 for each column."""
        a, b = operands
        n = a.lengths[-1]
        return Cost(work(2 / 3 * n * a.size + 2.0 * n * b.size, a), moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Two columns, a batch, one element, no columns, nothing."""
        a = np.array([[2.0, -1.0, 0.5], [0.3, 1.5, 0.2], [-0.4, 0.6, -1.8]])
        b = np.array([[1.0, 2.0], [-0.5, 0.3], [0.7, -1.1]])
        yield Sample(cls(), (a, b))
        yield Sample(cls(), (np.stack([a, a.T + np.eye(3)]), np.stack([b, 2 * b])))
        yield Sample(cls(), (np.array([[-0.7]]), np.array([[1.4]])))
        yield Sample(cls(), (a, b[:, :0]))
        yield Sample(cls(), (np.zeros((0, 0)), np.zeros((0, 2))))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """A matrix of rank one."""
        yield "R1", Sample(cls(), (np.ones((2, 2)), np.array([[1.0], [2.0]])))


@register
@dataclass(frozen=True)
class TriangularSolve(System):
    """The X with T X = B, or T^T X = B if `transposed`: T is the lower triangle of A if `lower`, else the upper one.

    Elements of A outside the triangle are not read. It is refused where the diagonal has a zero.
    """

    lower: bool
    transposed: bool

    name = "triangular_solve"
    analytic = True

    def impl(self, xp: Any, *arrays: Array) -> Any:
        a, b = arrays
        triangle = xp.tril(a) if self.lower else xp.triu(a)
        return xp.linalg.solve(xp.matrix_transpose(triangle) if self.transposed else triangle, b)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """A zero on the diagonal."""
        text = "Singular matrix: element {where} of the diagonal is zero"
        return (Guard("R1", text, NumericalFailure, _zero_on_diagonal),)

    def product(self, g: Builder, a: Value, x: Value) -> Value:
        triangle = lower(g, a) if self.lower else upper(g, a)
        return matrix_product(g, flipped(g, triangle) if self.transposed else triangle, x)

    def adjoint(self, g: Builder, a: Value, b: Value) -> Value:
        return g.apply(replace(self, transposed=not self.transposed), [a, b])[0]

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """n^2 for each column."""
        a, b = operands
        return Cost(work(1.0 * a.lengths[-1] * b.size, a), moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Both triangles, both ways, other elements set; a batch, no columns, nothing."""
        a = np.array([[2.0, -1.0, 0.5], [0.3, 1.5, 0.2], [-0.4, 0.6, -1.8]])
        b = np.array([[1.0, 2.0], [-0.5, 0.3], [0.7, -1.1]])
        for low in (True, False):
            for transposed in (True, False):
                yield Sample(cls(low, transposed), (a, b))
        yield Sample(cls(True, False), (np.stack([a, a.T + np.eye(3)]), np.stack([b, 2 * b])))
        yield Sample(cls(False, False), (a, b[:, :0]))
        yield Sample(cls(True, True), (np.zeros((2, 0, 0)), np.zeros((2, 0, 1))))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """A zero on the diagonal."""
        yield "R1", Sample(cls(True, False), (np.array([[1.0, 2.0], [3.0, 0.0]]), np.ones((2, 1))))


def _zero_on_diagonal(op: TriangularSolve, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each element of the diagonal, if there is something to solve for."""
    a, b = operands
    return xp.logical_and(xp.linalg.diagonal(a) == 0, b.shape[-1] > 0)
