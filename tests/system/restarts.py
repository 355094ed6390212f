"""A service that is ended and started again and again, and clients that go on asking it.

`python -m tests.system.restarts 50` restarts it fifty times, every other time by SIGKILL, and says what came of
the calls.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from gradserve.client import Client

TIMEOUT = 60.0
START_SECONDS, END_SECONDS = 120.0, 90.0
SLACK = 2.0
"""Seconds that a thread of a busy machine may take to notice that its call has ended."""
PAUSE = 0.05
"""The most seconds that a client thinks between calls: more of them at a time would show no more."""


class Service:
    """A service in a process of its own, always on the same port."""

    def __init__(
        self, options: Sequence[str] = ("--no-ray", "--workers", "1", "--grace", "1"), log: Path = Path(os.devnull)
    ) -> None:
        """`options` are those of `gradserve serve`; what it prints, in all its lives, is added to `log`."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.log = log
        self._options = options
        self.start()

    def start(self) -> None:
        """Returns when it answers."""
        command = [sys.executable, "-m", "gradserve.service", "--address", self.address, "--metrics-port", "-1"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([*command, *self._options], stdout=log, stderr=log)
        with grpc.insecure_channel(self.address) as channel:
            grpc.channel_ready_future(channel).result(timeout=START_SECONDS)

    @property
    def pid(self) -> int:
        """The process of the front end."""
        return self._process.pid

    def end(self, number: signal.Signals) -> int:
        """Sends a signal to the process and waits for its end; answers its exit status."""
        self._process.send_signal(number)
        try:
            return self._process.wait(END_SECONDS)
        finally:
            self._process.kill()


def calls_of(client: Client) -> dict[str, Callable[[], Any]]:
    """Calls of every kind that take a small service some 1 to 100 ms, by name."""
    data = np.random.default_rng(0).standard_normal((20_000, 2))
    large, w = np.linspace(0.0, 1.0, 17 << 17), np.array([0.3, -0.2])  # of which one travels as a blob
    loss = client.function(lambda w: np.sum(np.tanh(data @ w) ** 2), w=w)
    wide = client.function(lambda w: w * w, w=large)
    return {
        "gradient": lambda: loss.grad(w),
        "batch": lambda: loss.value_and_grad(np.stack([w, 2 * w, 3 * w]), batch=True)[1],
        "hvp": lambda: loss.hvp(w, tangent=w),
        "jacobian": lambda: loss.jacobian(w),
        "trace": lambda: loss.hessian_trace(w, max_probes=256, seed=1).value,
        "verify": lambda: loss.verify(w, seed=1).passed,
        "upload": lambda: wide(large)[-3:],
        "new loss": lambda: client.function(lambda v: np.sum(np.sin(v)), v=w).grad(w),
    }


@dataclass
class Counts:
    """What the calls came to."""

    answered: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    longest: float = 0.0


class Caller(threading.Thread):
    """Makes one call after another, until told to end."""

    def __init__(self, address: str, seed: int, counts: Counts, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self._client = Client(address, timeout=TIMEOUT)
        self._calls = calls_of(self._client)
        if seed:  # one sends large arrays, or the machine does little else
            del self._calls["upload"]
        self._expected = {name: call() for name, call in self._calls.items()}
        self._random = random.Random(seed)
        self._counts, self._over = counts, over

    def run(self) -> None:
        while not self._over.wait(self._random.uniform(0.0, PAUSE)):
            self._call(self._random.choice(list(self._calls)))
        self._client.close()

    def _call(self, name: str) -> None:
        started = time.monotonic()
        try:
            same = np.array_equal(self._calls[name](), self._expected[name])
        except Exception as error:  # whatever it is, it is counted
            self._counts.failed.append(f"{name}: {type(error).__name__}: {error}")
        else:
            self._counts.answered[name] += 1
            if not same:
                self._counts.failed.append(f"{name}: another answer")
        took = time.monotonic() - started
        self._counts.longest = max(self._counts.longest, took)
        if took > TIMEOUT + SLACK:
            self._counts.late.append(f"{name}: {took:.1f} s")


def restarted(times: int, clients: int = 6, seed: int = 0) -> Counts:
    """What the calls of so many clients come to while the service is restarted so many times."""
    service, chance, counts, over = Service(), random.Random(seed), Counts(), threading.Event()
    try:
        callers = [Caller(service.address, number, counts, over) for number in range(clients)]
        for caller in callers:
            caller.start()
        for number in range(times):
            time.sleep(chance.uniform(0.2, 1.0))
            service.end((signal.SIGTERM, signal.SIGKILL)[number % 2])
            time.sleep(chance.uniform(0.0, 1.0))
            service.start()
        time.sleep(0.5)
        over.set()
        for caller in callers:
            caller.join(TIMEOUT + SLACK)
            if caller.is_alive():
                counts.late.append("a call that never ended")
    finally:
        service.end(signal.SIGKILL)
    return counts


if __name__ == "__main__":
    began = time.monotonic()
    found = restarted(int(sys.argv[1]))
    print(f"{sum(found.answered.values())} calls answered in {time.monotonic() - began:.0f} s: {dict(found.answered)}")
    print(f"longest {found.longest:.1f} s; late: {found.late}; failed: {len(found.failed)}")
    print("\n".join(sorted(set(found.failed))))
