"""Schedules made ready once and kept."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from gradserve.estimation import recurrence as recurrences
from gradserve.estimation.recurrence import Recurrence
from gradserve.execution import Prepared, Program, Schedule, Stopped
from gradserve.execution import executor as executor_of
from gradserve.ir.budget import Budget, spending
from gradserve.ir.errors import Cancelled
from gradserve.ir.types import Array
from gradserve.runtime.caches import Lru
from gradserve.runtime.garbage import uncollected

CAPACITY_BYTES = 1 << 28
_NODE_BYTES = 1 << 10
_ANY = 1 << 62


def _never() -> bool:
    return False


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
        self._lock = threading.Lock()
        self._preparing: dict[tuple[str, str], threading.Lock] = {}
        """One for each program that is being prepared."""

    def find(self, digest: str, executor: str) -> Prepared | None:
        """What is ready for a program, else None."""
        return self._prepared.get((digest, executor))

    def seconds(self, programs: Iterable[Program], executor: str) -> float:
        """Predicted seconds until those of the programs are ready that are not."""
        missing = [program for program in programs if (program.digest, executor) not in self._prepared]
        return sum(map(executor_of(executor).preparing_seconds, missing))

    def prepared(self, schedule: Schedule, executor: str, stopped: Stopped = _never) -> Prepared:
        """The schedule ready to run, prepared now if it is not known.

        Raises:
            Cancelled: `stopped` said so; what compiles looks now and then.
        """
        key = (schedule.program.digest, executor)
        found = self._prepared.get(key)
        if found is not None:
            return found
        # Calls that arrive together mostly bring the same program; others do not wait for it.
        with self._alone(key), uncollected():
            found = self._prepared.get(key)
            if found is None:
                with spending(Budget(_ANY, _ANY, float("inf"), functools.partial(_check, stopped))):
                    found = executor_of(executor).prepare(schedule)
                self._prepared.put(key, found, schedule_bytes(schedule))
        return found

    @contextmanager
    def _alone(self, key: tuple[str, str]) -> Iterator[None]:
        """A context in which no other thread prepares the same."""
        with self._lock:
            lock = self._preparing.setdefault(key, threading.Lock())
        try:
            with lock:
                yield
        finally:
            with self._lock:
                self._preparing.pop(key, None)


def _check(stopped: Stopped) -> None:
    if stopped():
        raise Cancelled("the work was stopped while it was made ready")
