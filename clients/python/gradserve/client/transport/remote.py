"""The same questions asked of a gradserve service."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import grpc

from gradserve.client.backend import Answer, Question, SymmetryOptions, TaylorAnswer, TraceOptions, VerifyOptions
from gradserve.client.inspection import Inspection
from gradserve.client.results import Explanation, TraceEstimate, VerificationProgress
from gradserve.client.symmetry import SymmetryProgress
from gradserve.client.transport import messages
from gradserve.client.transport.blobs import Blobs
from gradserve.client.transport.connection import Connection
from gradserve.client.transport.deadline import Deadline
from gradserve.client.transport.registry import Registry
from gradserve.ir.errors import Unavailable
from gradserve.v1 import (
    derivative_service_pb2_grpc,
    estimate_service_pb2_grpc,
    graph_service_pb2_grpc,
    verification_service_pb2_grpc,
)

T = TypeVar("T")

RESUME_SECONDS = (0.25, 0.5, 1.0, 2.0)
"""The pauses after which a stream that broke off is asked for again."""


class RemoteBackend:
    """Asks a gradserve service. Safe for threads.

    The service may forget graphs and blobs at any time, or be another one than before: what it lacks is sent again.
    """

    def __init__(self, address: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        """Connects on first use.

        Raises:
            InvalidRequest: it is no address.
        """
        self._connection = Connection(address, credentials)
        channel = self._connection.channel
        self._derivatives = derivative_service_pb2_grpc.DerivativeServiceStub(channel)
        self._estimates = estimate_service_pb2_grpc.EstimateServiceStub(channel)
        self._verifications = verification_service_pb2_grpc.VerificationServiceStub(channel)
        self._graphs = graph_service_pb2_grpc.GraphServiceStub(channel)
        self._blobs = Blobs(self._connection)
        self._registry = Registry(self._connection, self._blobs)

    def differentiate(self, question: Question, deadline: Deadline) -> Answer:
        """Values and derivatives."""
        method: Callable[..., Any] = getattr(self._derivatives, question.derivation.capitalize())

        def ask() -> Answer:
            request = messages.derivative_request(question, self._blobs.filler(deadline))
            reply = self._connection.call(method, request, deadline)
            return messages.answer(question, reply, self._blobs.reader(deadline))

        return self._registry.with_graph(question.graph, deadline, ask)

    def estimate_trace(self, question: Question, options: TraceOptions, deadline: Deadline) -> Generator[TraceEstimate]:
        """Estimates of the Hessian's trace."""
        return self._stream(
            question,
            deadline,
            lambda: messages.trace_request(question, options, self._blobs.filler(deadline)),
            self._estimates.EstimateTrace,
            messages.trace_estimate,
        )

    def verify_gradient(
        self, question: Question, options: VerifyOptions, deadline: Deadline
    ) -> Generator[VerificationProgress]:
        """Progress, and the report at the end."""
        return self._stream(
            question,
            deadline,
            lambda: messages.verify_request(question, options, self._blobs.filler(deadline)),
            self._verifications.VerifyGradient,
            messages.verification_progress,
        )

    def verify_symmetry(
        self, question: Question, options: SymmetryOptions, deadline: Deadline
    ) -> Generator[SymmetryProgress]:
        """Progress, and the report at the end."""
        return self._stream(
            question,
            deadline,
            lambda: messages.symmetry_request(question, options, self._blobs.filler(deadline)),
            self._verifications.VerifySymmetry,
            messages.symmetry_progress,
        )

    def taylor(self, question: Question, order: int, deadline: Deadline) -> TaylorAnswer:
        """A Taylor model along the question's vectors."""

        def ask() -> TaylorAnswer:
            request = messages.taylor_request(question, order, self._blobs.filler(deadline))
            reply = self._connection.call(self._derivatives.TaylorModel, request, deadline)
            return messages.taylor_answer(reply, self._blobs.reader(deadline))

        return self._registry.with_graph(question.graph, deadline, ask)

    def inspect(self, question: Question, deadline: Deadline) -> Inspection:
        """Every value of the graph."""

        def ask() -> Inspection:
            request = messages.inspect_request(question, self._blobs.filler(deadline))
            reply = self._connection.call(self._derivatives.Inspect, request, deadline)
            return messages.inspection(reply, self._blobs.reader(deadline))

        return self._registry.with_graph(question.graph, deadline, ask)

    def explain(self, question: Question, batch_size: int, deadline: Deadline) -> Explanation:
        """Cost and placement."""
        request = messages.explain_request(question, batch_size)

        def ask() -> Explanation:
            return messages.explanation(self._connection.call(self._graphs.ExplainGraph, request, deadline))

        return self._registry.with_graph(question.graph, deadline, ask)

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def _stream(
        self,
        question: Question,
        deadline: Deadline,
        request: Callable[[], Any],
        method: Callable[..., Any],
        decode: Callable[[Any], T],
    ) -> Generator[T]:
        """The decoded messages of a stream; leaving early cancels the call.

        One that breaks off is asked for again and what was seen of it left out: the same question has the same answers.
        """

        def begin() -> tuple[list[Any], Generator[Any]]:
            replies = self._connection.stream(method, request(), deadline)
            return list(itertools.islice(replies, 1)), replies

        seen, waits = 0, iter(RESUME_SECONDS)
        while True:
            try:
                first, rest = self._registry.with_graph(question.graph, deadline, begin)
                with contextlib.closing(rest):
                    for reply in itertools.islice(itertools.chain(first, rest), seen, None):
                        yield decode(reply)
                        seen += 1
                return
            except Unavailable:
                wait = next(waits, None) if seen else None
                if wait is None:
                    raise
                time.sleep(wait)
