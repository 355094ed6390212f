"""Estimators with a fixed split: a basis or a low-rank approximation, and probes that it does not depend on.

Where all columns may be taken, these are: no basis says more.

Hutch++: R. Meyer, C. Musco, C. Musco, D. Woodruff (2021). Nystrom++: D. Persson, A. Cortinovis, D. Kressner (2022).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from gradserve.estimation import exact
from gradserve.estimation.asking import Columns, Dialogue, Known, Operator, Probes
from gradserve.estimation.deflation import Deflation, columns, largest, longest
from gradserve.estimation.looks import Target
from gradserve.estimation.residual import Found, beginning, plain, sampling
from gradserve.ir.types import Array
from gradserve.questions.estimates import Sampler, StopReason


def hutchinson(operator: Operator, target: Target, sampler: Sampler = Sampler.SIGNS) -> Dialogue:
    """Random vectors alone (M. F. Hutchinson, 1990)."""
    first = min(16, target.max_probes)
    probes, products = yield Probes(0, first, sampler)
    yield from sampling(operator, target, plain(operator, target).with_probes(probes, products), sampler)


def hutchpp(operator: Operator, target: Target, sampler: Sampler = Sampler.SIGNS) -> Dialogue:
    """A third of the products for each: the basis, what it knows, what it leaves."""
    if target.max_probes >= operator.size:
        yield from exact.columns(operator, 0)
        return
    third = min(target.max_probes // 3, operator.size, operator.capacity)
    probes, products = yield Probes(0, third, sampler)
    yield _meanwhile(operator, target, probes, products)
    nothing = Deflation.none(operator.size)
    rows = nothing.beyond(products)
    deflation = nothing.grown(rows, (yield Columns(rows)))
    found = beginning(operator, target, deflation, third + len(rows), third)
    yield from sampling(operator, target, (yield from _first(found, sampler)), sampler)


def nystrompp(operator: Operator, target: Target, sampler: Sampler = Sampler.SIGNS) -> Dialogue:
    """Half of the products for a low-rank approximation of a positive semidefinite matrix, half for what it leaves."""
    if target.max_probes >= operator.size:
        yield from exact.columns(operator, 0)
        return
    half = min(target.max_probes // 2, operator.size, operator.capacity)
    probes, products = yield Probes(0, half, sampler)
    yield _meanwhile(operator, target, probes, products)
    found = beginning(operator, target, nystrom(probes, products), half, half)
    yield from sampling(operator, target, (yield from _first(found, sampler)), sampler)


def _meanwhile(operator: Operator, target: Target, probes: Array, products: Array) -> Known:
    """What the probes of a basis say by themselves."""
    return plain(operator, target).with_probes(probes, products).known(StopReason.NONE)


def _first(found: Found, sampler: Sampler) -> Generator[Any, Any, Found]:
    """After the first probes beside a basis."""
    count = min(16, found.target.max_probes - found.spent)
    probes, products = yield Probes(found.drawn, found.drawn + count, sampler)
    return found.with_probes(probes, products)


class Approximation(Deflation):
    """F^T F for rows F, as a low-rank approximation of a matrix that it lies below."""

    def outside(self) -> Array:
        """Nothing: it leaves no projection."""
        return np.zeros(self.rows.shape[1])

    def sizes(self) -> Array:
        """Squares do not cancel."""
        return self.diagonal

    def rest(self, probes: Array, products: Array) -> tuple[Array, Array, Array]:
        """The probes, the products with what the approximation leaves, and the sizes that these are added up from."""
        inside = probes @ self.rows.T
        sizes = largest(products) + longest(inside) * columns(self.rows)
        return probes, products - inside @ self.rows, sizes


def nystrom(probes: Array, products: Array) -> Deflation:
    """A W (W^T A W)^+ W^T A for probes W, as F^T F; shifted while it is made, so that rounding leaves it positive."""
    shift = np.sqrt(products.shape[1]) * float(np.spacing(np.linalg.norm(products)))
    shifted = products + shift * probes
    inner = shifted @ probes.T
    if not np.isfinite(inner).all():  # nothing is known of it, and samples say so
        return Deflation.none(products.shape[1])
    sizes, vectors = np.linalg.eigh((inner + inner.T) / 2)
    kept = sizes > shift
    factor = (vectors[:, kept] / np.sqrt(sizes[kept])).T @ shifted
    _, values, rows = np.linalg.svd(factor, full_matrices=False)
    rows = rows * np.sqrt(np.maximum(values**2 - shift, 0.0))[:, None]
    return Approximation(rows, rows, np.einsum("ki,ki->i", rows, rows))
