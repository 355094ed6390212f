"""What a pool of workers does, whichever kind it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from gradserve.workers.control import Control
from gradserve.workers.work import ChunkResult, Work


class Pool(Protocol):
    """Workers that run chunks."""

    name: str
    """`front-end` or `cluster`: what reports call the placement."""
    size: int
    """The number of workers."""

    def run(self, work: Work, control: Control) -> Iterator[ChunkResult]:
        """The result of every chunk, in chunk order, computed a window ahead of what is consumed.

        Closing the iterator early cancels the chunks that are under way.

        Raises:
            Cancelled, DeadlineExceeded: as `control` says.
            NumericalFailure: a step of a plan is impossible on these numbers.
            WorkerLost: workers died more often than a chunk may be retried.
        """
        ...

    def close(self) -> None:
        """Ends the workers."""
        ...
