"""Eigenvalues and eigenvectors of symmetric matrices, in ascending order, batched over leading axes.

The lower triangle alone is read, as in NumPy: so the cotangent of A is a lower triangular matrix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Cost, Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.contraction.contract import matrix_product
from gradserve.ops.family import moved_bytes, require, work
from gradserve.ops.linalg.matrices import OfMatrix
from gradserve.ops.linalg.stacked import part
from gradserve.ops.linalg.triangles import mirror, mirrored
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.spectral.rotation import Rotation
from gradserve.ops.spectral.spectra import SpectrumTangent


@dataclass(frozen=True)
class OfSpectrum(OfMatrix):
    """The eigenvalues `start` to `stop` of a symmetric matrix, in ascending order."""

    start: int
    stop: int

    values: ClassVar[int] = 0
    """Which result holds the eigenvalues."""
    constraints = {**OfMatrix.constraints, "C3": "start and stop are positions among the eigenvalues"}

    def require_range(self, types: Sequence[TensorType]) -> tuple[TensorType, int]:
        """The only operand's type, and how many eigenvalues are chosen.

        Raises:
            ConstraintError: it is no square matrix, or has fewer eigenvalues.
        """
        a = self.require_square(types)
        require(0 <= self.start <= self.stop <= a.lengths[-1], "C3", f"{self.start}:{self.stop} of {a}")
        return a, self.stop - self.start


@register
@dataclass(frozen=True)
class Eigh(OfSpectrum):
    """Eigenvalues and the eigenvectors that belong to them, as columns; their derivatives are refused in clusters.

    A part of the decomposition is an op of its own, as a cluster elsewhere does it no harm.
    """

    name = "eigh"
    flops = 9.0

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        a, count = self.require_range(types)
        return (a.with_shape((*a.shape[:-2], count)), a.with_shape((*a.shape[:-1], count)))

    def impl(self, xp: Any, *arrays: Array) -> Any:
        w, q = routine(xp, "eigh")(mirror(xp, arrays[0]))
        return w[..., self.start : self.stop], q[..., self.start : self.stop]

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """dw = diag(Q^T dA Q) and dQ = Q (F o Q^T dA Q)."""
        (a,), (da,) = primals, tangents
        if da is None:
            return (None, None)
        da = mirrored(g, da)
        w, q = g.apply(type(self)(0, a.shape[-1]), [a])
        (dw,) = g.apply(SpectrumTangent("eigh", self.start, self.stop, free=False), [w, q, q, da])
        moved = matrix_product(g, da, part(g, q, self.start, self.stop))
        turned = g.apply(
            Rotation("eigh", self.start, self.stop, back=False), [w, matrix_product(g, q, moved, flip_x=True)]
        )
        return (dw, matrix_product(g, q, turned[0]))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """All, some, a batch, one element, nothing."""
        a = np.array([[2.0, -1.0, 0.5], [-1.0, 0.5, 0.25], [0.5, 0.25, -1.5]])
        yield Sample(cls(0, 3), (a,))
        yield Sample(cls(1, 2), (a,))
        yield Sample(cls(0, 3), (np.stack([a, a + np.diag([4.0, 0.0, -1.0])]),))
        yield Sample(cls(0, 1), (np.array([[-0.75]]),))
        yield Sample(cls(0, 0), (np.zeros((2, 0, 0)),))


@register
@dataclass(frozen=True)
class UpperEigh(Eigh):
    """Eigenvalues and eigenvectors with the signs that LAPACK gives them where it reads the upper triangle.

    Those are NumPy's for UPLO="U"; a namespace without this choice has other signs. The matrix is symmetric.
    """

    name = "upper_eigh"

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Those of Eigh, as long as both triangles lead to the same signs."""
        for sample in Eigh.samples():
            op, (a,) = sample.op, sample.operands
            assert isinstance(op, Eigh)
            if a.shape[-1] < 3:
                yield Sample(cls(op.start, op.stop), (a,))


@register
@dataclass(frozen=True)
class Eigvalsh(OfSpectrum):
    """Eigenvalues alone; `free` if what becomes of them is known not to tell those of a cluster apart."""

    free: bool

    name = "eigvalsh"
    flops = 4 / 3

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        a, count = self.require_range(types)
        return (a.with_shape((*a.shape[:-2], count)),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return routine(xp, "eigvalsh")(mirror(xp, arrays[0]))[..., self.start : self.stop]

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """dw = diag(Q^T dA Q)."""
        (a,), (da,) = primals, tangents
        if da is None:
            return (None,)
        w, q = g.apply(Eigh(0, a.shape[-1]), [a])
        return g.apply(SpectrumTangent("eigh", self.start, self.stop, self.free), [w, q, q, mirrored(g, da)])

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Those of Eigh, free or not."""
        for k, sample in enumerate(Eigh.samples()):
            op = sample.op
            assert isinstance(op, Eigh)
            yield Sample(cls(op.start, op.stop, bool(k % 2)), sample.operands)


def decomposition_cost(flops: float, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
    """`flops` times the longer length of each matrix and the square of the shorter."""
    (a,) = operands
    longer, shorter = max(a.lengths[-2:]), min(a.lengths[-2:])
    stack = a.size // max(1, longer * shorter)
    return Cost(work(flops * stack * longer * shorter**2, a), moved_bytes(operands, results))
