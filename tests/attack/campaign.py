"""Many hostile inputs, in child processes so that a crash is seen: `python -m tests.attack.campaign --count 200000`.

Prints what must not be with the number of its input, for `targets`, and counts at the end.
"""

import argparse
import collections
import multiprocessing
import resource
import time
from ctypes import c_int64
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.attack.targets import TARGETS

_AT_ONCE = 2000
_HANG_SECONDS = 60.0
_ADDRESS_SPACE = 8 << 30
_MANY = 100
"""Faults after which a campaign ends: there is work to do first."""


@dataclass
class Found:
    """What became of some inputs."""

    faults: list[tuple[int, str]] = field(default_factory=list)
    stages: collections.Counter[tuple[str, str]] = field(default_factory=collections.Counter)
    slowest: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Seconds of a processor, and the number of the input, by stage."""

    def add(self, other: "Found") -> None:
        """Takes those of others in."""
        self.faults += other.faults
        self.stages.update(other.stages)
        for name, worst in other.slowest.items():
            self.slowest[name] = max(worst, self.slowest.get(name, worst))


def _work(target: str, first: int, stop: int, at: Any, pipe: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    found = Found()
    for seed in range(first, stop):
        at.value = seed
        outcome = TARGETS[target](seed)
        found.faults += [(seed, fault) for fault in outcome.faults + outcome.slow]
        found.stages.update(outcome.stages.items())
        found.add(Found(slowest={name: (seconds, seed) for name, seconds in outcome.seconds.items()}))
    pipe.send(found)


class Campaign:
    """One target and the numbers that it is tried with."""

    def __init__(self, target: str, context: Any) -> None:
        """`context` makes processes."""
        self.target, self.found = target, Found()
        self._context = context

    def piece(self, first: int, stop: int) -> None:
        """Tries the numbers in another process, and in further ones those after one that ended it."""
        while first < stop:
            at = self._context.Value(c_int64, first, lock=False)
            ours, theirs = self._context.Pipe(duplex=False)
            child = self._context.Process(target=_work, args=(self.target, first, stop, at, theirs))
            child.start()
            theirs.close()
            first = self._await(child, ours, at, stop)
            child.join()

    def _await(self, child: Any, pipe: Connection, at: Any, stop: int) -> int:
        """The number to go on with: the last one if the process comes to its end."""
        seed, since = at.value, time.monotonic()
        while not pipe.poll(1.0):
            if at.value != seed:
                seed, since = at.value, time.monotonic()
            elif time.monotonic() - since > _HANG_SECONDS:
                child.kill()
                self.found.faults.append((seed, "hangs"))
                return int(seed) + 1
        try:
            self.found.add(pipe.recv())
        except EOFError:
            child.join()
            self.found.faults.append((at.value, f"ended by {child.exitcode}"))
            return int(at.value) + 1
        return stop


def campaign(target: str, first: int, count: int, console: Console) -> Found:
    """Tries so many numbers from the first on, with a bar where there is a terminal, and shows what came of them."""
    context = multiprocessing.get_context("forkserver")
    # SciPy takes a second to import, once: that is no input's time.
    context.set_forkserver_preload(["tests.attack.targets", "scipy.linalg", "scipy.special"])
    running, shown = Campaign(target, context), 0
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, TextColumn("{task.fields[faults]} faults"), console=console) as progress:
        task = progress.add_task(target, total=count, faults=0)
        for seed in range(first, first + count, _AT_ONCE):
            stop = min(seed + _AT_ONCE, first + count)
            running.piece(seed, stop)
            for number, fault in running.found.faults[shown:]:
                progress.print(f"{target} {number}: {fault}", markup=False)
            shown = len(running.found.faults)
            progress.update(task, completed=stop - first, faults=shown)
            if shown >= _MANY:
                break
    for (stage, end), number in sorted(running.found.stages.items()):
        console.print(f"{stage:28} {end:24} {number:9}", highlight=False)
    for name, (seconds, where) in sorted(running.found.slowest.items()):
        console.print(f"{name:28} at most {seconds:.3f} s of a processor, at {where}", highlight=False)
    console.print(f"{target}: {stop - first} inputs, {shown} faults", highlight=False)
    return running.found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", choices=[*TARGETS, "all"], default="all", help="what they are sent through")
    parser.add_argument("--count", type=int, default=200_000, help="of each target")
    parser.add_argument("--first", type=int, default=0, help="the number of the first")
    chosen = parser.parse_args()
    names = list(TARGETS) if chosen.target == "all" else [chosen.target]
    everything = [campaign(name, chosen.first, chosen.count, Console()) for name in names]
    raise SystemExit(min(1, sum(len(found.faults) for found in everything)))
