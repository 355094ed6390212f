"""A service of its own process, with Ray, and clients to it."""

from __future__ import annotations

import pytest

from gradserve.client import Client
from gradserve.client.cli.demo_service import DemoService


@pytest.fixture(autouse=True)
def marked(request):
    """Refuses a test that uses the service without saying so: each process of pytest-xdist would start a cluster."""
    assert request.node.get_closest_marker("ray") or "service" not in request.fixturenames


@pytest.fixture(scope="session")
def service():
    started = DemoService(workers=2)
    yield started
    assert started.stop() == 0


@pytest.fixture(scope="session")
def remote(service):
    with Client(service.address) as client:
        yield client


@pytest.fixture(scope="session")
def embedded():
    with Client(threads=2) as client:
        yield client
