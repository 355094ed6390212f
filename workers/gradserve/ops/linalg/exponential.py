"""Functions of matrices that need not be symmetric, and their derivatives: exponentials, logarithms, roots.

The derivative along directions E1, ..., Ek is the last block of the first row of the function of the matrix of blocks
with A on the diagonal and the directions beside it (C. Van Loan, 1978; N. Higham, Functions of Matrices, 2008,
theorem 3.6).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import NumericalFailure
from gradserve.ir.guards import Guard
from gradserve.ir.op import Cost, Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.family import moved_bytes, work
from gradserve.ops.linalg.matrices import has_none
from gradserve.ops.linalg.triangles import flipped
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.spectral.matrix_functions import OfSquare


@dataclass(frozen=True)
class ByBlocks(OfSquare):
    """A function of a matrix, which need not be symmetric, or its derivative along directions E."""

    function: ClassVar[str]
    """The routine that computes it."""
    products: ClassVar[float]
    """How many products of matrices it is worth."""

    def moved(self, g: Builder, da: Value) -> Value:
        return da

    def adjoint(self, g: Builder, factors: Sequence[Value]) -> Sequence[Value]:
        return [flipped(g, a) for a in factors]

    def impl(self, xp: Any, *arrays: Array) -> Any:
        function = routine(xp, self.function)
        a, *directions = arrays
        if not directions or not a.shape[-1]:
            return function(a) if a.size else arrays[-1]
        n = a.shape[-1]
        lead = directions[0].shape[:-2]
        size = xp.max(xp.sum(xp.abs(a), axis=-2), axis=-1)
        # Directions as large as A keep the blocks balanced, so that no digits are lost to the scaling and squaring.
        scales = [_norm(xp, e) for e in directions]
        share = [
            xp.where(s > 0, xp.where(size > 0, size, xp.ones_like(size)) / xp.where(s > 0, s, 1), 0) for s in scales
        ]
        a = xp.broadcast_to(a, (*lead, n, n))
        scaled = [e * xp.astype(f, e.dtype)[..., None, None] for e, f in zip(directions, share, strict=True)]
        blocks = function(_bidiagonal(xp, a, scaled))
        result = blocks[..., :n, len(directions) * n :]
        for factor in share:
            known = xp.where(factor > 0, factor, xp.ones_like(factor))
            result = result / xp.astype(known, result.dtype)[..., None, None]
        return result

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """Some products of matrices of all blocks."""
        size = len(operands) * operands[0].lengths[-1]
        stack = results[0].size // max(1, operands[0].lengths[-1] ** 2)
        return Cost(work(2.0 * self.products * stack * size**3, operands[0]), moved_bytes(operands, results))


def _norm(xp: Any, e: Array) -> Any:
    return xp.max(xp.sum(xp.abs(e), axis=-2), axis=-1)


def _bidiagonal(xp: Any, a: Array, directions: Sequence[Array]) -> Any:
    """The matrix of blocks with `a` on the diagonal and the directions to the right of it."""
    count = len(directions) + 1
    zeros = xp.zeros_like(directions[0])
    rows = []
    for i in range(count):
        row = [a if j == i else directions[i] if j == i + 1 else zeros for j in range(count)]
        rows.append(xp.concat(row, axis=-1))
    return xp.concat(rows, axis=-2)


@register
@dataclass(frozen=True)
class Expm(ByBlocks):
    """The exponential of a matrix, which need not be symmetric, or its derivative along directions E.

    That is the integral over all ways to divide 1 into s0 + ... + sk of exp(s0 A) E1 exp(s1 A) ... Ek exp(sk A).
    """

    name = "expm"
    function = "expm"
    products = 12.5

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """No, one and two directions, of a matrix that is not symmetric; a batch, one element, nothing."""
        a = np.array([[0.5, -1.0, 0.25], [0.75, 0.2, 0.0], [-0.4, 0.6, -0.5]])
        for operands in cls.with_directions(a):
            yield Sample(cls(), operands)
        yield Sample(cls(), (np.stack([a, 2.0 * a.T]), np.stack([a.T, np.eye(3)])))
        yield Sample(cls(), (a, np.stack([a.T, np.ones((3, 3))])))
        yield Sample(cls(), (np.zeros((2, 2)),))
        yield Sample(cls(), (np.array([[-0.75]]),))
        yield Sample(cls(), (np.zeros((2, 0, 0)), np.zeros((2, 0, 0))))


class OfPlane(ByBlocks):
    """A principal function, of eigenvalues that are no numbers up to 0: real matrices with such ones are refused."""

    takes_complex = True
    folds = False

    @property
    def guards(self) -> tuple[Guard, ...]:
        """A real matrix of which it is complex, or that has none."""
        text = (
            f"{self.name} of matrix {{where}} is not real, or there is none: an eigenvalue is not above 0; write it "
            "of A.astype(complex)"
        )
        return (Guard("R1", text, NumericalFailure, has_none),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """No, one and two directions, real and complex eigenvalues; batches, complex matrices, one element, nothing."""
        a = np.array([[2.0, -1.0, 0.25], [0.75, 1.2, 0.0], [-0.4, 0.6, 3.5]])
        for operands in cls.with_directions(a):
            yield Sample(cls(), operands)
        yield Sample(cls(), (np.stack([a, a.T @ a]), np.stack([a.T, np.eye(3)])))
        yield Sample(cls(), (a + 0.3j * a.T,))
        yield Sample(cls(), (np.array([[1.0, 2.0], [0.0, 1.0]]),))
        yield Sample(cls(), (np.array([[0.75]]),))
        yield Sample(cls(), (np.zeros((2, 0, 0)), np.zeros((2, 0, 0))))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """An eigenvalue below 0, in the second of two matrices."""
        yield "R1", Sample(cls(), (np.stack([np.eye(2), np.array([[1.0, 0.5], [0.0, -2.0]])]),))


@register
@dataclass(frozen=True)
class Sqrtm(OfPlane):
    """The principal root of a matrix, which need not be symmetric, or its derivative along directions E."""

    name = "sqrtm"
    function = "sqrtm"
    products = 15.0


@register
@dataclass(frozen=True)
class Logm(OfPlane):
    """The principal logarithm of a matrix, which need not be symmetric, or its derivative along directions E."""

    name = "logm"
    function = "logm"
    products = 40.0
