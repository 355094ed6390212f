"""What a job cost, as measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from gradserve.ir.types import Array
from gradserve.jobs.kinks import Kinks
from gradserve.pools.work import ChunkResult


@dataclass(frozen=True, slots=True)
class Report:
    """Durations in seconds, and counts."""

    queue: float = 0.0
    decode: float = 0.0
    plan: float = 0.0
    execute: float = 0.0
    encode: float = 0.0
    plan_cache_hit: bool = False
    executor: str = ""
    placement: str = ""
    chunks: int = 0
    retries: int = 0
    batch_size: int = 1
    flops: float = 0.0
    peak_bytes: int = 0
    nonfinite_outputs: int = 0
    workers: tuple[str, ...] = ()
    kinks: Kinks | None = None
    """Unless it was asked for, None."""

    def with_result(self, result: ChunkResult) -> Report:
        """The report after one more chunk."""
        return replace(
            self,
            chunks=self.chunks + 1,
            retries=self.retries + result.retries,
            workers=self.workers if result.worker in self.workers else (*self.workers, result.worker),
        )


def count_nonfinite(arrays: Iterable[Array] | Mapping[str, Array]) -> int:
    """The number of elements that are infinite or not a number."""
    values = arrays.values() if isinstance(arrays, Mapping) else arrays
    return sum(int(a.size - np.count_nonzero(np.isfinite(a))) for a in values if a.dtype.kind == "f")
