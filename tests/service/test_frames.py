"""A connection that speaks HTTP/2 badly, frame by frame: others do not notice."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import psutil
import pytest

from gradserve import wire
from gradserve.v1 import derivative_service_pb2 as pb
from tests.service.support import Stubs, call_of
from tests.waiting import PATIENCE_SECONDS

GRADIENT = "/gradserve.v1.DerivativeService/Gradient"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING = 0, 1, 3, 4, 6
END_HEADERS = 4


def frame(kind: int, flags: int, stream: int, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + data


def headers(path: str = GRADIENT) -> bytes:
    """Of a call, written out: literals without an index."""
    told = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "x", "te": "trailers"}
    told["content-type"] = "application/grpc"
    return b"".join(b"\0" + bytes([len(k)]) + k.encode() + bytes([len(v)]) + v.encode() for k, v in told.items())


HALF = bytes(1) + struct.pack(">I", 1000) + bytes(50)
"""The beginning of a message of 1000 bytes."""


@contextmanager
def raw(server, data: bytes) -> Iterator[socket.socket]:
    """A connection that has sent these bytes."""
    with socket.create_connection(("127.0.0.1", server.port)) as found:
        found.sendall(data)
        yield found


def answered(server, seconds: float = 20.0) -> None:
    """Returns when a call over a connection of its own is answered, within so many seconds."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
        reply = Stubs(channel).derivatives.Gradient(pb.GradientRequest(call=call_of()), timeout=seconds)
    assert wire.decode_tensor(reply.value) == 14.0


def streams(count: int, *frames: tuple[int, int, bytes]) -> bytes:
    """So many streams, each with these frames."""
    each = [(2 * k + 1, *one) for k in range(count) for one in frames]
    return b"".join(frame(kind, flags, stream, data) for stream, kind, flags, data in each)


BEGUN = (HEADERS, END_HEADERS, headers())
BAD = {
    "half a preface": PREFACE[:10],
    "half a head": PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, 0, 1, headers()[:30]),
    "plain HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "no HTTP at all": b"\xff" * 4000,
    "pings": PREFACE + frame(SETTINGS, 0, 0) + frame(PING, 0, 0, bytes(8)) * 2000,
    "calls that are given up at once": PREFACE
    + frame(SETTINGS, 0, 0)
    + streams(3000, BEGUN, (RESET, 0, b"\0\0\0\x08")),
    "a field longer than all may be": PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, 0, 1, b"\0\1x\x7f\x81\xff\x3f"),
}


@pytest.mark.parametrize("kind", BAD)
def test_whatever_a_connection_sends_others_are_answered(server, kind):
    with raw(server, BAD[kind]):
        for _ in range(3):
            answered(server)


def test_no_call_of_others_is_lost_to_thousands_that_were_begun(server):
    """More than gRPC takes in before it cancels some at random: those of one connection alone are turned away."""
    begun = PREFACE + frame(SETTINGS, 0, 0) + streams(5000, BEGUN, (DATA, 0, HALF))
    with raw(server, begun), raw(server, begun), raw(server, begun):
        for _ in range(5):
            answered(server)
    for _ in range(5):  # while all of them end
        answered(server)
    assert server.admission.wait_idle(10)


def field(name: bytes, value: bytes) -> bytes:
    """A field of a head that is kept in the table of the connection, as its newest."""
    more = len(value) - 127
    return b"\x40" + bytes([len(name)]) + name + b"\x7f" + bytes([128 | more % 128, more // 128]) + value


NEWEST, ACCEPT_ENCODING = b"\xbe", b"\x90"
"""One byte each: the newest field of the table, and one that is always in it."""
LARGE_HEADS = {
    "one large field, again and again": (field(b"x-b", b"b" * 3967), NEWEST * 4000),
    "thousands of small fields": (b"", ACCEPT_ENCODING * 16_000),
}


@pytest.mark.parametrize("kind", LARGE_HEADS)
def test_heads_of_a_few_bytes_that_say_much_take_little_memory_and_time(server, kind):
    """Each is refused, and what gRPC holds of it before it is may be 16 MiB: so few are open at once.

    Others are answered meanwhile: they waited for more than 20 seconds where all were open.
    """
    once, again = LARGE_HEADS[kind]
    process, most = psutil.Process(), 0
    before = process.memory_info().rss
    head = PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 1, headers() + once)
    rest = b"".join(frame(HEADERS, END_HEADERS, 2 * k + 3, headers() + again) for k in range(2000))
    begun = time.process_time()
    with raw(server, head) as connection, ThreadPoolExecutor(1) as thread:
        sent = thread.submit(connection.sendall, rest)
        for _ in range(20):
            answered(server, PATIENCE_SECONDS)
            most = max(most, process.memory_info().rss)
        sent.cancel()
        connection.shutdown(socket.SHUT_RDWR)
    assert most - before < 1 << 30
    assert time.process_time() - begun < 10.0  # which is what others wait for, where processors are free


def test_more_calls_at_once_than_one_connection_may_have_open_wait_in_their_client(server):
    """None is refused by gRPC itself, without a word."""
    request = pb.GradientRequest(call=call_of())
    options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", options) as channel:
        stub = Stubs(channel).derivatives
        codes = {call.code() for call in [stub.Gradient.future(request, timeout=60) for _ in range(2000)]}
    assert codes <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
