"""A service that joins a Ray cluster of other processes: machines that come later, machines that die."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from gradserve.client import Client
from gradserve.client.cli.ping import ping
from gradserve.ir.errors import Unavailable
from gradserve.pools.ray import joined_node
from gradserve.pools.ray.joined_node import JoinedNode
from tests.system.health import Health, health_of_cluster
from tests.system.processes import front_ends
from tests.system.test_freeing import endless

pytestmark = pytest.mark.ray

TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4, "RAY_USAGE_STATS_ENABLED": "0"}


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def running(*command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process, and whatever it started, until left."""
    process = subprocess.Popen(
        [sys.executable, *command], env={**os.environ, **environment}, stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield process
    finally:
        ended(process)


def ended(process: subprocess.Popen[Any]) -> None:
    """Ends a process, and whatever it started."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def ray_node(**options: object) -> tuple[str, ...]:
    return ("-m", "tests.system.bare", json.dumps(options))


class Cluster:
    """A head without processors and a service that has joined it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.head, self.address = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        port = int(self.head.split(":")[1])
        stack.enter_context(running(*ray_node(gcs_server_port=port, num_cpus=0, temp_dir=str(folder)), **TOKEN))
        serve = (
            "-m",
            "gradserve.service",
            "--address",
            self.address,
            "--metrics-port",
            "-1",
            "--ray-metrics-port",
            "0",
        )
        joining = ("--ray-join", self.head, "--workers", "1", "--max-workers", "2", "--grace", "1")
        self.service = stack.enter_context(running(*serve, *joining, **TOKEN))
        end = time.monotonic() + 60
        while ping(self.address, 5.0):
            assert time.monotonic() < end, "the service did not start"
            time.sleep(0.5)
        self.await_joined()

    def await_joined(self) -> None:
        """Returns when the service says that it has its cluster."""
        end = time.monotonic() + 120
        while health_of_cluster(self.address) != Health.SERVING:
            assert time.monotonic() < end, "the service did not join"
            time.sleep(0.1)

    def machine(self) -> tuple[str, ...]:
        """The command of one more machine, with a processor."""
        return ray_node(gcs_address=self.head, num_cpus=1, memory=2 << 30)


@pytest.fixture(scope="module")
def cluster():
    """What all tests of this file share."""
    folder = Path(f"/tmp/gs-{free_port()}")  # short, because the names of sockets may not be long
    with ExitStack() as stack:
        yield Cluster(folder, stack)


def test_machines_come_late_and_die_and_no_call_is_lost(cluster):
    with Client(cluster.address, timeout=120) as client, ExitStack() as machines:
        f = client.function(endless, w=np.ones(500))
        f.placement = "cluster"
        points = np.random.default_rng(0).uniform(0.5, 1.0, (40, 500))
        answers = []
        asking = threading.Thread(target=lambda: answers.append(f.value_and_grad(points, batch=True)[0]))
        asking.start()
        time.sleep(1.0)
        assert not answers  # nobody is there to answer yet
        first = machines.enter_context(running(*cluster.machine(), **TOKEN))
        asking.join(60)
        assert answers

        asking = threading.Thread(target=lambda: answers.append(f.value_and_grad(points, batch=True)[0]))
        asking.start()
        machines.enter_context(running(*cluster.machine(), **TOKEN))
        os.killpg(first.pid, signal.SIGKILL)
        asking.join(90)
        assert len(answers) == 2
        np.testing.assert_array_equal(answers[0], answers[1])
        np.testing.assert_allclose(answers[0], [endless(point) for point in points], rtol=1e-9)


def test_a_machine_without_the_token_is_refused(cluster):
    with running(*cluster.machine(), RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="f" * 64) as stranger:
        assert stranger.wait(60) != 0


def test_a_service_outlives_its_ray_node_and_joins_again(cluster):
    """What is asked meanwhile is done in the front end."""
    node = node_of(cluster)
    told = [health_of_cluster(cluster.address)]
    node.terminate()
    with Client(cluster.address, timeout=60) as client:
        f = client.function(lambda w: np.sum(w * w), np.zeros(3))
        f.placement = "cluster"
        end = time.monotonic() + 120
        while len(told) < 3 and time.monotonic() < end:
            now = health_of_cluster(cluster.address)
            told += [now] if now != told[-1] else []
            if now == Health.NOT_SERVING:
                assert f(np.ones(3)) == 3.0
            time.sleep(0.05)
    assert told == [Health.SERVING, Health.NOT_SERVING, Health.SERVING]
    assert node_of(cluster).pid != node.pid
    assert cluster.service.poll() is None


def node_of(cluster):
    """The process that keeps the Ray node of a service."""
    (serving,) = front_ends(cluster.service.pid)
    (found,) = [p for p in serving.children() if "ray.scripts.scripts" in p.cmdline()]
    return found


def test_nothing_is_left_of_a_service_that_is_killed(cluster):
    """The last test with this service."""
    cluster.await_joined()
    left = psutil.Process(cluster.service.pid).children(recursive=True)
    assert any(process.name() == "raylet" for process in left)
    cluster.service.kill()
    assert not psutil.wait_procs(left, timeout=20)[1]


def test_a_service_without_a_head_to_join_does_not_start(monkeypatch):
    monkeypatch.setattr(joined_node, "START_SECONDS", 1.0)
    with pytest.raises(Unavailable, match=r"no Ray cluster at 127\.0\.0\.1:1 could be joined"):
        JoinedNode("127.0.0.1:1", 0, pytest.fail)
