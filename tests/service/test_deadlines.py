"""Deadlines and cancellation: a call that nobody waits for ends and frees what it held."""

import time

import grpc
import numpy as np
import psutil
import pytest

from gradserve import wire
from gradserve.client.tracing.trace import trace
from gradserve.v1 import blob_service_pb2, estimate_service_pb2
from gradserve.v1 import derivative_service_pb2 as pb
from tests.service.support import QUADRATIC, call_of, refusal, slow_call

pytestmark = pytest.mark.slow


def slow_request(seconds=60.0):
    return pb.EvaluateRequest(call=slow_call(seconds))


def in_flight(server, count):
    until = time.monotonic() + 10
    while server.admission.calls != count:
        assert time.monotonic() < until
        time.sleep(0.002)


def workers_are_free(stubs):
    """Whether a call on the pool's threads is answered soon."""
    request = slow_request(0.1)
    started = time.monotonic()
    stubs.derivatives.Evaluate(request, timeout=10)
    return time.monotonic() - started < 5


def test_deadline_frees_the_workers(start):
    server, stubs = start(workers=1)
    request = slow_request()
    started = time.monotonic()
    refused = refusal(lambda: stubs.derivatives.Evaluate(request, timeout=1.5))
    assert refused.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - started < 10
    assert server.admission.wait_idle(5)
    assert workers_are_free(stubs)


ENDLESS = """\
function @0 (%0 "x0": f64[]) {
  %1: f64[] = sin %0
  return "y0" %1
}
graph (%0 "w": f64[]) {
  %1: i64[] = constant 10000000000
  %2: f64[] = scan %1, %0 {body=@0, carries=1, length=10000000000, reverse=false, scanned=0, stops=false}
  return "y" %2
}"""


def test_deadline_ends_a_loop_of_small_steps(start):
    server, stubs = start(workers=1)
    request = pb.EvaluateRequest(call=call_of(ENDLESS, {"w": 0.5}))
    assert refusal(lambda: stubs.derivatives.Evaluate(request, timeout=1.0)).code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert server.admission.wait_idle(5)
    assert workers_are_free(stubs)


def test_cancelling_frees_the_workers(start):
    server, stubs = start(workers=1)
    call = stubs.derivatives.Evaluate.future(slow_request())
    in_flight(server, 1)
    time.sleep(0.5)
    call.cancel()
    assert server.admission.wait_idle(5)
    assert workers_are_free(stubs)


def test_client_that_goes_away_frees_the_workers(start):
    server, stubs = start(workers=1)
    channel = grpc.insecure_channel(f"127.0.0.1:{server.port}")
    method = channel.unary_unary("/gradserve.v1.DerivativeService/Evaluate", None, None)
    call = method.future(slow_request().SerializeToString())
    in_flight(server, 1)
    channel.close()
    assert server.admission.wait_idle(5)
    assert call.done()
    assert workers_are_free(stubs)


def eigenvalues(x):
    return np.sum(np.linalg.eigvalsh(np.cos(x[:, None] * x[None, :])))


def test_client_that_goes_away_amid_a_long_step_ends_its_process_and_nobody_else_waits(start):
    server, stubs = start(workers=1)
    server.warm()
    (pid,) = server.heavy_processes
    point = np.linspace(0.0, 30.0, 5000)
    graph = wire.encode_graph(trace(eigenvalues, point).graph)
    process, until = psutil.Process(pid), time.monotonic() + 60
    begun = sum(process.cpu_times()[:2]) + 2.5  # what it was started with, and the steps before the long one
    call = stubs.derivatives.Evaluate.future(pb.EvaluateRequest(call=call_of(graph, {"x": point})))
    while sum(process.cpu_times()[:2]) < begun:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert wire.decode_tensor(stubs.derivatives.Gradient(pb.GradientRequest(call=call_of()), timeout=5).value) == 14.0
    assert not call.done()
    call.cancel()
    assert server.admission.wait_idle(5)
    until = time.monotonic() + 5
    while psutil.pid_exists(pid):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert workers_are_free(stubs)


def test_longest_deadline_of_the_server_holds_without_one_of_the_client(start):
    server, stubs = start(max_seconds=0.3)
    request = slow_request()
    for timeout in (None, 600):
        refused = refusal(lambda: stubs.derivatives.Evaluate(request, timeout=timeout))  # noqa: B023
        assert refused.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert refused.info.reason == "DEADLINE_EXCEEDED"
    assert server.admission.wait_idle(5)


def test_estimate_ends_at_the_deadline(start):
    server, stubs = start()
    request = estimate_service_pb2.EstimateTraceRequest(
        call=call_of(QUADRATIC), max_probes=1_000_000, estimator=estimate_service_pb2.ESTIMATOR_HUTCHINSON
    )
    stream = stubs.estimates.EstimateTrace(request, timeout=0.3)
    assert refusal(lambda: list(stream)).code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert server.admission.wait_idle(5)


def test_stream_whose_client_sends_nothing_ends(start):
    server, stubs = start(max_seconds=0.3)

    def silent():
        yield blob_service_pb2.WriteBlobRequest(digest="1" * 64, size=10, data=b"x")
        time.sleep(5)

    started = time.monotonic()
    refused = refusal(lambda: stubs.blobs.WriteBlob(silent()))
    assert refused.code is grpc.StatusCode.CANCELLED
    assert time.monotonic() - started < 10
    assert server.admission.wait_idle(5)


def test_stream_whose_client_reads_nothing_ends(start):
    server, stubs = start(max_seconds=0.5)
    data = bytes(64 << 20)
    server.blobs.put("1" * 64, data)
    stream = stubs.blobs.ReadBlob(blob_service_pb2.ReadBlobRequest(digest="1" * 64))
    next(stream)
    in_flight(server, 1)
    assert server.admission.wait_idle(5)


def test_many_calls_are_answered_and_those_too_many_turned_away(start):
    server, stubs = start(max_in_flight=2, max_queued=2, queue_seconds=0.2, workers=1)
    calls = [stubs.derivatives.Evaluate.future(slow_request(1)) for _ in range(12)]
    codes = [call.code() for call in calls]
    assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert codes.count(grpc.StatusCode.OK) >= 2
    assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) >= 4
    (turned_away, *_) = [call for call in calls if call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED]
    assert "max_in_flight" in turned_away.details()
    assert server.admission.wait_idle(5)


def test_a_call_does_not_wait_for_another_of_the_same_client(start):
    server, stubs = start(workers=1)
    slow = stubs.derivatives.Evaluate.future(slow_request())
    in_flight(server, 1)
    reply = stubs.derivatives.Gradient(pb.GradientRequest(call=call_of()), timeout=5)
    assert wire.decode_tensor(reply.value) == 14.0
    slow.cancel()
