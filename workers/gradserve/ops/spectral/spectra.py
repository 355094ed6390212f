"""The differentials of eigenvalues, singular values and their vectors, and where these do not exist.

For A = Q diag(w) Q^T and A = U diag(s) V^T with single values: dw = diag(Q^T dA Q), ds = diag(U^T dA V), and
dQ = Q (F o Q^T dA Q) with F_ij = 1 / (w_j - w_i) (M. B. Giles, "An extended collection of matrix derivative results",
2008). In a cluster of equal values these depend on the choice of vectors; see `clusters`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import NotDifferentiable
from gradserve.ir.guards import Guard, Test
from gradserve.ir.op import Cost, Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.family import moved_bytes, only, require, require_arity, total
from gradserve.ops.linalg.stacked import Beside, part, stacked_product
from gradserve.ops.registry import register
from gradserve.ops.spectral.clusters import (
    WORDS,
    choice,
    clustered,
    described_at,
    largest,
    own_position,
    place,
    splitting,
    uneven,
    zero,
)

KINDS = ("eigh", "svd")
DIAGONAL = np.array([0.5, 1.25, 3.0])


@dataclass(frozen=True)
class AlongSpectrum(Beside):
    """Values x in order with their vectors, the columns of L and of R; linear in the last operand.

    Only the values `start` to `stop` are looked at. Unless `free`, a result that depends on the choice of vectors in a
    cluster is refused. `free` says that it is known not to, as in a sum of f(x) over all values.
    Singular values that are zero to rounding are at a kink, as |x| is at 0: if `free`, they have derivative 0.
    """

    of: str
    start: int
    stop: int
    free: bool

    arity = 4
    linear_in = (3,)
    factor_ranks = (1, 2, 2)
    constraints: ClassVar[dict[str, str]] = {
        "C0": "four operands: values, left vectors, right vectors, and what the op is linear in",
        "C1": "there is a vector on either side for each value",
        "C2": "the last operand has the lengths of the vectors, or of the values chosen",
        "C3": "start and stop are positions among the values, and the vectors are those of eigh or svd",
        **Beside.stack_constraints,
    }

    def chosen(self, types: Sequence[TensorType]) -> int:
        """The number of values looked at.

        Raises:
            ConstraintError: C0, C1 or C3 is broken.
        """
        require_arity(self, types, 4)
        self.leading(types)
        x, left, right, _ = types
        n = x.lengths[-1]
        require(left.lengths[-1] == right.lengths[-1] == n, "C1", f"{left} and {right} are no vectors of {x}")
        require(self.of in KINDS and 0 <= self.start <= self.stop <= n, "C3", f"{self.start}:{self.stop} of {x}")
        return self.stop - self.start

    def selected(self, array: Array) -> Array:
        """The values, or the vectors, looked at."""
        return array[..., self.start : self.stop]

    def moving(self, xp: Any, x: Array) -> Any:
        """1 for values that may move, 0 for singular values that are zero to rounding."""
        if self.of == "eigh" or not x.shape[-1]:
            return xp.ones_like(self.selected(x))
        return xp.astype(self.selected(x) > zero(xp, x), x.dtype)

    def choice_guard(self, constraint: str, test: Test) -> Guard:
        """That of results which depend on the choice of vectors in a cluster; flags are of pairs of values."""
        text = f"{WORDS[self.of][0]}s {{where}} lie in a cluster: {choice(self.of)}"
        return Guard(constraint, text, NotDifferentiable, test, self.of, suspect=_in_cluster, detail=_which)

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """A product of matrices, and one more for each value."""
        x, left, right, _ = operands
        stack = max(t.size // max(1, t.lengths[-1] * (t.lengths[-2] if t.rank > 1 else 1)) for t in operands[1:])
        inner = left.lengths[-2] * right.lengths[-2]
        return Cost(2.0 * inner * (self.stop - self.start) * stack + 3.0 * x.size, moved_bytes(operands, results))

    @classmethod
    def stacks(cls) -> Iterator[tuple[tuple[int, ...], bool, tuple[Array, Array, Array]]]:
        """Ranges of values, whether they are free, and factors: one matrix, several, a part, nothing."""
        angle = np.array([[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
        one = (DIAGONAL, angle, angle @ angle)
        yield (0, 3), False, one
        yield (1, 2), True, one
        yield (0, 3), True, tuple(np.stack([array, array * 2]) for array in one)  # type: ignore[misc]
        yield (0, 0), False, (np.zeros((2, 0)), np.zeros((2, 0, 0)), np.zeros((2, 0, 0)))


@register
@dataclass(frozen=True)
class SpectrumTangent(AlongSpectrum):
    """diag(L^T E R): how the values move with the matrix, in the direction E."""

    name = "spectrum_tangent"
    internal = True
    beside_rank = 2

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        count = self.chosen(types)
        _, left, right, direction = types
        fits = direction.shape[-2:] == (left.shape[-2], right.shape[-2])
        require(fits, "C2", f"{direction} does not go with {left} and {right}")
        return (direction.with_shape((*direction.shape[:-2], count)),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        x, left, right, direction = arrays
        moved = xp.matmul(direction, self.selected(right))
        return xp.sum(self.selected(left) * moved, axis=-2) * self.moving(xp, x)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """Directions in which a cluster parts."""
        return () if self.free else (self.choice_guard("R1", _parts),)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The product rule in L, E and R; the values only decide what is refused."""
        _, left, right, direction = primals
        _, d_left, d_right, d_direction = tangents
        axis = direction.type.rank - 2
        left, right = (part(g, vectors, self.start, self.stop) for vectors in (left, right))
        terms: list[Value | None] = []
        for d_one, other, flip in ((d_left, right, False), (d_right, left, True)):
            if d_one is not None:
                moved = stacked_product(g, direction, other, flip_x=flip)
                own = g.broadcast(part(g, d_one, self.start, self.stop), moved.type.shape)
                terms.append(g.emit("reduce_sum", own * moved, axes=(axis,)))
        if d_direction is not None:
            terms += g.apply(self, [*primals[:3], d_direction])
        return (total(g, terms),)

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """L diag(w) R^T."""
        factors = [x for x in operands[:3] if isinstance(x, Value)]
        op = SpectrumCotangent(self.of, self.start, self.stop, self.free)
        return (None, None, None, g.apply(op, [*factors, only(cotangents)])[0])

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """One matrix, a part of the values, several matrices, nothing; two directions of one matrix."""
        for (start, stop), free, (x, left, right) in cls.stacks():
            direction = np.cos(np.arange(float(left.size))).reshape(left.shape)
            yield Sample(cls("eigh", start, stop, free), (x, left, right, direction))
        x, left, right = next(cls.stacks())[2]
        several = np.sin(np.arange(18.0)).reshape(2, 3, 3)
        yield Sample(cls("svd", 0, 3, False), (x[::-1].copy(), left, right, several))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """Directions that part a cluster: of several, of which it parts one; of singular values."""
        _, _, (_, left, right) = next(cls.stacks())
        values = np.array([1.0, 1.0, 3.0])
        direction = np.cos(np.arange(9.0)).reshape(3, 3)
        yield "R1", Sample(cls("eigh", 0, 2, False), (values, left, left, np.stack([np.eye(3), direction])))
        yield "R1", Sample(cls("svd", 2, 3, False), (values[::-1].copy(), left, right, direction))


