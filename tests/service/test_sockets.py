"""Unix domain sockets: who may connect, whose place is taken, and what is left there."""

import os
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from gradserve.client import Client
from gradserve.client.cli import main
from gradserve.service.listening import sockets
from gradserve.service.listening.sockets import listening, path_of
from gradserve.service.server import Server
from tests.service.conftest import settings


@pytest.fixture
def start():
    running = []

    def begin(path):
        running.append(Server(settings(address=f"unix:{path}", metrics_port=None, workers=1)).start())
        return running[-1]

    yield begin
    for server in running:
        server.stop(0)


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A path that is short enough: that of a test's own folder may not be."""
    monkeypatch.chdir(tmp_path)
    return Path("grads.sock")


def dead(path):
    """What a server leaves that was killed."""
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.fspath(path))


def gradient(address):
    with Client(address, timeout=10) as client:
        return client.function(lambda w: np.sum(w**3)).value_and_grad(np.array([1.0, 2.0]))


def test_a_client_is_answered_over_a_socket(start, path):
    start(path)
    value, grad = gradient(f"unix:{path}")
    assert (value, *grad) == (9.0, 3.0, 12.0)


def test_commands_take_the_address(start, path, capsys):
    start(path)
    assert main(["ping", "--address", f"unix:{path}"]) == 0
    assert capsys.readouterr().out.startswith(f"unix:{path} SERVING ")


@pytest.mark.parametrize("umask", [0, 0o022, 0o777])
def test_nobody_but_the_user_may_connect(start, path, umask):
    before = os.umask(umask)
    try:
        start(path)
        assert os.umask(umask) == umask  # as it was before
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nobody_may_connect_before_the_mode_is_set(path):
    seen = []

    def listen():
        dead(path)
        seen.append(stat.S_IMODE(path.stat().st_mode) & 0o077)

    listening(path, listen)
    assert seen == [0]


def test_the_socket_of_a_dead_server_is_replaced_and_one_that_stops_leaves_nothing(start, path):
    dead(path)
    assert path.exists()
    server = start(path)
    assert gradient(f"unix:{path}")[0] == 9.0
    server.stop(1)
    assert not path.exists()


def test_the_socket_of_a_live_server_is_not(start, path, capsys):
    start(path)
    with pytest.raises(OSError, match=r"grads\.sock is taken by a server that lives; stop it"):
        start(path)
    assert gradient(f"unix:{path}")[0] == 9.0  # the first one is still there
    assert main_of("--address", f"unix:{path}") == 1
    assert "is taken by a server that lives" in capsys.readouterr().err


def main_of(*options):
    from gradserve.service.__main__ import main

    return main(["--no-ray", "--metrics-port", "-1", "--workers", "1", *options])


def test_left_to_itself_grpc_would_take_the_place_of_a_live_server(start, path, monkeypatch):
    """The planted fault: nobody asks whether the other one lives."""
    start(path)
    monkeypatch.setattr(sockets, "_make_way", lambda path: None)
    start(path)


def test_of_two_that_start_at_once_one_is_refused(start, path):
    dead(path)

    def one(_):
        try:
            return start(path)
        except OSError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        found = [*pool.map(one, range(2))]
    assert sorted(map(type, found), key=str) == sorted([Server, OSError], key=str)
    assert gradient(f"unix:{path}")[0] == 9.0


def test_a_file_that_is_no_socket_is_left_alone(start, path):
    path.write_text("mine")
    with pytest.raises(OSError, match="is there and no socket; it is left alone"):
        start(path)
    assert path.read_text() == "mine"
    path.unlink()
    path.symlink_to("elsewhere")
    with pytest.raises(OSError, match="no socket"):
        start(path)


def test_the_socket_of_another_kind_is_left_alone(start, path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(os.fspath(path))
        with pytest.raises(OSError, match="is taken, by whom cannot be told"):
            start(path)
        assert path.exists()


def test_a_path_without_a_folder_or_too_long_is_named(start):
    with pytest.raises(OSError, match="/nowhere"):
        start("/nowhere/grads.sock")
    with pytest.raises(OSError, match="has at most 107 bytes"):
        start("/tmp/" + 103 * "x")


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("unix:/a/b", "/a/b"),
        ("unix:///a/b", "/a/b"),
        ("unix:a", "a"),
        ("unix:/a%20b", "/a b"),
        ("unix-abstract:a", None),
        ("127.0.0.1:1", None),
    ],
)
def test_the_path_of_an_address(address, path):
    assert path_of(address) == (path and Path(path))
