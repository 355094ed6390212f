"""Interleaved turns: everything that is compared runs in turn, so that a noisy machine disturbs all of it alike."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

TURN_SECONDS = 5e-3
"""About how long a turn lasts."""
MOST_CALLS = 1000


@dataclass(frozen=True)
class Turn:
    """Seconds per call, and the share of the time in which a thread of the process stood in line for a processor."""

    seconds: float
    waited: float


class Subject(Protocol):
    """Something whose calls are timed, in this process or another."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def turn(self, calls: int) -> Turn:
        """The average of so many calls."""
        ...


@dataclass(frozen=True)
class Here:
    """A function of this process."""

    name: str
    call: Callable[[], Any]
    clock: Callable[[], float] = time.perf_counter
    """`time.process_time` counts only what this process computes, whatever else the machine does."""

    def turn(self, calls: int) -> Turn:
        call, repetitions = self.call, range(calls)
        waited, started = _seconds_waited(), self.clock()
        for _ in repetitions:
            call()
        seconds = self.clock() - started
        return Turn(seconds / calls, (_seconds_waited() - waited) / seconds)


def _seconds_waited() -> float:
    """How long this process's threads have stood in line for a processor; 0 where nobody counts that."""
    try:
        tasks = list(Path("/proc/self/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[1]) for task in tasks) * 1e-9
    except (OSError, IndexError):
        return 0.0


@dataclass(frozen=True)
class Timing:
    """The turns of one subject."""

    turns: tuple[Turn, ...]

    @property
    def median(self) -> float:
        """Seconds per call in the middle of all turns."""
        return statistics.median(turn.seconds for turn in self.turns)

    @property
    def waited(self) -> float:
        """The share of a turn, in the middle of all turns, that went into waiting for a processor."""
        return statistics.median(turn.waited for turn in self.turns)

    @property
    def best(self) -> float:
        """Seconds per call in the fastest turn."""
        return min(turn.seconds for turn in self.turns)


@dataclass(frozen=True)
class Ratio:
    """The median of the ratios of two subjects' turns, round by round, and its 95 % interval over the rounds."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(own: Timing, other: Timing) -> Ratio:
    """How much longer `own` takes than `other`. Turns of one round saw the same machine, so they are compared first."""
    ratios = sorted(mine.seconds / theirs.seconds for mine, theirs in zip(own.turns, other.turns, strict=True))
    middle, reach = len(ratios) / 2, 0.98 * math.sqrt(len(ratios))  # order statistics: the number below is binomial
    low, high = math.floor(middle - reach), math.ceil(middle + reach)
    return Ratio(statistics.median(ratios), ratios[max(low, 0)], ratios[min(high, len(ratios) - 1)])


def interleave(
    subjects: Sequence[Subject], seconds: float, calls_per_turn: int = 0, fewest: int = 3, most: int = 200
) -> dict[str, Timing]:
    """Timings by name after as many turns as fit in `seconds`, but at least `fewest` and at most `most` for each.

    Turns are of about equal length unless `calls_per_turn` says how many calls make one, the same for all. Every other
    round goes backwards, so that nobody always runs in the wake of the same one.
    """
    calls = {subject.name: calls_per_turn or _calls_per_turn(subject) for subject in subjects}
    times: dict[str, list[Turn]] = {subject.name: [] for subject in subjects}
    end = time.perf_counter() + seconds
    for done in range(most):
        if done >= fewest and time.perf_counter() > end:
            break
        for subject in subjects if done % 2 == 0 else reversed(subjects):
            times[subject.name].append(subject.turn(calls[subject.name]))
    return {name: Timing(tuple(seen)) for name, seen in times.items()}


def _calls_per_turn(subject: Subject) -> int:
    """How many calls make a turn; the two calls that tell also warm the subject up."""
    subject.turn(1)
    return max(1, min(MOST_CALLS, int(TURN_SECONDS / max(subject.turn(1).seconds, 1e-9))))


def turns(times: dict[str, Timing]) -> str:
    """How many turns each subject had, and how much the worst off waited for a processor."""
    return f"{len(next(iter(times.values())).turns)} ({max(timing.waited for timing in times.values()):.0%})"
