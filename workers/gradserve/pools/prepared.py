"""Schedules made ready once and kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from gradserve.estimation import recurrence as recurrences
from gradserve.estimation.recurrence import Recurrence
from gradserve.execution import Prepared, Schedule
from gradserve.execution import executor as executor_of
from gradserve.ir.types import Array
from gradserve.runtime.caches import Lru
from gradserve.runtime.garbage import uncollected

CAPACITY_BYTES = 1 << 28
_NODE_BYTES = 1 << 10


def schedule_bytes(schedule: Schedule) -> int:
    """About how much memory a schedule holds, prepared or not; it holds no data."""
    return _NODE_BYTES * (16 + len(schedule.program.graph.nodes))


def outputs_of(
    prepared: Prepared,
    recurrence: Recurrence | None,
    arguments: Mapping[str, Array],
    stopped: Callable[[], bool],
) -> dict[str, Array]:
    """What a chunk gives: the outputs of its program, or what a recurrence makes of many products by it."""
    if recurrence is None:
        return prepared(arguments, stopped)
    return recurrences.run(recurrence, prepared, arguments, stopped)


class PreparedSchedules:
    """What is ready to run, by the digest of its program and its executor. Safe for threads."""

    def __init__(self, capacity_bytes: int = CAPACITY_BYTES) -> None:
        """Keeps up to `capacity_bytes` altogether, the least recently used dropped first."""
        self._prepared: Lru[tuple[str, str], Prepared] = Lru(capacity_bytes)
        self._preparing = threading.Lock()

    def find(self, digest: str, executor: str) -> Prepared | None:
        """What is ready for a program, else None."""
        return self._prepared.get((digest, executor))

    def prepared(self, schedule: Schedule, executor: str) -> Prepared:
        """The schedule ready to run, prepared now if it is not known."""
        key = (schedule.program.digest, executor)
        found = self._prepared.get(key)
        if found is not None:
            return found
        # One at a time: preparing may compile, and calls that arrive together mostly bring the same program.
        with self._preparing:
            found = self._prepared.get(key)
            if found is None:
                with uncollected():
                    found = executor_of(executor).prepare(schedule)
                self._prepared.put(key, found, schedule_bytes(schedule))
        return found
