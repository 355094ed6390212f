"""A service in this process, and clients: of it, and of the same jobs without it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gradserve.client import Client
from gradserve.service.server import Server
from gradserve.service.settings import Settings
from tests.clients.bits import same_bits


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    running = Server(Settings(address="127.0.0.1:0", metrics_port=None, workers=2)).start()
    yield running
    running.stop(10)


@pytest.fixture(scope="session")
def address(server):
    return f"127.0.0.1:{server.port}"


@pytest.fixture(scope="session")
def remote(address):
    with Client(address) as client:
        yield client


@pytest.fixture(scope="session")
def embedded():
    with Client(threads=2) as client:
        yield client


@pytest.fixture(params=["remote", "embedded"])
def client(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def start():
    """Starts services of a test's own and stops them after it."""
    running = []

    def begin(**settings):
        settings = {"address": "127.0.0.1:0", "metrics_port": None, "workers": 2, **settings}
        running.append(Server(Settings(**settings)).start())
        return running[-1]

    yield begin
    for server in running:
        server.stop(0)


@pytest.fixture
def agree(remote, embedded):
    """Asks both clients and sees that they answer the same bits; answers one of the answers."""

    def ask(question):
        here, there = question(embedded), question(remote)
        assert same_bits(here, there), (here, there)
        return there

    return ask
