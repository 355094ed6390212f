"""The service that is soaked, with Ray workers, and the faults that are done to it."""

from __future__ import annotations

import functools
import random
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.system import restarts
from tests.system.processes import starve, worker_processes

_LEFT_BYTES = 4 << 20
"""What a worker that is made to run out of memory may still take."""


class Service(restarts.Service):
    """A running service; each fault says what was done."""

    def __init__(self) -> None:
        """Returns when it answers."""
        log = Path(tempfile.mkstemp(prefix="gradserve-soak-", suffix=".log")[1])
        super().__init__(("--workers", "2"), log)

    def restart(self, number: signal.Signals) -> str:
        """Ends it by a signal and starts it again."""
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
