"""How the vectors of eigenvalues and singular values turn, where they are determined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import NotDifferentiable
from gradserve.ir.guards import Guard
from gradserve.ir.op import Cost, Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.family import DIVISION, moved_bytes, only, require, require_arity, total
from gradserve.ops.linalg.stacked import Beside, part
from gradserve.ops.registry import register
from gradserve.ops.spectral.clusters import (
    WORDS,
    choice,
    clustered,
    described,
    described_at,
    inexact,
    largest,
    own_position,
    place,
    tolerance,
)
from gradserve.ops.spectral.spectra import DIAGONAL, KINDS


@register
@dataclass(frozen=True)
class Rotation(Beside):
    """F o X, with F_ij = 1 / (x_j - x_i) and F_ii = 0 for values x in order, j from `start` to `stop`.

    It turns X = Q^T dA Q into how the eigenvectors `start` to `stop` move, and if `back` a cotangent of these into one
    of the matrix. It is refused if one of their values lies in a cluster or is a singular value of zero, or if
    rounding leaves less than half of the digits.
    """

    of: str
    start: int
    stop: int
    back: bool

    name = "rotation"
    internal = True
    arity = 2
    linear_in = (1,)
    factor_ranks = (1,)
    beside_rank = 2
    constraints: ClassVar[dict[str, str]] = {
        "C0": "two operands: values, and a matrix",
        "C1": "the matrix has a row for each value and a column for each of those chosen",
        "C2": "start and stop are positions among the values, and the values are those of eigh or svd",
        **Beside.stack_constraints,
    }

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 2)
        self.leading(types)
        x, matrix = types
        n = x.lengths[-1]
        require(self.of in KINDS and 0 <= self.start <= self.stop <= n, "C2", f"{self.start}:{self.stop} of {x}")
        fits = matrix.lengths[-2:] == (n, self.stop - self.start)
        require(fits, "C1", f"{matrix} does not go with {self.start}:{self.stop} of {x}")
        return (matrix,)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        x, matrix = arrays
        return self._inverse(xp, x) * matrix

    def _inverse(self, xp: Any, x: Array) -> Any:
        """F."""
        n = x.shape[-1]
        gaps = xp.expand_dims(x[..., self.start : self.stop], axis=-2) - xp.expand_dims(x, axis=-1)
        own = xp.expand_dims(xp.arange(n), axis=-1) == xp.arange(self.start, self.stop)
        return xp.where(own, xp.zeros_like(gaps), 1.0 / xp.where(own, xp.ones_like(gaps), gaps))

    @property
    def guards(self) -> tuple[Guard, ...]:
        """Clusters, singular values of zero, and vectors that nearly vanish."""
        of, kind = self.of, NotDifferentiable
        word, _, _ = WORDS[of]
        apart = Guard("R1", f"{word} {{where}} lies in a cluster: {choice(of)}", kind, _in_cluster, of, detail=_which)
        positive = Guard("R2", f"{word} {{where}} is zero: {_NONE}", kind, _small, of, detail=_how_small)
        exact = Guard("R3", f"{word}s {{where}} nearly form a cluster: {_LOST}", kind, _blurred, of, detail=_steepest)
        return (apart, positive, exact) if of == "svd" else (apart, exact)

    def _counted(self, xp: Any, result: Array) -> Any:
        """What counts of the result: going back, only its symmetric part, and among the values chosen."""
        if not self.back:
            return result
        inside = result[..., self.start : self.stop, :]
        inside = (inside + xp.matrix_transpose(inside)) / 2
        return xp.concat([result[..., : self.start, :], inside, result[..., self.stop :, :]], axis=-2)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """dF_ij = F_ij^2 (dx_i - dx_j)."""
        (y,), (x, _), (dx, dm) = outputs, primals, tangents
        terms = [dm]
        if dx is not None:
            chosen = part(g, dx, self.start, self.stop)
            rows = g.reshape(dx, (*dx.shape, 1))
            apart = g.emit("sub", rows, g.reshape(chosen, (*chosen.shape[:-1], 1, chosen.shape[-1])))
            terms.append(g.emit("mul", y, apart))
        moved = total(g, terms)
        return (None,) if moved is None else g.apply(self, [x, moved])

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """Itself, the other way."""
        x = operands[0]
        assert isinstance(x, Value)
        return (None, g.apply(replace(self, back=not self.back), [x, only(cotangents)])[0])

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """A difference, a quotient and a product for each pair."""
        return Cost((2.0 + DIVISION) * results[0].size, moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """All values, some, several matrices, two matrices for one set of values, one value, nothing."""
        square = np.cos(np.arange(9.0)).reshape(3, 3)
        descending = DIAGONAL[::-1].copy()
        yield Sample(cls("eigh", 0, 3, False), (DIAGONAL, square))
        yield Sample(cls("svd", 0, 2, True), (descending, square[:, :2]))
        yield Sample(
            cls("eigh", 1, 3, False), (np.stack([DIAGONAL, -descending]), np.stack([square, square.T])[..., 1:])
        )
        yield Sample(cls("eigh", 0, 3, True), (DIAGONAL, np.stack([square, square.T])))
        yield Sample(cls("eigh", 0, 1, False), (np.array([0.5]), np.array([[2.0]])))
        yield Sample(cls("eigh", 0, 0, False), (np.zeros((2, 0)), np.zeros((2, 0, 0))))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """A cluster, singular values of zero, and a result that nearly vanishes beside what it is made of."""
        square = np.cos(np.arange(9.0)).reshape(3, 3)
        near = np.array([1.0, 2.0, 2.0 + 1e-7])
        yield "R1", Sample(cls("eigh", 0, 3, False), (near, square))
        yield "R1", Sample(cls("eigh", 1, 2, True), (np.stack([DIAGONAL, near]), np.stack([square, square])[..., 1:2]))
        yield "R1", Sample(cls("svd", 0, 3, False), (near[::-1].copy(), square))
        yield "R2", Sample(cls("svd", 0, 3, False), (np.array([3.0, 1.0, 1e-9]), square))
        step = np.array([1.0, 1.0 + 1e-5, 3.0])
        for of, values in (("eigh", step), ("svd", step[::-1].copy())):
            # Going back, only the symmetric part counts, and F o X of a symmetric X has none.
            yield "R3", Sample(cls(of, 0, 3, True), (values, square + square.T))


_NONE = "its vectors have no derivative"
_LOST = "rounding leaves the derivative of their vectors less than half its digits"


def _in_cluster(op: Rotation, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each value chosen."""
    return clustered(xp, operands[0])[..., op.start : op.stop]


