"""Singular values and vectors, in descending order, batched over leading axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Cost, Op, Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.contraction.contract import matrix_product
from gradserve.ops.family import expand, require, require_arity, require_floats, with_batch
from gradserve.ops.linalg.stacked import part
from gradserve.ops.linalg.triangles import flipped, mirror, mirrored
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.spectral.eigen import decomposition_cost
from gradserve.ops.spectral.rotation import Rotation
from gradserve.ops.spectral.spectra import SpectrumTangent


@dataclass(frozen=True)
class OfSingular(Op):
    """The singular values `start` to `stop` of a matrix of any shape, in descending order."""

    start: int
    stop: int

    values: ClassVar[int] = 0
    """Which result holds the singular values."""
    constraints = {
        "C0": "one operand",
        "C1": "it is a matrix or a batch of them",
        "C2": "elements are real numbers",
        "C3": "start and stop are positions among the singular values",
    }

    def require_range(self, types: Sequence[TensorType]) -> tuple[TensorType, int]:
        """The only operand's type, and how many singular values are chosen.

        Raises:
            ConstraintError: it is no matrix, or has fewer singular values.
        """
        require_arity(self, types, 1)
        (a,) = types
        require(a.rank >= 2, "C1", f"{a} is no matrix")
        require_floats(self, a, "C2")
        fits = 0 <= self.start <= self.stop <= min(a.lengths[-2:])
        require(fits, "C3", f"{self.start}:{self.stop} of {a}")
        return a, self.stop - self.start

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """One more leading axis."""
        return g.apply(self, [with_batch(g, operands[0], batched[0], size)])


@register
@dataclass(frozen=True)
class Svd(OfSingular):
    """U, s and V^T with A = U diag(s) V^T, U and V with orthonormal columns.

    Their derivatives are refused in clusters of singular values, and at singular values of zero.
    """

    name = "svd"
    values = 1

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        a, count = self.require_range(types)
        *stack, m, n = a.shape
        return (a.with_shape((*stack, m, count)), a.with_shape((*stack, count)), a.with_shape((*stack, count, n)))

    def impl(self, xp: Any, *arrays: Array) -> Any:
        u, s, vh = routine(xp, "svd")(arrays[0], full_matrices=False)
        chosen = slice(self.start, self.stop)
        return u[..., chosen], s[..., chosen], vh[..., chosen, :]

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """Those of the values are diag(E), E = U^T dA V.

        With P = F o (E + E^T) / 2 and N_ij = (E_ij - E_ji) / 2 (s_i + s_j), dU = U (P + N) + (I - U U^T) dA V / s and
        dV = V (P - N) + (I - V V^T) dA^T U / s.
        """
        (a,), (da,) = primals, tangents
        if da is None:
            return (None, None, None)
        u, s, vh = g.apply(type(self)(0, min(a.shape[-2:])), [a])
        v = flipped(g, vh)
        (ds,) = g.apply(SpectrumTangent("svd", self.start, self.stop, free=False), [s, u, v, da])
        u1, s1, v1 = (part(g, x, self.start, self.stop) for x in (u, s, v))
        forth, back = matrix_product(g, da, v1), matrix_product(g, da, u1, flip_x=True)
        e1, e2 = matrix_product(g, u, forth, flip_x=True), matrix_product(g, v, back, flip_x=True)
        (together,) = g.apply(Rotation("svd", self.start, self.stop, back=False), [s, (e1 + e2) * 0.5])
        row = g.reshape(s1, (*s1.shape[:-1], 1, s1.shape[-1]))
        sums = g.emit("add", g.reshape(s, (*s.shape, 1)), row)
        against = (e1 - e2) * 0.5 / sums
        du, dv = matrix_product(g, u, together + against), matrix_product(g, v, together - against)
        if a.shape[-2] > a.shape[-1]:
            du = du + g.emit("div", forth - matrix_product(g, u, e1), row)
        if a.shape[-2] < a.shape[-1]:
            dv = dv + g.emit("div", back - matrix_product(g, v, e2), row)
        return (du, ds, flipped(g, dv))

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        return decomposition_cost(14.0, operands, results)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Square, tall and wide, some values, a batch, one element, nothing."""
        a = np.array([[2.0, -1.0, 0.5], [0.3, 1.5, 0.2], [-0.4, 0.6, -0.9], [1.0, 0.2, 0.1]])
        yield Sample(cls(0, 3), (a[:3],))
        yield Sample(cls(0, 3), (a,))
        yield Sample(cls(0, 2), (a.T[1:].copy(),))
        yield Sample(cls(0, 1), (a,))
        yield Sample(cls(0, 2), (np.stack([a[:3, :2], -2.0 * a[1:, 1:]]),))
        yield Sample(cls(0, 1), (np.array([[-0.75]]),))
        yield Sample(cls(0, 0), (np.zeros((2, 0, 3)),))


