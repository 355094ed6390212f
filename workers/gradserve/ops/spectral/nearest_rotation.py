"""The rotation nearest to a matrix, and how it turns: the orthogonal factor with its determinant corrected.

For A = U diag(s) V^T it is R = U diag(1, ..., 1, d) V^T with d = det U det V (Kabsch 1976, Umeyama 1991), and
A = R P with a symmetric P whose eigenvalues are s with the last one times d. R is unique, and smooth, as long as no two
of these add to 0, which the two smallest singular values decide: they may be repeated, and the last may be 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import NotDifferentiable
from gradserve.ir.guards import Guard
from gradserve.ir.op import Cost, Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.contraction.contract import matrix_product
from gradserve.ops.family import Discrete, moved_bytes, only, total
from gradserve.ops.linalg.matrices import OfMatrix
from gradserve.ops.linalg.stacked import AtSquare, stacked_product
from gradserve.ops.linalg.triangles import flipped
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.spectral.clusters import largest, place, tolerance


def _orientation(xp: Any, u: Array, vh: Array) -> Any:
    return xp.sign(xp.linalg.det(u) * xp.linalg.det(vh))


class _OfSquare(OfMatrix):
    """Of a square matrix with a determinant of either sign."""

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Of either sign; a batch, one element, nothing."""
        a = np.array([[2.0, -1.0, 0.5], [0.3, 1.5, 0.2], [-0.4, 0.6, -0.9]])
        for given in (a, -a, np.stack([a[:2, :2], a[1:, 1:]]), np.array([[-0.75]]), np.zeros((2, 0, 0))):
            yield Sample(cls(), (given,))


@register
@dataclass(frozen=True)
class Orientation(Discrete, _OfSquare):
    """det U det V of the singular vectors of a matrix, 1 or -1: the sign of its determinant where that is not 0."""

    name = "orientation"
    internal = True
    flops = 16.0

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        a = self.require_square(types)
        return (a.with_shape(a.shape[:-2]),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        u, _, vh = routine(xp, "svd")(arrays[0], full_matrices=False)
        return _orientation(xp, u, vh)


@register
@dataclass(frozen=True)
class NearestRotation(_OfSquare):
    """The rotation R with the greatest <R, A>; its derivative is refused where there are several."""

    name = "nearest_rotation"
    internal = True
    flops = 18.0

    def impl(self, xp: Any, *arrays: Array) -> Any:
        u, _, vh = routine(xp, "svd")(arrays[0], full_matrices=False)
        n = u.shape[-1]
        last = xp.astype(xp.arange(n) == n - 1, u.dtype)
        turned = 1.0 + xp.expand_dims(_orientation(xp, u, vh) - 1.0, axis=-1) * last
        return xp.matmul(u * xp.expand_dims(turned, axis=-2), vh)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """dR = R X for the antisymmetric X with X P + P X = R^T dA - dA^T R."""
        (r,), (a,), (da,) = outputs, primals, tangents
        if da is None:
            return (None,)
        p = matrix_product(g, r, a, flip_x=True)
        return (matrix_product(g, r, g.apply(Turning(), [p, matrix_product(g, r, da, flip_x=True)])[0]),)


@register
@dataclass(frozen=True)
class Turning(AtSquare):
    """The antisymmetric X with X P + P X = K - K^T, for the symmetric part P of the first operand."""

    name = "turning"
    internal = True

    def impl(self, xp: Any, *arrays: Array) -> Any:
        p, k = arrays
        w, v = routine(xp, "eigh")(_symmetric(xp, p))
        inside = xp.matmul(xp.matrix_transpose(v), xp.matmul(k - xp.matrix_transpose(k), v))
        sums = _sums(xp, w)
        apart = sums != 0
        found = xp.where(apart, inside, xp.zeros_like(inside)) / xp.where(apart, sums, xp.ones_like(sums))
        found = xp.matmul(v, xp.matmul(found, xp.matrix_transpose(v)))
        return (found - xp.matrix_transpose(found)) / 2

    @property
    def guards(self) -> tuple[Guard, ...]:
        """Several rotations that are equally near."""
        text = f"the nearest rotation{{where}} is not unique: {_TIE}"
        return (Guard("R1", text, NotDifferentiable, _tied, "svd", detail=_where),)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The equation differentiated is one of the same kind: dX P + P dX = dK - dK^T - (X dP + dP X)."""
        (x,), (p, _), (dp, dk) = outputs, primals, tangents
        terms = [dk]
        if dp is not None:
            both = (dp + flipped(g, dp)) * 0.5
            terms.append(stacked_product(g, x, both) * -1.0)
        moved = total(g, terms)
        return (None,) if moved is None else g.apply(self, [p, moved])

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The op itself, which is its own adjoint."""
        p = operands[0]
        assert isinstance(p, Value)
        return (None, g.apply(self, [p, only(cotangents)])[0])

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        n = operands[0].lengths[-1]
        return Cost(9.0 * n * operands[0].size + 8.0 * n * results[0].size, moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """One negative eigenvalue, one of 0, repeated ones, a batch; two directions of one matrix."""
        angle = np.array([[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
        k = np.cos(np.arange(9.0)).reshape(3, 3)
        several = [angle @ np.diag(w) @ angle.T for w in ([3.0, 2.0, -1.0], [3.0, 2.0, 0.0], [2.0, 2.0, 2.0])]
        yield from (Sample(cls(), (p, k)) for p in several)
        yield Sample(cls(), (np.stack(several[:2]), np.stack([k, k.T])))
        yield Sample(cls(), (several[0], np.stack([k, k.T])))
        yield Sample(cls(), (np.array([[2.0]]), np.array([[1.0]])))
        yield Sample(cls(), (np.zeros((2, 0, 0)), np.zeros((2, 0, 0))))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """Two values that add to 0, also in one of a batch; a rank that is too low."""
        k = np.cos(np.arange(9.0)).reshape(3, 3)
        yield "R1", Sample(cls(), (np.diag([3.0, 1.0, -1.0]), k))
        yield "R1", Sample(cls(), (np.stack([np.eye(3), np.diag([3.0, 0.0, 0.0])]), np.stack([k, k])))


_TIE = "the two smallest singular values are equal and the determinant is negative, or both are 0"


def _sums(xp: Any, w: Array) -> Any:
    """Of each pair of eigenvalues; 0 on the diagonal, where nothing turns."""
    n = w.shape[-1]
    sums = xp.expand_dims(w, axis=-1) + xp.expand_dims(w, axis=-2)
    return xp.where(xp.eye(n, dtype=xp.bool), xp.zeros_like(sums), sums)


def _symmetric(xp: Any, p: Array) -> Any:
    """The symmetric part."""
    return (p + xp.matrix_transpose(p)) / 2


def _tied(op: Turning, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each matrix."""
    w = routine(xp, "eigvalsh")(_symmetric(xp, operands[0]))
    sums = xp.abs(_sums(xp, w))
    pairs = xp.logical_not(xp.eye(w.shape[-1], dtype=xp.bool))
    small = xp.logical_and(pairs, sums <= xp.expand_dims(tolerance(xp, w) * largest(xp, w), axis=-1))
    return xp.any(small, axis=(-2, -1))


def _where(op: Turning, operands: Sequence[Array], results: Sequence[Array], position: tuple[int, ...]) -> str:
    return f"the nearest rotation{place(position)} is not unique: {_TIE}"
