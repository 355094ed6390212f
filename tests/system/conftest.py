"""A service of its own process, with Ray, and clients to it."""

from __future__ import annotations

import pytest

from gradserve.client import Client
from gradserve.client.cli.demo_service import DemoService


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