@register
@dataclass(frozen=True)
class HermitianSvd(Svd):
    """U, s and V^T of a symmetric matrix from its eigenvectors, which gives them other signs.

    As NumPy's svd with hermitian=True. Of A, the lower triangle alone is read.
    """

    name = "hermitian_svd"
    constraints = {**Svd.constraints, "C4": "the matrix is square"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        results = super().infer(*types)
        require(types[0].shape[-2] == types[0].shape[-1], "C4", f"{types[0]} is not square")
        return results

    def impl(self, xp: Any, *arrays: Array) -> Any:
        w, q = routine(xp, "eigh")(mirror(xp, arrays[0]))
        order = xp.flip(xp.argsort(xp.abs(w), axis=-1), axis=-1)
        w = xp.take_along_axis(w, order, axis=-1)[..., self.start : self.stop]
        u = xp.take_along_axis(q, order[..., None, :], axis=-1)[..., self.start : self.stop]
        return u, xp.abs(w), xp.matrix_transpose(u * xp.sign(w)[..., None, :])

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """Along the direction's lower triangle, mirrored."""
        (a,), (da,) = primals, tangents
        return super().jvp(g, outputs, [a], [None if da is None else mirrored(g, da)])

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        return decomposition_cost(9.0, operands, results)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Those of square matrices, with eigenvalues of both signs."""
        for sample in Svd.samples():
            op, (a,) = sample.op, sample.operands
            assert isinstance(op, Svd)
            if a.shape[-2] == a.shape[-1]:
                yield Sample(cls(op.start, op.stop), (a,))
        yield Sample(cls(0, 0), (np.zeros((2, 0, 0)),))


@register
@dataclass(frozen=True)
class Svdvals(OfSingular):
    """Singular values alone; `free` if what becomes of them is known not to tell those of a cluster apart."""

    free: bool

    name = "svdvals"

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        a, count = self.require_range(types)
        return (a.with_shape((*a.shape[:-2], count)),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return routine(xp, "svdvals")(arrays[0])[..., self.start : self.stop]

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """ds = diag(U^T dA V)."""
        (a,), (da,) = primals, tangents
        if da is None:
            return (None,)
        u, s, vh = g.apply(Svd(0, min(a.shape[-2:])), [a])
        tangent = SpectrumTangent("svd", self.start, self.stop, self.free)
        return g.apply(tangent, [s, u, flipped(g, vh), da])

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where a singular value is 0 to rounding. The derivative is 0, as that of |x| at 0."""
        (a,), (s,) = operands, outputs
        if not a.type.size:
            return None
        rounding = min(a.shape[-2:]) * float(np.finfo(a.type.element_type.dtype).eps)
        size = g.sqrt(g.reduce_sum(g.mul(a, a), axes=(a.type.rank - 2, a.type.rank - 1)))
        return g.le(s, expand(g, g.mul(size, rounding), (s.type.rank - 1,), s.type.shape))

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        return decomposition_cost(8 / 3, operands, results)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Those of Svd, free or not."""
        for k, sample in enumerate(Svd.samples()):
            op = sample.op
            assert isinstance(op, Svd)
            yield Sample(cls(op.start, op.stop, bool(k % 2)), sample.operands)
