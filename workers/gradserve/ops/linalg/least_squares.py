"""Pseudoinverses and least squares, batched over leading axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.guards import Guard
from gradserve.ir.op import Cost, Op, Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.contraction.contract import matrix_product
from gradserve.ops.family import moved_bytes, only, require, require_arity, require_floats, total, with_batch
from gradserve.ops.linalg.ranks import FULL, SAME
from gradserve.ops.linalg.stacked import Beside, stacked_product
from gradserve.ops.linalg.triangles import flipped
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.spectral.eigen import decomposition_cost


@register
@dataclass(frozen=True)
class Pinv(Op):
    """The pseudoinverse, singular values of at most `rcond` times the largest taken for zero.

    Its derivative is that along matrices of the same rank, the only ones along which it is continuous (Golub, Pereyra
    1973). Directions that change the rank are refused, and with `full` every matrix whose rank is not full.
    """

    rcond: float
    full: bool

    name = "pinv"
    constraints = {
        "C0": "one operand",
        "C1": "it is a matrix or a batch of them",
        "C2": "elements are real numbers",
    }

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 1)
        (a,) = types
        require(a.rank >= 2, "C1", f"{a} is no matrix")
        require_floats(self, a, "C2")
        return (a.with_shape((*a.shape[:-2], a.shape[-1], a.shape[-2])),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return self.inverse(xp, *routine(xp, "svd")(arrays[0], full_matrices=False))

    def kept(self, xp: Any, s: Array) -> Any:
        """Which singular values are not taken for zero: NaN is not, so that it goes through."""
        return xp.logical_not(s <= self.rcond * s[..., : min(1, s.shape[-1])])

    def inverse(self, xp: Any, u: Array, s: Array, vh: Array) -> Any:
        """The pseudoinverse of U diag(s) V^T."""
        kept = self.kept(xp, s)
        inverse = xp.where(kept, 1.0 / xp.where(kept, s, xp.ones_like(s)), xp.zeros_like(s))
        scaled = xp.matrix_transpose(vh) * xp.expand_dims(inverse, axis=-2)
        return xp.matmul(scaled, xp.matrix_transpose(u))

    @property
    def guards(self) -> tuple[Guard, ...]:
        """A rank that is not full."""
        return (FULL,) if self.full else ()

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """dP = -P dA P + P P^T dA^T (I - A P) + (I - P A) dA^T P^T P."""
        (p,), (a,), (da,) = outputs, primals, tangents
        if da is None:
            return (None,)
        if not self.full:
            (da,) = g.apply(SameRank(), [a, p, da])
        turned = flipped(g, da)
        change = matrix_product(g, matrix_product(g, p, da), p)
        left = matrix_product(g, matrix_product(g, p, p, flip_y=True), turned)
        right = matrix_product(g, turned, matrix_product(g, p, p, flip_x=True))
        if not self.full or a.shape[-2] > a.shape[-1]:
            change = change - (left - matrix_product(g, left, matrix_product(g, a, p)))
        if not self.full or a.shape[-2] < a.shape[-1]:
            change = change - (right - matrix_product(g, p, matrix_product(g, a, right)))
        return (-change,)

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """One more leading axis."""
        return g.apply(self, [with_batch(g, operands[0], batched[0], size)])

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """Singular values and vectors, and a product of matrices."""
        return decomposition_cost(16.0, operands, results)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Tall, wide and square, a batch, nothing."""
        a = np.array([[2.0, -1.0, 0.5], [0.3, 1.5, 0.2], [-0.4, 0.6, -0.9], [1.0, 0.2, 0.1]])
        yield Sample(cls(1e-15, False), (a,))
        yield Sample(cls(1e-15, True), (a,))
        yield Sample(cls(1e-15, True), (a.T.copy(),))
        yield Sample(cls(1e-15, True), (np.stack([a[:2, :2], a[2:, 1:]]),))
        yield Sample(cls(1e-15, False), (np.zeros((3, 0)),))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """A matrix of rank one."""
        yield "R1", Sample(cls(1e-15, True), (np.outer([1.0, 2.0, 3.0], [1.0, -1.0]),))


