"""Many hostile inputs, in child processes so that a crash is seen: `python -m tests.attack.campaign --count 200000`.

Prints what must not be with the number of its input, for `targets`, and counts at the end. With `--record FILE` each
piece of the campaign is written down, and the next campaign goes on after it; `--sum` tells what all of them came to.
"""

import argparse
import itertools
import multiprocessing
import resource
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ctypes import c_int64
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.attack.record import Found, Record
from tests.attack.targets import TARGETS

AT_ONCE = 2000
_PIECE_SECONDS = 15.0
"""Of a processor, after which a child says what it has found; the next one goes on."""
_HANG_SECONDS = 120.0
_ADDRESS_SPACE = 8 << 30
_MANY = 100
"""Faults of a target after which a campaign ends: there is work to do first."""


def _work(target: str, first: int, stop: int, at: Any, pipe: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    found, begun = Found(), time.process_time()
    for seed in range(first, stop):
        at.value = seed
        outcome = TARGETS[target](seed)
        found.inputs += 1
        found.faults += [(seed, fault) for fault in outcome.faults + outcome.slow]
        found.stages.update(outcome.stages.items())
        found.add(Found(slowest={name: (seconds, seed) for name, seconds in outcome.seconds.items()}))
        if time.process_time() - begun > _PIECE_SECONDS:
            break
    found.seconds = time.process_time() - begun
    found.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    pipe.send(found)


def piece(context: Any, target: str, first: int, stop: int) -> Iterator[tuple[int, int, Found]]:
    """Tries the numbers in another process, and in further ones those after one that ended it; tells of each."""
    while first < stop:
        at = context.Value(c_int64, first, lock=False)
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_work, args=(target, first, stop, at, theirs))
        child.start()
        theirs.close()
        found = _await(child, ours, at)
        child.join()
        yield first, int(at.value) + 1, found
        first = int(at.value) + 1


def _await(child: Any, pipe: Connection, at: Any) -> Found:
    """What a child has found; if it hangs or dies, that."""
    seed, since = at.value, time.monotonic()
    while not pipe.poll(1.0):
        if at.value != seed:
            seed, since = at.value, time.monotonic()
        elif time.monotonic() - since > _HANG_SECONDS:
            child.kill()
            return Found(faults=[(seed, "hangs")])
    try:
        found: Found = pipe.recv()
    except EOFError:
        child.join()
        return Found(faults=[(at.value, f"ended by {child.exitcode}")])
    return found


class Campaign:
    """Targets, and what is done with them by several processes at once."""

    def __init__(self, console: Console, record: Record | None = None) -> None:
        """Shows faults as they come, and writes all of it down if there is a record."""
        self.found: dict[str, Found] = {}
        self._console, self._record, self._lock = console, record, threading.Lock()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.attack.warm"])

    def run(self, pieces: Iterable[tuple[str, int, int]], workers: int = 1) -> None:
        """Tries all of them, so many at once."""
        with ThreadPoolExecutor(workers) as threads:
            waiting = iter(pieces)
            for _ in [threads.submit(self._drain, waiting) for _ in range(workers)]:
                _.result()

    def _drain(self, pieces: Iterator[tuple[str, int, int]]) -> None:
        while (job := self._next(pieces)) is not None:
            for first, stop, found in piece(self._context, *job):
                self._take(job[0], first, stop, found)

    def _next(self, pieces: Iterator[tuple[str, int, int]]) -> tuple[str, int, int] | None:
        with self._lock:
            return next((job for job in pieces if not self._is_bad(job[0])), None)

    def _is_bad(self, target: str) -> bool:
        return target in self.found and len(self.found[target].faults) >= _MANY

    def _take(self, target: str, first: int, stop: int, found: Found) -> None:
        with self._lock:
            self.found.setdefault(target, Found()).add(found)
            for number, fault in found.faults:
                self._console.print(f"{target} {number}: {fault}", markup=False, highlight=False, soft_wrap=True)
            if self._record is not None:
                self._record.add(target, first, stop, found)


def show(sums: dict[str, Found], console: Console) -> None:
    """Prints what became of all inputs."""
    for target, found in sums.items():
        for line in found.lines():
            console.print(line, highlight=False)
        rate = found.inputs / found.seconds if found.seconds else 0.0
        text = f"{target}: {found.inputs} inputs, {len(found.faults)} faults, {rate:.0f} a second of a processor"
        console.print(f"{text}, {found.derived} derived and planned, at most {found.peak >> 20} MiB", highlight=False)


def pieces(targets: list[str], firsts: dict[str, int], count: int, minutes: float) -> Iterator[tuple[str, int, int]]:
    """So many numbers of each target in pieces, the targets by turns, until the time is over; 0 for any number."""
    end = time.monotonic() + 60.0 * minutes if minutes else float("inf")
    for turn in itertools.count():
        at = turn * AT_ONCE
        if count and at >= count:
            return
        for target in targets:
            if time.monotonic() > end:
                return
            first = firsts[target] + at
            yield target, first, firsts[target] + min(at + AT_ONCE, count or at + AT_ONCE)


def main() -> int:
    """Prints what is found; answers whether there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", choices=[*TARGETS, "all"], action="append", help="what they are sent through")
    parser.add_argument("--count", type=int, default=0, help="of each target; 200 000 if no minutes are given")
    parser.add_argument("--minutes", type=float, default=0.0, help="after which nothing new is begun")
    parser.add_argument("--first", type=int, default=0, help="the number of the first, unless there is a record")
    parser.add_argument("--workers", type=int, default=1, help="processes at once")
    parser.add_argument("--record", type=Path, help="the file where it is written down, and gone on from")
    parser.add_argument("--sum", action="store_true", help="only tell what is in the record")
    chosen = parser.parse_args()
    record, console = Record(chosen.record) if chosen.record else None, Console()
    if chosen.sum:
        show(record.sums() if record else {}, console)
        return 0
    targets = [name for name in chosen.target or ["all"] if name != "all"] or list(TARGETS)
    firsts = {name: max(chosen.first, record.next(name) if record else 0) for name in targets}
    campaign = Campaign(console, record)
    count = chosen.count or (0 if chosen.minutes else 200_000)
    campaign.run(pieces(targets, firsts, count, chosen.minutes), chosen.workers)
    show(campaign.found, console)
    return min(1, sum(len(found.faults) for found in campaign.found.values()))


if __name__ == "__main__":
    raise SystemExit(main())
