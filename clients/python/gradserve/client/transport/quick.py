"""Questions like ones before: nothing about them is new but their numbers, and they are asked at once."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from gradserve import wire
from gradserve.client.transport.blobs import INLINE_BYTES
from gradserve.client.transport.replies import answer_in
from gradserve.questions.call import arrays_of
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.runtime.caches import Lru

KEPT = 1024
"""How many kinds of questions are remembered."""


class Known:
    """One kind of question: its request, once it has been asked twice, and its reply, once that has been seen."""

    __slots__ = ("reply", "request", "rpc", "seen")

    def __init__(self, rpc: str) -> None:
        """Nothing is known of questions by that method."""
        self.rpc = rpc
        self.seen = False
        self.request: wire.KnownRequest | None = None
        self.reply: wire.KnownReply | None = None

    def learn(self, question: Differentiate) -> None:
        """Finds out what requests of this kind have in common, the second time that one is asked inline."""
        if not self.seen:
            self.seen = True
        elif _size(question) <= INLINE_BYTES:
            self.request = wire.known_request(question)

    def answer(self, question: Callable[[], Differentiate], data: bytes, source: wire.Source) -> Derivatives:
        """The answer in a reply to a question, which is told only where the reply is like none before.

        Raises:
            BlobNotFound: some of its arrays are blobs.
        """
        known = self.reply
        if known is not None and known.fits(data):
            return known.answer(data)
        asked = question()
        answer: Derivatives = answer_in(asked, wire.reply_of(asked, data), source)
        self.reply = wire.known_reply(asked, answer, data)
        return answer


class Kinds:
    """The kinds of questions that have been asked. Safe for threads."""

    def __init__(self) -> None:
        """None has been."""
        self._known: Lru[Hashable, Known] = Lru(KEPT)

    def of(self, question: Differentiate) -> Known:
        """What is known of questions like this one."""
        key = _kind(question)
        found = self._known.get(key)
        if found is None:
            found = Known(question.rpc)
            self._known.put(key, found)
        return found


def _kind(question: Differentiate) -> Hashable:
    """What all requests have in common that differ in numbers alone."""
    call = question.call
    arguments = tuple([(name, a.dtype, a.shape) for name, a in arrays_of(call.arguments).items()])
    vectors = tuple([(name, a.dtype, a.shape) for name, a in arrays_of(question.vectors).items()])
    return question.rpc, call.graph.digest, question.derivation, call.options, call.batch, arguments, vectors


def _size(question: Differentiate) -> int:
    return sum(array.nbytes for array in (*question.call.arguments.values(), *question.vectors.values()))
