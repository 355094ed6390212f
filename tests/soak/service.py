"""The service that is soaked: a process with Ray workers, on one port through all its restarts."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import grpc
import psutil

from tests.system.processes import worker_processes

START_SECONDS = 120.0
END_SECONDS = 90.0
_LEFT_BYTES = 4 << 20
"""What a worker that is made to run out of memory may still take."""


class Service:
    """A running service, which faults are done to."""

    def __init__(self, options: Sequence[str] = ("--workers", "2")) -> None:
        """Returns when it answers; `options` are those of `gradserve serve`."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self._options = options
        self.log = Path(tempfile.mkstemp(prefix="gradserve-soak-", suffix=".log")[1])
        """What it printed, in all its lives."""
        self.start()

    def start(self) -> None:
        """Starts it, on the port that it always had."""
        command = [sys.executable, "-m", "gradserve.service", "--address", self.address, "--metrics-port", "-1"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([*command, *self._options], stdout=log, stderr=log)
        with grpc.insecure_channel(self.address) as channel:
            grpc.channel_ready_future(channel).result(timeout=START_SECONDS)

    @property
    def pid(self) -> int:
        """The process of the front end."""
        return self._process.pid

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal to the front end and waits for its end; answers its exit status."""
        self._process.send_signal(number)
        try:
            return self._process.wait(END_SECONDS)
        finally:
            self._process.kill()

    def restart(self, number: signal.Signals) -> str:
        """Ends it by a signal and starts it again."""
        self.end(number)
        self.start()
        return f"front end restarted by {number.name}"

    def kill_worker(self) -> str:
        """Kills one of the workers."""
        worker = self._some_worker()
        if worker is None:
            return "no worker to kill"
        worker.kill()
        return f"worker {worker.pid} killed"

    def stop_worker(self) -> str:
        """Stops one of the workers for good, as a machine does that hangs."""
        worker = self._some_worker()
        if worker is None:
            return "no worker to stop"
        worker.suspend()
        return f"worker {worker.pid} stopped"

    def starve_worker(self) -> str:
        """Leaves one of the workers next to no memory that it has not got already."""
        worker = self._some_worker()
        if worker is None:
            return "no worker to starve"
        limit = worker.memory_info().vms + _LEFT_BYTES
        worker.rlimit(psutil.RLIMIT_AS, (limit, limit))
        return f"worker {worker.pid} out of memory"

    def _some_worker(self) -> psutil.Process | None:
        running = [p for p in worker_processes(self.pid) if p.status() != psutil.STATUS_STOPPED]
        return random.choice(running) if running else None
