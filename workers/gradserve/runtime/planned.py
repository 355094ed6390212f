"""What a job is predicted to take, as whoever lets it begin sees it."""

from __future__ import annotations

from dataclasses import replace

from gradserve.ir.records import dataclass


@dataclass(frozen=True, slots=True)
class Planned:
    """Work that is about to begin: predicted from shapes, before an array is allocated."""

    flops: float
    """Floating-point operations of all chunks."""
    bytes: float
    """Bytes that all chunks read and write."""
    seconds: float
    """Seconds of all chunks one after the other, on one worker of the machine that predictions are made for."""
    alone: float
    """Seconds where its chunks run beside each other and nothing else does."""
    peak_bytes: int
    """The largest number of live bytes of one chunk."""
    place: str
    """The name of the pool that it runs on."""

    def part(self, share: float) -> Planned:
        """What a share of it takes, that of its memory aside."""
        if share == 1.0:
            return self
        scaled = {name: share * getattr(self, name) for name in ("flops", "bytes", "seconds", "alone")}
        return replace(self, **scaled)
