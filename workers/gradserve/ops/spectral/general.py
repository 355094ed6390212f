"""Eigenvalues and eigenvectors of general matrices, which are complex, batched over leading axes.

They come in the order and with the scales of LAPACK: a vector has length 1, and the largest of its elements is real. An
eigenvalue moves by its left and right vectors alone, whatever becomes of the others; it must be a simple one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import NotDifferentiable
from gradserve.ir.guards import Guard
from gradserve.ir.op import Absorbed, Cost, Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, TensorType
from gradserve.ops.contraction.contract import matrix_product
from gradserve.ops.elementwise.parts import squared_size
from gradserve.ops.family import Multilinear, moved_bytes, only, require, require_arity, with_batch
from gradserve.ops.linalg.matrices import OfMatrix
from gradserve.ops.linalg.triangles import flipped, on_diagonal
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.spectral.clusters import eps, largest

_COMPLEX = {ElementType.FLOAT32: ElementType.COMPLEX64, ElementType.FLOAT64: ElementType.COMPLEX128}


@register
@dataclass(frozen=True)
class Eig(OfMatrix):
    """Eigenvalues w, eigenvectors V as columns, and left ones L as rows: A V = V diag(w) and L A = diag(w) L.

    Rows of L are scaled so that diag(L V) is 1, and 0 where there is no such scale, as of defective eigenvalues.
    """

    name = "eig"
    takes_complex = True
    flops = 35.0

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        a = self.require_square(types)
        vectors = a.with_element_type(_COMPLEX.get(a.element_type, a.element_type))
        return (vectors.with_shape(a.shape[:-1]), vectors, vectors)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return routine(xp, "eig")(arrays[0])

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """With X = L dA V: dw = diag(X), dV = V (C - S) and dL = -(C - S) L.

        C_ij = X_ij / (w_j - w_i) beside the diagonal, and the diagonal S keeps lengths, and largest elements real.
        """
        (da,) = tangents
        if da is None:
            return (None, None, None)
        w, v, left = outputs
        if not w.shape[-1]:
            return (g.zeros(w.type), g.zeros(v.type), g.zeros(v.type))
        da = g.convert(da, w.type.element_type)
        moved = matrix_product(g, left, matrix_product(g, da, v))
        own = g.broadcast(on_diagonal(g, w.shape[-1], ElementType.BOOL), moved.shape)
        # Without a left vector there is nothing to tell whether anything moves: any sum of what does tells it.
        lost = g.emit("reduce_all", g.eq(left, 0), axes=(left.type.rank - 1,))
        places = g.emit("iota", length=w.shape[-1] ** 2, element_type=ElementType.FLOAT64)
        weights = g.reshape(g.cos(g.add(places, 1.0)), (w.shape[-1],) * 2)
        any_move = g.reduce_sum(
            g.mul(da, g.convert(weights, da.type.element_type)), axes=(da.type.rank - 2, da.type.rank - 1)
        )
        shift = g.select(lost, g.broadcast(g.reshape(any_move, (*w.shape[:-1], 1)), w.shape), _on(g, own, moved))
        (dw,) = g.apply(OfSimple(False), [w, left, shift])
        rows, columns = g.reshape(w, (*w.shape, 1)), g.reshape(w, (*w.shape[:-1], 1, w.shape[-1]))
        gaps = g.broadcast(g.sub(columns, rows), moved.shape)
        equal = g.eq(gaps, 0)
        turned = g.select(equal, 0, g.div(moved, g.select(equal, 1, gaps)))
        change = g.sub(turned, g.select(own, g.broadcast(self._kept(g, v, turned), moved.shape), 0))
        (dv,) = g.apply(OfSimple(False), [w, left, matrix_product(g, v, change)])
        (dl,) = g.apply(OfSimple(False), [w, left, flipped(g, g.neg(matrix_product(g, change, left)))])
        return (dw, dv, flipped(g, dl))

    @staticmethod
    def _kept(g: Builder, v: Value, turned: Value) -> Value:
        """By how much each vector would become longer, and its largest element turn; along the last of two axes."""
        moved = matrix_product(g, v, turned)
        *lead, n = v.shape[:-1]
        axis = v.type.rank - 2
        along = g.reduce_sum(g.real(g.mul(g.conj(v), moved)), axes=(axis,))
        place = g.emit("iota", length=n, element_type=ElementType.INT64)
        first = g.emit("argmax", squared_size(g, v), axis=axis)
        chosen = g.eq(g.reshape(place, (n, 1)), g.reshape(first, (*lead, 1, n)))
        share = g.div(g.select(chosen, moved, 0), g.select(chosen, v, 1))
        turn = g.reduce_sum(g.imag(share), axes=(axis,))
        return g.reshape(g.complex(along, turn), (*lead, 1, n))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Real and complex eigenvalues, a batch, complex matrices, one element, nothing."""
        a = np.array([[0.0, -1.1, -1.7], [6.1, -0.2, -4.0], [-1.3, 1.4, -1.0]])
        yield Sample(cls(), (a,))
        yield Sample(cls(), (np.array([[0.5, -2.0], [1.0, 0.25]]),))
        yield Sample(cls(), (np.stack([a, a.T @ np.diag([1.0, -2.0, 0.5])]),))
        yield Sample(cls(), (a + 1j * a.T,))
        yield Sample(cls(), (np.array([[-0.75]]),))
        yield Sample(cls(), (np.zeros((2, 0, 0)),))


