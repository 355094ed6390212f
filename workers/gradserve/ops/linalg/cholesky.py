"""Cholesky factors, and how they move, batched over leading axes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import NumericalFailure
from gradserve.ir.guards import Guard
from gradserve.ir.op import Cost, Op, Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, TensorType
from gradserve.ops.contraction.contract import matrix_product
from gradserve.ops.elementwise.parts import conjugate
from gradserve.ops.family import moved_bytes, only, total
from gradserve.ops.linalg import triangular_factors
from gradserve.ops.linalg.matrices import OfMatrix
from gradserve.ops.linalg.stacked import AtSquare, stacked_product
from gradserve.ops.linalg.triangles import flipped, lower, mirror, mirrored
from gradserve.ops.registry import register


def definite() -> Iterator[Array]:
    """A matrix, a batch, a single element, and nothing."""
    a = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, -0.2], [0.5, -0.2, 2.0]])
    yield a
    yield np.stack([a, 2 * a + np.eye(3)])
    yield np.array([[2.25]])
    yield np.zeros((0, 0))


@register
@dataclass(frozen=True)
class Cholesky(OfMatrix):
    """The lower triangular L with a positive diagonal and L L^H = A, of which the lower triangle alone is read.

    As in NumPy: so the cotangent of A is a lower triangular matrix. Refused where A is not positive definite.
    """

    name = "cholesky"
    takes_complex = True
    flops = 1 / 3

    def impl(self, xp: Any, *arrays: Array) -> Any:
        (a,) = arrays
        return xp.linalg.cholesky(mirror(xp, a))

    @property
    def guards(self) -> tuple[Guard, ...]:
        """A matrix that is not positive definite."""
        text = "Matrix {where} is not positive definite: add to its diagonal, or use eigh"
        return (Guard("R1", text, NumericalFailure, _indefinite),)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """An op of its own, unless numbers are complex."""
        (factor,), (da,) = outputs, tangents
        if da is None:
            return (None,)
        moved = mirrored(g, da)
        if moved.type.is_complex:
            return (_complex_tangent(g, factor, moved),)
        return g.apply(CholeskyTangent(), [factor, moved])

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Positive definite matrices, one in single precision."""
        yield from (Sample(cls(), (a,)) for a in definite())
        yield Sample(cls(), (next(definite()).astype(ElementType.FLOAT32.dtype),))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """An indefinite matrix, and one of a batch."""
        indefinite = np.array([[1.0, 2.0], [2.0, 1.0]])
        yield "R1", Sample(cls(), (indefinite,))
        yield "R1", Sample(cls(), (np.stack([np.eye(2), indefinite]),))


def _complex_tangent(g: Builder, factor: Value, direction: Value) -> Value:
    """dL = L phi(L^-1 dA L^-H), phi the lower triangle with half the diagonal."""

    def solved(right: Value) -> Value:
        return g.emit("triangular_solve", factor, right, lower=True, transposed=False)

    inside = solved(conjugate(g, flipped(g, solved(direction))))
    return matrix_product(g, factor, (lower(g, inside) + lower(g, inside, -1)) * 0.5)


def _indefinite(op: Cholesky, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each matrix: namespaces that do not refuse it by themselves leave a factor that is not finite."""
    (a,), (factor,) = operands, results
    lost = xp.any(xp.logical_not(xp.isfinite(factor)), axis=(-2, -1))
    return xp.logical_and(lost, xp.all(xp.isfinite(xp.tril(a)), axis=(-2, -1)))


class AtFactor(AtSquare):
    """At a lower triangular factor L, whose elements above the diagonal are not read; linear in a matrix beside it."""

    @abstractmethod
    def adjoint(self) -> Op:
        """The op that is the transpose."""

    @abstractmethod
    def change(self, g: Builder, y: Value, factor: Value) -> Value:
        """What the other operand would have to change by to make up for a change of the factor."""

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The equation that the op solves, differentiated, is one of the same kind."""
        (y,), (factor, _), (d_factor, d_beside) = outputs, primals, tangents
        moved = total(g, [d_beside, None if d_factor is None else self.change(g, y, lower(g, d_factor))])
        return (None,) if moved is None else g.apply(self, [factor, moved])

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The adjoint."""
        factor = operands[0]
        assert isinstance(factor, Value)
        return (None, g.apply(self.adjoint(), [factor, only(cotangents)])[0])

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        n = operands[0].lengths[-1]
        stack = results[0].size // max(1, n * n)
        return Cost(stack * triangular_factors.flops(n), moved_bytes(operands, results))

    @classmethod
    def factors(cls) -> Iterator[tuple[Array, Array]]:
        """Factors with matrices beside them: one, a batch, a single element, nothing; two beside one."""
        for a in definite():
            yield np.linalg.cholesky(a), np.cos(np.arange(float(a.size))).reshape(a.shape)
        factor = np.linalg.cholesky(next(definite()))
        yield factor, np.sin(np.arange(18.0)).reshape(2, 3, 3)


@register
@dataclass(frozen=True)
class CholeskyTangent(AtFactor):
    """The lower triangular Y with L Y^T + Y L^T = (E + E^T) / 2: how L moves when L L^T moves along E."""

    name = "cholesky_tangent"
    internal = True

    def impl(self, xp: Any, *arrays: Array) -> Any:
        factor, direction = arrays
        return triangular_factors.tangent(xp, factor, (direction + xp.matrix_transpose(direction)) / 2)

    def change(self, g: Builder, y: Value, factor: Value) -> Value:
        """The symmetric part of -2 Y dL^T."""
        return stacked_product(g, y, factor, flip_y=True) * -2.0

    def adjoint(self) -> Op:
        return CholeskyCotangent()

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """At several factors."""
        return (Sample(cls(), operands) for operands in cls.factors())


@register
@dataclass(frozen=True)
class CholeskyCotangent(AtFactor):
    """The symmetric S such that 2 S L has the lower triangle of X: the cotangent of L L^T for a cotangent X of L."""

    name = "cholesky_cotangent"
    internal = True

    def impl(self, xp: Any, *arrays: Array) -> Any:
        factor, weights = arrays
        return triangular_factors.cotangent(xp, factor, weights)

    def change(self, g: Builder, y: Value, factor: Value) -> Value:
        """-2 S dL."""
        return stacked_product(g, y, factor) * -2.0

    def adjoint(self) -> Op:
        return CholeskyTangent()

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """At several factors."""
        return (Sample(cls(), operands) for operands in cls.factors())
