"""Cutting an axis into chunks, by predicted cost alone.

Nothing here knows how many workers there are: the same job is cut the same way everywhere, which is what makes its
bits the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from gradserve.execution import Instance, Schedule
from gradserve.ir.records import dataclass
from gradserve.questions.derivations import Derivation

CHUNK_SECONDS = 0.05
"""Predicted seconds of a chunk: eighty times the way to a worker, and short enough to cancel."""
CHUNK_BYTES = 256 << 20
"""Predicted live bytes of a chunk, where the axis can be divided."""
_PILOT = 1 << 10
"""Positions that are tried as one chunk before anything else, which makes one program where it is enough.

Fewer would not tell what a position costs: steps on arrays take longer than those on single numbers, however short the
arrays are.
"""


@dataclass(frozen=True, slots=True)
class Piece:
    """The positions `start` to `stop` of an axis, and what runs them."""

    instance: Instance
    schedule: Schedule
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Part:
    """Positions of an axis that are asked the same."""

    derivation: Derivation
    count: int
    at_once: int
    """The most of a piece."""


PieceOf = Callable[[int, int], Piece]
"""The piece from one position to another."""


def cut(piece: PieceOf, size: int) -> tuple[Piece, ...]:
    """The pieces of an axis of `size` positions, in order, nearly equal in size.

    Two pieces tell what a position costs beyond what all share: the first position, and the whole axis or many.
    """
    many = piece(0, min(size, _PILOT))
    if many.stop == size and (size <= 1 or _fits(many.schedule)):
        return (many,)
    count = -(-size // _positions_per_chunk(piece(0, 1), many, size))
    bounds = [k * size // count for k in range(count + 1)]
    return tuple(piece(start, stop) for start, stop in pairwise(bounds))


def parted(parts: Iterable[Part]) -> Iterator[tuple[Derivation, int, int]]:
    """Of each piece of the parts, one after the other, what it is asked, where it starts and where it stops."""
    first = 0
    for each in parts:
        count = -(-each.count // each.at_once)
        bounds = [first + k * each.count // count for k in range(count + 1)]
        yield from ((each.derivation, start, stop) for start, stop in pairwise(bounds))
        first += each.count


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
