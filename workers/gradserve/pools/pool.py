"""What a pool of workers does, whichever kind it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeAlias

from gradserve.execution import Schedule
from gradserve.ir.types import Array
from gradserve.pools.work import ChunkResult, Work
from gradserve.runtime.control import Control

Direct: TypeAlias = Callable[[Mapping[str, Array], Control], dict[str, Array]]
"""The outputs of one program, run in the caller's thread: the only chunk of a work, with the errors of `Pool.run`."""

HEAVY_SECONDS = 50e-3
"""Work that is predicted to take longer is done outside the front end's process: amid a step it cannot be ended there,
and some of LAPACK's routines keep the interpreter to themselves, so that nobody else gets an answer, not even about
the service's health."""
MAX_RETRIES = 5
"""How often a chunk runs again whose worker died."""


class Pool(Protocol):
    """Workers that run chunks."""

    name: str
    """`front-end` or `cluster`: what reports call the placement."""

    @property
    def size(self) -> int:
        """The number of workers."""
        ...

    @property
    def hop_seconds(self) -> float:
        """About what handing a small chunk to a worker costs, and taking its result back."""
        ...

    def run(self, work: Work, control: Control) -> Iterator[ChunkResult]:
        """The result of every chunk, in chunk order, computed a window ahead of what is consumed.

        Nothing runs before the first result is asked for. Closing the iterator early cancels the chunks that are under
        way. Arrays of results may be read-only, and may share memory with the work's data.

        Raises:
            Cancelled, DeadlineExceeded: as `control` says.
            NumericalFailure: a step is impossible on these numbers.
            LimitExceeded: a chunk needs more memory than any worker could have.
            WorkerLost: workers died more often than a chunk may be retried.
            Unavailable: the pool is closed or has no room.
        """
        ...

    def direct(self, schedule: Schedule, executor: str) -> Direct | None:
        """What runs a schedule here and now; None where that would take long, or is for others to do."""
        ...

    def close(self) -> None:
        """Ends the workers."""
        ...
