"""A service, asked over gRPC from threads: the session says what to do, and it is done here."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import grpc

from gradserve import wire
from gradserve.client.backend import Again, asked_anew, with_others
from gradserve.client.transport.connection import Connection
from gradserve.client.transport.deadline import Deadline, paused
from gradserve.client.transport.identity import Identity
from gradserve.client.transport.memory import Memories
from gradserve.client.transport.quick import Kinds, Known
from gradserve.client.transport.session import Session
from gradserve.client.transport.steps import Alone, Begin, Next, Pause, Send, Step, Steps, Tell
from gradserve.client.transport.streaming import Stream
from gradserve.client.transport.tracing import traced, traced_stream, traces
from gradserve.ir.errors import (
    BlobNotFound,
    DeadlineExceeded,
    GradserveError,
    GraphNotRegistered,
    Overloaded,
    Unavailable,
)
from gradserve.ir.types import Array
from gradserve.questions.asked import Answer, Question
from gradserve.questions.derivations import DERIVATIONS
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.questions.streams import RPC, Block, Part
from gradserve.questions.transport import is_rounded
from gradserve.v1 import (
    blob_service_pb2_grpc,
    derivative_service_pb2_grpc,
    estimate_service_pb2_grpc,
    graph_service_pb2_grpc,
    verification_service_pb2_grpc,
)

_STUBS: tuple[Callable[[grpc.Channel], Any], ...] = (
    blob_service_pb2_grpc.BlobServiceStub,
    derivative_service_pb2_grpc.DerivativeServiceStub,
    estimate_service_pb2_grpc.EstimateServiceStub,
    graph_service_pb2_grpc.GraphServiceStub,
    verification_service_pb2_grpc.VerificationServiceStub,
)
_WRITABLE = wire.Source(writable=True)


class RemoteBackend:
    """Asks a gradserve service. Safe for threads."""

    def __init__(
        self,
        address: str,
        identity: Identity | None = None,
        share_memory: bool = True,
    ) -> None:
        """Connects on first use. With `share_memory` large arrays are shared with a service that can open them.

        Raises:
            InvalidRequest: it is no address.
        """
        self._connection = Connection(address, identity or Identity(address))
        self._methods: dict[str, Callable[..., Any]] = {}
        for stub in _STUBS:
            self._methods |= vars(stub(self._connection.channel))
        self._quick = {
            method: self._connection.channel.unary_unary(f"/{wire.full_name(method)}", None, None)
            for method in (derivation.__name__ for derivation in DERIVATIONS.values())
        }
        self._streaming = self._connection.channel.stream_stream(f"/{wire.full_name(RPC)}", None, None)
        self._memories = Memories(address if share_memory else "")
        self._session = Session(self._memories)
        self._kinds = Kinds()
        self._alone: dict[str, threading.Lock] = {}

    def ask(self, question: Question, deadline: Deadline) -> Answer:
        """The one answer to a question."""
        with traced(question.rpc, self._connection.address):
            return self._asked(question, deadline)

    def _asked(self, question: Question, deadline: Deadline) -> Answer:
        if isinstance(question, Differentiate):
            known = self._kinds.of(question)
            if known.request is not None and self._session.knows(question.call.graph):
                return self._at_once(known, known.request.bytes_of(question), lambda: question, deadline)
            if not self._memories.size_of(question) and not is_rounded(question):
                known.learn(question)
        return self._finish(self._session.ask(question), deadline)

    def _at_once(
        self, known: Known, request: bytes, question: Callable[[], Differentiate], deadline: Deadline
    ) -> Derivatives:
        """The answer to a question like one before; if more is to be done for it, the session knows what."""
        refused = None
        try:
            data = self._connection.call(self._quick[known.rpc], request, deadline)
            return known.answer(question, data, _WRITABLE)
        except Overloaded as error:
            refused = error
        except (Unavailable, GraphNotRegistered, BlobNotFound):
            pass
        found: Derivatives = self._finish(self._session.ask(question(), refused), deadline)
        return found

    def stream(self, question: Question, deadline: Deadline) -> Generator[Answer]:
        """The answers to a question one by one; leaving early cancels the call."""
        answers = self._drive(self._session.stream(question), deadline)
        return traced_stream(question.rpc, self._connection.address, answers)

    def again(self, question: Differentiate, arguments: Sequence[str], vectors: Sequence[str]) -> Again:
        """What answers questions like this one: by their bytes alone, as soon as requests of their kind are known."""
        anew, of = asked_anew(self, question, arguments, vectors), with_others(question, arguments, vectors)
        known, graph = self._kinds.of(question), question.call.graph
        write: Callable[[Sequence[Array]], bytes] | None = None

        def again(arrays: Sequence[Array], seconds: float | None) -> Derivatives:
            nonlocal write
            if write is None and known.request is not None:
                write = known.request.writer(arguments, vectors)
            if write is None or traces() or not self._session.knows(graph):
                return anew(arrays, seconds)
            with Deadline(seconds) as deadline:
                return self._at_once(known, write(arrays), lambda: of(arrays), deadline)

        return again

    def stream_gradient(
        self, question: Differentiate, blocks: Iterator[Block], timeout: float | None
    ) -> Generator[Part]:
        """What belongs to the points of blocks, in order; leaving early cancels the call."""
        graph = question.call.graph
        stream = Stream(self._connection, self._streaming, question, blocks, timeout, self._session.budget)
        parts = stream.parts(
            lambda deadline: self._finish(self._session.register(graph), deadline), lambda: self._session.forget(graph)
        )
        return traced_stream(RPC, self._connection.address, parts)

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()
        self._memories.close()

    def _finish(self, steps: Steps[Any], deadline: Deadline) -> Any:
        """What steps come to that tell nothing on the way."""
        try:
            told = next(self._drive(steps, deadline))
        except StopIteration as done:
            return done.value
        raise AssertionError(f"{told} is the answer of a stream")

    def _drive(self, steps: Steps[Any], deadline: Deadline) -> Generator[Any, None, Any]:
        """What the steps tell; returns what they come to. Streams that they began end with them."""
        with contextlib.ExitStack() as streams:
            found, error = None, None
            while True:
                try:
                    step = steps.send(found) if error is None else steps.throw(error)
                except StopIteration as done:
                    return done.value
                found = error = None
                if isinstance(step, Tell):
                    yield step.answer
                    continue
                try:
                    found = self._do(step, deadline, streams)
                except GradserveError as raised:
                    error = raised

    def _do(self, step: Step, deadline: Deadline, streams: contextlib.ExitStack) -> Any:
        match step:
            case Send(method, request):
                return self._connection.call(self._methods[method], request, deadline)
            case Begin(method, request):
                stream = self._connection.stream(self._methods[method], request, deadline)
                return streams.enter_context(contextlib.closing(stream))
            case Next(replies):
                return next(replies, None)
            case Pause(seconds, told):
                return paused(deadline, seconds, told)
            case Alone(key, inner):
                with self._held(key, deadline):
                    return self._finish(inner, deadline)
        raise AssertionError(f"no shell knows how to do {step}")

    @contextlib.contextmanager
    def _held(self, key: str, deadline: Deadline) -> Iterator[None]:
        one = self._alone.setdefault(key, threading.Lock())
        left = deadline.left()
        if not one.acquire(timeout=-1 if left is None else left):
            raise DeadlineExceeded("the deadline passed before the graph was sent")
        try:
            yield
        finally:
            one.release()
            self._alone.pop(key, None)
