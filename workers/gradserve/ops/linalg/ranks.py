"""What pseudoinverses refuse: ranks that are not full, and directions that change a rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradserve.ir.errors import NotDifferentiable
from gradserve.ir.guards import Guard
from gradserve.ir.types import Array
from gradserve.ops.routines import routine
from gradserve.ops.spectral.clusters import eps, largest, own_position, place

if TYPE_CHECKING:
    from gradserve.ops.linalg.least_squares import Pinv, SameRank

_LEAST = "the solution of least norm jumps with the rank"
_GROWS = "the pseudoinverse jumps with the rank"


def _deficient(op: Pinv, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each matrix."""
    _, s, _ = routine(xp, "svd")(operands[0], full_matrices=False)  # as in `impl`, so that compilers take it but once
    return xp.logical_not(xp.all(op.kept(xp, s), axis=-1))


def _rank(op: Pinv, operands: Sequence[Array], results: Sequence[Array], position: tuple[int, ...]) -> str:
    kept = op.kept(np, routine(np, "svd")(operands[0], full_matrices=False)[1])[position]
    known = f"the rank{place(position)} is {int(kept.sum())}, less than {len(kept)}, for rcond = {op.rcond:.2g}"
    return f"{known}: {_LEAST}"


def _may_grow(op: SameRank, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each matrix, whether its rank is not full already."""
    a, p, _ = operands
    rank = xp.round(xp.sum(a * xp.matrix_transpose(p), axis=(-2, -1)))  # the trace of the projection A P
    return xp.logical_not(rank >= min(a.shape[-2:]))


def _grows(op: SameRank, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each direction."""
    a, p, direction = operands
    beside = direction - xp.matmul(a, xp.matmul(p, direction))
    outside = beside - xp.matmul(xp.matmul(beside, p), a)
    limit = eps(xp, a) ** 0.5 * _size(xp, direction)
    return xp.logical_and(_size(xp, outside) > limit, _may_grow(op, xp, operands, results))


def _size(xp: Any, x: Array) -> Any:
    """The greatest absolute value of each matrix, 0 of none."""
    return largest(xp, largest(xp, x)[..., 0])[..., 0]


def _which_grows(op: SameRank, operands: Sequence[Array], results: Sequence[Array], position: tuple[int, ...]) -> str:
    stack = place(own_position(position, operands[0][..., 0]))
    return f"in this direction the rank{stack} grows: {_GROWS}"


FULL = Guard(
    "R1",
    f"the rank of matrix {{where}} is not full: {_LEAST}",
    NotDifferentiable,
    _deficient,
    "lstsq",
    detail=_rank,
)
"""That of matrices whose rank must be full."""
SAME = Guard(
    "R1",
    f"in this direction the rank of matrix {{where}} grows: {_GROWS}",
    NotDifferentiable,
    _grows,
    "pinv",
    suspect=_may_grow,
    detail=_which_grows,
)
"""That of directions."""
