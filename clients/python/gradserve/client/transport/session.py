"""The dialogue with one service: what to send, how to read what comes, what to try again. Nothing is sent from here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar, cast

from gradserve import wire
from gradserve.client.transport.blobs import INLINE_BYTES, Blobs, Filler
from gradserve.client.transport.budget import RetryBudget
from gradserve.client.transport.ended import Closed, Unreachable
from gradserve.client.transport.memory import Lease, Memories
from gradserve.client.transport.replies import answer_in
from gradserve.client.transport.steps import Alone, Begin, Next, Pause, Send, Steps, Tell
from gradserve.ir.errors import (
    BlobNotFound,
    GraphNotRegistered,
    InvalidRequest,
    MemoryNotShared,
    Overloaded,
    Unavailable,
)
from gradserve.ir.graph import Graph
from gradserve.questions.asked import Answer, Question, arrays_of, graph_of
from gradserve.questions.derivatives import Differentiate
from gradserve.questions.ending import is_last
from gradserve.questions.estimates import Estimate
from gradserve.questions.explanation import Explain
from gradserve.questions.matrices import OfMatrix
from gradserve.questions.resuming import FIELD, without_token
from gradserve.questions.transport import is_rounded, rounded
from gradserve.v1 import graph_service_pb2

T = TypeVar("T")

CONSTANT_BYTES = 64 << 10
"""Constants above this travel as blobs, once."""
GRAPH_BYTES = 16 << 20
"""What the other constants of a graph may take together."""
ATTEMPTS = 4
"""How often a call is tried when the service lacks a graph or a blob."""
PAUSES = (0.1, 0.2, 0.4, 0.8)
"""Seconds before a call that did not get through is tried again; from then on the last of them."""
FIRST_SECONDS = 3.0
"""The pauses altogether after which a service that has never answered is taken for one that is not there."""
ENDLESS_SECONDS = 60.0
"""The pauses altogether after which a call without a deadline gives up."""


class Session:
    """What one client has told one service. Safe for threads.

    The service may forget graphs and blobs at any time, or be another one than before: what it lacks is sent again. It
    may end at any time and come back: until the deadline a call is tried again, as all of them may be.
    """

    def __init__(self, memories: Memories | None = None) -> None:
        """Nothing is known to be there. `memories` is what may be shared with the service; without it nothing is."""
        self._memories = memories or Memories("")
        self._blobs = Blobs()
        self.budget = RetryBudget()
        """What repeating refused calls is paid from."""
        self._registered: set[str] = set()
        self._reached = False

    def knows(self, graph: Graph) -> bool:
        """Whether the service has been sent the graph."""
        return graph.digest in self._registered

    def register(self, graph: Graph) -> Steps[None]:
        """Sees to it that the service has the graph, as far as is known."""
        return (yield from self._insist(lambda: self._with_graph(graph, _nothing)))

    def forget(self, graph: Graph) -> None:
        """Takes down that the service lacks the graph."""
        self._registered.discard(graph.digest)

    def ask(self, question: Question, refused: Overloaded | None = None) -> Steps[Answer]:
        """The one answer to a question, of which the service may have said before that it comes too early."""

        def ask() -> Steps[Answer]:
            return self._with_graph(graph_of(question), lambda: self._ask(question))

        return (yield from self._insist(ask, refused))

    def stream(self, question: Question) -> Steps[None]:
        """Tells the answers to a question one by one.

        A stream that breaks off goes on from the last answer that had a token, and what was seen after that is left
        out: the same question has the same answers. Where the token is refused, as by another release, it begins again.
        """
        progress = _Progress(question)

        def go_on() -> Steps[None]:
            asked, position = progress.asked, progress.first
            replies, reply = yield from self._with_graph(graph_of(asked), lambda: self._begin(asked))
            while reply is not None:
                position += 1
                if position > progress.seen:
                    answer = yield from self._answer(question, reply)
                    yield Tell(answer)
                    progress.saw(position, answer)
                reply = yield Next(replies)
            if not progress.ended:  # whoever ended it says that all is well, as some do who stand between
                raise Unavailable("the service ended a stream before its last answer")

        def again() -> Steps[None]:
            try:
                yield from go_on()
            except InvalidRequest as error:
                if not progress.forget(error):
                    raise
                yield from go_on()

        yield from self._insist(again)

    def _insist(self, attempt: Callable[[], Steps[T]], error: Unavailable | None = None) -> Steps[T]:
        """What an attempt comes to; tried again while the service is away, restarts or is full, until the deadline.

        An `error` is what it has come to before.
        """
        waited, pauses, pause = 0.0, iter(PAUSES), 0.0
        while True:
            if error is None:
                try:
                    found = yield from attempt()
                    self.budget.earn()
                    return found
                except Closed:
                    raise
                except Unavailable as raised:
                    error = raised
            self._reached |= not isinstance(error, Unreachable)
            told = isinstance(error, Overloaded)
            pause = error.retry_after if isinstance(error, Overloaded) else next(pauses, pause)
            if told and not self.budget.spend():
                raise error
            left = yield Pause(pause, told)
            waited += pause
            if left == 0.0 or waited > self._patience(left):
                raise error
            error = None

    def _patience(self, left: float | None) -> float:
        """Seconds to wait altogether for a service that does not answer, of those that are left."""
        if not self._reached:
            return FIRST_SECONDS
        return ENDLESS_SECONDS if left is None else math.inf

    def _ask(self, question: Question) -> Steps[Answer]:
        with self._memories.lease(question) as lease:
            request = yield from self._request(question, lease)
            reply = yield Send(question.rpc, request)
            return (yield from self._answer(question, reply, lease))

    def _begin(self, question: Question) -> Steps[tuple[Iterator[Any], Any]]:
        """The replies to a question, and the first: only then it is known whether the service knows the graph."""
        request = yield from self._request(question)
        replies = yield Begin(question.rpc, request)
        return replies, (yield Next(replies))

    def _request(self, question: Question, lease: Lease | None = None) -> Steps[Any]:
        """The request of a question, once the service has all of its large arrays that do not lie in shared memory."""
        may_be_large = lease is None and _size(question) > INLINE_BYTES
        if may_be_large and isinstance(question, Differentiate | Estimate | OfMatrix):
            # What is refused is refused before anything is uploaded.
            explanation = yield from self._ask(Explain(without_token(question)))
            if explanation.refusal is not None:
                raise explanation.refusal.error()
        fill = Filler(lease, is_rounded(question))
        request = wire.encode_question(rounded(question), fill)
        if lease is not None:
            wire.write_memory(request.call.memory, lease.name)
        yield from self._blobs.write(fill.large)
        return request

    def _answer(self, question: Question, reply: Any, lease: Lease | None = None) -> Steps[Answer]:
        """The answer in a reply, once its blobs are read."""
        found: dict[str, bytes] = {}
        source = wire.Source(blobs=found.get, writable=True, shared=None if lease is None else lease.read)
        while True:
            try:
                return answer_in(question, reply, source)
            except BlobNotFound as missing:
                for digest in missing.digests:
                    found[digest] = yield from self._blobs.read(digest)

    def _with_graph(self, graph: Graph, ask: Callable[[], Steps[T]]) -> Steps[T]:
        """What `ask` comes to, which names the graph by its digest; what the service lacks is sent again."""
        for _ in range(ATTEMPTS - 1):
            try:
                yield from self._register(graph)
                return (yield from ask())
            except GraphNotRegistered:
                self._registered.discard(graph.digest)
            except BlobNotFound:
                self._blobs.forget()
            except MemoryNotShared:
                self._memories.shared = False
        yield from self._register(graph)
        return (yield from ask())

    def _register(self, graph: Graph) -> Steps[None]:
        """Registers the graph, unless that has been done. Who wants the same at the same time waits for the first."""
        if graph.digest not in self._registered:
            yield Alone(graph.digest, self._send(graph))

    def _send(self, graph: Graph) -> Steps[None]:
        if graph.digest in self._registered:
            return
        limit = min(CONSTANT_BYTES, GRAPH_BYTES // max(1, len(graph.constants)))
        yield from self._blobs.write(wire.large_constants(graph, limit))
        request = graph_service_pb2.RegisterGraphRequest(graph=wire.encode_graph(graph, limit))
        with self._memories.offer() as memory:
            if memory is not None:
                wire.write_memory(request.memory, memory)
            reply = yield Send("RegisterGraph", request)
            self._memories.shared |= reply.shares_memory
        self._reached = True
        self._registered.add(graph.digest)


class _Progress:
    """How much of a stream was seen, and what is asked to see the rest."""

    def __init__(self, question: Question) -> None:
        """Nothing was seen."""
        self._question = question
        self.asked = question
        self.seen = self.first = 0
        """Answers that were seen, and those of them that come before what `asked` begins with."""
        self.ended = False
        """Whether the last one was seen."""

    def saw(self, position: int, answer: Answer) -> None:
        """Takes down an answer, from which the stream can go on if it has a token: that repeats the answer."""
        self.seen, self.ended = position, is_last(cast("Any", self._question), answer)
        token = getattr(answer, "token", b"")
        if token:
            self.asked, self.first = replace(cast("Any", self._question), resume=token), position - 1

    def forget(self, error: InvalidRequest) -> bool:
        """Whether it begins again since a service refuses a token that was seen on the way."""
        refused = self.asked is not self._question and any(each.field == FIELD for each in error.violations)
        if refused:
            self.asked, self.first = self._question, 0
        return refused


def _nothing() -> Steps[None]:
    """Asks nothing."""
    yield from ()


def _size(question: Question) -> int:
    return sum(array.nbytes for array in arrays_of(question))
