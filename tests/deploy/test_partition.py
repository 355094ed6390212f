"""A machine that is out of reach, or stands still, delays the calls that it works on, and no others."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pytest

from gradserve.client import Client
from gradserve.client.cli.ping import ping
from tests.deploy.machines import Machine, head, machines, started
from tests.deploy.monitored import free_port, wait_until
from tests.system.processes import is_actor

pytestmark = [pytest.mark.deploy, pytest.mark.live, pytest.mark.slow]

DELAY_SECONDS = 10.0
"""The longest delay that a lost machine may cause."""
FELT_SECONDS = 2.0
"""A call that takes so much longer than any before waits for a machine."""
_BEFORE, _AMID = 8.0, 15.0


class Cluster:
    """A service, and machines with a worker each, but for those to spare."""

    def __init__(self, all_machines: list[Machine], workers: int, stack: ExitStack) -> None:
        self._all, self._workers = all_machines, workers
        self.address = f"127.0.0.1:{free_port()}"
        options = ("--metrics-port", "-1", "--ray-address", head(), "--workers", str(workers), "--grace", "1")
        started(stack, sys.executable, "-m", "gradserve.service", "--ray", "--address", self.address, *options)
        wait_until(lambda: not ping(self.address, 5.0), 90, "the service answers")

    def await_workers(self) -> None:
        wait_until(lambda: len(self.machines) == self._workers, 120, "all workers are there")

    @property
    def machines(self) -> list[Machine]:
        """Those that have a worker."""
        return [machine for machine in self._all if has_worker(machine)]


def has_worker(machine: Machine) -> bool:
    return any(map(is_actor, machine.processes()))


@pytest.fixture(scope="module", params=[2, 1], ids=["two workers", "one worker"])
def cluster(request) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(stack.enter_context(machines(2)), request.param, stack)


def loss(w):
    for _ in range(8):
        w = np.sin(w) * 1.0001
    return np.sum(w)


class Caller(threading.Thread):
    """Asks the same again and again until told, and keeps how long each call took, and what came of it."""

    def __init__(self, address: str, placement: str) -> None:
        super().__init__()
        self._address, self._placement = address, placement
        self._over = threading.Event()
        self.seconds: list[float] = []
        self.answers: set[bytes] = set()

    def run(self) -> None:
        with Client(self._address, timeout=120) as client:
            f = client.function(loss, w=np.ones(50_000))
            f.placement, f.executor = self._placement, "numpy"
            points = np.linspace(0.5, 1.0, 100_000).reshape(2, -1)
            while not self._over.is_set():
                begun = time.monotonic()
                values, _ = f.value_and_grad(points, batch=True)
                self.answers.add(values.tobytes())
                self.seconds.append(time.monotonic() - begun)

    def end(self) -> None:
        self._over.set()
        self.join()


@pytest.mark.parametrize("fault", [Machine.stopped, Machine.unplugged], ids=["stopped", "unplugged"])
def test_a_lost_machine_delays_the_calls_that_it_works_on_alone(cluster, fault, capsys):
    cluster.await_workers()
    callers = [Caller(cluster.address, placement) for placement in ("cluster",) * 3 + ("front-end",)]
    *theirs, beside = callers
    for caller in callers:
        caller.start()
    try:
        wait_until(lambda: all(caller.seconds for caller in callers), 60, "first calls are answered")
        time.sleep(_BEFORE)
        usual = max(max(caller.seconds[1:], default=0.0) for caller in callers)  # the first ones make the program
        known = [len(caller.seconds) for caller in callers]
        with fault(cluster.machines[-1]):
            time.sleep(_AMID)
    finally:
        for caller in callers:
            caller.end()
    amid = [caller.seconds[count:] for caller, count in zip(callers, known, strict=True)]
    longest = [max(seconds) for seconds in amid]
    with capsys.disabled():
        print(f"\n  {[round(s, 2) for s in longest]} s at most, before {usual:.2f} s")
    assert FELT_SECONDS + usual < max(longest[:-1]) < DELAY_SECONDS + usual
    assert longest[-1] < FELT_SECONDS + usual
    late = [s for seconds in amid for s in seconds if s > FELT_SECONDS + usual]
    assert len(late) <= len(theirs)  # each waits once, for what was there already
    assert [len(caller.answers) for caller in callers] == [1] * len(callers)
    assert {*theirs[0].answers} == beside.answers
