"""One LU factorisation for all that is asked of a matrix: determinant, inverse, solutions.

Nobody writes these ops: the optimiser puts them in the place of several factorisations of one matrix, after all
derivatives are taken. So they have none in the factors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.errors import NumericalFailure
from gradserve.ir.guards import Guard
from gradserve.ir.op import Absorbed, Cost, Op, Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, TensorType
from gradserve.ops.absorption import absorbed_over
from gradserve.ops.family import moved_bytes, only, require, require_arity, require_floats, with_batch, work
from gradserve.ops.linalg.matrices import OfMatrix, invertible
from gradserve.ops.registry import register


@register
@dataclass(frozen=True)
class Lu(OfMatrix):
    """L and U of a matrix with rows exchanged, packed in one matrix and held as its transpose; and the exchanges.

    Row k was exchanged with row `exchanges[k]`, for each k in turn. Transposed, as LAPACK's columns lie in memory.
    """

    name = "lu"
    takes_complex = True
    internal = True
    flops = 2 / 3
    refuses = (0,)

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x = self.require_square(types)
        return (x, TensorType(ElementType.INT32, x.shape[:-1]))

    def impl(self, xp: Any, *arrays: Array) -> Any:
        """Step by step, for any array namespace."""
        (a,) = arrays
        n = a.shape[-1]
        packed, exchanges = a, []
        for k in range(n):
            column = xp.where(xp.arange(n) < k, -1.0, xp.abs(packed[..., k]))
            pivot = xp.argmax(column, axis=-1)
            exchanges.append(pivot)
            at_k, at_pivot = xp.arange(n) == k, xp.arange(n) == pivot[..., None]
            row = xp.sum(xp.where(at_pivot[..., None], packed, 0.0), axis=-2, keepdims=True)
            other = packed[..., k : k + 1, :]
            packed = xp.where(at_pivot[..., None], other, packed)
            packed = xp.where(at_k[:, None], row, packed)
            below = (xp.arange(n) > k)[:, None]
            diagonal = packed[..., k : k + 1, k : k + 1]
            share = xp.where(below, packed[..., k : k + 1] / xp.where(diagonal == 0, 1.0, diagonal), 0.0)
            right = xp.where(xp.arange(n) > k, packed[..., k : k + 1, :], 0.0)
            packed = packed - share * right
            packed = xp.where(xp.logical_and(below, at_k), share, packed)
        found = xp.stack(exchanges, axis=-1) if n else xp.zeros(a.shape[:-1])
        return xp.matrix_transpose(packed), xp.astype(found, xp.int32)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Matrices that can be inverted."""
        return (Sample(cls(), (x,)) for x in invertible())


@dataclass(frozen=True)
class OfLu(Op):
    """Computed from the two results of Lu."""

    constraints: ClassVar[dict[str, str]] = {
        "C0": "the factors, the exchanges, and for a solution the right-hand sides",
        "C1": "the factors are square matrices of real or complex numbers, or a batch of them",
        "C2": "the exchanges are int32, a row of the factors each",
        "C3": "the right-hand sides are of the same elements, rows and leading axes",
    }
    refuses = (0,)
    takes_complex = True

    @property
    def guards(self) -> tuple[Guard, ...]:
        """A singular matrix, and exchanges with rows that are not there."""
        return (
            Guard("R1", "Singular matrix: pivot {where} is zero", NumericalFailure, _zero_pivot),
            Guard("R2", f"{OUTSIDE}: that at {{where}}", NumericalFailure, _no_row),
        )

    def require_factors(self, types: Sequence[TensorType]) -> TensorType:
        """The type of the factors.

        Raises:
            ConstraintError: C0, C1 or C2 is broken.
        """
        assert self.arity is not None
        require_arity(self, types, self.arity)
        packed, exchanges = types[:2]
        fits = packed.rank >= 2 and packed.shape[-1] == packed.shape[-2]
        require(fits, "C1", f"{packed} is no square matrix")
        require_floats(self, packed, "C1")
        fits = exchanges == TensorType(ElementType.INT32, packed.shape[:-1])
        require(fits, "C2", f"{exchanges} are no exchanges of rows of {packed}")
        return packed

    def coerce(self, g: Builder, operands: Sequence[Operand]) -> tuple[Value, ...]:
        return tuple(g.lift(operand) for operand in operands)

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """One more leading axis."""
        return g.apply(self, [with_batch(g, x, b, size) for x, b in zip(operands, batched, strict=True)])

    @staticmethod
    def parts(xp: Any, packed: Array) -> tuple[Any, Any]:
        """L, with ones on its diagonal, and U."""
        turned = xp.matrix_transpose(packed)
        return xp.tril(turned, k=-1) + xp.eye(packed.shape[-1], dtype=packed.dtype), xp.triu(turned)

    @staticmethod
    def exchanged(xp: Any, exchanges: Array, b: Array, backwards: bool) -> Any:
        """The rows of b exchanged."""
        n = b.shape[-2]
        for k in reversed(range(n)) if backwards else range(n):
            at_k = (xp.arange(n) == k)[:, None]
            at_other = (xp.arange(n) == exchanges[..., k, None])[..., None]
            row = xp.sum(xp.where(at_other, b, 0.0), axis=-2, keepdims=True)
            own = b[..., k : k + 1, :]
            b = xp.where(at_k, row, xp.where(at_other, own, b))
        return b

    @staticmethod
    def factors_of(x: Array) -> tuple[Array, Array]:
        """The operands that belong to a matrix, for samples."""
        packed, exchanges = Lu().impl(np, x)
        return packed, exchanges

    @classmethod
    def with_wrong_rows(cls) -> Iterator[tuple[Array, Array]]:
        """Factors with exchanges behind the last row, before the first, and far away."""
        packed, exchanges = cls.factors_of(np.eye(2))
        for row in (2, -1, 2**31 - 1):
            yield packed, exchanges * 0 + np.asarray(row, exchanges.dtype)


