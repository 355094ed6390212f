"""The one way from a gRPC method to its handler and back.

Methods come from the service descriptors. A handler gets a request as bytes, or an iterator of them, and the `Rpc`
that parses them, and answers a reply, or yields replies; identity, admission, deadlines, errors, reports and metrics
are the same for all.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from gradserve.ir.limits import GraphLimits
from gradserve.ir.records import dataclass
from gradserve.questions.report import Report
from gradserve.runtime.planned import Planned
from gradserve.service.admission.admission import Admission
from gradserve.service.calls.rpc import CHUNK_BYTES, Rpc
from gradserve.service.calls.status import code_of, metadata_of, status_of
from gradserve.service.calls.unread import Unread
from gradserve.service.identity.authenticator import Identify, Recognise, anonymous, anybody
from gradserve.service.monitoring.metrics import Metrics
from gradserve.service.monitoring.served import Told, naming, request_id_of
from gradserve.service.threads.arrivals import Ending, Metadata
from gradserve.wire.reports import Reports

Handler: TypeAlias = Callable[[Any, Rpc], Any]
Foreseen: TypeAlias = Callable[[str, str, bytes], Planned | None]
"""What a request of a caller by a method will begin, as far as one like it has shown."""


def nothing_foreseen(_caller: str, _method: str, _data: bytes) -> Planned | None:
    """Nothing is known of any request."""
    return None


@dataclass(frozen=True)
class House:
    """What every method has to do with."""

    admission: Admission
    metrics: Metrics
    graph_limits: GraphLimits
    max_seconds: float
    waits: Callable[[], None]
    """Called by threads of calls that are about to wait, or to take long."""
    hears: Callable[[], None]
    """Called by threads of calls that are about to wait for their clients."""
    heard: Callable[[], None]
    """Called when they wait no more."""
    unread: Unread
    """The replies that clients have not read."""
    identify: Identify = anonymous
    recognise: Recognise = anybody
    foreseen: Foreseen = nothing_foreseen
    told: Sequence[Told] = ()
    """Who hears of every call that has ended."""


class Method:
    """One method: how its bytes become a call of its handler, and the handler's replies bytes."""

    def __init__(self, descriptor: MethodDescriptor, handler: Handler, house: House) -> None:
        """Looks up once whatever a call will need."""
        self.house = house
        service = descriptor.containing_service
        self.name = f"{service.name}/{descriptor.name}"
        self.handler = handler
        self.metrics = house.metrics.method(self.name)
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
                return grpc.unary_unary_rpc_method_handler(self._of_one(self._unary_unary))
            case True, False:
                return grpc.stream_unary_rpc_method_handler(self._stream_unary)
            case False, True:
                return grpc.unary_stream_rpc_method_handler(self._of_one(self._unary_stream))
            case _:
                return grpc.stream_stream_rpc_method_handler(self._stream_stream)

    def turns(self, data: bytes, metadata: Metadata, connection: Callable[[], str]) -> Ending | None:
        """How a call ends that would be turned away where its work begins; None if it is to go there.

        Whoever hears of calls hears of what happens to them on their way: so then they all go it.
        """
        house, began = self.house, time.perf_counter()
        caller = None if house.told else house.recognise(metadata)
        planned = None if caller is None else house.foreseen(caller.name, self._descriptor.name, data)
        if caller is None or planned is None:
            return None
        error = house.admission.foresees(caller.name or connection(), planned)
        if error is None:
            return None
        code = code_of(error)
        self.metrics.ended(code, (time.perf_counter() - began,), len(data), 0, None, caller.name)
        status = status_of(error, {}, self.name, request_id_of(naming(metadata)))
        return Ending(code.value[0], status.message, metadata_of(error, status))

    def _of_one(self, behavior: Callable[..., Any]) -> Callable[..., Any]:
        """A behavior that has one request, so that some of its calls can be turned away as soon as that is there."""
        one: Any = functools.partial(behavior)
        one.turns = self.turns
        found: Callable[..., Any] = one
        return found

    def _unary_unary(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        with Rpc(self, context) as rpc:
            rpc.admit_message(data)
            return rpc.leave_with(rpc.encode(self.handler(data, rpc)))

    def _unary_stream(self, data: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        with Rpc(self, context) as rpc:
            rpc.admit_message(data)
            rpc.end_at_deadline()
            for reply in self.handler(data, rpc):
                yield from rpc.tell(rpc.encode(reply))
                rpc.ticket.goes_on(rpc.control)

    def _stream_unary(self, stream: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        with Rpc(self, context) as rpc:
            rpc.admit(CHUNK_BYTES)
            rpc.end_at_deadline()
            return rpc.leave_with(rpc.encode(self.handler(rpc.receive(stream), rpc)))

    def _stream_stream(self, stream: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        with Rpc(self, context) as rpc:
            rpc.admit(CHUNK_BYTES)
            rpc.end_at_deadline()
            for reply in self.handler(rpc.receive(stream), rpc):
                yield from rpc.tell(rpc.encode(reply))
                rpc.ticket.returns(rpc.control)  # what it does next says for itself what it takes


def of_message(handler: Handler) -> Handler:
    """The handler of a request's bytes, by one of its message."""

    def handle(data: bytes, rpc: Rpc) -> Any:
        rpc.control.waits()  # who knows how much is in it
        return handler(rpc.parse(data), rpc)

    return handle


def of_messages(handler: Handler) -> Handler:
    """The handler of a stream of bytes, by one of their messages."""
    return lambda stream, rpc: handler(map(rpc.parse, stream), rpc)


def methods_of(
    service: ServiceDescriptor, handlers: Mapping[str, Handler], house: House
) -> dict[str, grpc.RpcMethodHandler[bytes, bytes]]:
    """The methods of a service by name, each with its handler."""
    return {method.name: Method(method, handlers[method.name], house).grpc_handler() for method in service.methods}
