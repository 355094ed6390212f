"""Cutting an axis into chunks, by predicted cost alone.

Nothing here knows how many workers there are: the same job is cut the same way everywhere, which is what makes its
bits the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from gradserve.execution import Instance, Schedule

CHUNK_SECONDS = 0.05
"""Predicted seconds of a chunk: eighty times the way to a worker, and short enough to cancel."""
CHUNK_BYTES = 256 << 20
"""Predicted live bytes of a chunk, where the axis can be divided."""
_PILOT = 9
_WHOLE = 1 << 10
"""Positions that are tried as one chunk before anything else: that makes one program where it is enough."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The positions `start` to `stop` of an axis, and what runs them."""

    instance: Instance
    schedule: Schedule
    start: int
    stop: int


PieceOf = Callable[[int, int], Piece]
"""The piece from one position to another."""


def cut(piece: PieceOf, size: int) -> tuple[Piece, ...]:
    """The pieces of an axis of `size` positions, in order, nearly equal in size.

    Two pieces tell what a position costs beyond what all share: the first position, and the whole axis or a few.
    """
    many = piece(0, size if size <= _WHOLE else _PILOT)
    if many.stop == size and (size <= 1 or _fits(many.schedule)):
        return (many,)
    count = -(-size // _positions_per_chunk(piece(0, 1), many, size))
    bounds = [k * size // count for k in range(count + 1)]
    return tuple(piece(start, stop) for start, stop in pairwise(bounds))


def _fits(schedule: Schedule) -> bool:
    return schedule.seconds <= CHUNK_SECONDS and schedule.peak_bytes <= CHUNK_BYTES


def _positions_per_chunk(first: Piece, many: Piece, size: int) -> int:
    """How many positions fit, by what the first one takes and what many do."""
    one, all_, more = first.schedule, many.schedule, many.stop - 1
    by_time = _affordable(CHUNK_SECONDS, one.seconds, (all_.seconds - one.seconds) / more)
    by_memory = _affordable(CHUNK_BYTES, one.peak_bytes, (all_.peak_bytes - one.peak_bytes) / more)
    return max(1, min(size, by_time, by_memory))


def _affordable(budget: float, first: float, each: float) -> int:
    """How many positions fit, if the first costs `first` and every further one `each`."""
    if each <= 0:
        return 1 << 62
    return 1 + max(0, int((budget - first) / each))
