"""Calls as OpenTelemetry's spans: of the call, of its phases, and of every chunk that a worker has run for it.

They are made when a call has ended, of the times that it has taken down anyway: a call that nobody traces costs
nothing, and workers need know nothing of it. A client that traces sends `traceparent` (W3C Trace Context), and its span
is the parent. What the SDK is told by `OTEL_*` variables, such as how many calls to sample, holds here as well.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

from gradserve.ir.errors import InvalidRequest, Unavailable, shown
from gradserve.service.monitoring.served import Served, Told

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.sdk.trace.export import SpanExportResult as Result

LAST_SECONDS = 1.0
"""How long the last spans have to be sent when the service stops."""
_NAME = "gradserve"
_CONSOLE = "console"
_PARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_MEMBER = re.compile(
    r"([a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_MOST_STATE, _MOST_MEMBERS = 512, 32
_ENDPOINT = re.compile(r"(https?://)?([^\s/:\[\]]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?(/\S*)?")


def tracing(endpoint: str, running: ExitStack) -> Told:
    """What sends the spans of a call to a collector that takes OTLP by gRPC; to standard output for `console`.

    Raises:
        InvalidRequest: that is no place of a collector.
        Unavailable: OpenTelemetry's SDK is not installed.
    """
    if not _ENDPOINT.fullmatch(endpoint):
        place = f"traces: {shown(endpoint)} is no place of a collector"
        raise InvalidRequest(f"{place}, such as http://collector:4317, and not {_CONSOLE!r}")
    try:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
    except ImportError:
        raise Unavailable("traces need OpenTelemetry: pip install 'gradserve[otel]'") from None
    provider = TracerProvider(resource=Resource.create({"service.name": _NAME}))
    exporter = _Ending(_exporter(endpoint), SpanExportResult.FAILURE)
    provider.add_span_processor(BatchSpanProcessor(cast("SpanExporter", exporter)))
    running.callback(_end, provider, exporter)
    tracer = provider.get_tracer(_NAME)
    return lambda served: _tell(trace, tracer, served)


class _Ending:
    """An exporter that one may end while it tries to reach a collector, which it does for longer than we have."""

    def __init__(self, exporter: SpanExporter, unsent: Result) -> None:
        """Nothing is sent yet; `unsent` is what is answered of spans that are not."""
        self._exporter, self._unsent = exporter, unsent
        self._ended = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> Result:
        """Sends spans, unless it has ended."""
        return self._unsent if self._ended.is_set() else self._exporter.export(spans)

    def shutdown(self) -> None:
        """Ends what is being sent too, once."""
        if not self._ended.is_set():
            self._ended.set()
            self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Sees that nothing waits to be sent."""
        return self._exporter.force_flush(timeout_millis)


def _end(provider: TracerProvider, exporter: _Ending) -> None:
    """Sends what has not been sent yet, as far as the collector takes it in time."""
    late = threading.Timer(LAST_SECONDS, exporter.shutdown)
    late.daemon = True
    late.start()
    provider.shutdown()
    late.cancel()


def _exporter(endpoint: str) -> Any:
    if endpoint == _CONSOLE:
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter()
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    except ImportError:
        raise Unavailable("traces need OpenTelemetry's OTLP exporter: pip install 'gradserve[otel]'") from None
    return OTLPSpanExporter(endpoint=endpoint, insecure=not endpoint.startswith("https:"))


def _parent(metadata: Mapping[str, str]) -> dict[str, str]:
    """What the client says of its span, as W3C Trace Context has it: OpenTelemetry writes all else to the log."""
    found = {}
    if _PARENT.fullmatch(parent := metadata.get("traceparent", "")):
        found["traceparent"] = parent
    state = metadata.get("tracestate", "")
    matches = [_MEMBER.fullmatch(each.strip(" ")) for each in state.split(",")] if len(state) <= _MOST_STATE else []
    names = {match[1] for match in matches if match}
    if len(names) == len(matches) <= _MOST_MEMBERS and names:
        found["tracestate"] = state
    return found


def _tell(trace: Any, tracer: Any, served: Served) -> None:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    ended = time.time_ns()
    began = ended - round(1e9 * served.seconds)
    parent = TraceContextTextMapPropagator().extract(_parent(served.metadata))
    span = tracer.start_span(
        served.method, parent, trace.SpanKind.SERVER, attributes=_attributes(served), start_time=began
    )
    if served.reason:
        span.set_status(trace.Status(trace.StatusCode.ERROR, served.reason))
    within = trace.set_span_in_context(span)
    moment = began
    for phase, seconds in served.phases:
        child = tracer.start_span(phase, within, start_time=moment)
        moment = min(ended, moment + round(1e9 * seconds))
        child.end(moment)
    for ran in served.chunks:
        attributes = {"worker": ran.worker, "chunk": ran.chunk, "retries": ran.retries, "waited_s": ran.waited}
        run = tracer.start_span("chunk", within, start_time=ran.there - round(1e9 * ran.seconds), attributes=attributes)
        run.end(ran.there)
    span.end(ended)


def _attributes(served: Served) -> dict[str, str | int | float]:
    service, _, method = served.method.rpartition("/")
    found: dict[str, str | int | float] = {
        "rpc.system": "grpc",
        "rpc.service": service,
        "rpc.method": method,
        "rpc.grpc.status_code": served.code.value[0],
        "request_id": served.request_id,
        "received_bytes": served.received,
        "sent_bytes": served.sent,
    }
    if (report := served.report) is not None:
        found |= {"executor": report.executor, "placement": report.placement, "points": report.batch_size}
        found |= {"chunks": report.chunks, "retries": report.retries, "flops": report.flops}
    return found
