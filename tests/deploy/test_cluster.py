"""The processes that the chart's pods start, run for real: one network namespace for each pod.

What Kubernetes and KubeRay would do (start a pod, start another in the place of a dead one) is done by hand.
"""

from __future__ import annotations

import re
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from gradserve.client import Client
from gradserve.client.cli import main
from gradserve.client.cli.ping import ping
from tests.deploy.chart import Processes, processes, render
from tests.deploy.hosts import Host, network, stop
from tests.system.test_freeing import endless

pytestmark = [pytest.mark.deploy, pytest.mark.live]

POINTS = np.random.default_rng(0).uniform(0.5, 1.0, (1000, 500))


class Release:
    """What a release of the chart runs, on hosts of its own."""

    def __init__(self, hosts: Iterator[Host], logs: Path) -> None:
        self.hosts, self.logs = hosts, logs
        head = next(hosts)
        self.commands: Processes = processes(render({}), head_host=head.address)
        assert self.commands.head
        assert self.commands.worker
        head.start(self.commands.head, logs / "head")
        self.workers = [self.worker()]
        self.front, self.service = self.front_end()
        self.address = f"{self.front.address}:50051"

    def worker(self) -> Host:
        """One more pod of the worker group."""
        assert self.commands.worker
        host = next(self.hosts)
        host.start(self.commands.worker, self.logs / host.name)
        return host

    def front_end(self) -> tuple[Host, subprocess.Popen[bytes]]:
        """One more front end, once it serves."""
        host = next(self.hosts)
        service = host.start(self.commands.front_end, self.logs / host.name)
        assert until(lambda: ping(f"{host.address}:50051", 1.0) == 0, 90), (self.logs / host.name).read_text()[-2000:]
        return host, service

    def metric(self, name: str) -> float:
        """A metric of the front end."""
        with urllib.request.urlopen(f"http://{self.front.address}:9464/metrics", timeout=5) as page:
            found = re.search(rf"^{re.escape(name)} (\S+)$", page.read().decode(), re.MULTILINE)
        assert found, name
        return float(found[1])


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether something comes to hold."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.3)
    return holds()


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    with network() as hosts:
        yield Release(hosts, tmp_path_factory.mktemp("logs"))


def test_the_demo_runs_on_it(release: Release) -> None:
    assert main(["demo", "--address", release.address, "--steps", "3"]) == 0


def test_workers_added_later_take_work(release: Release) -> None:
    """The front end asks for more workers while work waits; here is the pod that the autoscaler would start."""
    with Client(release.address, timeout=200) as client:
        f = client.function(endless, w=np.ones(500))
        f.placement = "cluster"
        expected = f(POINTS, batch=True)
        asking = threading.Thread(target=lambda: [f(POINTS, batch=True) for _ in range(10)])
        asking.start()
        assert until(lambda: release.metric('gradserve_workers_wanted{pool="cluster"}') > 1, 30)
        release.workers.append(release.worker())
        assert until(lambda: release.metric('gradserve_workers{pool="cluster"}') > 1, 60)
        asking.join()
        np.testing.assert_array_equal(f(POINTS, batch=True), expected)
        assert f.last_report
        assert len(f.last_report.workers) > 1


def test_no_call_is_lost_with_a_worker(release: Release) -> None:
    with Client(release.address, timeout=200) as client:
        f = client.function(endless, w=np.ones(500))
        f.placement = "cluster"
        expected = f(POINTS, batch=True)
        seen: list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = []
        asking = threading.Thread(target=lambda: seen.extend(f(POINTS, batch=True) for _ in range(8)))
        asking.start()
        time.sleep(0.5)
        release.workers.pop().fail()
        release.workers.append(release.worker())
        asking.join(180)
        assert len(seen) == 8
        for values in seen:
            np.testing.assert_array_equal(values, expected)
        assert release.metric("gradserve_workers_lost_total") >= 1


def test_who_has_no_token_is_refused(release: Release) -> None:
    assert release.commands.worker
    log = release.logs / "stranger"
    started = next(release.hosts).start(release.commands.worker, log, RAY_AUTH_TOKEN="x" * 48)
    assert started.wait(90) != 0
    assert "auth" in log.read_text().lower()


def test_another_front_end_shares_the_cluster(release: Release) -> None:
    host, service = release.front_end()
    with Client(f"{host.address}:50051", timeout=100) as client:
        f = client.function(lambda w: np.sum(np.sin(w) ** 2), w=np.ones(3))
        np.testing.assert_allclose(f.grad(np.ones(3)), np.sin(2.0) * np.ones(3), rtol=1e-14)
    assert stop(service) == 0


def test_front_ends_drain(release: Release) -> None:
    """A call in flight when the pod is told to stop is answered, and the container ends with status 0."""
    with Client(release.address, timeout=100) as client:
        f = client.function(endless, w=np.ones(500))
        f.placement = "cluster"
        answers = []
        asking = threading.Thread(target=lambda: answers.append(f(POINTS, batch=True)))
        asking.start()
        assert until(lambda: release.metric("gradserve_in_flight") > 0, 30)
        assert stop(release.service) == 0
        asking.join(60)
        assert len(answers) == 1
