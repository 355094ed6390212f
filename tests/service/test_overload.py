"""A full service: what it refuses, how, and what goes on meanwhile."""

from __future__ import annotations

import threading
import time
from collections import Counter

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gradserve import wire
from gradserve.client import Client, Overloaded
from gradserve.service.server import Server
from gradserve.v1 import derivative_service_pb2 as pb
from gradserve.v1 import estimate_service_pb2, execution_pb2
from tests.service.support import call_of, read, refusal, slow_call

pytestmark = pytest.mark.slow

SERVING = health_pb2.HealthCheckResponse.SERVING


def is_serving(stubs):
    health = health_pb2_grpc.HealthStub(stubs.channel)
    return health.Check(health_pb2.HealthCheckRequest(), timeout=5).status == SERVING


def wait_until(condition, seconds=20.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def running(server: Server, kind: str = "front-end") -> int:
    return server.admission.gates[kind].inside


@pytest.fixture
def full(start):
    """A service whose one worker is busy, and where nobody may wait for it."""
    server, stubs = start(workers=1, max_queued=0)
    busy = stubs.derivatives.Evaluate.future(pb.EvaluateRequest(call=slow_call(60)))
    wait_until(lambda: running(server))
    yield server, stubs
    busy.cancel()
    assert server.admission.wait_idle(10)


def test_what_is_too_much_is_refused_with_the_limit_and_when_to_come_back(full):
    server, stubs = full
    refused = refusal(lambda: stubs.derivatives.Evaluate(pb.EvaluateRequest(call=slow_call(1)), timeout=30))
    assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (refused.info.reason, refused.info.metadata["limit"], refused.limit) == (
        "OVERLOADED",
        *["max_in_flight"] * 2,
    )
    assert refused.retry_after
    assert refused.retry_after >= 0.05
    assert server.admission.shed["max_in_flight"] == 1
    assert server.admission.calls == 1


def test_what_is_too_large_is_refused_for_good(full):
    _, stubs = full
    options = execution_pb2.ExecutionOptions()
    request = estimate_service_pb2.EstimateTraceRequest(call=call_of(options=options), max_probes=10**9)
    refused = refusal(lambda: list(stubs.estimates.EstimateTrace(request)))
    assert refused.retry_after is None


def test_small_calls_and_health_go_on_in_a_full_service(full):
    _, stubs = full
    for _ in range(20):
        reply = stubs.derivatives.Gradient(pb.GradientRequest(call=call_of()), timeout=10)
        assert wire.decode_tensor(reply.value) == 14.0
    assert is_serving(stubs)


A = np.random.default_rng(0).standard_normal((500, 500)) / 30
ONES = np.ones(500)


def long_loss(w):
    """Some hundred milliseconds of products."""
    M = w[:, None] * A
    for _ in range(20):
        M = M @ A
    return np.mean(M**2)


def test_clients_come_back_when_they_are_told_to(start):
    """Three of them at a service that takes one call of the kind at a time, and has nobody wait."""
    server, _ = start(workers=1, max_queued=0)
    found: list[float] = []

    def ask():
        with Client(f"127.0.0.1:{server.port}", timeout=60) as client:
            function = client.function(long_loss, w=ONES)
            found.extend(float(function(ONES)) for _ in range(3))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 9
    assert len(set(found)) == 1


def test_a_client_whose_deadline_is_nearer_than_what_it_is_told_ends_at_once(full):
    server, _ = full
    with Client(f"127.0.0.1:{server.port}", timeout=20) as client:
        function = client.function(long_loss, w=ONES)
        function.timeout = 1.0
        began = time.monotonic()
        with pytest.raises(Overloaded, match="max_in_flight") as caught:
            function(ONES)
        assert time.monotonic() - began < 10
    assert caught.value.limit == "max_in_flight"


def test_quotas_are_enforced_over_the_wire(start):
    server, stubs = start(quota_flops=1.0, quota_seconds=1.0)
    request = pb.GradientRequest(call=call_of())
    stubs.derivatives.Gradient(request)
    assert server.admission.wait_idle(5)
    refused = refusal(lambda: stubs.derivatives.Gradient(request))
    assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.info.metadata["limit"] == "quota_flops"
    assert refused.retry_after
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", [("grpc.use_local_subchannel_pool", 1)]) as other:
        assert other.unary_unary("/gradserve.v1.DerivativeService/Gradient", None, None)(request.SerializeToString())


def test_many_calls_at_once_end_in_what_can_be_explained(start):
    server, stubs = start(workers=1)
    calls = [stubs.derivatives.Evaluate.future(pb.EvaluateRequest(call=slow_call(0.1)), timeout=60) for _ in range(150)]
    calls += [stubs.derivatives.Gradient.future(pb.GradientRequest(call=call_of()), timeout=60) for _ in range(150)]
    assert is_serving(stubs)
    codes = Counter(call.code() for call in calls)
    assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert all(read(call).retry_after for call in calls if call.code() is not grpc.StatusCode.OK)
    assert codes[grpc.StatusCode.OK] >= 150 + 1  # none of the small ones is turned away
    assert server.admission.wait_idle(10)
    assert is_serving(stubs)
