"""Clients that begin calls and then neither send nor read: they hold up nobody but themselves."""

import hashlib
import threading
import time
from contextlib import contextmanager

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gradserve import wire
from gradserve.v1 import blob_service_pb2, graph_service_pb2
from gradserve.v1 import derivative_service_pb2 as pb
from tests.service.support import Stubs, call_of, graph_message

SECONDS = 10.0
MANY = 24
"""More than there are threads."""
FEW = {"max_in_flight": 4, "max_queued": 4, "threads": 12, "store": "none"}
LARGE = bytes(4 << 20)
WRITE = blob_service_pb2.WriteBlobRequest(digest=hashlib.sha256(LARGE).hexdigest(), size=len(LARGE), data=b"0")


@contextmanager
def connection(server):
    """One of its own: channels to one address share theirs."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield channel


class Silent:
    """Calls of one connection that send so many messages, and then nothing."""

    def __init__(self, channel, method, messages=(), count=MANY):
        self._over = threading.Event()
        self.calls = [channel.stream_stream(method, None, None)(self._requests(messages)) for _ in range(count)]

    def _requests(self, messages):
        yield from messages
        self._over.wait(60)

    def ended(self):
        return [call for call in self.calls if not call.is_active()]

    def close(self):
        self._over.set()


def until(holds):
    end = time.monotonic() + SECONDS
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    assert holds()


def answered(server):
    with connection(server) as channel:
        reply = Stubs(channel).derivatives.Gradient(pb.GradientRequest(call=call_of()), timeout=SECONDS)
        assert wire.decode_tensor(reply.value) == 14.0
        health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
        assert health.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize(
    ("method", "messages"),
    [
        ("/grpc.health.v1.Health/Check", ()),
        ("/grpc.health.v1.Health/Watch", ()),
        ("/gradserve.v1.DerivativeService/Gradient", ()),
        ("/gradserve.v1.EstimateService/EstimateTrace", ()),
        ("/gradserve.v1.DerivativeService/StreamGradient", ()),
        ("/gradserve.v1.BlobService/WriteBlob", (WRITE.SerializeToString(),)),
    ],
)
def test_whoever_sends_nothing_more_keeps_nobody_from_being_answered(start, method, messages):
    server, _ = start(**FEW)
    with connection(server) as channel:
        silent = Silent(channel, method, messages)
        until(silent.ended)  # they hold all threads, until those are needed
        answered(server)
        silent.close()


def test_whoever_does_not_read_keeps_nobody_from_being_answered(start):
    server, stubs = start(**FEW)
    digest = hashlib.sha256(LARGE).hexdigest()
    chunks = [LARGE[at : at + (1 << 20)] for at in range(0, len(LARGE), 1 << 20)]
    stubs.blobs.WriteBlob(
        blob_service_pb2.WriteBlobRequest(digest=digest, size=len(LARGE), offset=at << 20, data=chunk)
        for at, chunk in enumerate(chunks)
    )
    with connection(server) as channel:
        read = Stubs(channel).blobs.ReadBlob
        unread = [read(blob_service_pb2.ReadBlobRequest(digest=digest)) for _ in range(MANY)]
        until(lambda: server.admission.resting > FEW["max_in_flight"])
        answered(server)
        assert len(unread) == MANY


def test_streams_that_rest_leave_their_places_to_others_and_go_on(start):
    # As many as may be worked on at once, and threads for all: nobody needs to be ended.
    server, stubs = start(**(FEW | {"threads": 40}))
    with connection(server) as channel:
        silent = Silent(channel, "/gradserve.v1.BlobService/WriteBlob", (WRITE.SerializeToString(),), count=8)
        until(lambda: server.admission.resting == 8)
        answered(server)
        assert not silent.ended()
        silent.close()
        for call in silent.calls:  # each is told what its blob lacks
            assert call.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert server.admission.wait_idle(SECONDS)
    stubs.graphs.RegisterGraph(graph_service_pb2.RegisterGraphRequest(graph=graph_message()))


def test_a_service_that_stops_waits_for_streams_that_rest(start):
    server, _ = start(**FEW)
    with connection(server) as channel:
        silent = Silent(channel, "/gradserve.v1.BlobService/WriteBlob", (WRITE.SerializeToString(),), count=1)
        until(lambda: server.admission.resting == 1)
        assert not server.admission.wait_idle(0.05)
        silent.close()
        assert server.admission.wait_idle(SECONDS)


def test_of_all_that_are_silent_those_end_of_whom_most_has(start):
    server, _ = start(**FEW)
    method = "/gradserve.v1.DerivativeService/Gradient"
    with connection(server) as modest, connection(server) as greedy:
        one = Silent(modest, method, count=1)
        time.sleep(0.1)
        many = Silent(greedy, method)
        until(many.ended)
        answered(server)
        assert not one.ended()
        one.close()
        many.close()
