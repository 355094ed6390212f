"""Cutting a batch into chunks, by predicted cost alone.

Nothing here knows how many workers there are: the same job is cut the same way everywhere, which is what makes its
bits the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

from gradserve.execution import Plan
from gradserve.jobs.plans import Batching

CHUNK_SECONDS = 0.05
"""Predicted seconds of a chunk: eighty times the way to a worker, and short enough to cancel."""
CHUNK_BYTES = 256 << 20
"""Predicted live bytes of a chunk, where the points can be divided."""
_PILOT = 9


@dataclass(frozen=True, slots=True)
class Piece:
    """Points `start` to `stop` and the plan for that many."""

    plan: Plan
    start: int
    stop: int


def cut(plan_for: Callable[[Batching], Plan], batching: Batching) -> tuple[Piece, ...]:
    """The pieces of a batch, in order, nearly equal in size.

    Two small plans tell what a point costs beyond what all points share.
    """
    size = _points_per_chunk(plan_for, batching)
    count = -(-batching.size // size)
    bounds = [k * batching.size // count for k in range(count + 1)]
    return tuple(Piece(plan_for(replace(batching, size=stop - start)), start, stop) for start, stop in pairwise(bounds))


def _points_per_chunk(plan_for: Callable[[Batching], Plan], batching: Batching) -> int:
    if batching.size <= 1:
        return 1
    one, many = (plan_for(replace(batching, size=size)) for size in (1, min(_PILOT, batching.size)))
    more = min(_PILOT, batching.size) - 1
    by_time = _affordable(CHUNK_SECONDS, one.seconds, (many.seconds - one.seconds) / more)
    by_memory = _affordable(CHUNK_BYTES, one.peak_bytes, (many.peak_bytes - one.peak_bytes) / more)
    return max(1, min(batching.size, by_time, by_memory))


def _affordable(budget: float, first: float, each: float) -> int:
    """How many points fit, if the first costs `first` and every further one `each`."""
    if each <= 0:
        return 1 << 62
    return 1 + max(0, int((budget - first) / each))
