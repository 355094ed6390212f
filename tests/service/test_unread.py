"""Clients that ask for much and never read it, frame by frame: they hold up nobody, and memory has a bound."""

from __future__ import annotations

import struct
import threading
import time
from functools import partial

import numpy as np
import pytest

from gradserve.service.calls.unread import LEAST_BYTES, Unread
from gradserve.v1 import derivative_service_pb2 as pb
from gradserve.v1 import stream_pb2
from tests.service.support import W, call_of, tensors
from tests.service.test_frames import DATA, END_HEADERS, HEADERS, PREFACE, SETTINGS, answered, frame, headers, raw
from tests.service.test_silent_clients import FEW, until

MIB = 1 << 20
COUNT = 1 << 16
LARGE = f'graph (%0 "w": f64[]) {{\n  %1: f64[{COUNT}] = broadcast_to %0 {{shape=[{COUNT}]}}\n  return "y" %1\n}}'
"""Half a mebibyte for some hundred bytes."""
EVALUATE = "/gradserve.v1.DerivativeService/Evaluate", (pb.EvaluateRequest(call=call_of(LARGE, {"w": np.float64(1)})),)
POINT = stream_pb2.StreamGradientRequest(id=1, arguments=tensors({"w": W}))
STREAM = (
    "/gradserve.v1.DerivativeService/StreamGradient",
    (stream_pb2.StreamGradientRequest(call=call_of(arguments={})), POINT, POINT),
)
END_STREAM = 1


def unread(method, messages, count, end=END_STREAM):
    """Calls of a connection that lets nothing be sent to it but heads."""
    said = [message.SerializeToString() for message in messages]
    body = b"".join(b"\0" + struct.pack(">I", len(data)) + data for data in said)
    begun = PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0))  # the window of each stream
    calls = [(HEADERS, END_HEADERS, 2 * k + 1, headers(method)) for k in range(count)]
    return begun + b"".join(frame(*call) + frame(DATA, end, call[2], body) for call in calls)


@pytest.mark.parametrize("end", [0, END_STREAM])
def test_streams_of_gradients_that_nobody_reads_leave_their_places_to_others(start, end):
    server, _ = start(**(FEW | {"threads": 40}))
    with raw(server, unread(*STREAM, count=8, end=end)):
        until(lambda: server.admission.resting == 8)
        for _ in range(3):
            answered(server)


def test_streams_of_gradients_that_nobody_reads_leave_their_threads_to_others(start):
    server, _ = start(**FEW)
    with raw(server, unread(*STREAM, count=24)):
        until(lambda: server.admission.resting > FEW["max_in_flight"])
        for _ in range(3):
            answered(server)


def test_replies_that_nobody_reads_take_no_more_than_they_may(start, caplog):
    server, _ = start(max_unread_bytes=4 * MIB)
    with raw(server, unread(*EVALUATE, count=1)) as modest:
        until(lambda: server.unread.bytes > MIB)
        with raw(server, unread(*EVALUATE, count=60)):
            until(lambda: server.unread.bytes > 8 * MIB)  # of the last moment
            until(lambda: server.unread.bytes <= 4 * MIB)
            answered(server)
            assert server.unread.bytes > 2 * MIB
        until(lambda: server.unread.bytes < 2 * MIB)  # theirs, who have gone
        assert server.unread.bytes > MIB  # who has one has lost none
        assert "whose clients did not read" in caplog.text
        modest.shutdown(2)
    until(lambda: not server.unread.bytes)


def test_replies_that_nobody_reads_end_with_the_longest_deadline(start):
    server, _ = start(max_seconds=1.0)
    with raw(server, unread(*EVALUATE, count=3)):
        until(lambda: server.unread.bytes > 3 * MIB)
        until(lambda: not server.unread.bytes)
        answered(server)


def test_what_is_read_does_not_count(start):
    server, stubs = start()
    for _ in range(3):
        assert stubs.derivatives.Evaluate(*EVALUATE[1]).ByteSize() > COUNT
    until(lambda: not server.unread.bytes)
    assert not server.unread._replies


# ---- the count by itself


def test_the_oldest_of_whoever_has_most_goes_first(monkeypatch):
    now = [0.0]
    ended: list[str] = []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    held = Unread(10 * LEAST_BYTES, 1e6)
    read = {}
    for name, size in (("a1", 1), ("b1", 2), ("b2", 1), ("a2", 1)):
        read[name] = held.add(name[0], size * LEAST_BYTES, partial(ended.append, name))
        now[0] += 0.1
    assert held.bytes == 10 * LEAST_BYTES
    held.add("c", LEAST_BYTES, partial(ended.append, "c1"))
    assert ended == []  # b's have come a moment ago
    now[0] += 1.0
    held.add("c", LEAST_BYTES, partial(ended.append, "c2"))
    assert ended == ["b1"]
    read["b1"]()  # what has ended counts no more
    assert held.bytes == 10 * LEAST_BYTES
    read["a1"]()
    read["a1"]()
    assert held.bytes == 8 * LEAST_BYTES
    held.close()


def test_one_thread_looks_after_all_and_ends():
    before = threading.active_count()
    ended: list[int] = []
    held = Unread(1 << 30, 0.1)
    for number in range(50):
        held.add(str(number), LEAST_BYTES, partial(ended.append, number))
    assert threading.active_count() <= before + 1
    until(lambda: len(ended) == 50)
    held.add("a", LEAST_BYTES, lambda: None)
    held.close()
    until(lambda: threading.active_count() <= before)