def _which(op: Rotation, operands: Sequence[Array], results: Sequence[Array], position: tuple[int, ...]) -> str:
    *stack, k = position
    return f"{described_at(op.of, operands[0], tuple(stack), op.start + k)}: {choice(op.of)}"


def _small(op: Rotation, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each value chosen."""
    x = operands[0]
    return x[..., op.start : op.stop] <= tolerance(xp, x) * largest(xp, x)


def _how_small(op: Rotation, operands: Sequence[Array], results: Sequence[Array], position: tuple[int, ...]) -> str:
    *stack, k = position
    value = operands[0][(*stack, op.start + k)]
    return f"singular value {op.start + k}{place(tuple(stack))} is {value:.2g}: {_NONE}"


def _blurred(op: Rotation, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each matrix."""
    x, matrix = operands
    if not (op.stop - op.start):
        return xp.zeros(matrix.shape[:-2], dtype=xp.bool)
    return inexact(xp, x, op._inverse(xp, x), matrix, op._counted(xp, results[0]))


def _steepest(op: Rotation, operands: Sequence[Array], results: Sequence[Array], position: tuple[int, ...]) -> str:
    x = operands[0]
    own = own_position(position, x)
    steep = np.abs(op._inverse(np, x)[own])
    row, column = np.unravel_index(np.argmax(steep), steep.shape)
    first, last = sorted((int(row), op.start + int(column)))
    return f"{described(op.of, x, own, first, last)}: {_LOST}"
