"""A mixed load on a service whose parts are killed, stopped, starved and restarted: what came of every call."""

from __future__ import annotations

import functools
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import psutil

from gradserve.client import Client
from tests.soak.calls import Kind, garbage, impatient, kinds
from tests.soak.durations import Durations
from tests.soak.growth import Growth, Watch
from tests.soak.service import Place, Service
from tests.system import restarts
from tests.system.processes import front_ends, worker_processes

EXECUTORS = ("numpy", "fused")
NAMES = ("alice", "bob")
"""Callers that the service knows."""
TIMEOUT = 120.0
KILL_SECONDS = 30.0
_RUDE_PAUSE = 0.5
Running = TypeVar("Running", bound=restarts.Service)


@dataclass
class Outcome:
    """What the calls came to."""

    answered: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    untyped: list[str] = field(default_factory=list)
    given_up: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[float, str]] = field(default_factory=list)
    seconds: dict[str, Durations] = field(default_factory=dict)
    growth: list[Growth] = field(default_factory=list)

    @property
    def growing(self) -> list[Growth]:
        """What grows."""
        return [growth for growth in self.growth if growth.grows]

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
        self.seconds: dict[str, Durations] = {name: Durations() for name in calls}
        """How long each kind of call took."""

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
        self.seconds[name].add(time.monotonic() - started)
        self._out.answered[name] += 1
        if found != self._expected[name]:
            self._out.wrong.append(name)


def _rude(address: str, token: str, out: Outcome, over: threading.Event) -> None:
    """Clients that leave amid a call, and strangers that send anything."""
    number = 0
    while not over.wait(_RUDE_PAUSE):
        number += 1
        if said := garbage(address, number, token):
            out.untyped.append(said)
        out.given_up[impatient(address, token)] += 1


def faults(service: Service, seconds: float) -> Iterator[tuple[float, Callable[[], str]]]:
    """When which fault is done: a worker killed every half minute, one stopped, one starved, two restarts.

    Those come early, so that one life is long enough to tell what grows from what fills; the restarts last, since a
    restarted service is for a while without workers.
    """
    plan: list[tuple[float, Callable[[], str]]] = [
        (0.05 * seconds, service.stop_worker),
        (0.1 * seconds, service.starve_worker),
        (0.15 * seconds, lambda: service.restart(signal.SIGTERM)),
        (0.25 * seconds, lambda: service.restart(signal.SIGKILL)),
    ]
    kills = int(seconds / KILL_SECONDS)
    plan += [((each + 0.5) * seconds / max(kills, 1), service.kill_worker) for each in range(kills)]
    return iter(sorted(plan, key=lambda fault: fault[0]))


def soak(
    seconds: float, callers: int = 4, seed: int = 0, tell: Callable[[float, Outcome], None] = lambda *_: None
) -> Outcome:
    """What the calls of so many callers, and one at a second front end, come to in that time.

    The front ends share a store. `tell` hears of it every second.
    """
    place = Place(NAMES)
    try:
        with closing(Service(place)) as service, closing(_second(place)) as second:
            return _soaked(place, service, second, seconds, callers, seed, tell)
    finally:
        place.close()


def _second(place: Place) -> restarts.Service:
    """A front end without a cluster, which nothing is done to."""
    return restarts.Service(("--no-ray", "--workers", "1", *place.options), place.log)


def _soaked(
    place: Place,
    service: Service,
    second: restarts.Service,
    seconds: float,
    callers: int,
    seed: int,
    tell: Callable[[float, Outcome], None],
) -> Outcome:
    out, over = Outcome(), threading.Event()
    with ExitStack() as running:
        addresses = [service.address] * callers + [second.address]
        clients = [running.enter_context(_client(place, each, k)) for k, each in enumerate(addresses)]
        calls = [kinds(client, EXECUTORS[number % 2]) for number, client in enumerate(clients)]
        with Client() as here:
            expected = [{name: kind.call() for name, kind in kinds(here, name).items()} for name in EXECUTORS]
        asking = [_Caller(each, expected[k % 2], seed + k, out, over) for k, each in enumerate(calls)]
        token = place.tokens[NAMES[0]]
        service.await_cluster()
        rude = threading.Thread(target=_rude, args=(service.address, token, out, over), daemon=True)
        with Watch(_parts(service, second)) as watch:
            for thread in (*asking, rude):
                thread.start()
            _do(faults(service, seconds), seconds, out, tell)
            over.set()
            for thread in (*asking, rude):
                thread.join(TIMEOUT)
                if thread.is_alive():
                    out.lost.append("a call that never ended")
            out.growth = watch.growth(warm_up=min(60.0, seconds / 10))
    for name in calls[0]:
        out.seconds[name] = functools.reduce(Durations.joined, (caller.seconds[name] for caller in asking))
    return out


def _client(place: Place, address: str, number: int) -> Client:
    """Two callers by turns; of every four clients two share memory with the service, and two send everything."""
    token = place.tokens[NAMES[number % len(NAMES)]]
    return Client(address, timeout=TIMEOUT, token=token, share_memory=number % 4 < 2)


def _parts(service: Service, second: restarts.Service) -> dict[str, Callable[[], list[psutil.Process]]]:
    return {
        "front end": lambda: front_ends(service.pid),
        "second front end": lambda: [psutil.Process(second.pid)],
        "worker": lambda: worker_processes(service.pid),
    }


@contextmanager
def closing(service: Running) -> Iterator[Running]:
    """The service, which is ended at the end."""
    try:
        yield service
    finally:
        service.end(signal.SIGTERM)


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
