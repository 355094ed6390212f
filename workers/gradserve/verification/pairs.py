"""Pairs of directions in whose planes mixed partials are looked at."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.verification.directions import scales, sign_directions

DEFAULT_PAIRS = 16
"""Pairs to look at unless told: all there are of six entries, with one to spare."""
_PURPOSE = int.from_bytes(hashlib.sha256(b"verification pairs").digest()[:8], "little")


@dataclass(frozen=True, eq=False)
class Pair:
    """Two directions."""

    u: Array
    v: Array

    @property
    def entries(self) -> tuple[int, int] | None:
        """The positions that move, if each direction moves one alone."""
        moved = np.flatnonzero(self.u), np.flatnonzero(self.v)
        return (int(moved[0][0]), int(moved[1][0])) if len(moved[0]) == len(moved[1]) == 1 else None

    def parts(self) -> list[Pair]:
        """The pairs of a half of u and a half of v; none of them moves the same single entry twice."""
        found = [Pair(u, v) for u in _halves(self.u) for v in _halves(self.v)]
        return [pair for pair in found if pair.entries is None or pair.entries[0] != pair.entries[1]]


def entry_pair(point: Array, first: int, second: int) -> Pair:
    """The pair of two entries, each in its own scale."""
    units, u, v = scales(point), np.zeros_like(point), np.zeros_like(point)
    u[first], v[second] = units[first], units[second]
    return Pair(u, v)


def choose_pairs(point: Array, count: int, seed: int) -> list[Pair]:
    """Pairs of all entries if there are at most `count`; otherwise half random signs over all, half random entries.

    Signs move everything at once, so that no pair of entries goes unseen. The same seed chooses the same.
    """
    size = len(point)
    if size * (size - 1) // 2 <= count:
        return [entry_pair(point, i, j) for i, j in itertools.combinations(range(size), 2)]
    signs = sign_directions(point, 2 * ((count + 1) // 2), seed)
    drawn = itertools.islice(_random_entries(size, seed), count // 2)
    return [*map(Pair, signs[::2], signs[1::2]), *(entry_pair(point, i, j) for i, j in drawn)]


def _random_entries(size: int, seed: int) -> Iterator[tuple[int, int]]:
    """Pairs of different positions, none twice, without end as long as there are any."""
    key = (seed & ((1 << 64) - 1)) | _PURPOSE << 64
    seen: set[tuple[int, int]] = set()
    for counter in itertools.count():
        one, two = (int(word) for word in np.random.Philox(key=key, counter=counter).random_raw(2))
        first = one % size
        low, high = sorted((first, (first + 1 + two % (size - 1)) % size))
        if (low, high) not in seen:
            seen.add((low, high))
            yield low, high


def _halves(vector: Array) -> Sequence[Array]:
    """The vector on each half of the positions that it moves; itself if that is one."""
    moved = np.flatnonzero(vector)
    if len(moved) < 2:
        return [vector]
    middle = moved[len(moved) // 2]
    positions = np.arange(len(vector))
    return [np.where(positions < middle, vector, 0.0), np.where(positions >= middle, vector, 0.0)]
