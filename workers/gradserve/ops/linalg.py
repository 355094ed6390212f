"""Linear algebra on square matrices, batched over leading axes.

Each differential is written with solves and inverses, never by elements. A matrix that cannot be inverted raises
`LinAlgError`, in the value as in the derivative: the derivative of det at a singular matrix is refused, not zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Cost, Op, Sample
from gradserve.ir.types import Array, ElementType, TensorType
from gradserve.ops.contraction import matrix_product
from gradserve.ops.family import moved_bytes, require, require_arity, with_batch
from gradserve.ops.registry import register
from gradserve.ops.triangles import flipped, halved_lower


class OfMatrix(Op):
    """A function of one square matrix, or of each of a batch of them."""

    flops: ClassVar[float]
    """FLOPs in multiples of n^3."""
    constraints = {"C0": "one operand", "C1": "the last two lengths are equal", "C2": "elements are real numbers"}

    def require_square(self, types: Sequence[TensorType]) -> TensorType:
        """The only operand's type.

        Raises:
            ConstraintError: it is not a square matrix of real numbers, or a batch of them.
        """
        require_arity(self, types, 1)
        (x,) = types
        require(x.rank >= 2 and x.shape[-1] == x.shape[-2], "C1", f"{x} is no square matrix")
        require(x.is_float, "C2", f"elements must be real, not {x.element_type.value}; convert them")
        return x

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (self.require_square(types),)

    def kernel(self, xp: Any, types: Sequence[TensorType]) -> Callable[..., Any]:
        impl = self.impl
        return lambda x: impl(xp, x)

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """One more leading axis."""
        return g.apply(self, [with_batch(g, operands[0], batched[0], size)])

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        n = operands[0].lengths[-1]
        return Cost(self.flops * n * operands[0].size, moved_bytes(operands, results))


def _matrices() -> Iterator[Array]:
    """A matrix, a batch, a single element, and nothing."""
    yield np.array([[2.0, -1.0, 0.5], [0.3, 1.5, 0.2], [-0.4, 0.6, -1.8]])
    yield np.array([[[1.0, 2.0], [3.0, -1.0]], [[0.5, 0.1], [-0.2, 2.0]]])
    yield np.array([[-0.7]])
    yield np.zeros((2, 0, 0))


@register
@dataclass(frozen=True)
class Inv(OfMatrix):
    """The inverse X^-1."""

    name = "inv"
    flops = 2.0

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return xp.linalg.inv(arrays[0])

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """d(X^-1) = -X^-1 dX X^-1."""
        (y,), (dx,) = outputs, tangents
        return (None if dx is None else -matrix_product(g, matrix_product(g, y, dx), y),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Matrices that can be inverted."""
        return (Sample(cls(), (x,)) for x in _matrices())


@register
@dataclass(frozen=True)
class Det(OfMatrix):
    """The determinant."""

    name = "det"
    flops = 2 / 3

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x = self.require_square(types)
        return (x.with_shape(x.shape[:-2]),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return xp.linalg.det(arrays[0])

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """d det X = det X <X^-T, dX>; raises LinAlgError where X is singular."""
        (dx,) = tangents
        return (None if dx is None else outputs[0] * _relative_change(g, primals[0], dx),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Matrices that can be inverted."""
        return (Sample(cls(), (x,)) for x in _matrices())


@register
@dataclass(frozen=True)
class Slogdet(OfMatrix):
    """The sign of the determinant, and the logarithm of its absolute value."""

    name = "slogdet"
    flops = 2 / 3

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x = self.require_square(types)
        number = x.with_shape(x.shape[:-2])
        return (number, number)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        sign, logarithm = xp.linalg.slogdet(arrays[0])
        return sign, logarithm

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """d log |det X| = <X^-T, dX>; the sign stays. Raises LinAlgError where X is singular."""
        (dx,) = tangents
        return (None, None if dx is None else _relative_change(g, primals[0], dx))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Matrices that can be inverted, of either sign."""
        return (Sample(cls(), (x,)) for x in _matrices())


def _relative_change(g: Builder, x: Value, dx: Value) -> Value:
    """<X^-T, dX>: the change of det X relative to det X."""
    rank = x.type.rank
    return g.emit("reduce_sum", flipped(g, g.emit("inv", x)) * dx, axes=(rank - 2, rank - 1))


@register
@dataclass(frozen=True)
class Cholesky(OfMatrix):
    """The lower triangular L with L L^T = (A + A^T) / 2 and a positive diagonal.

    NumPy reads the lower triangle alone; here, as in JAX, the symmetric part is factorised. For a symmetric A that is
    the same, and it makes the derivative a symmetric matrix that agrees with finite differences in every direction.
    Raises LinAlgError where A is not positive definite.
    """

    name = "cholesky"
    flops = 1 / 3

    def impl(self, xp: Any, *arrays: Array) -> Any:
        (a,) = arrays
        return xp.linalg.cholesky((a + xp.matrix_transpose(a)) / 2)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """dL = L phi(L^-1 dA L^-T), phi the lower triangle with half the diagonal, dA symmetrised."""
        (factor,), (da,) = outputs, tangents
        if da is None:
            return (None,)
        symmetric = (da + flipped(g, da)) * 0.5
        half = g.emit("triangular_solve", factor, symmetric, lower=True, transposed=False)
        both = g.emit("triangular_solve", factor, flipped(g, half), lower=True, transposed=False)
        return (matrix_product(g, factor, halved_lower(g, both)),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """A matrix, a batch, a single element, single precision, and nothing."""
        a = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, -0.2], [0.5, -0.2, 2.0]])
        yield Sample(cls(), (a,))
        yield Sample(cls(), (np.stack([a, 2 * a + np.eye(3)]),))
        yield Sample(cls(), (np.array([[2.25]]),))
        yield Sample(cls(), (a.astype(ElementType.FLOAT32.dtype),))
        yield Sample(cls(), (np.zeros((0, 0)),))
