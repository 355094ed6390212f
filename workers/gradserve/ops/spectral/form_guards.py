"""What functions of matrices refuse: bands that end in a cluster, and derivatives that the function has not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gradserve.ir.errors import NotDifferentiable
from gradserve.ir.guards import Guard
from gradserve.ir.types import Array
from gradserve.ops.spectral.clusters import described_at, place
from gradserve.ops.spectral.spectral_forms import BAND, Form

if TYPE_CHECKING:
    from gradserve.ops.spectral.matrix_functions import Spectral, SpectralByFactors

    Forming: TypeAlias = Spectral | SpectralByFactors

_PART = "a part of it has no space of its own"


def form_guards(form: Form) -> tuple[Guard, ...]:
    """What a form refuses of its eigenvalues."""
    if form.function == BAND:
        text = f"a band of eigenvalues ends in a cluster at {{where}}: {_PART}"
        return (Guard("R1", text, NotDifferentiable, _splits, "eigh", detail=_which_cluster),)
    text = f"{form.function} of a symmetric matrix {{where}} has no derivative at its eigenvalues"
    return (Guard("R1", text, NotDifferentiable, _breaks, form.function, detail=_nearest),)


def _eigenvalues(op: Forming, xp: Any, operands: Sequence[Any]) -> tuple[Any, int]:
    """Those that count, and the order of the derivative."""
    w, _ = op.factors(xp, operands)
    return op.form.rounded(xp, w), len(operands) - len(op.factor_ranks)


def _splits(op: Forming, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each end of the band."""
    w, order = _eigenvalues(op, xp, operands)
    return op.form.splits(xp, w) if order else xp.zeros((), dtype=xp.bool)


def _which_cluster(op: Forming, operands: Sequence[Array], results: Sequence[Array], position: tuple[int, ...]) -> str:
    w, _ = _eigenvalues(op, np, operands)
    *stack, k = position
    return f"{described_at('eigh', w, tuple(stack), op.form.ends(w.shape[-1])[k])}: {_PART}"


def _breaks(op: Forming, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each matrix."""
    w, order = _eigenvalues(op, xp, operands)
    return op.form.breaks(xp, w, op.form.of_order(xp, w, order)) if order else xp.zeros((), dtype=xp.bool)


def _nearest(op: Forming, operands: Sequence[Array], results: Sequence[Array], position: tuple[int, ...]) -> str:
    w, _ = _eigenvalues(op, np, operands)
    own = w[position]
    return (
        f"{op.function}{place(position)} of a symmetric matrix has no derivative at its eigenvalues, "
        f"of which {float(own[np.argmin(np.abs(own))]):.3g} is the nearest to 0"
    )
