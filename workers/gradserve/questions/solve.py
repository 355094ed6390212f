"""Systems with a Hessian: what is asked, and the current answer."""

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
from gradserve.questions.matrices import OfMatrix
from gradserve.questions.options import option
from gradserve.questions.report import Report
from gradserve.questions.shown import Shown, Table


class Preconditioner(enum.StrEnum):
    """What conjugate gradients are taken relative to."""

    NONE = "none"
    DIAGONAL = "diagonal"
    """The diagonal of the matrix: the one that is given, or an estimate from random signs."""


class SolveStop(enum.StrEnum):
    """Why a solution is the last one."""

    NONE = ""
    """It is not."""
    TOLERANCE = "tolerance"
    """The residual is within the tolerance."""
    MAX_ITERATIONS = "max_iterations"
    """All iterations are spent."""
    NEGATIVE_CURVATURE = "negative_curvature"
    """A direction was met along which the matrix is not positive: conjugate gradients cannot go on."""
    ROUNDING = "rounding"
    """The residual falls no further: it is rounding."""


@dataclass(frozen=True, repr=False)
class Solution(Shown):
    """The current solution x of (A + damping I) x = b, with a certificate. Prints as a table; `.plot()` draws."""

    solution: Mapping[str, Array]
    """By input, each in its shape."""
    residual: float
    """|b - (A + damping I) x| / |b|, of a product with x itself."""
    iterations: int
    products: int
    """Products with vectors so far, without those of the diagonal."""
    residuals: Array
    """The same after each iteration, as the recurrence has it: the last may differ from `residual` by rounding."""
    stop_reason: SolveStop
    """NONE in all but the last."""
    curvature: float
    """The least <p, (A + damping I) p> / <p, p> of all directions p so far; infinite before the first."""
    tolerance: float
    damping: float
    report: Report
    direction: Mapping[str, Array] = field(default_factory=dict)
    """The direction of negative curvature, of length 1, if one was met; else nothing."""
    token: bytes = field(default=b"", repr=False)
    """What the same question goes on with from here; see `gradserve.questions.resuming`."""

    @property
    def ended(self) -> bool:
        """Whether nothing better follows about the same."""
        return bool(self.stop_reason)

    @property
    def converged(self) -> bool:
        """Whether the residual is within the tolerance."""
        return self.stop_reason is SolveStop.TOLERANCE

    def _draw(self, axes: Any) -> None:
        axes.semilogy(np.arange(1, len(self.residuals) + 1), self.residuals)
        axes.axhline(self.tolerance, linestyle=":")
        axes.set_xlabel("iteration")
        axes.set_ylabel("residual / |b|")

    def _tables(self) -> Iterator[Table]:
        row = (f"{self.tolerance:.1e}", str(self.iterations), str(self.products), f"{self.curvature:.4g}")
        yield Table(self._heading, _COLUMNS, (row,))

    @property
    def _heading(self) -> str:
        why = f"stopped by {self.stop_reason.replace('_', ' ')}" if self.stop_reason else "under way"
        return f"solution with a residual of {self.residual:.2e} |b|, {why}{through_kinks(self.report)}"


_COLUMNS = ("tolerance", "iterations", "products", "least curvature")


@dataclass(frozen=True)
class SolveHessian(OfMatrix):
    """Asks for the solution x of (A + damping I) x = b, where A is the Hessian of a loss, by conjugate gradients.

    With a residual as certificate. Where a direction of negative curvature is met, that is the answer's `direction`.
    """

    right: Mapping[str, Argument] = field(default_factory=dict)
    """The right-hand side b by input, each in its shape."""
    damping: float = option(0.0, "a multiple of the identity that is added to the matrix")
    tolerance: float = option(0.0, "of the residual, as a share of |b|; 0 for 1e-6, or 1e-4 in float32", "tol")
    max_iterations: int = option(0, "the most iterations; 0 for 1000")
    preconditioner: Preconditioner = option(
        Preconditioner.NONE, "what iterations are relative to: nothing, or the diagonal, given or estimated"
    )
    probes: int = option(0, "random vectors for the estimate of the diagonal; 0 for 32")
    diagonal: Mapping[str, Argument] = field(default_factory=dict)
    """The diagonal by input, if it is known; all of it above 0."""

    method = "hessian_solve"
    command = "solve"
    rpc = "SolveHessian"
    answer = Solution
