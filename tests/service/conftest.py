"""A running service and clients to it."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from gradserve import wire
from gradserve.service.configuration.settings import Settings
from gradserve.service.server import Server
from gradserve.v1 import derivative_service_pb2, graph_service_pb2
from tests.service.support import Stubs, call_of, graph_message


def settings(**more):
    return Settings(**{"address": "127.0.0.1:0", "metrics_port": 0, "workers": 2, **more})


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    running = Server(settings()).start()
    yield running
    assert running.stop(10)


@pytest.fixture(scope="session")
def stubs(server):
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", options) as channel:
        yield Stubs(channel)


@pytest.fixture
def start():
    """Starts services of a test's own and stops them after it."""
    running, channels = [], []

    def begin(**more):
        server = Server(settings(**more)).start()
        running.append(server)
        channel = grpc.insecure_channel(f"127.0.0.1:{server.port}")
        channels.append(channel)
        return server, Stubs(channel)

    yield begin
    for channel in channels:
        channel.close()
    for server in running:
        server.stop(0)


@pytest.fixture
def still_serves(stubs):
    """Sees after a test that the next call is answered."""
    yield
    reply = stubs.derivatives.Gradient(derivative_service_pb2.GradientRequest(call=call_of()))
    assert wire.decode_tensor(reply.value) == 14.0


@pytest.fixture(scope="session")
def digest(stubs) -> str:
    """A registered loss, <w, w>."""
    request = graph_service_pb2.RegisterGraphRequest(graph=graph_message())
    return str(stubs.graphs.RegisterGraph(request).digest)
