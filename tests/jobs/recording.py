"""A pool that runs everything at once in the caller's thread, and says what it has run."""

from __future__ import annotations

from collections.abc import Iterator

from gradserve.execution import Schedule
from gradserve.pools.prepared import PreparedSchedules
from gradserve.pools.sources import arrays_of
from gradserve.pools.work import Chunk, ChunkResult, OneHots, Rows, Signs, Work
from gradserve.runtime.control import Control


class RecordingPool:
    """Chunks in their order, noted: their sizes and what they cost."""

    size = 1
    hop_seconds = 1e-5

    def __init__(self, name: str, prepared: PreparedSchedules) -> None:
        """Knows what `prepared` knows."""
        self.name = name
        self._prepared = prepared
        self.forget()

    def forget(self) -> None:
        """Begins anew."""
        self.sizes: list[int] = []
        self.flops = 0.0
        self.peak_bytes = 0
        self.executors: set[str] = set()

    def run(self, work: Work, control: Control) -> Iterator[ChunkResult]:
        for index, chunk in enumerate(work.chunks):
            control.check()
            schedule = work.schedules[chunk.program]
            self.sizes.append(_size(chunk))
            self.flops += schedule.program.flops
            self.peak_bytes = max(self.peak_bytes, schedule.peak_bytes)
            self.executors.add(work.executor)
            run = self._prepared.prepared(schedule, work.executor)
            outputs = run(arrays_of(chunk.arguments, work.data, work.constants))
            yield ChunkResult(index, outputs, 0.0, 0.0, self.name, retries=0)

    def direct(self, schedule: Schedule, executor: str) -> None:
        """Nothing: every chunk is to be noted."""

    def close(self) -> None:
        """Nothing is left to end."""


def _size(chunk: Chunk) -> int:
    """The positions of the axis; 1 where nothing carries it."""
    along = [s for s in chunk.arguments.values() if isinstance(s, Rows | OneHots | Signs)]
    return along[0].stop - along[0].start if along else 1
