"""The one way from a gRPC method to its handler and back.

Methods come from the service descriptors. A handler gets a request as bytes, or an iterator of them, and the `Rpc`
that parses them, and answers a reply, or yields replies; admission, deadlines, errors, reports and metrics are here,
the same for all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from threading import Timer
from types import MappingProxyType, TracebackType
from typing import Any, Self, TypeAlias

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message

from gradserve.ir.errors import InvalidRequest
from gradserve.ir.limits import DEFAULT_LIMITS, GraphLimits
from gradserve.questions.report import Report
from gradserve.runtime.control import Control
from gradserve.runtime.shared import Opened
from gradserve.service.admission import Admission
from gradserve.service.metrics import Metrics
from gradserve.service.status import code_of, metadata_of, status_of
from gradserve.wire.extent import require_parseable
from gradserve.wire.reports import Reports

Handler: TypeAlias = Callable[[Any, "Rpc"], Any]

CHUNK_BYTES = 1 << 20
"""What a stream of requests is taken to hold in memory: chunks are no larger."""
GRACE_SECONDS = 0.5
"""How long after its deadline a stream is cut off: its handler may say what happened, and the cut does not."""
_NO_PLACES: Mapping[str, str] = MappingProxyType({})


class Rpc:
    """One call being served: its deadline, its clock and what it came to."""

    __slots__ = (
        "_admitted",
        "_context",
        "_encode",
        "_entered",
        "_method",
        "_ran",
        "_read",
        "_received",
        "_sent",
        "_size",
        "_timer",
        "control",
        "counted",
        "memory",
        "places",
        "report",
    )

    def __init__(self, method: Method, context: grpc.ServicerContext) -> None:
        """Starts the clock."""
        self._entered = time.perf_counter()
        self._method = method
        self._context = context
        self._admitted = self._read = self._ran = self._encode = 0.0
        self._received = self._sent = 0
        self._size: int | None = None
        self._timer: Timer | None = None
        # Without a deadline gRPC says that ages are left.
        self.control = Control.after(min(context.time_remaining(), method.max_seconds), method.waits)
        self.report: Report | None = None
        self.counted = 0
        """Chunks that an earlier call has counted, of which this one goes on."""
        self.memory: Opened | None = None
        """The memory that the client shares for this call."""
        self.places = _NO_PLACES
        """Where in the request the things lie that violations name; see `status_of`."""
        if not context.add_callback(self.control.cancel):
            self.control.cancel()

    def admit(self, size: int) -> None:
        """Waits until there is room for a call of `size` bytes."""
        self._method.admission.enter(size, self.control)
        self._size = size
        self._admitted = self._read = time.perf_counter()

    def admit_message(self, data: bytes) -> None:
        """Waits until there is room for a call whose only request this is."""
        self.admit(len(data))
        self._received = len(data)

    def admit_next(self, data: bytes) -> None:
        """Waits until there is room for a message of a stream, in the place of the one before; its clock starts."""
        self._entered = time.perf_counter()
        size = max(len(data), CHUNK_BYTES)
        if size != self._size:
            if self._size is not None:
                self._method.admission.leave(self._size)
                self._size = None
            self._method.admission.enter(size, self.control)
            self._size = size
        self._admitted = self._read = time.perf_counter()

    def end_at_deadline(self) -> None:
        """Sees to it that a stream ends at the deadline, even if the client neither sends nor reads."""
        self.control.waits()
        self._timer = Timer((self.control.remaining or 0.0) + GRACE_SECONDS, self._context.cancel)
        self._timer.daemon = True
        self._timer.start()

    def receive(self, stream: Iterator[bytes]) -> Iterator[bytes]:
        """The requests of a stream, each noted."""
        for data in stream:
            self._received += len(data)
            yield data

    def parse(self, data: bytes) -> Any:
        """The request message in these bytes."""
        require_parseable(data, self._method.request.DESCRIPTOR, self._method.graph_limits)
        try:
            message = self._method.request.FromString(data)
        except DecodeError:
            name = self._method.request.DESCRIPTOR.full_name
            text = f"the bytes are no {name}; among what does not parse is nesting over 100 messages deep"
            raise InvalidRequest(text) from None
        self._read = time.perf_counter()
        return message

    def decoded(self) -> None:
        """Notes that the request is not only parsed but understood."""
        self._read = time.perf_counter()

    def ran(self, report: Report | None) -> None:
        """Notes that the job has an answer; of one without a report, that it has none."""
        self._ran = time.perf_counter()
        self.report = report

    def encode(self, reply: Message | bytes) -> bytes:
        """The bytes of a reply, with its report if there is one."""
        data = reply if isinstance(reply, bytes) else reply.SerializeToString()
        report = self.report
        if report is not None:
            self._encode = time.perf_counter() - self._ran
            # Messages merge where their bytes are joined: so the report can tell how long the rest took to encode.
            data += self._method.encode_report(report, self._spans())
        self._sent += len(data)
        return data

    def _spans(self) -> tuple[float, ...]:
        """Seconds by phase, as far as the call has come."""
        if not self._admitted:
            return (time.perf_counter() - self._entered,)
        queue, decode, report = self._admitted - self._entered, self._read - self._admitted, self.report
        if report is None:
            return queue, decode, 0.0, time.perf_counter() - self._read
        return queue + report.queue, decode, report.plan, report.execute, self._encode

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.memory is not None:
            self.memory.close()
        if self._size is not None:
            self._method.admission.leave(self._size)
        if error is None:
            self._ended(grpc.StatusCode.OK)
            return
        self.control.cancel()
        if isinstance(error, GeneratorExit | grpc.RpcError):  # the client has left amid a stream: nobody to tell
            self._ended(grpc.StatusCode.CANCELLED)
            return
        code = code_of(error)
        self._ended(code)
        status = status_of(error, self.places, self._method.name)
        self._context.set_trailing_metadata(metadata_of(error, status))
        self._context.abort(code, status.message)

    def _ended(self, code: grpc.StatusCode) -> None:
        report = self.report
        if report is not None and self.counted:
            report = replace(report, chunks=report.chunks - self.counted)
        self._method.metrics.ended(code, self._spans(), self._received, self._sent, report)


class Method:
    """One method: how its bytes become a call of its handler, and the handler's replies bytes."""

    def __init__(
        self,
        descriptor: MethodDescriptor,
        handler: Handler,
        admission: Admission,
        metrics: Metrics,
        max_seconds: float,
        waits: Callable[[], None],
        graph_limits: GraphLimits = DEFAULT_LIMITS,
    ) -> None:
        """Looks up once whatever a call will need; `waits` is called by threads of calls that are about to."""
        self.waits, self.graph_limits = waits, graph_limits
        service = descriptor.containing_service
        self.name = f"{service.name}/{descriptor.name}"
        self.handler = handler
        self.admission = admission
        self.metrics = metrics.method(self.name)
        self.max_seconds = max_seconds
        self.request = message_factory.GetMessageClass(descriptor.input_type)
        self._descriptor = descriptor
        self._reports = Reports(message_factory.GetMessageClass(descriptor.output_type))

    def encode_report(self, report: Report, spans: Sequence[float]) -> bytes:
        """The bytes of a reply that has nothing but a report."""
        return self._reports.bytes_of(report, spans)

    def grpc_handler(self) -> grpc.RpcMethodHandler[bytes, bytes]:
        """The method as gRPC calls it: bytes in, bytes out, so that parsing is ours."""
        match self._descriptor.client_streaming, self._descriptor.server_streaming:
            case False, False:
                return grpc.unary_unary_rpc_method_handler(self._unary_unary)
            case True, False:
                return grpc.stream_unary_rpc_method_handler(self._stream_unary)
            case False, True:
                return grpc.unary_stream_rpc_method_handler(self._unary_stream)
            case _:
                return grpc.stream_stream_rpc_method_handler(self._stream_stream)

    def _unary_unary(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        with Rpc(self, context) as rpc:
            rpc.admit_message(data)
            return rpc.encode(self.handler(data, rpc))

    def _unary_stream(self, data: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        with Rpc(self, context) as rpc:
            rpc.admit_message(data)
            rpc.end_at_deadline()
            for reply in self.handler(data, rpc):
                yield rpc.encode(reply)

    def _stream_unary(self, stream: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        with Rpc(self, context) as rpc:
            rpc.admit(CHUNK_BYTES)
            rpc.end_at_deadline()
            return rpc.encode(self.handler(rpc.receive(stream), rpc))

    def _stream_stream(self, stream: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        with Rpc(self, context) as rpc:
            rpc.admit(CHUNK_BYTES)
            rpc.end_at_deadline()
            for reply in self.handler(rpc.receive(stream), rpc):
                yield rpc.encode(reply)


def of_message(handler: Handler) -> Handler:
    """The handler of a request's bytes, by one of its message."""
    return lambda data, rpc: handler(rpc.parse(data), rpc)


def of_messages(handler: Handler) -> Handler:
    """The handler of a stream of bytes, by one of their messages."""
    return lambda stream, rpc: handler(map(rpc.parse, stream), rpc)


def methods_of(
    service: ServiceDescriptor,
    handlers: Mapping[str, Handler],
    admission: Admission,
    metrics: Metrics,
    max_seconds: float,
    waits: Callable[[], None],
    graph_limits: GraphLimits = DEFAULT_LIMITS,
) -> dict[str, grpc.RpcMethodHandler[bytes, bytes]]:
    """The methods of a service by name, each with its handler."""
    return {
        method.name: Method(
            method, handlers[method.name], admission, metrics, max_seconds, waits, graph_limits
        ).grpc_handler()
        for method in service.methods
    }
