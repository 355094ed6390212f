"""What a process needs that runs jobs in itself."""

from __future__ import annotations

from gradserve.jobs.context import Context
from gradserve.pools.local.pool import LocalPool
from gradserve.runtime.control import Control
from gradserve.verification.report import PairReport as PairFound
from gradserve.verification.report import Place, VerificationReport
from gradserve.verification.report import SymmetryReport as SymmetryFound

__all__ = ["Control", "PairFound", "Place", "SymmetryFound", "VerificationReport", "embedded_context"]


def embedded_context(threads: int) -> Context:
    """A context whose only pool is threads of this process."""
    return Context(LocalPool(threads))
