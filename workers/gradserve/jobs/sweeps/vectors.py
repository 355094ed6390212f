"""A derivation run over many vectors: how these are cut into chunks, and chunks of one size into sweeps.

Chunks have sizes that are powers of two, so that few programs serve all requests, and how a request is cut depends on
it alone. What does not depend on the vectors, such as the values on the way to a gradient, each chunk computes once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gradserve.jobs.sweeps import cut
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.programs import Axis, Check
from gradserve.jobs.sweeps.sweep import Sweep, SweepSchedule
from gradserve.questions.call import Call
from gradserve.questions.derivations import Derivation

CHUNK_PROBES = 64
"""The most vectors of a chunk, a power of two; fewer if they cost more than a chunk should."""
BATCH_PROBES = 8
"""Those of a chunk of examples, which is cut along these."""
SAVED = 1 / 16
"""What a vector has to cost less for a chunk of twice as many to be worth its length,"""
LONGER = 10.0
"""which may be so many times that of other chunks."""
BLOCK_SECONDS = 20.0
"""Predicted seconds of work after which a stream tells how far it is: that is what is lost with it. Blocks are waited
for, so they have work for some tens of workers."""


class OverVectors:
    """The sweeps of a derivation over vectors, at one point or summed over a batch of examples."""

    def __init__(
        self, call: Call, derivation: Derivation, vectors: frozenset[str], data_bytes: int, most: int = CHUNK_PROBES
    ) -> None:
        """`vectors` are the inputs that carry the axis of these, of which a chunk has `most` at most."""
        axis = Axis(vectors, 1)
        if call.batch:
            axis = Axis(frozenset(call.batched), call.batch_size or 1, summed=True, within=axis)
        divisible = bool(call.batch)
        self._one = Sweep(call.graph, derivation, call.options, data_bytes, axis, divisible=divisible)
        self._most = 1 << (max(1, most).bit_length() - 1)
        self._size = BATCH_PROBES if call.batch else 0

    def size(self, context: Context, check: Check) -> int:
        """How many vectors make a chunk where there are many, by predicted cost."""
        if not self._size:
            whole = replace(self.sweep(self._most, 1), divisible=True)
            self._size = 1 << (whole.unlimited(context, check).sizes[0].bit_length() - 1)
            while self._size < self._most and self._pays(2 * self._size, context, check):
                self._size *= 2
        return self._size

    def _pays(self, size: int, context: Context, check: Check) -> bool:
        """Whether a chunk of so many vectors, which shares what does not depend on them, is worth its length."""
        half, whole = (self.sweep(each, 1).unlimited(context, check) for each in (size // 2, size))
        fits = whole.seconds <= LONGER * cut.CHUNK_SECONDS and whole.peak_bytes <= cut.CHUNK_BYTES
        return fits and whole.seconds <= 2 * half.seconds * (1 - SAVED)

    def sweep(self, size: int, laps: int, more_bytes: int = 0) -> Sweep:
        """Some chunks of so many vectors, which may be data of so many bytes."""
        axis = self._one.axis
        assert axis is not None
        axis = (
            replace(axis, size=size) if axis.within is None else replace(axis, within=replace(axis.within, size=size))
        )
        return replace(self._one, axis=axis, laps=laps, data_bytes=self._one.data_bytes + more_bytes)

    def whole(self, count: int, context: Context, check: Check) -> Sweep:
        """The sweep over so many vectors, or a few more, in chunks of one size."""
        size = self.size(context, check)
        return self.sweep(size, -(-count // size))

    def pieces(
        self, start: int, stop: int, context: Context, check: Check, more_bytes: int = 0
    ) -> Iterator[tuple[Sweep, int]]:
        """The sweeps over vectors `start` to `stop`, and the first of each: large chunks if they fit, then halves."""
        size = self.size(context, check)
        while start < stop:
            count = (stop - start) // size
            if count:
                yield self.sweep(size, count, more_bytes), start
                start += count * size
            size //= 2


def block_of(scheduled: SweepSchedule) -> int:
    """The vectors after which a stream tells how far it is, whole chunks."""
    laps = BLOCK_SECONDS / max(scheduled.seconds / scheduled.sweep.laps, 1e-9)
    if laps >= 1 or not scheduled.sweep.parts:
        return scheduled.sweep.at_once * max(1, int(laps))
    largest = max(piece.stop - piece.start for piece in scheduled.pieces)
    return largest * max(1, int(laps * len(scheduled.pieces)))
