"""Works under way in a pool of Ray actors, and their chunks."""

from __future__ import annotations

from collections import deque

from gradserve.ir.records import dataclass
from gradserve.pools.in_order import Inbox
from gradserve.pools.ray.sending import ChunkCalls, Parcel
from gradserve.pools.ray.workers import Worker
from gradserve.runtime.control import Control

STOP_SECONDS = 0.6
"""How long a worker may take to stop a chunk once it has heard that it shall; one amid a longer step is ended."""
STOP_PROCESSOR_SECONDS = 0.3
"""How much of a processor it must have had by then: on a machine whose processors are all taken it comes to less."""
HEAR_SECONDS = 3.0
"""How long it may take to hear of it: one that has no processor, or keeps its interpreter to itself, answers late."""


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
    heard: float | None = None
    """When its worker answered that the chunk is to stop."""
    used: float = 0.0
    """The processor time that its worker had used by then."""

    def stuck(self, now: float, used: float) -> bool:
        """Whether nobody has wanted it for so long that its worker, which used so much, must be amid a long step."""
        if self.unwanted_since is None:
            return False
        since_heard = 0.0 if self.heard is None else now - self.heard
        worked = not used - self.used < STOP_PROCESSOR_SECONDS  # what is not known is infinite, both times
        return (since_heard > STOP_SECONDS and worked) or now - self.unwanted_since > STOP_SECONDS + HEAR_SECONDS

    @property
    def longest_step_seconds(self) -> float:
        """The predicted seconds of its longest step, in which its worker may not answer."""
        return self.job.calls.work.longest_step_seconds
