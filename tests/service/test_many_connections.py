"""Connections that say nothing: a service keeps descriptors for itself, and they end for others to come."""

import contextlib
import socket

import grpc
import pytest

from gradserve.service.listening import connections
from gradserve.v1 import derivative_service_pb2 as pb
from tests.service.support import Stubs, call_of
from tests.service.test_identity import until


def opened(port, count):
    return [socket.create_connection(("127.0.0.1", port), 5) for _ in range(count)]


def is_open(connection):
    """Whether the other side has not ended it."""
    connection.setblocking(False)
    try:
        while data := connection.recv(1 << 16):
            assert data
    except BlockingIOError:
        return True
    except ConnectionError:
        return False
    return False


@pytest.fixture
def narrow(monkeypatch):
    """A process that may have sixteen descriptors."""
    monkeypatch.setattr(connections, "limit", lambda: 16)


def test_connections_leave_descriptors_to_the_service(narrow, start):
    server, _ = start()
    with contextlib.ExitStack() as ending:
        silent = [ending.enter_context(each) for each in opened(server.port, 40)]
        until(lambda: sum(map(is_open, silent)) <= 12)
        assert any(map(is_open, silent))


def test_who_says_nothing_does_not_keep_others_out_for_good(narrow, start, monkeypatch):
    soon = ("grpc.server_handshake_timeout_ms", 500)
    assert soon[0] in dict(connections._OPTIONS)
    monkeypatch.setattr(connections, "_OPTIONS", (*dict([*connections._OPTIONS, soon]).items(),))
    server, _ = start()
    with contextlib.ExitStack() as ending:
        silent = [ending.enter_context(each) for each in opened(server.port, 40)]
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            request = pb.GradientRequest(call=call_of())
            assert Stubs(channel).derivatives.Gradient(request, timeout=10, wait_for_ready=True).HasField("value")
        until(lambda: not any(map(is_open, silent)))
