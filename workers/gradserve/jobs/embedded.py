"""What a process needs that runs jobs in itself."""

from __future__ import annotations

from gradserve.jobs.sweeps.context import Context
from gradserve.pools.local.pool import LocalPool


def embedded_context(threads: int) -> Context:
    """A context whose only pool is threads of this process."""
    return Context(LocalPool(threads))
