"""Interleaved turns: everything that is compared runs in turn, so that a noisy machine disturbs all of it alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

TURN_SECONDS = 5e-3
"""About how long a turn lasts."""
MOST_CALLS = 1000


class Subject(Protocol):
    """Something whose calls are timed, in this process or another."""

    name: str

    def turn(self, calls: int) -> float:
        """Seconds of each of so many calls, on average."""
        ...


@dataclass(frozen=True)
class Here:
    """A function of this process."""

    name: str
    call: Callable[[], Any]

    def turn(self, calls: int) -> float:
        call, repetitions = self.call, range(calls)
        started = time.perf_counter()
        for _ in repetitions:
            call()
        return (time.perf_counter() - started) / calls


@dataclass(frozen=True)
class Timing:
    """Seconds per call, one number for each turn."""

    turns: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.turns)

    @property
    def best(self) -> float:
        return min(self.turns)


def interleave(subjects: Sequence[Subject], seconds: float, turns: int = 15, fewest: int = 3) -> dict[str, Timing]:
    """Timings by name after `turns` turns each, or as many as fit in `seconds`, but at least `fewest`.

    While there is time left more turns follow, up to four times as many.
    """
    calls = {subject.name: _calls_per_turn(subject) for subject in subjects}
    times: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    end = time.perf_counter() + seconds
    for done in range(4 * turns):
        if done >= fewest and time.perf_counter() > end:
            break
        for subject in subjects:
            times[subject.name].append(subject.turn(calls[subject.name]))
    return {name: Timing(tuple(seen)) for name, seen in times.items()}


def _calls_per_turn(subject: Subject) -> int:
    """How many calls make a turn; the two calls that tell also warm the subject up."""
    subject.turn(1)
    return max(1, min(MOST_CALLS, int(TURN_SECONDS / max(subject.turn(1), 1e-9))))
