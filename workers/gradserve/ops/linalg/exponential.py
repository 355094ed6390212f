"""The exponential of a matrix and its derivatives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Cost, Sample
from gradserve.ir.types import Array, TensorType
from gradserve.ops.family import moved_bytes
from gradserve.ops.linalg.triangles import flipped
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.spectral.matrix_functions import OfSquare


@register
@dataclass(frozen=True)
class Expm(OfSquare):
    """The exponential of a matrix, which need not be symmetric, or its derivative along directions E.

    That is the integral over all ways to divide 1 into s0 + ... + sk of exp(s0 A) E1 exp(s1 A) ... Ek exp(sk A): the
    last block of the first row of the exponential of the matrix of blocks with A on the diagonal and the directions
    beside it (C. Van Loan, 1978).
    """

    name = "expm"

    def moved(self, g: Builder, da: Value) -> Value:
        return da

    def adjoint(self, g: Builder, factors: Sequence[Value]) -> Sequence[Value]:
        return [flipped(g, a) for a in factors]

    def impl(self, xp: Any, *arrays: Array) -> Any:
        expm = routine(xp, "expm")
        a, *directions = arrays
        if not directions or not a.shape[-1]:
            return expm(a) if a.size else arrays[-1]
        n = a.shape[-1]
        lead = directions[0].shape[:-2]
        size = xp.max(xp.sum(xp.abs(a), axis=-2), axis=-1)
        # Directions as large as A keep the blocks balanced, so that no digits are lost to the scaling and squaring.
        scales = [_norm(xp, e) for e in directions]
        share = [
            xp.where(s > 0, xp.where(size > 0, size, xp.ones_like(size)) / xp.where(s > 0, s, 1), 0) for s in scales
        ]
        a = xp.broadcast_to(a, (*lead, n, n))
        blocks = expm(_bidiagonal(xp, a, [e * f[..., None, None] for e, f in zip(directions, share, strict=True)]))
        result = blocks[..., :n, len(directions) * n :]
        for factor in share:
            result = result / xp.where(factor > 0, factor, xp.ones_like(factor))[..., None, None]
        return result

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """Scaling and squaring: about a dozen products of matrices of all blocks."""
        size = len(operands) * operands[0].lengths[-1]
        stack = results[0].size // max(1, operands[0].lengths[-1] ** 2)
        return Cost(25.0 * stack * size**3, moved_bytes(operands, results))

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
