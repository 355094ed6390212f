"""Eigenvalues at an end of a spectrum with their eigenvectors: what is asked, and the current answer."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.call import Argument
from gradserve.questions.estimates import through_kinks
from gradserve.questions.matrices import OfMatrices
from gradserve.questions.options import option
from gradserve.questions.report import Report
from gradserve.questions.shown import Shown, Table


class End(enum.StrEnum):
    """Which eigenvalues are wanted."""

    LARGEST = "largest"
    SMALLEST = "smallest"
    MAGNITUDE = "magnitude"
    """Those furthest from 0, on either side."""


class SearchStop(enum.StrEnum):
    """Why a search for eigenpairs has ended."""

    NONE = ""
    """It has not ended."""
    TOLERANCE = "tolerance"
    """All residuals are within the tolerance, and a search from new random vectors found no other."""
    MAX_PRODUCTS = "max_products"
    """All products are spent."""


@dataclass(frozen=True, repr=False)
class Eigenpairs(Shown):
    """The current eigenpairs, each with a certificate. Prints as a table; `.plot()` draws the eigenvalues.

    Within `residuals[k]` of `values[k]` lies an eigenvalue, whatever has converged. That none further out was missed is
    no certificate: `complete` says that a search from new random vectors found none.
    """

    values: Array
    """The eigenvalues, the one that is furthest out first."""
    vectors: Mapping[str, Array]
    """The eigenvectors by input, of length 1, with a leading axis: row k belongs to `values[k]`."""
    residuals: Array
    """The norms of A v - lambda v."""
    converged: tuple[bool, ...]
    """Whether each residual is at most the tolerance times the largest eigenvalue known, by size."""
    complete: bool
    """Whether a search from new random vectors, after all had converged, found no other eigenvalue among them."""
    end: End
    tolerance: float
    products: int
    """Products with vectors so far."""
    stop_reason: SearchStop
    seed: int
    report: Report
    point: int = 0
    """The point of the batch that it is about."""
    group: str = ""
    """The group of inputs that it is about; empty for all in question."""
    token: bytes = field(default=b"", repr=False)
    """What the same question goes on with from here; see `gradserve.questions.resuming`."""

    @property
    def ended(self) -> bool:
        """Whether nothing better follows about the same."""
        return bool(self.stop_reason)

    def _draw(self, axes: Any) -> None:
        axes.errorbar(np.arange(1, len(self.values) + 1), self.values, yerr=self.residuals, fmt="o")
        axes.set_xlabel("eigenpair")
        axes.set_ylabel("eigenvalue")

    def _tables(self) -> Iterator[Table]:
        rows = zip(self.values, self.residuals, self.converged, strict=True)
        cells = [(str(k), f"{v:.10g}", f"{r:.1e}", "yes" if c else "no") for k, (v, r, c) in enumerate(rows, start=1)]
        yield Table(self._heading, _COLUMNS, tuple(cells))

    @property
    def _heading(self) -> str:
        found = f"{sum(self.converged)} of {len(self.values)} eigenpairs ({self.end}) converged"
        others = "no other found" if self.complete else "others among them are not ruled out"
        return f"{found}, {others} ({self.products} products){through_kinks(self.report)}"


_COLUMNS = ("", "eigenvalue", "|A v - lambda v|", "converged")


@dataclass(frozen=True)
class TopEigenpairs(OfMatrices):
    """Asks for eigenpairs at an end of the spectrum of the Hessian of a loss, with residuals as certificates.

    By a block Krylov method with thick restarts, in memory that is known beforehand. Repeated eigenvalues are found by
    searches from new random vectors, until one finds no other.
    """

    count: int = option(0, "how many pairs; 0 for 4")
    end: End = option(End.LARGEST, "which: the largest, the smallest, or the largest in magnitude")
    tolerance: float = option(
        0.0, "of residuals, as a share of the largest eigenvalue; 0 for 1e-6, or 1e-4 in float32", "tol"
    )
    max_products: int = option(0, "the most products with vectors; 0 for 2000")
    basis: int = option(0, "vectors kept between restarts and made before one; 0 for 3 times the pairs and 24 more")
    start: Mapping[str, Argument] = field(default_factory=dict)
    """Vectors to begin with by input, with a leading axis, such as those of an earlier answer; none for random ones."""

    method = "hessian_eigenpairs"
    command = "eigenpairs"
    rpc = "TopEigenpairs"
    answer = Eigenpairs
