"""`gradserve ping`: what people and health checks see."""

import subprocess
import sys

import pytest

from gradserve.client.cli import main
from gradserve.client.cli.ping import ping
from gradserve.ir.errors import InvalidRequest
from gradserve.service.server import Server
from tests.service.conftest import settings


@pytest.fixture
def server():
    started = Server(settings()).start()
    yield started
    started.stop(0)


def test_a_service_that_serves(server, capsys):
    assert main(["ping", "--address", f"127.0.0.1:{server.port}"]) == 0
    assert capsys.readouterr().out.startswith(f"127.0.0.1:{server.port} SERVING ")


def test_a_service_that_drains(server, capsys):
    server._standard.draining()
    assert ping(f"127.0.0.1:{server.port}", 5.0) == 1
    assert "NOT_SERVING" in capsys.readouterr().out


def test_nobody_there(capsys):
    assert main(["ping", "--address", "localhost:1", "--timeout", "1"]) == 1
    assert capsys.readouterr().err.startswith("gradserve: localhost:1: UNAVAILABLE")


def test_no_address():
    with pytest.raises(InvalidRequest, match="is not the address of a service"):
        ping("localhost", 1.0)


def test_it_needs_no_extra():
    """It runs where only the light client is installed, and is no heavy thing for a check every few seconds."""
    program = "import sys; from gradserve.client.cli import main; main(['ping', '--address', 'localhost:1']); "
    program += "print(*{'rich', 'ray', 'scipy', 'prometheus_client'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_ops_come_with_the_first_function():
    """They are half of all code, which a client waits for that has something to trace or to load."""
    ops = "print(sum(name.startswith(('gradserve.ops', 'gradserve.numpy')) for name in sys.modules))"
    program = f"import sys, gradserve.client\n{ops}\n"
    program += f"gradserve.client.Client('localhost:1').function(len)\n{ops}\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before == 0 < after
