"""One call being served: who calls, its deadline, its clock, and what it came to, in whatever way it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from threading import Timer
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Self

import grpc
from google.protobuf.message import DecodeError, Message

from gradserve.ir.errors import GradserveError, InvalidRequest
from gradserve.questions.report import Report
from gradserve.runtime.control import Control
from gradserve.runtime.shared import Opened
from gradserve.service.admission.ticket import Ticket
from gradserve.service.calls.known import Known
from gradserve.service.calls.status import abort, code_of
from gradserve.service.calls.unread import LEAST_BYTES
from gradserve.service.identity.caller import ANONYMOUS
from gradserve.service.monitoring.served import Heard, Served, metadata_of_call, name_of_call
from gradserve.wire.extent import require_parseable

if TYPE_CHECKING:
    from gradserve.service.calls.methods import Method

CHUNK_BYTES = 1 << 20
"""What a stream of requests is taken to hold in memory: chunks are no larger."""
GRACE_SECONDS = 0.5
"""How long after its deadline a stream is cut off: its handler may say what happened, and the cut does not."""
_NO_PLACES: Mapping[str, str] = MappingProxyType({})


def _nothing() -> None:
    """Does nothing."""


class Rpc:
    """One call being served: its deadline, its clock and what it came to."""

    __slots__ = (
        "_admitted",
        "_context",
        "_encode",
        "_entered",
        "_heard",
        "_method",
        "_ran",
        "_read",
        "_received",
        "_request_id",
        "_sent",
        "_size",
        "_streams",
        "_timer",
        "caller",
        "control",
        "counted",
        "known",
        "memory",
        "places",
        "report",
        "ticket",
    )
    ticket: Ticket
    """What it holds, once admitted."""

    def __init__(self, method: Method, context: grpc.ServicerContext) -> None:
        """Starts the clock."""
        self._entered = time.perf_counter()
        method.house.heard()
        self._method = method
        self._context = context
        self._admitted = self._read = self._ran = self._encode = 0.0
        self._received = self._sent = 0
        self._size = 0
        self._streams = False
        self._timer: Timer | None = None
        self._request_id = ""
        # Without a deadline gRPC says that ages are left.
        self.control = Control.after(min(context.time_remaining(), method.house.max_seconds), method.house.waits)
        self.caller = ANONYMOUS
        """Who makes the call, once it is admitted."""
        self.report: Report | None = None
        self.counted = 0
        """Chunks that an earlier call has counted, of which this one goes on."""
        self.memory: Opened | None = None
        """The memory that the client shares for this call."""
        self.known: Known | None = None
        """What is known of requests like the one of this call."""
        self.places = _NO_PLACES
        """Where in the request the things lie that violations name; see `status_of`."""
        self._heard = Heard() if method.house.told else None
        if self._heard is not None:
            self.control.ran = self._heard.ran
        if not context.add_callback(self.control.cancel):
            self.control.cancel()

    @property
    def request_id(self) -> str:
        """What names the call in logs, traces and errors."""
        if not self._request_id:
            self._request_id = name_of_call(self._context)
        return self._request_id

    def admit(self, size: int, may_be_shed: bool = True) -> None:
        """Finds out who calls, and waits until there is room for a call of `size` bytes."""
        house = self._method.house
        self.caller = house.identify(self._context, lambda: self.request_id)
        # Room is shared between callers: where nothing is known of them, each connection is one.
        whose = self.caller.name or self._context.peer()
        self.ticket = house.admission.enter(size, self.control, whose, may_be_shed)
        self.control.asks(self.ticket.begins)
        self._size = size
        self._admitted = self._read = time.perf_counter()

    def admit_message(self, data: bytes) -> None:
        """Waits until there is room for a call whose only request this is."""
        self.admit(len(data))
        self._received = len(data)

    def admit_next(self, data: bytes) -> None:
        """Waits until there is room for a message of a stream, in the place of the one before; its clock starts.

        Once the stream is let in no message is turned away: it waits.
        """
        self._entered = time.perf_counter()
        size = max(len(data), CHUNK_BYTES)
        if size != self._size:
            self.ticket.leave()
            self.admit(size, may_be_shed=False)
        self.ticket.may_be_shed = False
        self._admitted = self._read = time.perf_counter()

    def end_at_deadline(self) -> None:
        """Sees to it that a stream ends at the deadline, even if the client neither sends nor reads."""
        self._streams = True
        self.control.waits()
        self._timer = Timer((self.control.remaining or 0.0) + GRACE_SECONDS, self._context.cancel)
        self._timer.daemon = True
        self._timer.start()

    def receive(self, stream: Iterator[bytes]) -> Iterator[bytes]:
        """The requests of a stream, each noted."""
        while True:
            with self.waiting_for_client():
                data = next(stream, None)
            self.ticket.returns(self.control)
            if data is None:
                return
            self._received += len(data)
            yield data

    def tell(self, data: bytes) -> Iterator[bytes]:
        """One reply of a stream, until the client has read it."""
        read = self._unread(data)
        try:
            with self.waiting_for_client():
                yield data
        finally:
            read()

    def leave_with(self, data: bytes) -> bytes:
        """The only reply, which counts until the client has read it, though the call has ended for us."""
        if len(data) >= LEAST_BYTES and not self._context.add_callback(read := self._unread(data)):
            read()
        return data

    def _unread(self, data: bytes) -> Callable[[], None]:
        """What is to be called when a reply has been read."""
        if len(data) < LEAST_BYTES:
            return _nothing
        return self._method.house.unread.add(self.ticket.caller, len(data), self._context.cancel)

    @contextmanager
    def waiting_for_client(self) -> Iterator[None]:
        """The call holds nothing but its thread meanwhile, and loses that too if others need one."""
        house = self._method.house
        self.ticket.rests()
        house.hears()
        try:
            yield
        finally:
            house.heard()

    def parse(self, data: bytes) -> Any:
        """The request message in these bytes."""
        require_parseable(data, self._method.request.DESCRIPTOR, self._method.house.graph_limits)
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
        if self._admitted:
            self.ticket.leave(as_predicted=error is None and not self._streams)
        if error is None:
            if self.known is not None:
                self.known.planned = self.ticket.planned if self.ticket.begun == 1 else None
            self._ended(grpc.StatusCode.OK)
            return
        self.control.cancel()
        if isinstance(error, GeneratorExit | grpc.RpcError):  # the client has left amid a stream: nobody to tell
            self._ended(grpc.StatusCode.CANCELLED, "CANCELLED")
            return
        code = code_of(error)
        self._ended(code, error.reason if isinstance(error, GradserveError) else type(error).__name__)
        abort(self._context, error, self.places, self._method.name, self.request_id)

    def _ended(self, code: grpc.StatusCode, reason: str = "") -> None:
        report, spans = self.report, self._spans()
        if self._heard is not None:
            metadata, seconds = metadata_of_call(self._context), time.perf_counter() - self._entered
            parts = self._context.peer(), metadata, seconds, spans, self._received, self._sent, report
            for told in self._method.house.told:
                told(Served(self._method.name, code, self.request_id, *parts, reason, self._heard.chunks))
        if report is not None and self.counted:
            report = replace(report, chunks=report.chunks - self.counted)
        self._method.metrics.ended(code, spans, self._received, self._sent, report, self.caller.name)
