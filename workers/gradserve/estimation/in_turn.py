"""Probes that enlarge a Nystrom approximation and test it as well, each in turn left out of what it tests.

Beside a completed basis, with B for what it leaves, all but one of the probes g_1, ..., g_p enlarge the approximation,
and the one tests it. All of that is algebra of p rows. With K = <g_i, B g_j> and u = K^-1 B g, the probes but g_i know
the sum of (B g_j) u_j^T less u_i u_i^T / (K^-1)_ii, and leave u_i / (K^-1)_ii of B g_i. What g_i has outside of the
basis and of all other probes is brought to its expected length. So it is XNysTrace (E. N. Epperly, J. A. Tropp,
R. J. Webber, 2024) beside a basis.

It serves where all products are spent: the approximation has p - 1 dimensions more, and the probes test what is left of
few. As these estimates have nearly all in common, what their spread says of their mean is calibrated.
"""

from __future__ import annotations

import numpy as np

from gradserve.estimation.deflation import Completed, Deflation
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array

SHARED = 0.16
"""The part of the variance of one estimate that is left in their mean however many there are."""
LAST = 15.0
"""The same over the square of the dimensions that are left to test in, of which there are two or more."""
PARTS = 6.0
"""Intervals of parts of the trace are wider by this over these dimensions: in few, entries are far from normal."""


@dataclass(frozen=True)
class InTurn:
    """What each probe says that is left out of the approximation with all of them, beside what that knows."""

    shares: Array
    """Rows of what it says of each entry of the diagonal,"""
    multiple: float
    """besides this many times"""
    outside: Array
    """the part of the diagonal of the identity that is left."""
    shared: tuple[float, float]
    """The part of the variance of their sums that is left in the mean of these, and the same of single entries."""


def left_out(known: Completed, whole: Deflation, probes: Array, products: Array) -> InTurn | None:
    """What the probes say in turn; `known` is what the basis knows without them, `whole` with all of them.

    None if no dimension is left to test in, or if the probes say that there are negative eigenvalues.
    """
    inner, rest, _ = known.rest(probes, products)
    left = probes.shape[1] - whole.size + 1
    if whole.size < known.size + len(probes) or left < 1:
        return None
    forms, lengths = np.linalg.inv(_symmetric(inner @ rest.T)), np.linalg.inv(inner @ inner.T)
    sizes, squares = np.diag(forms)[:, None], 1 / np.diag(lengths)[:, None]
    if not sizes.min() > 0:
        return None
    dual, alone = forms @ rest, squares * (lengths @ inner)
    images = dual / sizes
    # Of what is left a multiple of the projection is met without chance.
    multiple = float(np.mean(np.einsum("ji,ji->j", alone, images) / squares[:, 0]))
    outside = whole.outside() + alone**2 / squares
    tested = left * alone * (images - multiple * alone) / squares
    mean, shared = outside.mean(axis=0), SHARED + LAST / left**2
    return InTurn(
        multiple * (outside - mean) + tested - dual * images, multiple, mean, (shared, (1 + PARTS / left) ** 2 * shared)
    )


def _symmetric(matrix: Array) -> Array:
    return (matrix + matrix.T) / 2
