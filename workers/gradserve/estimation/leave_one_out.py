"""Estimators whose probes make a basis and test it as well, each in turn left out of what it tests.

XTrace and XNysTrace (E. N. Epperly, J. A. Tropp, R. J. Webber, 2024), with probes on the sphere, whose parts outside of
the basis are taken to their expected length. Estimates with one probe left out share all others, so their spread says
too little of the error of their mean. What is added is calibrated on spectra of many kinds (see
`tests.estimation.study`): `SHARED` whatever their number, `LAST` where few dimensions are left to test in, and
`SKEWED` where they are few. With products for all columns these are taken. For a guarantee ask for the automatic
estimator.
"""

from __future__ import annotations

import numpy as np

from gradserve.estimation import exact
from gradserve.estimation.asking import Columns, Dialogue, Known, Operator, Probes
from gradserve.estimation.deflation import longest, orthonormal
from gradserve.estimation.looks import Target, stop_reason
from gradserve.estimation.running import ROUNDING, widening
from gradserve.estimation.spending import probability
from gradserve.ir.errors import NumericalFailure
from gradserve.ir.types import Array
from gradserve.questions.estimates import Sampler

SHARED = 0.16
"""The part of the variance of one estimate that is left in their mean however many there are."""
LAST = 6.0
"""The same for a single dimension beside the basis; the more there are, the less is shared."""
SKEWED = 14.0
"""Estimates, as few as which say nothing of a direction that rules a matrix and that none has met."""
FEWEST = 8


def xtrace(operator: Operator, target: Target, sampler: Sampler = Sampler.SPHERE) -> Dialogue:
    """Half of the products for a basis, half for what it knows."""
    probes = products = basis = known = np.zeros((0, operator.size))
    for look, count in enumerate(_sizes(operator, target, 2), start=1):
        if _all_columns(operator, target, 2 * count, len(probes) + len(basis)):
            yield from exact.columns(operator, len(probes) + len(basis))
            return
        more = yield Probes(len(probes), count, sampler)
        probes, products = (np.concatenate(pair) for pair in zip((probes, products), more, strict=True))
        rows = orthonormal(more[1], basis)
        basis, known = np.concatenate([basis, rows]), np.concatenate([known, (yield Columns(rows))])
        estimates, lost = left_out(probes, products, basis, known), _lost(operator, products, basis, known)
        yield _known(operator, target, look, estimates, len(probes) + len(basis), lost)


def xnystrace(operator: Operator, target: Target, sampler: Sampler = Sampler.SPHERE) -> Dialogue:
    """All products for a low-rank approximation of a positive semidefinite matrix."""
    probes = products = np.zeros((0, operator.size))
    for look, count in enumerate(_sizes(operator, target, 1), start=1):
        if _all_columns(operator, target, count, len(probes)):
            yield from exact.columns(operator, len(probes))
            return
        more = yield Probes(len(probes), count, sampler)
        probes, products = (np.concatenate(pair) for pair in zip((probes, products), more, strict=True))
        yield _known(operator, target, look, nystrom_left_out(probes, products), len(probes), 0.0)


def left_out(probes: Array, products: Array, basis: Array, known: Array) -> Array:
    """The estimate of the trace with each probe in turn left out of the basis of the products of all."""
    lengths = np.linalg.norm(products, axis=1)
    if not np.isfinite(lengths).all() or (products[lengths == 0] != 0).any():  # no basis can be made of these
        return np.full(len(probes), np.nan)
    inner = basis @ known.T
    within, size = products @ basis.T, probes.shape[1]
    if len(basis) < len(probes):  # the matrix has no more directions than these
        return np.full(len(probes), np.trace(inner))
    # What is orthogonal to all products but one: the rows of the inverse transpose.
    alone = np.linalg.inv(within).T
    alone /= np.linalg.norm(alone, axis=1, keepdims=True)
    of_probes = probes @ basis.T
    lost = np.einsum("ki,ki->k", alone @ inner, alone)
    kept = of_probes - np.einsum("ki,ki->k", alone, of_probes)[:, None] * alone
    # Beside the rest of the basis: <g, A g> less twice what it shares with the basis, and what that knows of it.
    forms = np.einsum("ki,ki->k", probes, products) - 2 * np.einsum("ki,ki->k", kept, probes @ known.T)
    forms += np.einsum("ki,ki->k", kept @ inner, kept)
    scale = (size - len(probes) + 1) / (size - np.einsum("ki,ki->k", kept, kept))
    return np.asarray(np.trace(inner) - lost + scale * forms)


def nystrom_left_out(probes: Array, products: Array) -> Array:
    """The estimate of the trace with each probe in turn left out of the Nystrom approximation of all."""
    count, size = probes.shape
    if not products.any():
        return np.zeros(count)
    shift = float(np.finfo(float).eps) * float(np.linalg.norm(products)) / np.sqrt(size)
    shifted = products + shift * probes
    inner = shifted @ probes.T
    inner = (inner + inner.T) / 2
    try:
        lower = np.linalg.cholesky(inner)
    except np.linalg.LinAlgError:
        text = "it has negative eigenvalues, or fewer directions than probes; ask for xtrace or auto instead"
        raise NumericalFailure(f"xnystrace is for positive definite matrices: {text}") from None
    factor = np.linalg.solve(lower, shifted)
    inverse = np.linalg.solve(lower, np.eye(count))
    alone = (inverse.T @ factor) / np.sqrt(np.einsum("ji,ji->i", inverse, inverse))[:, None]
    forms = np.einsum("ki,ki->k", alone, probes) ** 2
    scale = (size - count + 1) * np.diag(np.linalg.inv(probes @ probes.T))
    total = np.einsum("ki,ki->", factor, factor)
    return np.asarray(total - np.einsum("ki,ki->k", alone, alone) + scale * forms - shift * size)


def _sizes(operator: Operator, target: Target, each: int) -> list[int]:
    """Numbers of probes after which one looks: doubling where there is a tolerance; each takes `each` products."""
    most = max(min(target.max_probes // each, operator.size, operator.capacity), 2)
    sizes = [most]
    while target.stops_early and sizes[0] > 2 * FEWEST:
        sizes.insert(0, sizes[0] // 2)
    return sizes


def _all_columns(operator: Operator, target: Target, wanted: int, spent: int) -> bool:
    """Whether all columns take no more than the products that are wanted, and may be taken."""
    return wanted >= operator.size and spent + operator.size <= target.max_probes


def _lost(operator: Operator, products: Array, basis: Array, known: Array) -> float:
    """The roundings of a sum that may cancel, and what is left of products that were taken to lie in the basis."""
    left = products - (products @ basis.T) @ basis
    return float(np.sqrt(operator.size)) * longest(left) + ROUNDING * operator.epsilon * len(products) * longest(known)


def _known(operator: Operator, target: Target, look: int, estimates: Array, products: int, lost: float) -> Known:
    count, value = len(estimates), float(estimates.mean())
    shared = SHARED + LAST / (operator.size - count + 1)
    error = float(estimates.std(ddof=1)) * np.sqrt(1 / count + shared)
    rounding = ROUNDING * operator.epsilon * count * float(np.abs(estimates).max()) + lost
    half = (widening(probability(target, look), count) + (SKEWED / count) ** 2) * error + rounding
    half = np.inf if np.isnan(half) else half
    reason = stop_reason(target, products + products % 2, half, abs(value))
    none = np.zeros(0)
    return Known(products, np.array([value]), np.array([error]), np.array([half]), reason, none, none, none, count)
