"""A service of its own process for the demo."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

STARTUP_SECONDS = 90.0
_PAUSE_SECONDS = 0.05
_SHOWN = re.compile(
    r"gradserve_(calls_total|chunks_total|worker_retries_total|plan_cache_\w+_total|probes_total|verifications_total"
    r"|received_bytes_total|sent_bytes_total|workers|in_flight)\b"
)


class DemoService:
    """A running service with Ray workers on free ports of this machine."""

    def __init__(self, workers: int, processes: int = 1) -> None:
        """Returns when the service answers and has its workers.

        Raises:
            OSError: it ended, or does not answer in time; with the end of its log.
        """
        port, metrics_port = _free_ports(2)
        self.address = f"127.0.0.1:{port}"
        self.metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
        self._log = Path(tempfile.mkstemp(prefix="gradserve-demo-", suffix=".log")[1])
        started = time.monotonic()
        command = [sys.executable, "-P", "-m", "gradserve.service", "--address", self.address, "--ray"]
        command += ["--metrics-port", str(metrics_port), "--workers", str(workers), "--processes", str(processes)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "RAY_DEDUP_LOGS": "0"})
        self._wait(started + STARTUP_SECONDS)
        self.startup = time.monotonic() - started

    def _wait(self, deadline: float) -> None:
        with grpc.insecure_channel(self.address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            while time.monotonic() < deadline and self._process.poll() is None:
                try:
                    found = health.Check(health_pb2.HealthCheckRequest(service="cluster"), timeout=5.0)
                except grpc.RpcError:  # it does not listen yet
                    pass
                else:
                    if found.status == health_pb2.HealthCheckResponse.SERVING:
                        return
                time.sleep(_PAUSE_SECONDS)
        self._drained()
        raise OSError(f"the service did not start; its log ends with:\n{self._log.read_text()[-2000:]}")

    @property
    def pid(self) -> int:
        """The process of the service."""
        return self._process.pid

    def metrics(self) -> list[tuple[str, float]]:
        """The main lines of the metrics page."""
        with urllib.request.urlopen(self.metrics_url, timeout=10) as page:
            lines = page.read().decode().splitlines()
        pairs = [line.rsplit(" ", 1) for line in lines if _SHOWN.match(line)]
        return [(name, float(value)) for name, value in pairs if float(value)]

    def stop(self) -> int:
        """Drains the service; returns its exit status. What ended well leaves no log."""
        status = self._drained()
        if status == 0:
            self._log.unlink(missing_ok=True)
        return status

    def _drained(self) -> int:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
