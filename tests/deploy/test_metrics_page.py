"""The metrics page of a service that has been used, as Prometheus' own linter sees it."""

from __future__ import annotations

import subprocess
import urllib.request

import numpy as np
import pytest

from gradserve.client import Client
from gradserve.service.configuration.settings import Settings
from gradserve.service.server import Server
from tests.deploy.tools import tool

pytestmark = pytest.mark.deploy


def complaints(page: str) -> str:
    """What promtool says of a metrics page."""
    command = [str(tool("promtool")), "check", "metrics"]
    done = subprocess.run(command, input=page, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def page() -> str:
    server = Server(Settings(address="127.0.0.1:0", metrics_port=0, workers=2)).start()
    try:
        with Client(f"127.0.0.1:{server.port}") as client:
            f = client.function(lambda w: np.sum(w**2), w=np.zeros(3))
            f.value_and_grad(np.ones((5, 3)), batch=True)
            f.verify(np.ones(3))
            f.hessian_trace(np.ones(3), max_probes=64)
        with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics_port}/metrics", timeout=5) as reply:
            return str(reply.read().decode())
    finally:
        server.stop(5)


def test_promtool_finds_nothing_to_complain_of(page: str) -> None:
    assert complaints(page) == ""


def test_promtool_would_complain(page: str) -> None:
    """The planted fault: a counter whose name does not end as it must."""
    assert "should have" in complaints(page.replace("gradserve_calls_total", "gradserve_calls"))
