"""The service that is soaked, with Ray workers, and the faults that are done to it."""

from __future__ import annotations

import functools
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from gradserve.service.identity.tokens import new_token
from tests.system import restarts
from tests.system.health import Health, health_of_cluster
from tests.system.processes import starve, worker_processes

_LEFT_BYTES = 4 << 20
"""What a worker that is made to run out of memory may still take."""


_LIMITS = ("--blob-store-bytes", "256MiB", "--store-bytes", "1GiB")
"""So little that the stores are full within minutes: after that they must not grow."""


class Place:
    """What front ends share: a store, and the tokens of those who may call."""

    def __init__(self, callers: Sequence[str]) -> None:
        """Makes a token for each."""
        self._folder = Path(tempfile.mkdtemp(prefix="gradserve-soak-"))
        made = {name: new_token(name, None) for name in callers}
        self.tokens = {name: secret for name, (secret, _) in made.items()}
        tokens = self._folder / "tokens.yaml"
        tokens.write_text("".join(entry for _, entry in made.values()))
        self.options = ("--token-file", str(tokens), "--store", str(self._folder / "store"), *_LIMITS)
        self.log = self._folder / "log"

    def close(self) -> None:
        """Leaves nothing but the log."""
        shutil.rmtree(self._folder / "store", ignore_errors=True)


class Service(restarts.Service):
    """A running service; each fault says what was done."""

    def __init__(self, place: Place) -> None:
        """Returns when it answers."""
        super().__init__(("--workers", "2", *place.options), place.log)

    def await_cluster(self) -> None:
        """Returns when it has its cluster, which comes after its first answers: workers may be killed from then on."""
        until = time.monotonic() + restarts.START_SECONDS
        while health_of_cluster(self.address) != Health.SERVING:
            if time.monotonic() > until:
                raise TimeoutError("the service has no cluster")
            time.sleep(0.2)

    def restart(self, number: signal.Signals) -> str:
        """Ends it by a signal and starts it again; its cluster comes later."""
        self.end(number)
        self.start()
        return f"front end restarted by {number.name}"

    def kill_worker(self) -> str:
        """Kills one of the workers."""
        return self._to_a_worker("killed", psutil.Process.kill)

    def stop_worker(self) -> str:
        """Stops one of the workers for good, as a machine does that hangs."""
        return self._to_a_worker("stopped", psutil.Process.suspend)

    def starve_worker(self) -> str:
        """Leaves one of the workers next to no memory that it has not got already."""
        return self._to_a_worker("out of memory", functools.partial(starve, room=_LEFT_BYTES))

    def _to_a_worker(self, what: str, act: Callable[[psutil.Process], None]) -> str:
        running = [p for p in worker_processes(self.pid) if p.status() != psutil.STATUS_STOPPED]
        if not running:
            return "no worker was there"
        worker = random.choice(running)
        act(worker)
        return f"worker {worker.pid} {what}"
