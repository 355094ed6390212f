"""What messages only name: graphs and blobs, as the front end remembers them."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from typing import Any, Protocol

from gradserve import wire
from gradserve.ir.errors import MemoryNotShared
from gradserve.ir.graph import Graph
from gradserve.ir.limits import GraphLimits
from gradserve.ir.types import TensorType
from gradserve.ops import OP_SET
from gradserve.questions.asked import Answer, Question
from gradserve.questions.call import Argument
from gradserve.questions.derivatives import Differentiate
from gradserve.questions.explanation import Explain
from gradserve.questions.transport import is_rounded
from gradserve.runtime.caches import Lru
from gradserve.runtime.control import Control
from gradserve.runtime.shared import Opened, opened
from gradserve.service.known import KEPT, KnownRequests, kind_of
from gradserve.service.places import places_in_stream, places_of
from gradserve.service.store import BlobStore, GraphStore
from gradserve.v1 import execution_pb2, graph_pb2, tensor_pb2
from gradserve.wire.graph_encode import INLINE_LIMIT
from gradserve.wire.questions import EXPLAINED
from gradserve.wire.rules import broken, require_digest
from gradserve.wire.streams import decode_start


class Request(Protocol):
    """The call that a request came by, which tells the client of violations."""

    control: Control
    places: Mapping[str, str]
    memory: Opened | None

    def parse(self, data: bytes) -> Any:
        """The request message in these bytes."""
        ...


class Content:
    """Reads questions and writes answers, with what the front end remembers. Safe for threads."""

    def __init__(self, graphs: GraphStore, blobs: BlobStore, graph_limits: GraphLimits, inline_limit: int) -> None:
        """`inline_limit` is the number of bytes of arrays that one reply carries."""
        self.graphs = graphs
        self.blobs = blobs
        self._graph_limits = graph_limits
        self._inline_limit = inline_limit
        self._named = wire.Source(self._graph, blobs.get)
        self.arrays = wire.Source(blobs=blobs.get)
        """Where the arrays of messages come from that name no graph."""
        self._requests = KnownRequests()
        self._replies: Lru[Hashable, wire.KnownReply] = Lru(KEPT)

    def question(self, method: str, data: bytes, rpc: Request) -> Question:
        """The question of a request.

        Raises:
            GraphNotRegistered, BlobNotFound: it names what is not here.
            InvalidGraph, UnsupportedOpSet, LimitExceeded: its graph is refused.
            InvalidRequest: what else it says has no meaning; names all violations found.
        """
        known = self._requests.find(method, data)
        if known is not None:
            rpc.places = places_of(inline=False)
            return known.question(data, self._named)
        rpc.control.waits()  # who knows what is to be made for it
        message, explained = rpc.parse(data), ""
        memory = self._memory(message, rpc)
        if method == Explain.rpc:
            explained = message.WhichOneof(EXPLAINED) or ""

        def graph(message: execution_pb2.GraphRef) -> Graph:
            rpc.places = places_of(message.WhichOneof("graph") == "inline", explained)
            return self._graph(message)

        source = wire.Source(graph, self.blobs.get, shared=None if memory is None else memory.read)
        question = wire.decode_question(method, message, source)
        if isinstance(question, Differentiate) and memory is None:
            self._requests.learn(method, question, data, message)
        return question

    def stream(self, message: Any, rpc: Request) -> Differentiate:
        """The question of a stream's first message; raises what `question` does."""

        def graph(ref: execution_pb2.GraphRef) -> Graph:
            rpc.places = places_in_stream(ref.WhichOneof("graph") == "inline")
            return self._graph(ref)

        return decode_start(message, wire.Source(graph, self.blobs.get))

    def reply(self, question: Question, answer: Answer, memory: Opened | None = None) -> Any:
        """The reply that gives an answer, all but its report: as a message, or as bytes if it is like one before.

        Of its arrays those lie in `memory` that may and have room there.
        """
        if memory or not isinstance(question, Differentiate) or question.derivation.dense or is_rounded(question):
            return self._message(question, answer, memory)
        key = kind_of(question, answer)
        known = self._replies.get(key)
        if known is not None:
            return known.bytes_of(answer)
        data = self._message(question, answer).SerializeToString()
        if learnt := wire.known_reply(question, answer, data):
            self._replies.put(key, learnt)
        return data

    def _memory(self, message: Any, rpc: Request) -> Opened | None:
        """The memory that a call shares; None if it shares none.

        Raises:
            MemoryNotShared: it is not there, or is not this user's.
        """
        call = getattr(message, "call", None)
        if call is None or not call.HasField("memory"):
            return None
        rpc.memory = opened(wire.read_memory(call.memory))
        if rpc.memory is None:
            raise MemoryNotShared(
                "the memory of the call is no memory of this user on this machine; send arrays inline"
            )
        return rpc.memory

    def _message(self, question: Question, answer: Answer, memory: Opened | None = None) -> Any:
        """The reply that gives an answer, all but its report. The large arrays are left as blobs."""
        tensors: list[tuple[int, Any, tensor_pb2.Tensor]] = []
        narrows = is_rounded(question)

        def fill(tensor: tensor_pb2.Tensor, array: Argument) -> None:
            if memory is None or isinstance(array, TensorType) or not wire.write_shared(tensor, array, memory.room):
                tensors.append((array.nbytes, array, tensor))

        reply = wire.encode_answer(question, answer, fill)
        if tensors and not isinstance(question, Explain):
            room = self._inline_limit
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
                    self.blobs.put(tensor.blob, array.tobytes())
                if narrow is not None:
                    wire.mark_narrow(tensor)
        return reply

    def whole_graph(self, message: graph_pb2.Graph) -> Graph:
        """The graph of a message, with the blobs of its constants."""
        return wire.decode_graph(message, OP_SET, self.blobs.get, self._graph_limits)

    def checked_graph(self, message: graph_pb2.Graph) -> Graph:
        """The graph of a message, blobs of its constants left aside."""
        return wire.decode_graph(message, OP_SET, limits=self._graph_limits)

    def graph_message(self, graph: Graph) -> graph_pb2.Graph:
        """The message of a graph, its large constants as blobs."""
        limit = min(INLINE_LIMIT, self._inline_limit // max(1, len(graph.constants)))
        for digest, array in wire.large_constants(graph, limit).items():
            self.blobs.put(digest, array.tobytes())
        return wire.encode_graph(graph, limit)

    def _graph(self, message: execution_pb2.GraphRef) -> Graph:
        """The graph that a call sends along or names."""
        case = message.WhichOneof("graph")
        if case == "digest":
            found = self.graphs.find(message.digest)
            if found is not None:
                return found
            require_digest(message.digest, "call.graph.digest")
            return self.graphs.get(message.digest)
        if case is None:
            text = "neither a graph nor the digest of one is there"
            raise broken("call.graph", "M1", text, "the request has no graph")
        return self._inline_graph(message.inline)

    def _inline_graph(self, message: graph_pb2.Graph) -> Graph:
        """The graph of a message, decoded and checked once for equal messages."""
        # A registered graph's key is 64 characters, so that the two kinds never meet.
        key = "inline:" + hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()
        found = self.graphs.find(key)
        if found is None:
            found = self.whole_graph(message)
            self.graphs.put(key, found)
        return found


def _first(entry: tuple[int, Any, Any]) -> int:
    return entry[0]
