"""What happens around every handler."""

import logging
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from gradserve import wire
from gradserve.jobs.answering import answers
from gradserve.runtime.control import Control
from gradserve.service.handlers import questions
from gradserve.v1 import (
    blob_service_pb2,
    estimate_service_pb2,
    graph_service_pb2,
    verification_service_pb2,
)
from gradserve.v1 import derivative_service_pb2 as pb
from tests.service.support import W, call_of, refusal

MODULES = (graph_service_pb2, pb, estimate_service_pb2, verification_service_pb2, blob_service_pb2)
SERVICES = [service for module in MODULES for service in module.DESCRIPTOR.services_by_name.values()]
METHODS = [method for service in SERVICES for method in service.methods]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_every_method_of_the_protos_is_served(stubs, method):
    kind = ("stream" if method.client_streaming else "unary", "stream" if method.server_streaming else "unary")
    call = getattr(stubs.channel, "_".join(kind))
    stub = call(f"/{method.containing_service.full_name}/{method.name}", None, None)
    request = iter([b"\xff"]) if method.client_streaming else b"\xff"
    refused = refusal(lambda: list(stub(request)) if method.server_streaming else stub(request))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert method.input_type.full_name in refused.message


def test_faults_of_ours_show_no_more_than_where_to_look(stubs, monkeypatch, caplog):
    def fails(*_):
        raise ZeroDivisionError("a secret of ours")

    monkeypatch.setattr(questions, "answers", fails)
    with caplog.at_level(logging.ERROR):
        refused = refusal(lambda: stubs.derivatives.Gradient(pb.GradientRequest(call=call_of())))
    assert refused.code is grpc.StatusCode.INTERNAL
    assert "secret" not in refused.message
    assert "Traceback" not in refused.message
    assert f"request {refused.request_id}: " in caplog.text
    assert refused.request_id in refused.message
    assert "a secret of ours" in caplog.text
    monkeypatch.undo()
    assert stubs.derivatives.Gradient(pb.GradientRequest(call=call_of()))


def test_deadline_of_the_call_is_that_of_the_job(stubs, monkeypatch):
    seen: list[Control] = []

    def watching(context, question, control):
        seen.append(control)
        return answers(context, question, control)

    monkeypatch.setattr(questions, "answers", watching)
    for timeout in (None, 100):
        stubs.derivatives.Gradient(pb.GradientRequest(call=call_of()), timeout=timeout)
    without, within = (control.remaining for control in seen)
    assert without is not None
    assert within is not None
    assert 3500 < without <= 3600
    assert 50 < within < 105  # gRPC rounds long timeouts up


def test_many_clients_at_once_get_their_own_answers(start):
    server, _ = start(max_in_flight=16, max_queued=200, queue_seconds=30.0)

    def ask(seed):
        w = np.random.default_rng(seed).standard_normal(3)
        with grpc.insecure_channel(f"127.0.0.1:{server.port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
            method = channel.unary_unary("/gradserve.v1.DerivativeService/Gradient", None, None)
            request = pb.GradientRequest(call=call_of(arguments={"w": w})).SerializeToString()
            for _ in range(10):
                reply = pb.GradientResponse.FromString(method(request))
                np.testing.assert_array_equal(wire.decode_tensor(reply.gradients["w"]), 2 * w)
        return True

    with ThreadPoolExecutor(40) as clients:
        assert all(clients.map(ask, range(40)))
    assert server.admission.wait_idle(5)
    assert (server.admission.calls, server.admission.bytes) == (0, 0)


def test_bytes_in_flight_are_bounded(start):
    server, stubs = start(max_in_flight_bytes=1000, queue_seconds=0.1)
    ticket = server.admission.enter(900, Control())
    refused = refusal(lambda: stubs.derivatives.Gradient(pb.GradientRequest(call=call_of(arguments={"w": W}))))
    assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.limit == refused.info.metadata["limit"] == "max_in_flight_bytes"
    assert "max_in_flight_bytes" in refused.message
    assert refused.retry_after
    ticket.leave()
    assert stubs.derivatives.Gradient(pb.GradientRequest(call=call_of()))