def _on(g: Builder, own: Value, x: Value) -> Value:
    """The diagonals of matrices."""
    return g.reduce_sum(g.select(own, x, 0), axes=(x.type.rank - 1,))


@register
@dataclass(frozen=True)
class OfSimple(Multilinear):
    """The last of three arrays as it is, of which each place along the last axis is of one eigenvalue.

    The others are the eigenvalues and their left vectors. What is not 0 and of eigenvalues that are not simple to
    rounding is NaN; or refused, if it goes `back` as a cotangent.
    """

    back: bool

    name = "of_simple"
    analytic = False
    internal = True
    arity = 3
    linear_in = (2,)
    takes_complex = True
    constraints = {
        "C0": "three operands",
        "C1": "the second is a complex matrix or a batch of them, the first has its lengths but one",
        "C2": "the third has the type of one of the others",
    }

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 3)
        w, left, x = types
        square = left.is_complex and left.rank >= 2 and left.shape[-1] == left.shape[-2]
        require(square and w == left.with_shape(left.shape[:-1]), "C1", f"{w} are no eigenvalues with vectors {left}")
        require(x in (w, left), "C2", f"{x} is neither {w} nor {left}")
        return (x,)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        x = arrays[2]
        lost = xp.reshape(xp.logical_and(_not_simple(xp, *arrays), x != 0), (-1,))
        flat = xp.reshape(x, (-1,))  # row by row, as results lie, wherever operands do
        unknown = 0.0 * xp.ones_like(flat) if self.back else xp.nan * xp.ones_like(flat)
        return xp.reshape(xp.where(lost, unknown, flat), x.shape)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """A cotangent of an eigenvalue that is not simple."""
        text = (
            "the result depends on eigenvalue {where}, which is equal to another or defective, to rounding: it has no "
            "derivative of its own; write a function of the matrix itself, such as trace, det, a power or expm"
        )
        return (Guard("R1", text, NotDifferentiable, _depends, "eig"),) if self.back else ()

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """That of the last."""
        return (None,) if tangents[2] is None else g.apply(self, [*primals[:2], tangents[2]])

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The cotangent, looked at."""
        known = [x for x in operands if isinstance(x, Value)]
        return (None, None, g.apply(OfSimple(not self.back), [*known, only(cotangents)])[0])

    def absorbing(self, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> Absorbed:
        """The op itself, which multiplies nothing."""
        return Absorbed(g.apply(self, operands), (reach[2],))

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """One more leading axis."""
        return g.apply(self, [with_batch(g, x, b, size) for x, b in zip(operands, batched, strict=True)])

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """A comparison for each pair of values."""
        return Cost(4.0 * operands[1].size, moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Values and vectors of simple eigenvalues, forth and back, of two matrices; nothing."""
        w, x = np.array([-1.0, 0.5j, 2.0]), np.array([0.25, -1.5j, 1.0])
        left = np.array([[1.0, 0.5j, 0.0], [0.0, 2.0, 1.0], [0.3, 0.0, 1.0]]) + 0j
        for back in (False, True):
            yield Sample(cls(back), (w, left, x))
            yield Sample(cls(back), (w, left, left.T * x))
            yield Sample(cls(back), (np.stack([w, 2.0 * w]), np.stack([left, left]), np.stack([x, -x])))
            yield Sample(
                cls(back), (np.zeros((2, 0), complex), np.zeros((2, 0, 0), complex), np.zeros((2, 0), complex))
            )

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """The cotangent of one of a pair, in the second of two matrices."""
        w = np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 3.0]]) + 0j
        yield "R1", Sample(cls(True), (w, np.stack([np.eye(3) + 0j] * 2), np.ones((2, 3), complex)))


def _not_simple(xp: Any, w: Array, left: Array, x: Array) -> Any:
    """Of each place of x: whether rounding cannot tell its eigenvalue from another.

    Rounding moves an eigenvalue by eps times the length of its left vector, beside a right one of length 1: in a
    defective group of m values the gaps are as eps^(1/m), and these lengths as eps^(1/m - 1).
    """
    n = w.shape[-1]
    if not n:
        return xp.zeros(x.shape, dtype=xp.bool)
    gaps = xp.abs(xp.expand_dims(w, axis=-1) - xp.expand_dims(w, axis=-2))
    gap = xp.min(xp.where(xp.eye(n, dtype=xp.bool), xp.inf * xp.ones_like(gaps), gaps), axis=-1)
    length = xp.sqrt(xp.sum(xp.abs(left) ** 2, axis=-1))
    flags = xp.logical_or(length == 0, gap <= eps(xp, w) ** 0.75 * largest(xp, w) * length)
    return xp.broadcast_to(flags if x.ndim == w.ndim else xp.expand_dims(flags, axis=-2), x.shape)


def _depends(op: OfSimple, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each element."""
    return xp.logical_and(_not_simple(xp, *operands), operands[2] != 0)
