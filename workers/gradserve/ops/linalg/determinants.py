"""Determinants and their derivatives, batched over leading axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Cost, Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.family import moved_bytes, only, total, work
from gradserve.ops.linalg.matrices import OfMatrix, invertible
from gradserve.ops.linalg.minors import cofactor_change, cofactors
from gradserve.ops.linalg.stacked import AtSquare, stacked_product
from gradserve.ops.linalg.triangles import flipped, on_diagonal
from gradserve.ops.registry import register


def singular() -> Iterator[Array]:
    """Matrices of one rank less than full, of two ranks less, and nearly singular."""
    yield np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    yield np.array([[1.0, -2.0, 0.5], [2.0, -4.0, 1.0], [-1.0, 2.0, -0.5]])
    yield np.array([[[1.0, 2.0], [0.5, 1.0]], [[0.0, 0.0], [0.0, 0.0]], [[1.0, 0.5], [-0.5, 1.0]]])


def _pairing(g: Builder, x: Value, y: Value) -> Value:
    """The sum of x y over the last two axes."""
    rank = max(x.type.rank, y.type.rank)
    return g.emit("reduce_sum", g.emit("mul", x, y), axes=(rank - 2, rank - 1))


@register
@dataclass(frozen=True)
class Det(OfMatrix):
    """The determinant."""

    name = "det"
    takes_complex = True
    analytic = True
    flops = 2 / 3

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x = self.require_square(types)
        return (x.with_shape(x.shape[:-2]),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return xp.linalg.det(arrays[0])

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """d det X = <C, dX>, C the matrix of cofactors: right at singular matrices as well."""
        (dx,) = tangents
        return (None if dx is None else _pairing(g, g.apply(Cofactors(), primals)[0], dx),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Matrices with an inverse and without."""
        return (Sample(cls(), (x,)) for make in (invertible, singular) for x in make())


@register
@dataclass(frozen=True)
class Cofactors(OfMatrix):
    """The matrix of cofactors, the gradient of the determinant: det X X^-T where X has an inverse."""

    name = "cofactors"
    takes_complex = True
    internal = True
    flops = 8 / 3

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return cofactors(xp, arrays[0])

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """An op of its own."""
        ((x,), (dx,)) = primals, tangents
        return (None,) if dx is None else g.apply(CofactorChange(), [x, dx])

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Matrices with an inverse, and without: there their second derivative is refused."""
        for make in (invertible, singular):
            yield from (Sample(cls(), (x,), differentiable=make is invertible) for x in make())


@register
@dataclass(frozen=True)
class CofactorChange(AtSquare):
    """How the cofactors of X move along E: the second derivative of the determinant, applied to E."""

    name = "cofactor_change"
    takes_complex = True
    internal = True

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return cofactor_change(xp, *arrays)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """Linear in E; in X by the inverse.

        With P = X^-1, the cofactors C = det X P^T, N = P E and M = P dX, it is
        C (tr M tr N - tr(M N)) + det X (M N P + N M P - tr N M P - tr M N P)^T.
        """
        (x, e), (dx, de) = primals, tangents
        terms: list[Value | None] = [] if de is None else list(g.apply(self, [x, de]))
        if dx is not None:
            p = g.emit("inv", x)
            n, m = stacked_product(g, p, e), stacked_product(g, p, dx)
            mn, nm = stacked_product(g, m, n), stacked_product(g, n, m)
            trace_m, trace_n, trace_mn = (self._trace(g, y) for y in (m, n, mn))
            number = trace_m * trace_n - trace_mn
            inside = g.emit("sub", mn + nm, g.emit("mul", trace_n, m)) - g.emit("mul", trace_m, n)
            inside = inside + g.emit("mul", number, on_diagonal(g, x.shape[-1], x.type.element_type))
            det = g.emit("det", x)
            scale = g.reshape(det, (*det.shape, 1, 1))
            terms.append(flipped(g, g.emit("mul", scale, stacked_product(g, inside, p))))
        return (total(g, terms),)

    @staticmethod
    def _trace(g: Builder, y: Value) -> Value:
        found = _pairing(g, y, on_diagonal(g, y.shape[-1], y.type.element_type))
        return g.reshape(found, (*found.shape, 1, 1))

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """Itself: a second derivative is symmetric."""
        x = operands[0]
        assert isinstance(x, Value)
        return (None, g.apply(self, [x, only(cotangents)])[0])

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """An inverse, and two products of matrices."""
        x, e = operands
        return Cost(work(x.lengths[-1] * (8 / 3 * x.size + 4.0 * e.size), x), moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Matrices with an inverse; two directions of one matrix."""
        for x in invertible():
            yield Sample(cls(), (x, np.cos(x)))
        x = next(invertible())
        yield Sample(cls(), (x, np.stack([np.sin(x), x.T])))


@register
@dataclass(frozen=True)
class Slogdet(OfMatrix):
    """The sign of the determinant, of a complex one its direction, and the logarithm of its absolute value."""

    name = "slogdet"
    takes_complex = True
    flops = 2 / 3

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x = self.require_square(types)
        number = x.with_shape(x.shape[:-2])
        return (number, number.part)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        sign, logarithm = xp.linalg.slogdet(arrays[0])
        return sign, logarithm

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """d log |det X| = <X^-T, dX>, and the sign stays. Refused where X is singular: there it is infinite.

        Of a complex matrix the real part is that of the logarithm, and the imaginary part turns the sign.
        """
        (dx,) = tangents
        if dx is None:
            return (None, None)
        moved = _pairing(g, flipped(g, g.emit("inv", primals[0])), dx)
        if not moved.type.is_complex:
            return (None, moved)
        return (g.mul(outputs[0], g.complex(0.0, g.imag(moved))), g.real(moved))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Matrices that can be inverted, of either sign."""
        return (Sample(cls(), (x,)) for x in invertible())
