"""The gRPC side of the client: questions to messages, messages to answers, status details to typed errors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import grpc

from gradserve.client import messages
from gradserve.client.backend import Answer, Question, TraceOptions, VerifyOptions
from gradserve.client.blobs import Blobs
from gradserve.client.errors import typed_error
from gradserve.client.results import Explanation, TraceEstimate, VerificationProgress
from gradserve.ir import codec
from gradserve.ir.errors import BlobNotFound, GraphNotRegistered
from gradserve.ir.graph import Graph
from gradserve.v1 import (
    derivative_service_pb2_grpc,
    estimate_service_pb2_grpc,
    graph_service_pb2,
    graph_service_pb2_grpc,
    verification_service_pb2_grpc,
)

T = TypeVar("T")

MAX_MESSAGE_BYTES = 64 << 20
INLINE_BYTES = 16 << 20
"""Arguments above this travel as blobs, in chunks."""
CONSTANT_INLINE_BYTES = 64 << 10
"""Constants above this travel as blobs, once."""
ATTEMPTS = 4
"""How often a call is tried when the server lacks a graph or blob, or sheds load."""

_SERVICE_CONFIG = """{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.1s",
"maxBackoff": "2s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}],
"retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1}}"""


class RemoteBackend:
    """Asks a gradserve service. Safe for threads."""

    def __init__(self, address: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        """Connects on first use."""
        options = [
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.service_config", _SERVICE_CONFIG),
        ]
        if credentials is None:
            self._channel = grpc.insecure_channel(address, options)
        else:
            self._channel = grpc.secure_channel(address, credentials, options)
        self._derivatives = derivative_service_pb2_grpc.DerivativeServiceStub(self._channel)
        self._estimates = estimate_service_pb2_grpc.EstimateServiceStub(self._channel)
        self._verifications = verification_service_pb2_grpc.VerificationServiceStub(self._channel)
        self._graphs = graph_service_pb2_grpc.GraphServiceStub(self._channel)
        self._blobs = Blobs(self._channel)
        self._registered: set[str] = set()
        self._lock = threading.Lock()

    def differentiate(self, question: Question, timeout: float) -> Answer:
        """Values and derivatives."""
        method: Callable[..., Any] = getattr(self._derivatives, question.derivation.capitalize())

        def ask() -> Answer:
            request = messages.derivative_request(question, self._fill(timeout))
            reply = _unary(lambda: method(request, timeout=timeout))
            return messages.answer(reply, self._blobs.resolver(timeout))

        return self._with_graph(question.graph, timeout, ask)

    def estimate_trace(self, question: Question, options: TraceOptions, timeout: float) -> Iterator[TraceEstimate]:
        """Estimates of the Hessian's trace."""
        yield from self._stream(
            question,
            timeout,
            lambda: messages.trace_request(question, options, self._fill(timeout)),
            self._estimates.EstimateTrace,
            messages.trace_estimate,
        )

    def verify_gradient(
        self, question: Question, options: VerifyOptions, timeout: float
    ) -> Iterator[VerificationProgress]:
        """Progress, and the report at the end."""
        yield from self._stream(
            question,
            timeout,
            lambda: messages.verify_request(question, options, self._fill(timeout)),
            self._verifications.VerifyGradient,
            messages.verification_progress,
        )

    def explain(self, question: Question, batch_size: int, timeout: float) -> Explanation:
        """Cost and placement."""

        def ask() -> Explanation:
            request = messages.explain_request(question, batch_size)
            return messages.explanation(_unary(lambda: self._graphs.ExplainGraph(request, timeout=timeout)))

        return self._with_graph(question.graph, timeout, ask)

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def _fill(self, timeout: float) -> messages.FillTensor:
        """How arrays get into a request: inline, or written as blobs first if they are large."""
        return lambda message, array: self._blobs.fill(message, array, INLINE_BYTES, timeout)

    def _stream(
        self,
        question: Question,
        timeout: float,
        request: Callable[[], Any],
        method: Callable[..., Any],
        decode: Callable[[Any], T],
    ) -> Iterator[T]:
        """The decoded messages of a stream; leaving early cancels the call."""

        def start() -> tuple[Any, T]:
            stream = method(request(), timeout=timeout)
            return stream, decode(_unary(lambda: next(stream)))

        stream, first = self._with_graph(question.graph, timeout, start)
        try:
            yield first
            while True:
                try:
                    yield decode(_unary(lambda: next(stream)))
                except StopIteration:
                    return
        finally:
            stream.cancel()

    def _with_graph(self, graph: Graph, timeout: float, ask: Callable[[], T]) -> T:
        """The answer to `ask`, after registering the graph, and again after a server has forgotten it."""
        for _ in range(ATTEMPTS - 1):
            try:
                self._register(graph, timeout)
                return ask()
            except GraphNotRegistered:
                with self._lock:
                    self._registered.discard(graph.digest)
            except BlobNotFound:
                self._blobs.forget()
        self._register(graph, timeout)
        return ask()

    def _register(self, graph: Graph, timeout: float) -> None:
        if graph.digest in self._registered:
            return
        self._blobs.write(list(codec.large_constants(graph, CONSTANT_INLINE_BYTES).values()), timeout)
        request = graph_service_pb2.RegisterGraphRequest(graph=codec.encode_graph(graph, CONSTANT_INLINE_BYTES))
        _unary(lambda: self._graphs.RegisterGraph(request, timeout=timeout))
        with self._lock:
            self._registered.add(graph.digest)


def _unary(call: Callable[[], T]) -> T:
    """The reply, or the typed error that the status stands for."""
    try:
        return call()
    except grpc.RpcError as error:
        raise typed_error(error) from None
