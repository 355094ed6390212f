"""What a call leaves in logs and traces: its name, its times, where it ran; never its data."""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gradserve.client import Client
from gradserve.client.transport import tracing
from gradserve.ir.errors import InvalidRequest
from gradserve.questions.report import PHASES
from gradserve.service.configuration.settings import Settings
from gradserve.service.monitoring.logs import ACCESS, start_logging
from gradserve.service.monitoring.served import request_id_of
from gradserve.service.monitoring.spans import LAST_SECONDS, _parent
from gradserve.v1 import derivative_service_pb2 as pb
from tests.service.support import call_of, refusal

SECRET = 271.828182845


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes spans as OpenTelemetry's collector does."""

    def __init__(self):
        self.spans = []
        self._server = grpc.server(ThreadPoolExecutor(2))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._server)
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def Export(self, request, context):
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans += scope.spans
        return trace_service_pb2.ExportTraceServiceResponse()

    def close(self):
        self._server.stop(None).wait()


@pytest.fixture
def collector():
    running = Collector()
    yield running
    running.close()


@pytest.fixture
def client_spans(monkeypatch):
    """The spans of this program's clients, which traces for the time of the test."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", lambda *given, **named: provider.get_tracer("test"))
    return exporter


def test_spans_of_client_front_end_and_workers_are_one_trace(start, collector, client_spans):
    server, _ = start(traces=collector.endpoint)
    with Client(f"127.0.0.1:{server.port}") as client:
        f = client.function(lambda w: np.sum(np.exp(w)), w=np.zeros(3))
        f.grad(np.full(3, SECRET))
        list(f.stream_gradient(np.zeros((2, 3))))
        f.hessian_trace(np.zeros(3), estimator="hutchinson", max_probes=4, seed=1)
    assert server.stop(5)
    (asked, *_) = [span for span in client_spans.get_finished_spans() if span.name == "Gradient"]
    ours = [span for span in collector.spans if span.trace_id == asked.context.trace_id.to_bytes(16)]
    (served,) = [span for span in ours if span.name == "DerivativeService/Gradient"]
    assert int.from_bytes(served.parent_span_id) == asked.context.span_id
    children = [span for span in ours if span.parent_span_id == served.span_id]
    assert [span.name for span in children] == [*PHASES, "chunk"]
    for span in children:
        assert served.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= served.end_time_unix_nano
    assert asked.start_time <= served.start_time_unix_nano
    assert {each.key: each.value.string_value for each in children[-1].attributes}["worker"]
    assert {"EstimateTrace", "StreamGradient"} <= {span.name for span in client_spans.get_finished_spans()}
    assert str(SECRET) not in str(collector.spans)


def test_a_refused_call_is_an_error_in_its_trace_and_bears_the_same_name(start, collector):
    server, stubs = start(traces=collector.endpoint)
    refused = refusal(lambda: stubs.derivatives.Gradient(pb.GradientRequest(), metadata=[("x-request-id", "mine-7")]))
    assert refused.request_id == "mine-7"
    server.stop(5)
    (span,) = [span for span in collector.spans if span.name == "DerivativeService/Gradient"]
    attributes = {each.key: each.value.string_value for each in span.attributes}
    assert (attributes["request_id"], span.status.message) == ("mine-7", InvalidRequest.reason)


TRACE = f"00-{'a' * 32}-{'b' * 16}-01"
STATES = {
    "a=b": True,
    "rojo=00f067aa0ba902b7, t61rcWkgMzE@x=x y": False,
    "fw529a3039@dt=FfAAAAA,congo=t61": True,
    "a=b,a=c": False,
    "a=": False,
    "=b": False,
    "A=b": False,
    "a=b\n": False,
    "secret of mine": False,
    ",".join(f"k{k}=v" for k in range(33)): False,
    "a=" + "x" * 600: False,
    " " * 8000: False,
}


@pytest.mark.parametrize("state", STATES)
def test_of_traces_of_clients_what_the_standard_has_is_taken(state, caplog):
    """OpenTelemetry judges as well, and what it does not take it writes to the log."""
    found = _parent({"traceparent": TRACE, "tracestate": state})
    assert ("tracestate" in found) is STATES[state]
    context = TraceContextTextMapPropagator().extract(found)
    assert bool(trace.get_current_span(context).get_span_context().trace_state) is STATES[state]
    assert caplog.text == ""


@pytest.mark.parametrize("parent", ["", "00", TRACE + "-x", TRACE.upper(), "x" * 8000])
def test_of_traces_of_clients_nothing_else_is_taken(parent, caplog):
    assert _parent({"traceparent": parent}) == {}


def test_clients_write_nothing_to_the_log_by_their_traces(start, collector, caplog):
    _, stubs = start(traces=collector.endpoint)
    hostile = [("traceparent", TRACE), ("tracestate", "secret of mine"), ("baggage", "secret of mine")]
    stubs.derivatives.Gradient(pb.GradientRequest(call=call_of()), metadata=hostile)
    assert "secret" not in caplog.text


def test_a_program_that_does_not_trace_sends_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    assert tracing.trace_headers() is None
    with tracing.traced("Gradient", "here") as nothing:
        assert nothing is None


@pytest.mark.parametrize("given", ["", "a" * 65, "line\nbreak", "späße", '{"a": 1}'])
def test_names_that_logs_cannot_take_are_replaced(given):
    named = request_id_of({"x-request-id": given})
    assert len(named) == 16
    assert named != given


def test_every_call_has_a_line_at_the_level_asked_for(start, caplog):
    _, stubs = start(access_log_level="INFO", log_level="INFO")
    with caplog.at_level(logging.INFO, logger=ACCESS):
        stubs.derivatives.Gradient(pb.GradientRequest(call=call_of()), metadata=[("x-request-id", "mine-8")])
        refused = refusal(lambda: stubs.derivatives.Gradient(pb.GradientRequest()))
    answered, turned_away = (record for record in caplog.records if record.name == ACCESS)
    assert (answered.request_id, answered.code, answered.executor) == ("mine-8", "OK", "numpy")
    assert answered.seconds >= answered.execute_seconds >= 0
    assert turned_away.reason == "INVALID_REQUEST"
    assert turned_away.request_id == refused.request_id
    assert refused.request_id in turned_away.getMessage()


def test_by_default_nobody_hears_of_calls(start, caplog):
    _, stubs = start()
    with caplog.at_level(logging.DEBUG, logger=ACCESS):
        stubs.derivatives.Gradient(pb.GradientRequest(call=call_of()))
    assert [record for record in caplog.records if record.name == ACCESS] == []


def test_lines_are_json_where_that_is_asked_for(monkeypatch, capsys):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    start_logging(Settings(log_format="json"), "front-end-2")
    logging.getLogger("gradserve.test").warning("of %d", 3, extra={"request_id": "mine"})
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert (said["level"], said["logger"], said["message"]) == ("WARNING", "gradserve.test", "of 3")
    assert (said["process"], said["request_id"]) == ("front-end-2", "mine")
    assert said["time"]


def test_a_span_is_current_only_while_an_answer_is_awaited(client_spans):
    seen, lock = [], threading.Lock()

    def answers():
        for number in range(2):
            with lock:
                seen.append(trace.get_current_span().get_span_context().is_valid)
            yield number

    found = [
        (answer, trace.get_current_span().get_span_context().is_valid)
        for answer in tracing.traced_stream("EstimateTrace", "here", answers())
    ]
    assert found == [(0, False), (1, False)]
    assert seen == [True, True]
    assert [span.name for span in client_spans.get_finished_spans()] == ["EstimateTrace"]


@pytest.mark.parametrize("listens", [True, False])
def test_a_collector_that_is_not_there_does_not_hold_up_the_end(listens, start, caplog):
    """Be it that nobody listens, or that somebody does and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        if not listens:
            silent.close()
        server, stubs = start(traces=f"http://127.0.0.1:{port}")
        stubs.derivatives.Gradient(pb.GradientRequest(call=call_of()))
        began = time.monotonic()
        assert server.stop(0)
        assert LAST_SECONDS / 2 < time.monotonic() - began < LAST_SECONDS + 2
    assert not any(record.exc_info for record in caplog.records)


def test_what_was_not_sent_yet_is_sent_at_the_end(start, collector):
    server, stubs = start(traces=collector.endpoint)
    stubs.derivatives.Gradient(pb.GradientRequest(call=call_of()))
    began = time.monotonic()
    assert server.stop(0)
    assert time.monotonic() - began < LAST_SECONDS + 2
    assert "DerivativeService/Gradient" in {span.name for span in collector.spans}
