"""A service in this process, and clients: of it, and of the same jobs without it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from gradserve.client import Client
from gradserve.client.cli import main
from gradserve.service.configuration.settings import Settings
from gradserve.service.server import Server
from tests.clients.bits import same_bits
from tests.clients.command_line import CONTROL, POINTS, B, W, loss


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


# ---- the command line


@pytest.fixture
def folder(tmp_path, monkeypatch, embedded):
    """A folder with graphs and points, which is the current one."""
    monkeypatch.chdir(tmp_path)
    f = embedded.function(loss, W, B)
    f.save("loss.pb")
    f.save("loss.txt")
    np.savez("point.npz", w=W, b=B)
    np.savez("points.npz", w=POINTS["w"], b=POINTS["b"])
    return tmp_path


@pytest.fixture(params=["here", "there"])
def place(request):
    """The arguments that say where a command computes."""
    return [] if request.param == "here" else ["--address", request.getfixturevalue("address")]


@pytest.fixture
def run(capsys):
    """Runs a command; answers its status, output and errors. Neither holds control codes."""

    def command(*arguments):
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert not CONTROL.search(out + err)
        return status, out, err

    return command
