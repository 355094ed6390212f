"""Eigenvalues and eigenvectors of complex Hermitian matrices, in ascending order, batched over leading axes.

The lower triangle alone is read, and of the diagonal the real part, as in NumPy. An eigenvector is determined up to a
complex number of size 1, its phase. Its tangent here is the one without a part along itself, as in JAX; a loss that
depends on phases has no derivative in the matrix, which `phase_free` sees where a cotangent comes back.
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
from gradserve.ops.family import Multilinear, moved_bytes, only, require, require_arity, with_batch
from gradserve.ops.linalg.matrices import OfMatrix
from gradserve.ops.linalg.triangles import mirror, mirrored, on_diagonal
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.spectral.clusters import clustered, eps


@register
@dataclass(frozen=True)
class HermitianEigh(OfMatrix):
    """The eigenvalues of a Hermitian matrix, which are real, and the eigenvectors that belong to them, as columns."""

    name = "hermitian_eigh"
    takes_complex = True
    flops = 9.0
    constraints = {**OfMatrix.constraints, "C3": "elements are complex"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        a = self.require_square(types)
        require(a.is_complex, "C3", f"{a} is not complex; write eigh")
        return (a.part.with_shape(a.shape[:-1]), a)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        w, q = routine(xp, "eigh")(mirror(xp, arrays[0]))
        return w, q

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """With M = Q^H dA Q: dw = diag(M) and dQ = Q (F o M), F_ij = 1 / (w_j - w_i) beside the diagonal."""
        (w, q), (da,) = outputs, tangents
        if da is None:
            return (None, None)
        n, real = w.shape[-1], w.type.element_type
        moved = matrix_product(g, g.conj(q), matrix_product(g, mirrored(g, da), q), flip_x=True)
        own = g.broadcast(on_diagonal(g, n, real), moved.shape)
        (dw,) = g.apply(Apart(), [w, g.reduce_sum(g.mul(own, g.real(moved)), axes=(moved.type.rank - 1,))])
        (apart,) = g.apply(Apart(), [w, w])
        rows, columns = g.reshape(apart, (*apart.shape, 1)), g.reshape(apart, (*apart.shape[:-1], 1, n))
        gaps = g.add(g.sub(columns, rows), own)
        inverse = g.convert(g.div(g.sub(1.0, own), gaps), moved.type.element_type)
        return (dw, matrix_product(g, q, g.mul(inverse, moved)))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """A matrix, one that is not Hermitian, a batch, whose phases differences do not tell; one element, nothing."""
        a = np.array([[2.0, -1.0 - 0.5j, 0.5j], [-1.0 + 0.5j, 0.5, 0.25], [-0.5j, 0.25, -1.5]])
        yield Sample(cls(), (a,), differentiable=False)
        yield Sample(cls(), (a + np.triu(np.ones((3, 3)), 1) + 1j * np.eye(3),), differentiable=False)
        yield Sample(cls(), (np.stack([a, a + np.diag([4.0, 0.0, -1.0])]),), differentiable=False)
        yield Sample(cls(), (np.array([[-0.75 + 0j]]),))
        yield Sample(cls(), (np.zeros((2, 0, 0), complex),))


@register
@dataclass(frozen=True)
class Apart(Multilinear):
    """The second of two arrays, as it is; refused if two eigenvalues, which are the first, form a cluster."""

    name = "apart"
    analytic = False
    internal = True
    arity = 2
    linear_in = (1,)
    constraints = {"C0": "two operands", "C1": "they are of one type, with an axis of real numbers"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 2)
        w, x = types
        require(w == x and w.is_real and w.rank >= 1, "C1", f"{w} and {x} are not of one type with an axis of reals")
        return (x,)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return xp.asarray(arrays[1], copy=True)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """Clusters."""
        text = (
            "eigenvalue {where} lies in a cluster: those have no derivatives one by one; write a function of A itself"
        )
        return (Guard("R1", text, NotDifferentiable, _in_cluster),)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The tangent of the second, as it is."""
        return (None,) if tangents[1] is None else g.apply(self, [primals[0], tangents[1]])

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The cotangent, as it is."""
        w = operands[0]
        assert isinstance(w, Value)
        return (None, g.apply(self, [w, only(cotangents)])[0])

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """One more leading axis."""
        return g.apply(self, [with_batch(g, x, b, size) for x, b in zip(operands, batched, strict=True)])

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """A comparison for each value."""
        return Cost(4.0 * results[0].size, moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Values that lie apart, of two matrices as well; nothing."""
        values, x = np.array([-1.0, 0.5, 2.0]), np.array([0.25, -1.5, 1.0])
        yield Sample(cls(), (values, x))
        yield Sample(cls(), (np.stack([values, 2.0 * values]), np.stack([x, -x])))
        yield Sample(cls(), (np.zeros((2, 0)), np.zeros((2, 0))))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """A pair, in the second of two matrices."""
        near = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 2.0 + 1e-9]])
        yield "R1", Sample(cls(), (near, near))


def _in_cluster(op: Apart, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each value."""
    return clustered(xp, operands[0])


@register
@dataclass(frozen=True)
class PhaseFree(Multilinear):
    """The second of two complex arrays of vectors, as it is: columns of the first are determined up to their phases.

    If `back` it is a cotangent, and refused if it tells phases apart: if Im sum u_i q_i is not 0 for a column q.
    """

    back: bool

    name = "phase_free"
    analytic = False
    arity = 2
    linear_in = (1,)
    takes_complex = True
    constraints = {"C0": "two operands", "C1": "they are complex matrices of one type, or batches of them"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 2)
        q, u = types
        require(q == u and q.is_complex and q.rank >= 2, "C1", f"{q} and {u} are no complex matrices of one type")
        return (u,)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return xp.asarray(arrays[1], copy=True)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """A cotangent that turns with the phase."""
        text = "the result depends on the phase of eigenvector {where}, which no matrix determines: use |v|, or v v^H"
        return (Guard("R1", text, NotDifferentiable, _tells_phases),) if self.back else ()

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The tangent of the second operand; one of a cotangent need not be free of phases, as vectors move as well."""
        if tangents[1] is None or self.back:
            return (tangents[1],)
        return g.apply(self, [primals[0], tangents[1]])

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The cotangent, looked at."""
        q = operands[0]
        assert isinstance(q, Value)
        return (None, g.apply(PhaseFree(not self.back), [q, only(cotangents)])[0])

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """One more leading axis."""
        return g.apply(self, [with_batch(g, x, b, size) for x, b in zip(operands, batched, strict=True)])

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """A product for each element."""
        return Cost(8.0 * results[0].size, moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Vectors without elements, which have no phase, forward and back; two matrices; nothing."""
        u = np.cos(np.arange(9.0)).reshape(3, 3) + 0.5j
        for back in (False, True):
            yield Sample(cls(back), (np.zeros((3, 3), complex), u))
            yield Sample(cls(back), (np.zeros((2, 3, 3), complex), np.stack([u, 2.0 * u])))
        yield Sample(cls(False), (np.zeros((0, 0), complex), np.zeros((0, 0), complex)))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """A cotangent along the phase of the second vector."""
        yield "R1", Sample(cls(True), (np.eye(2, dtype=complex), np.array([[1.0, 0.0], [0.0, 1.0j]])))


def _tells_phases(op: PhaseFree, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each vector."""
    q, u = operands
    along = xp.abs(xp.imag(xp.sum(q * u, axis=-2)))
    size = xp.max(xp.sum(xp.abs(q) * xp.abs(u), axis=-2), axis=-1, keepdims=True) if q.shape[-1] else along
    return along > eps(xp, q) ** 0.5 * size
