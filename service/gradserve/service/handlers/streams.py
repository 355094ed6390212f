"""Streams of gradients: decode a message, answer it, encode; as long as there are more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gradserve.ir.errors import GradserveError, InvalidRequest
from gradserve.jobs.streams import parts
from gradserve.questions.derivatives import Differentiate
from gradserve.questions.streams import RPC, Block, Part
from gradserve.service.calls.contexts import Contexts
from gradserve.service.calls.rpc import Rpc
from gradserve.service.calls.status import status_of
from gradserve.service.storage.content import Content
from gradserve.wire import streams


class Streams:
    """The method that takes and gives without end."""

    def __init__(self, contexts: Contexts, content: Content) -> None:
        """`contexts` are what jobs run in."""
        self._contexts = contexts
        self._content = content

    def stream_gradient(self, requests: Iterator[bytes], rpc: Rpc) -> Iterator[Any]:
        """What belongs to the points of each message, in order. One message is read when all before are answered."""
        first = next(requests, None)
        if first is None:
            raise InvalidRequest("the stream has no message; the first says what is asked")
        question = self._content.stream(rpc.parse(first), rpc)
        rpc.decoded()
        fill = streams.fill_of(question)
        for data in requests:
            rpc.admit_next(data)
            message = rpc.parse(data)
            for part in self._parts(question, message, rpc):
                rpc.ran(streams.report_of(part))
                yield streams.encode_part(message.id, part, _status(part, rpc), fill)

    def _parts(self, question: Differentiate, message: Any, rpc: Rpc) -> Iterator[Part]:
        """The parts of a message; one error for all of it if it cannot be read."""
        try:
            block: Block = streams.decode_block(message, self._content.of(rpc.caller.name).source)
        except GradserveError as error:
            return iter((Part(0, message.points, error),))
        return parts(self._contexts.of(rpc.caller), question, block, rpc.control)


def _status(part: Part, rpc: Rpc) -> bytes:
    """The status that a call of its own would have ended in; empty of an answer."""
    if not isinstance(part.found, GradserveError):
        return b""
    data: bytes = status_of(part.found, rpc.places, RPC, rpc.request_id).SerializeToString()
    return data