@register
@dataclass(frozen=True)
class SpectrumCotangent(AlongSpectrum):
    """L diag(w) R^T: the cotangent of the matrix for cotangents w of the values."""

    name = "spectrum_cotangent"
    internal = True
    beside_rank = 1

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        count = self.chosen(types)
        _, left, right, weights = types
        require(weights.lengths[-1] == count, "C2", f"{weights} has not {count} elements for the values chosen")
        return (weights.with_shape((*weights.shape[:-1], left.shape[-2], right.shape[-2])),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        x, left, right, weights = arrays
        weights = weights * self.moving(xp, x)
        scaled = self.selected(left) * xp.expand_dims(weights, axis=-2)
        return xp.matmul(scaled, xp.matrix_transpose(self.selected(right)))

    @property
    def guards(self) -> tuple[Guard, ...]:
        """Cotangents of singular values at 0, and those that differ within a cluster."""
        if self.free:
            return ()
        text = f"{WORDS[self.of][0]} {{where}} {_KINK}"
        positive = Guard("R2", text, NotDifferentiable, _at_zero, self.of, detail=_which_zero)
        even = self.choice_guard("R1", _uneven)
        return (positive, even) if self.of == "svd" else (even,)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The product rule in L, w and R; the values only decide what is refused."""
        _, left, right, weights = primals
        _, d_left, d_right, d_weights = tangents
        left, right = (part(g, vectors, self.start, self.stop) for vectors in (left, right))
        along = g.reshape(weights, (*weights.shape[:-1], 1, weights.shape[-1]))
        terms: list[Value | None] = []
        if d_left is not None:
            own = part(g, d_left, self.start, self.stop)
            terms.append(stacked_product(g, g.emit("mul", own, along), right, flip_y=True))
        if d_right is not None:
            own = part(g, d_right, self.start, self.stop)
            terms.append(stacked_product(g, g.emit("mul", left, along), own, flip_y=True))
        if d_weights is not None:
            terms += g.apply(self, [*primals[:3], d_weights])
        return (total(g, terms),)

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """diag(L^T E R)."""
        factors = [x for x in operands[:3] if isinstance(x, Value)]
        op = SpectrumTangent(self.of, self.start, self.stop, self.free)
        return (None, None, None, g.apply(op, [*factors, only(cotangents)])[0])

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """One matrix, a part of the values, several matrices, nothing; two sets of weights for one matrix."""
        for (start, stop), free, (x, left, right) in cls.stacks():
            weights = np.cos(np.arange(x[..., start:stop].size + 0.0)).reshape(x[..., start:stop].shape)
            yield Sample(cls("eigh", start, stop, free), (x, left, right, weights))
        x, left, right = next(cls.stacks())[2]
        yield Sample(cls("svd", 0, 2, False), (x[::-1].copy(), left, right, np.array([[1.0, -2.0], [0.5, 3.0]])))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """Cotangents that differ in a cluster, and one of a singular value of zero."""
        _, _, (_, left, right) = next(cls.stacks())
        weights = np.array([1.0, 2.0, 3.0])
        yield "R1", Sample(cls("eigh", 0, 3, False), (np.array([1.0, 1.0, 3.0]), left, left, weights))
        yield "R1", Sample(cls("svd", 0, 1, False), (np.array([3.0, 3.0, 1.0]), left, right, weights[:1]))
        yield "R2", Sample(cls("svd", 1, 3, False), (np.array([3.0, 1.0, 0.0]), left, right, weights[1:]))


_KINK = "is zero to rounding, where it is at a kink as |x| is at 0"


def _in_cluster(op: AlongSpectrum, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each value chosen."""
    return op.selected(clustered(xp, operands[0]))


def _which(op: AlongSpectrum, operands: Sequence[Array], results: Sequence[Array], position: tuple[int, ...]) -> str:
    *before, k, _ = position
    stack = own_position(tuple(before), operands[0])
    return f"{described_at(op.of, operands[0], stack, k)}: {choice(op.of)}"


def _parts(op: SpectrumTangent, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each pair of values."""
    x, left, right, direction = operands
    between = xp.matmul(xp.matrix_transpose(left), xp.matmul(direction, right))
    return splitting(xp, x, between, largest(xp, largest(xp, direction)[..., 0])[..., None], op.start, op.stop)


def _uneven(op: SpectrumCotangent, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each pair of values, for what vectors they have."""
    x, weights = operands[0], operands[3]
    return uneven(xp, x, weights * op.moving(xp, x), op.start)


def _at_zero(op: SpectrumCotangent, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each value with a cotangent, but for those of a zero matrix, where a norm has derivative 0."""
    x, weights = operands[0], operands[3]
    at_zero = xp.logical_and(x <= zero(xp, x), largest(xp, x) > 0)
    return xp.logical_and(op.selected(at_zero), weights != 0)


def _which_zero(
    op: SpectrumCotangent, operands: Sequence[Array], results: Sequence[Array], position: tuple[int, ...]
) -> str:
    *before, k = position
    return f"singular value {op.start + k}{place(own_position(tuple(before), operands[0]))} {_KINK}"
