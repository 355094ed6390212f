"""Functions of matrices by blocks of divided differences, and decompositions with results in row-major order."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase
from typing import Any, TypeAlias

import numpy as np

from gradserve.execution.numpy.kernels.lapack import plain_rows, row_major
from gradserve.execution.numpy.kernels.table import Kernel, kernel
from gradserve.ir.guards import refusal
from gradserve.ir.types import Array, TensorType
from gradserve.ops.linalg import finite
from gradserve.ops.linalg.triangles import mirror
from gradserve.ops.spectral.divided_differences import Series
from gradserve.ops.spectral.eigen import Eigh, Eigvalsh, UpperEigh
from gradserve.ops.spectral.hermitian import Apart, HermitianEigh, PhaseFree
from gradserve.ops.spectral.matrix_functions import Spectral, SpectralByFactors
from gradserve.ops.spectral.singular import OfSingular
from gradserve.ops.spectral.spectral_forms import BAND, along

_BLOCK = 1 << 19
"""Divided differences that are held at once."""
Forming: TypeAlias = Spectral | SpectralByFactors

kernel(OfSingular, HermitianEigh, Apart, PhaseFree)(plain_rows)


@kernel(Eigh, Eigvalsh)
def _eigenvalues(op: Eigh | Eigvalsh, types: Sequence[TensorType]) -> Kernel:
    """LAPACK reads the lower triangle alone."""
    del types
    chosen = slice(op.start, op.stop)
    if isinstance(op, Eigvalsh):
        return row_major(lambda a: finite.eigvalsh(_read(a))[..., chosen])
    triangle = "U" if isinstance(op, UpperEigh) else "L"  # of a symmetric matrix

    def eigh(a: Array) -> tuple[Array, ...]:
        return tuple(x[..., chosen] for x in finite.eigh(_read(a), UPLO=triangle))

    return row_major(eigh)


def _read(a: Array) -> Array:
    """The matrix, what is not finite of it only where the lower triangle has it."""
    return a if finite.is_finite(a) else np.asarray(mirror(np, a))


@kernel(Spectral, SpectralByFactors, covers=("R1",))
def _formed(op: Forming, types: Sequence[TensorType]) -> Kernel:
    """The decomposition is taken once, and the differences block by block, for the guard as for the result."""
    form, count = op.form, len(op.factor_ranks)

    def formed(*arrays: Array) -> Any:
        w, q = finite.eigh(_read(arrays[0])) if isinstance(op, Spectral) else arrays[:2]
        if len(types) == count:
            return form.sandwich(np, w, q, ())
        w, qt = form.rounded(np, w), np.matrix_transpose(q)
        if form.function == BAND:
            _refuse(op, form.splits(np, w), arrays)
        inside = [qt @ (e @ q) for e in arrays[count:]]
        return q @ (_between(op, w, inside, arrays) @ qt)

    return row_major(formed)


def _between(op: Forming, w: Array, inside: Sequence[Array], arrays: Sequence[Array]) -> Any:
    """The elements of the form: sums over paths of divided differences times elements of the directions."""
    form, n, order = op.form, w.shape[-1], len(inside)
    path = ascii_lowercase[: order + 1]
    terms = ",".join([f"...{path}", *(f"...{path[k : k + 2]}" for k in range(order))])
    rows = max(1, _BLOCK // max(1, w.size * n ** (order - 1)))
    others = [along(np, w, k, order) for k in range(1, order + 1)]
    blocks = []
    for first in range(0, max(n, 1), rows):
        chosen = slice(first, first + rows)
        points = [along(np, w[..., chosen], 0, order), *others]
        differences = form.differences(np, w, points, first, _where_near)
        if form.function != BAND:
            _refuse(op, form.breaks(np, w, differences), arrays)
        heads = [inside[0][..., chosen, :], *inside[1:]]
        blocks.append(np.einsum(f"{terms}->...{path[0]}{path[-1]}", differences, *heads))
    return blocks[0] if len(blocks) == 1 else np.concat(blocks, axis=-2)


def _refuse(op: Forming, flags: Array, arrays: Sequence[Array]) -> None:
    """Raises what the op's guard would."""
    if np.any(flags):
        raise refusal(op, op.guards[0], flags, arrays)


def _where_near(near: Array, apart: Array, series: Series, points: Sequence[Array], center: Array) -> Array:
    """The series only where it is needed."""
    if np.any(near):
        apart = np.asarray(apart)
        apart[near] = series([x[near] for x in points], center[near])
    return apart
