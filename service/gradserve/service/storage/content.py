"""What messages only name: graphs and blobs, as the front end remembers them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Protocol

from gradserve import wire
from gradserve.ir.errors import MemoryNotShared
from gradserve.ir.graph import Graph
from gradserve.ir.limits import GraphLimits
from gradserve.ir.types import TensorType
from gradserve.questions.asked import Answer, Question
from gradserve.questions.call import Argument
from gradserve.questions.derivatives import Differentiate
from gradserve.questions.explanation import Explain
from gradserve.questions.transport import is_rounded
from gradserve.runtime.caches import Lru
from gradserve.runtime.control import Control
from gradserve.runtime.planned import Planned
from gradserve.runtime.shared import Opened, opened
from gradserve.service.calls.known import KEPT, Known, KnownRequests, kind_of
from gradserve.service.calls.places import places_in_stream, places_of
from gradserve.service.identity.caller import Caller
from gradserve.service.storage.named import Named
from gradserve.service.storage.owners import Owned
from gradserve.v1 import execution_pb2, tensor_pb2
from gradserve.wire.questions import EXPLAINED
from gradserve.wire.streams import decode_start


class Request(Protocol):
    """The call that a request came by, which tells the client of violations."""

    caller: Caller
    control: Control
    places: Mapping[str, str]
    memory: Opened | None
    known: Known | None

    def parse(self, data: bytes) -> Any:
        """The request message in these bytes."""
        ...


class Content:
    """Reads questions and writes answers, with what the front end remembers. Safe for threads."""

    def __init__(self, owned: Owned, graph_limits: GraphLimits, inline_limit: int) -> None:
        """`inline_limit` is the number of bytes of arrays that one reply carries."""
        self._owned = owned
        self._graph_limits = graph_limits
        self._inline_limit = inline_limit
        self._named: Lru[str, Named] = Lru(KEPT)
        self._requests = KnownRequests()
        self._replies: Lru[Hashable, wire.KnownReply] = Lru(KEPT)

    def of(self, caller: str) -> Named:
        """What is there for a caller."""
        found = self._named.get(caller)
        if found is None:
            graphs, blobs = self._owned.graphs(caller), self._owned.blobs(caller)
            found = Named(caller, graphs, blobs, self._graph_limits, self._inline_limit)
            self._named.put(caller, found)
        return found

    def question(self, method: str, data: bytes, rpc: Request) -> Question:
        """The question of a request.

        Raises:
            GraphNotRegistered, BlobNotFound: it names what is not here.
            InvalidGraph, UnsupportedOpSet, LimitExceeded: its graph is refused.
            InvalidRequest: what else it says has no meaning; names all violations found.
        """
        named = self.of(rpc.caller.name)
        known = self._requests.find(rpc.caller.name, method, data)
        if known is not None:
            rpc.places, rpc.known = places_of(inline=False), known
            return known.request.question(data, named.source)
        rpc.control.waits()  # who knows what is to be made for it
        message, explained = rpc.parse(data), ""
        memory = _memory(message, rpc)
        if method == Explain.rpc:
            explained = message.WhichOneof(EXPLAINED) or ""

        def graph(message: execution_pb2.GraphRef) -> Graph:
            rpc.places = places_of(message.WhichOneof("graph") == "inline", explained)
            return named.graph(message)

        source = wire.Source(graph, named.blobs.get, shared=None if memory is None else memory.read)
        question = wire.decode_question(method, message, source)
        if isinstance(question, Differentiate) and memory is None:
            self._requests.learn(rpc.caller.name, method, question, data, message)
        return question

    def foreseen(self, caller: str, method: str, data: bytes) -> Planned | None:
        """What a request will begin, if one like it has shown that; nothing of it is read."""
        known = self._requests.find(caller, method, data)
        return None if known is None else known.planned

    def stream(self, message: Any, rpc: Request) -> Differentiate:
        """The question of a stream's first message; raises what `question` does."""
        named = self.of(rpc.caller.name)

        def graph(ref: execution_pb2.GraphRef) -> Graph:
            rpc.places = places_in_stream(ref.WhichOneof("graph") == "inline")
            return named.graph(ref)

        return decode_start(message, wire.Source(graph, named.blobs.get))

    def reply(self, question: Question, answer: Answer, rpc: Request) -> Any:
        """The reply that gives an answer, all but its report: as a message, or as bytes if it is like one before.

        Of its arrays those lie in the memory that the call shares that may and have room there.
        """
        if rpc.memory or not isinstance(question, Differentiate) or question.derivation.dense or is_rounded(question):
            return self._message(question, answer, rpc)
        key = kind_of(question, answer)
        known = self._replies.get(key)
        if known is not None:
            return known.bytes_of(answer)
        data = self._message(question, answer, rpc).SerializeToString()
        if learnt := wire.known_reply(question, answer, data):
            self._replies.put(key, learnt)
        return data

    def _message(self, question: Question, answer: Answer, rpc: Request) -> Any:
        """The reply that gives an answer, all but its report. The large arrays are left as blobs."""
        tensors: list[tuple[int, Any, tensor_pb2.Tensor]] = []
        narrows, memory = is_rounded(question), rpc.memory

        def fill(tensor: tensor_pb2.Tensor, array: Argument) -> None:
            if memory is None or isinstance(array, TensorType) or not wire.write_shared(tensor, array, memory.room):
                tensors.append((array.nbytes, array, tensor))

        reply = wire.encode_answer(question, answer, fill)
        if tensors and not isinstance(question, Explain):
            blobs, room = self.of(rpc.caller.name).blobs, self._inline_limit
            largest = min(question.call.options.inline_limit or room, room)
            tensors.sort(key=_first)
            for size, given, tensor in tensors:
                narrow = wire.narrowed(given) if narrows and not isinstance(given, TensorType) else None
                array, size = (given, size) if narrow is None else (narrow, narrow.nbytes)
                if size <= min(largest, room):
                    wire.write_tensor(tensor, array)
                    room -= size
                else:
                    wire.write_tensor(tensor, array, size - 1)
                    blobs.put(tensor.blob, array.tobytes())
                if narrow is not None:
                    wire.mark_narrow(tensor)
        return reply


def _memory(message: Any, rpc: Request) -> Opened | None:
    """The memory that a call shares; None if it shares none.

    Raises:
        MemoryNotShared: it is not there, or is not this user's.
    """
    call = getattr(message, "call", None)
    if call is None or not call.HasField("memory"):
        return None
    rpc.memory = opened(wire.read_memory(call.memory))
    if rpc.memory is None:
        raise MemoryNotShared("the memory of the call is no memory of this user on this machine; send arrays inline")
    return rpc.memory


def _first(entry: tuple[int, Any, Any]) -> int:
    return entry[0]
