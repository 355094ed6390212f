"""The factors Q and R of matrices with at least as many rows as columns, batched over leading axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import NotDifferentiable
from gradserve.ir.guards import Guard
from gradserve.ir.op import Cost, Op, Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.contraction.contract import matrix_product
from gradserve.ops.elementwise.parts import conjugate
from gradserve.ops.family import Linear, moved_bytes, only, require, require_arity, require_floats, with_batch
from gradserve.ops.linalg.triangles import flipped, lower, on_diagonal
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.spectral.clusters import eps, largest, place
from gradserve.ops.spectral.eigen import decomposition_cost


@register
@dataclass(frozen=True)
class Qr(Op):
    """Q with orthonormal columns and R upper triangular with A = Q R, the signs of R's diagonal as LAPACK leaves them.

    Where the columns of A are linearly dependent, Q is not determined and its derivative is refused.
    """

    name = "qr"
    takes_complex = True
    constraints = {
        "C0": "one operand",
        "C1": "it is a matrix with at least as many rows as columns, or a batch of them",
        "C2": "elements are real or complex numbers",
    }

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 1)
        (a,) = types
        require(
            a.rank >= 2 and a.lengths[-2] >= a.lengths[-1], "C1", f"{a} has fewer rows than columns or is no matrix"
        )
        require_floats(self, a, "C2")
        return (a, a.with_shape((*a.shape[:-2], a.shape[-1], a.shape[-1])))

    def impl(self, xp: Any, *arrays: Array) -> Any:
        q, r = routine(xp, "qr")(arrays[0])
        return q, r

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """With C = dA R^-1, M = Q^H C and W = tril(M, -1) - tril(M, -1)^H: dQ = C - Q (M - W) and dR = (M - W) R.

        Of complex matrices the diagonal of R is real, and so is that of M - W.
        """
        (q, r), (da,) = outputs, tangents
        if da is None:
            return (None, None)
        triangle = g.apply(FullRank("qr"), [r])[0]
        c = over_triangle(g, da, triangle)
        m = matrix_product(g, conjugate(g, q), c, flip_x=True)
        below = lower(g, m, -1)
        upper = m - below + conjugate(g, flipped(g, below))
        if m.type.is_complex:
            turned = g.emit("mul", g.imag(m), on_diagonal(g, m.shape[-1], m.type.element_type.part))
            upper = upper - g.complex(0.0, turned)
        return (c - matrix_product(g, q, upper), matrix_product(g, upper, triangle))

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """One more leading axis."""
        return g.apply(self, [with_batch(g, operands[0], batched[0], size)])

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """Twice 2 m n^2 less 2/3 n^3: the reflections, and their product."""
        return decomposition_cost(10 / 3, operands, results)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Tall and square, a batch, one element, no rows, nothing."""
        a = np.array([[2.0, -1.0, 0.5], [0.3, 1.5, 0.2], [-0.4, 0.6, -0.9], [1.0, 0.2, 0.1]])
        yield Sample(cls(), (a,))
        yield Sample(cls(), (a[:3],))
        yield Sample(cls(), (np.stack([a[:, :2], -2.0 * a[:, 1:]]),))
        yield Sample(cls(), (np.array([[-0.75]]),))
        yield Sample(cls(), (np.zeros((2, 3, 0)),))


def over_triangle(g: Builder, x: Value, r: Value) -> Value:
    """X R^-1 for an upper triangular R."""
    return flipped(g, g.emit("triangular_solve", r, flipped(g, x), lower=False, transposed=True))


@register
@dataclass(frozen=True)
class FullRank(Linear):
    """A triangular factor itself; refused if its diagonal shows that the rank is not full."""

    of: str

    name = "full_rank"
    takes_complex = True
    internal = True
    constraints = {"C0": "one operand", "C1": "it is a square matrix of floating-point numbers, or a batch of them"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 1)
        (r,) = types
        fits = r.rank >= 2 and r.shape[-1] == r.shape[-2] and r.is_float
        require(fits, "C1", f"{r} is no square matrix of floating-point numbers")
        return (r,)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return arrays[0] + 0.0

    @property
    def guards(self) -> tuple[Guard, ...]:
        """A rank that is not full."""
        text = f"the rank of matrix {{where}} is not full to rounding: {_JUMPS}"
        return (Guard("R1", text, NotDifferentiable, _deficient, self.of, detail=_rank),)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The tangent: it is the primal that is checked."""
        return tuple(tangents)

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The cotangent."""
        return (only(cotangents),)

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """One more leading axis."""
        return g.apply(self, [with_batch(g, operands[0], batched[0], size)])

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """A copy."""
        return Cost(0.0, moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """A triangle, a batch, nothing."""
        r = np.array([[2.0, -1.0], [0.0, 0.5]])
        yield Sample(cls("qr"), (r,))
        yield Sample(cls("qr"), (np.stack([r, -r]),))
        yield Sample(cls("qr"), (np.zeros((2, 0, 0)),))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """A zero on the diagonal, in the second of two triangles."""
        yield "R1", Sample(cls("qr"), (np.array([np.eye(2), [[2.0, 1.0], [0.0, 0.0]]]),))


_JUMPS = "the factors are not determined, or jump with the rank"


def _ranks(xp: Any, r: Array) -> tuple[Any, Any]:
    """Of each triangle: the elements of its diagonal that are not zero to rounding, and whether there is NaN."""
    diagonal = xp.abs(xp.linalg.diagonal(r))
    limit = r.shape[-1] * eps(xp, r) * largest(xp, diagonal)
    return xp.sum(xp.astype(diagonal > limit, xp.int64), axis=-1), xp.any(xp.isnan(diagonal), axis=-1)


def _deficient(op: FullRank, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each triangle."""
    (r,) = operands
    ranks, is_nan = _ranks(xp, r)
    return xp.logical_and(ranks < r.shape[-1], xp.logical_not(is_nan))


def _rank(op: FullRank, operands: Sequence[Array], results: Sequence[Array], position: tuple[int, ...]) -> str:
    (r,) = operands
    rank = int(_ranks(np, r)[0][position])
    return f"the rank{place(position)} is {rank} to rounding, less than {r.shape[-1]}: {_JUMPS}"
