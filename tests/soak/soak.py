"""A mixed load on a service whose parts are killed, stopped, starved and restarted: what came of every call."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from gradserve.client import Client
from tests.soak.calls import Kind, garbage, impatient, kinds
from tests.soak.growth import Growth, Slope
from tests.soak.service import Service
from tests.system.processes import worker_processes

EXECUTORS = ("numpy", "fused")
TIMEOUT = 120.0
KILL_SECONDS = 30.0
_RUDE_PAUSE = 0.5


@dataclass
class Outcome:
    """What the calls came to."""

    answered: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    untyped: list[str] = field(default_factory=list)
    given_up: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[float, str]] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    slopes: list[Slope] = field(default_factory=list)

    @property
    def growing(self) -> list[Slope]:
        """What grows."""
        return [slope for slope in self.slopes if slope.grows]

    @property
    def passed(self) -> bool:
        """Whether no answer was wrong, no call lost, nothing untyped and nothing grows."""
        return not (self.wrong or self.lost or self.untyped or self.growing)


class _Caller(threading.Thread):
    """Makes one call after another and compares what it comes to."""

    def __init__(
        self, calls: Mapping[str, Kind], expected: Mapping[str, object], seed: int, out: Outcome, over: threading.Event
    ) -> None:
        super().__init__(daemon=True)
        self._calls, self._expected, self._out, self._over = calls, expected, out, over
        self._dice = random.Random(seed)

    def run(self) -> None:
        names, weights = list(self._calls), [kind.weight for kind in self._calls.values()]
        while not self._over.is_set():
            self._call(self._dice.choices(names, weights)[0])

    def _call(self, name: str) -> None:
        started = time.monotonic()
        try:
            found = self._calls[name].call()
        except Exception as error:  # whatever it is, it is told
            self._out.lost.append(f"{name}: {type(error).__name__}: {error}")
            return
        self._out.seconds.setdefault(name, []).append(time.monotonic() - started)
        self._out.answered[name] += 1
        if found != self._expected[name]:
            self._out.wrong.append(name)


def _rude(address: str, out: Outcome, over: threading.Event) -> None:
    """Clients that leave amid a call, and strangers that send anything."""
    number = 0
    while not over.wait(_RUDE_PAUSE):
        number += 1
        if said := garbage(address, number):
            out.untyped.append(said)
        out.given_up[impatient(address)] += 1


def faults(service: Service, seconds: float) -> Iterator[tuple[float, Callable[[], str]]]:
    """When which fault is done: a worker killed every half minute, one stopped, one starved, two restarts."""
    plan: list[tuple[float, Callable[[], str]]] = [
        (0.2 * seconds, service.stop_worker),
        (0.4 * seconds, lambda: service.restart(signal.SIGTERM)),
        (0.6 * seconds, service.starve_worker),
        (0.75 * seconds, lambda: service.restart(signal.SIGKILL)),
    ]
    kills = int(seconds / KILL_SECONDS)
    plan += [((each + 0.5) * seconds / max(kills, 1), service.kill_worker) for each in range(kills)]
    return iter(sorted(plan, key=lambda fault: fault[0]))


def soak(
    seconds: float, callers: int = 4, seed: int = 0, tell: Callable[[float, Outcome], None] = lambda *_: None
) -> Outcome:
    """What the calls of so many callers come to in that time; `tell` hears of it every second."""
    out, over, service = Outcome(), threading.Event(), Service()
    try:
        clients = [Client(service.address, timeout=TIMEOUT) for _ in range(callers)]
        calls = [kinds(client, EXECUTORS[number % 2]) for number, client in enumerate(clients)]
        with Client() as here:
            expected = [{name: kind.call() for name, kind in kinds(here, name).items()} for name in EXECUTORS]
        threads: list[threading.Thread] = [
            _Caller(each, expected[number % 2], seed + number, out, over) for number, each in enumerate(calls)
        ]
        threads.append(threading.Thread(target=_rude, args=(service.address, out, over), daemon=True))
        with Growth(lambda: service.pid, lambda: worker_processes(service.pid)) as growth:
            for thread in threads:
                thread.start()
            _do(faults(service, seconds), seconds, out, tell)
            over.set()
            for thread in threads:
                thread.join(TIMEOUT)
                if thread.is_alive():
                    out.lost.append("a call that never ended")
            out.slopes = growth.slopes(warm_up=min(60.0, seconds / 10))
        for client in clients:
            client.close()
    finally:
        service.end(signal.SIGTERM)
    return out


def _do(
    plan: Iterator[tuple[float, Callable[[], str]]],
    seconds: float,
    out: Outcome,
    tell: Callable[[float, Outcome], None],
) -> None:
    """Does the faults at their moments, until the time is over and all are done."""
    started = time.monotonic()
    due = next(plan, None)
    while (now := time.monotonic() - started) < seconds or due is not None:
        if due is not None and now >= due[0]:
            out.faults.append((now, due[1]()))
            due = next(plan, None)
        tell(now, out)
        time.sleep(1.0)