OUTSIDE = "a row is exchanged with one that the matrix does not have"


def _zero_pivot(op: OfLu, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each pivot."""
    return xp.linalg.diagonal(operands[0]) == 0


def _no_row(op: OfLu, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each exchange."""
    packed, exchanges = operands[:2]
    return xp.logical_or(exchanges < 0, exchanges >= packed.shape[-1])


@register
@dataclass(frozen=True)
class LuSolve(OfLu):
    """The X with A X = B, or A^T X = B if `transposed`, given the results of Lu. Refused where A is singular."""

    transposed: bool

    name = "lu_solve"
    internal = True
    arity = 3
    linear_in = (2,)

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        packed = self.require_factors(types)
        b = types[2]
        fits = b.rank == packed.rank and b.shape[:-1] == packed.shape[:-1] and b.element_type is packed.element_type
        require(fits, "C3", f"{b} are no right-hand sides for {packed}")
        return (b,)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        packed, exchanges, b = arrays
        lower, upper = self.parts(xp, packed)
        if not self.transposed:
            return xp.linalg.solve(upper, xp.linalg.solve(lower, self.exchanged(xp, exchanges, b, backwards=False)))
        found = xp.linalg.solve(xp.matrix_transpose(upper), b)
        return self.exchanged(xp, exchanges, xp.linalg.solve(xp.matrix_transpose(lower), found), backwards=True)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """Linear in the right-hand sides; in the factors there is no derivative."""
        if tangents[0] is not None or tangents[2] is None:
            return super().jvp(g, outputs, primals, tangents)
        return g.apply(self, [*primals[:2], tangents[2]])

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """A solution with the transposed matrix."""
        known = [x for x in operands[:2] if isinstance(x, Value)]
        turned = replace(self, transposed=not self.transposed)
        return (None, None, g.apply(turned, [*known, only(cotangents)])[0])

    def absorbing(self, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> Absorbed:
        """0 for a right-hand side of zeros."""
        assert reach[2] is not None
        return absorbed_over(g, g.apply(self, operands)[0], [(operands[2], reach[2])], 2, (-2,))

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """2 n^2 for each column."""
        x, flops = operands[0], 2.0 * operands[0].lengths[-1] * results[0].size
        return Cost(work(flops, x), moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Matrices that can be inverted, and their transposes."""
        for k, x in enumerate(invertible()):
            yield Sample(cls(bool(k % 2)), (*cls.factors_of(x), np.cos(x[..., : x.shape[-1] - 1])))
        x = next(invertible())
        yield Sample(cls(True), (*cls.factors_of(x), np.sin(x)))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """A matrix of rank one, and rows that are not there."""
        yield "R1", Sample(cls(False), (*cls.factors_of(np.ones((2, 2))), np.ones((2, 1))))
        for operands in cls.with_wrong_rows():
            yield "R2", Sample(cls(False), (*operands, np.ones((2, 1))))


@register
@dataclass(frozen=True)
class LuInverse(OfLu):
    """The inverse, given the results of Lu. Refused where the matrix is singular."""

    name = "lu_inverse"
    internal = True
    arity = 2

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (self.require_factors(types),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        packed, exchanges = arrays
        identity = xp.broadcast_to(xp.eye(packed.shape[-1], dtype=packed.dtype), packed.shape)
        return LuSolve(transposed=False).impl(xp, packed, exchanges, identity)

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """4/3 n^3."""
        x, flops = operands[0], 4 / 3 * operands[0].lengths[-1] * results[0].size
        return Cost(work(flops, x), moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Matrices that can be inverted."""
        return (Sample(cls(), cls.factors_of(x)) for x in invertible())

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """A matrix of rank one, and rows that are not there."""
        yield "R1", Sample(cls(), cls.factors_of(np.ones((2, 2))))
        for operands in cls.with_wrong_rows():
            yield "R2", Sample(cls(), operands)
