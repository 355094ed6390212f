"""Spans around questions for a program that traces with OpenTelemetry, and what tells the service of them.

A program that has not imported `opentelemetry.trace` traces nothing, and pays nothing.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

_NOTHING = contextlib.nullcontext()


def traces() -> bool:
    """Whether the program may trace."""
    return "opentelemetry.trace" in sys.modules


def traced(method: str, address: str) -> contextlib.AbstractContextManager[Any]:
    """A span around what asks a service one question."""
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return _NOTHING
    tracer = api.get_tracer("gradserve.client")
    span: contextlib.AbstractContextManager[Any] = tracer.start_as_current_span(
        method, kind=api.SpanKind.CLIENT, attributes=_attributes(method, address)
    )
    return span


def traced_stream(method: str, address: str, answers: Generator[T]) -> Generator[T]:
    """The answers, with a span around all of them; it is the current one only while an answer is awaited."""
    api = sys.modules.get("opentelemetry.trace")
    return answers if api is None else _within(api, method, address, answers)


def _within(api: Any, method: str, address: str, answers: Generator[T]) -> Generator[T]:
    tracer = api.get_tracer("gradserve.client")
    span = tracer.start_span(method, kind=api.SpanKind.CLIENT, attributes=_attributes(method, address))
    with contextlib.closing(answers), _ended(span):
        while True:
            with api.use_span(span, end_on_exit=False):
                try:
                    answer = next(answers)
                except StopIteration:
                    return
            yield answer


@contextlib.contextmanager
def _ended(span: Any) -> Iterator[None]:
    try:
        yield
    finally:
        span.end()


def trace_headers() -> tuple[tuple[str, str], ...] | None:
    """The metadata by which a service learns of the current span (W3C Trace Context); None if there is none."""
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return None
    current = api.get_current_span().get_span_context()
    if not current.is_valid:
        return None
    return (("traceparent", f"00-{current.trace_id:032x}-{current.span_id:016x}-{current.trace_flags:02x}"),)


def _attributes(method: str, address: str) -> dict[str, str]:
    return {"rpc.system": "grpc", "rpc.method": method, "server.address": address}