@register
@dataclass(frozen=True)
class SameRank(Beside):
    """A direction E at a matrix A with pseudoinverse P, as it is, if the rank of A does not change along it.

    Else, that is if (I - A P) E (I - P A) is not zero, it is refused. As cotangents they pass: for those
    there is nothing to check.
    """

    name = "same_rank"
    internal = True
    arity = 3
    linear_in = (2,)
    factor_ranks = (2, 2)
    beside_rank = 2
    constraints = {
        "C0": "three operands: matrix, pseudoinverse, direction",
        "C1": "the pseudoinverse has the lengths of the matrix in the other order, the direction in the same",
        **Beside.stack_constraints,
    }

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 3)
        self.leading(types)
        a, p, direction = types
        fits = a.shape[-2:] == p.shape[-2:][::-1] == direction.shape[-2:]
        require(fits, "C1", f"{a}, {p} and {direction} do not go together")
        return (direction,)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return arrays[2] + 0.0

    @property
    def guards(self) -> tuple[Guard, ...]:
        """A rank that changes."""
        return (SAME,)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The tangent of the direction, which need not keep the rank: second derivatives are those of the formula."""
        return (tangents[2],)

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The cotangent."""
        return (None, None, only(cotangents))

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """Four products of matrices."""
        return Cost(8.0 * min(operands[0].lengths[-2:]) * operands[2].size, moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """A direction at a matrix of full rank, two at one matrix, nothing."""
        a = np.array([[2.0, -1.0], [0.3, 1.5], [-0.4, 0.6]])
        p = np.linalg.pinv(a)
        yield Sample(cls(), (a, p, np.cos(a)))
        yield Sample(cls(), (a, p, np.stack([a, np.sin(a)])))
        yield Sample(cls(), (np.zeros((0, 2)), np.zeros((2, 0)), np.zeros((0, 2))))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """A direction in which a matrix of rank one gets rank two."""
        a = np.outer([1.0, 2.0, 3.0], [1.0, -1.0])
        yield "R1", Sample(cls(), (a, np.linalg.pinv(a), np.eye(3)[:, :2]))


@register
@dataclass(frozen=True)
class Lstsq(Beside):
    """The X of least norm among those for which the norm of A X - B is least.

    Singular values of A of at most `rcond` times the largest are taken for zero. Where the rank of A is not full, its
    derivative in A is refused.
    """

    rcond: float

    name = "lstsq"
    arity = 2
    linear_in = (1,)
    factor_ranks = (2,)
    beside_rank = 2
    constraints = {
        "C0": "two operands",
        "C1": "the second has as many rows as the first",
        **Beside.stack_constraints,
    }

    def coerce(self, g: Builder, operands: Sequence[Operand]) -> tuple[Value, ...]:
        return g.promote(operands)

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 2)
        self.leading(types)
        a, b = types
        require(a.shape[-2] == b.shape[-2], "C1", f"{a} and {b} differ in rows")
        return (b.with_shape((*b.shape[:-2], a.shape[-1], b.shape[-1])),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        a, b = arrays
        return xp.matmul(Pinv(self.rcond, full=False).impl(xp, a), b)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """dX = P (dB - dA X) + P P^T dA^T (B - A X) + (I - P A) dA^T P^T X, P the pseudoinverse.

        The second term is that of tall matrices, the third that of wide ones.
        """
        (x,), (a, b), (da, db) = outputs, primals, tangents
        terms: list[Value | None] = [] if db is None else list(g.apply(self, [a, db]))
        if da is not None:
            p = g.apply(Pinv(self.rcond, full=True), [a])[0]
            terms.append(-stacked_product(g, p, stacked_product(g, da, x)))
            if a.shape[-2] > a.shape[-1]:
                rest = stacked_product(g, da, b - stacked_product(g, a, x), flip_x=True)
                terms.append(stacked_product(g, p, stacked_product(g, p, rest, flip_x=True)))
            if a.shape[-2] < a.shape[-1]:
                moved = stacked_product(g, da, stacked_product(g, p, x, flip_x=True), flip_x=True)
                terms.append(moved - stacked_product(g, p, stacked_product(g, a, moved)))
        return (total(g, terms),)

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The solution for A^T."""
        a = operands[0]
        assert isinstance(a, Value)
        return (None, g.apply(self, [flipped(g, a), only(cotangents)])[0])

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """Singular values with the right-hand sides turned along."""
        a, b = operands
        own = decomposition_cost(8.0, [a], results)
        return Cost(own.flops + 4.0 * a.lengths[-1] * b.size, moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Tall and wide, several right-hand sides, a batch, nothing."""
        a = np.array([[2.0, -1.0], [0.3, 1.5], [-0.4, 0.6]])
        b = np.array([[1.0, 2.0], [-0.5, 0.3], [0.7, -1.1]])
        yield Sample(cls(1e-15), (a, b))
        yield Sample(cls(1e-15), (a.T.copy(), b[:2, :1]))
        yield Sample(cls(1e-15), (np.stack([a, np.cos(a)]), np.stack([b, 2.0 * b])))
        yield Sample(cls(1e-15), (a, np.stack([b, np.sin(b)])))
        yield Sample(cls(1e-15), (np.zeros((3, 0)), b))
