"""Works under way in a pool of Ray actors, and their chunks."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from gradserve.pools.in_order import Inbox
from gradserve.pools.ray.sending import ChunkCalls, Parcel
from gradserve.pools.ray.workers import Worker
from gradserve.runtime.control import Control


@dataclass(eq=False)
class Job:
    """One work under way."""

    calls: ChunkCalls
    control: Control
    inbox: Inbox
    own_workers: bool
    """Whether its chunks need more memory than ordinary workers have, and so workers of its own."""

    def __post_init__(self) -> None:
        """Starts with nothing pending."""
        self.chunks_left = len(self.calls.work.chunks)
        self.pending: deque[Task] = deque()
        self.workers: set[Worker] = set()
        self.stalled_since: float | None = None

    @property
    def owner(self) -> Job | None:
        """The owner of the workers that may run its chunks."""
        return self if self.own_workers else None


@dataclass(eq=False)
class Task:
    """One chunk under way."""

    job: Job
    index: int
    parcel: Parcel
    offered: float
    retries: int = 0
    unwanted_since: float | None = None

    @property
    def longest_step_seconds(self) -> float:
        """The predicted seconds of its longest step, in which its worker may not answer."""
        return self.job.calls.work.longest_step_seconds
