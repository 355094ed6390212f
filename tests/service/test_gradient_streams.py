"""StreamGradient as any client may speak it."""

from __future__ import annotations

import queue
import time

import grpc
import numpy as np
import pytest
from google.rpc import status_pb2

from gradserve import wire
from gradserve.v1 import execution_pb2
from gradserve.v1 import stream_pb2 as pb
from gradserve.wire.errors import decode_error
from tests.service.support import QUADRATIC, VECTOR, W, call_of, refusal, slow_call, tensors

START = pb.StreamGradientRequest(call=call_of(arguments={}))


def at(number, array, points=0):
    return pb.StreamGradientRequest(id=number, points=points, arguments=tensors({"w": array}))


def start_with(**more):
    return pb.StreamGradientRequest(**more)


def test_replies_are_in_order_and_carry_the_numbers_of_their_messages(stubs):
    points = np.arange(6.0).reshape(2, 3)
    first, block, last = stubs.derivatives.StreamGradient(iter([START, at(7, W), at(9, points, 2), at(8, -W)]))
    assert (first.id, block.id, last.id) == (7, 9, 8)
    assert wire.decode_tensor(first.value) == 14.0
    np.testing.assert_array_equal(wire.decode_tensor(block.value), [5.0, 50.0])
    np.testing.assert_array_equal(wire.decode_tensor(block.gradients["w"]), 2 * points)
    np.testing.assert_array_equal(wire.decode_tensor(last.gradients["w"]), -2 * W)
    assert (first.points, block.points, block.report.batch_size, block.report.chunks) == (0, 2, 2, 2)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (at(2, np.ones(4)), 'arguments["w"]'),
        (at(2, np.ones((3, 3)), 2), 'arguments["w"]'),
        (pb.StreamGradientRequest(id=2), 'arguments["w"]'),
        (pb.StreamGradientRequest(id=2, arguments={"w": wire.encode_tensor(W), "v": wire.encode_tensor(W)}), "v"),
        (pb.StreamGradientRequest(id=2, call=START.call), "call"),
    ],
)
def test_a_message_that_is_wrong_has_an_error_in_its_place(stubs, wrong, field):
    replies = list(stubs.derivatives.StreamGradient(iter([START, at(1, W), wrong, at(3, W)])))
    assert [reply.id for reply in replies] == [1, 2, 3]
    error = decode_error(status_pb2.Status.FromString(replies[1].error))
    assert error is not None
    assert any(field in violation.field for violation in error.violations)
    assert not replies[1].HasField("value")
    assert not replies[1].HasField("report")
    assert wire.decode_tensor(replies[2].value) == 14.0


@pytest.mark.parametrize(
    ("first", "field"),
    [
        (at(1, W), "call"),
        (start_with(call=call_of()), "call.arguments"),
        (pb.StreamGradientRequest(call=START.call, arguments=tensors({"w": W})), "arguments"),
        (start_with(call=execution_pb2.Call()), "call.graph"),
        (start_with(call=call_of(graph="g" * 64, arguments={})), "call.graph.digest"),
    ],
)
def test_a_stream_begins_with_a_question(stubs, first, field):
    refused = refusal(lambda: list(stubs.derivatives.StreamGradient(iter([first, at(1, W)]))))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refused.violations) == [field]


def test_a_stream_without_messages_is_refused(stubs):
    assert refusal(lambda: list(stubs.derivatives.StreamGradient(iter([])))).code is grpc.StatusCode.INVALID_ARGUMENT


def test_an_unknown_graph_is_named(stubs):
    first = start_with(call=call_of(graph="0" * 64, arguments={}))
    refused = refusal(lambda: list(stubs.derivatives.StreamGradient(iter([first]))))
    assert (refused.code, refused.info.reason) == (grpc.StatusCode.NOT_FOUND, "GRAPH_NOT_REGISTERED")


def test_what_has_no_gradient_has_an_error_for_each_message(stubs):
    first = start_with(call=call_of(VECTOR, {}))
    replies = list(stubs.derivatives.StreamGradient(iter([first, at(1, W), at(2, W)])))
    assert [bool(reply.error) for reply in replies] == [True, True]


def test_a_block_that_cannot_be_answered_has_one_error_and_not_one_for_each_point(stubs):
    """Four thousand million points in a message of a few bytes, and more than one call may have."""
    endless = pb.StreamGradientRequest(id=2, points=2**32 - 1)
    wrong = at(3, np.ones((5, 4)), 5)
    replies = list(stubs.derivatives.StreamGradient(iter([START, endless, wrong, at(4, W)])))
    assert [(reply.id, reply.first, reply.points) for reply in replies] == [(2, 0, 2**32 - 1), (3, 0, 5), (4, 0, 0)]
    assert all(decode_error(status_pb2.Status.FromString(reply.error)) for reply in replies[:2])


INVERSE = """\
graph (%0 "w": f64[2,2]) {
  %1: f64[2,2] = inv %0
  %2: f64[] = reduce_sum %1 {axes=[0,1]}
  return "loss" %2
}"""


def test_planted_a_point_whose_numbers_cannot_be_answered_leaves_the_others(stubs):
    points = np.stack([np.eye(2), np.zeros((2, 2)), 2 * np.eye(2)])
    start = pb.StreamGradientRequest(call=call_of(INVERSE, arguments={}))
    replies = list(stubs.derivatives.StreamGradient(iter([start, at(1, points, 3)])))
    assert [(reply.first, reply.points, bool(reply.error)) for reply in replies] == [
        (0, 1, False), (1, 1, True), (2, 1, False),
    ]  # fmt: skip


def waiting(*messages):
    """Requests that are never ended."""
    yield from messages
    yield from iter(queue.SimpleQueue().get, None)


def test_a_stream_ends_at_its_deadline_and_frees_its_place(start):
    server, stubs = start()
    replies = stubs.derivatives.StreamGradient(waiting(START, at(1, W)), timeout=0.5)
    assert next(replies).id == 1
    assert server.admission.calls == 1
    with pytest.raises(grpc.RpcError) as caught:
        next(replies)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert idle(server)


def test_cancelling_ends_the_work(start):
    server, stubs = start()
    slow = slow_call(20.0)
    first = start_with(call=execution_pb2.Call(graph=slow.graph))
    message = pb.StreamGradientRequest(id=1, arguments=slow.arguments)
    replies = stubs.derivatives.StreamGradient(waiting(first, message))
    time.sleep(1.0)
    replies.cancel()
    assert idle(server)


def idle(server):
    """Whether the service soon has nothing to do."""
    until = time.monotonic() + 5.0
    while server.admission.calls and time.monotonic() < until:
        time.sleep(0.01)
    return not server.admission.calls


def test_who_does_not_read_is_not_worked_for(start):
    server, stubs = start()
    size = 1 << 17
    graph = QUADRATIC.replace("f64[3]", f"f64[{size}]")
    first = start_with(call=call_of(graph, {}))
    sent = 0

    def many():
        nonlocal sent
        yield first
        for sent in range(1, 400):
            yield at(sent, np.ones(size))

    replies = stubs.derivatives.StreamGradient(many())
    next(replies)
    time.sleep(1.5)
    assert sent < 100
    replies.cancel()
    assert idle(server)
