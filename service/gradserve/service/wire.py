"""Between request and reply messages and the values that jobs take and give.

What a message says that no job could be given is refused here, under the rules M1, M2, ... in `CONSTRAINTS`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias, TypeVar

from google.protobuf.message import Message

from gradserve import wire
from gradserve.ir.check import DIGEST, shown
from gradserve.ir.errors import InvalidRequest, Violation
from gradserve.ir.graph import Graph
from gradserve.ir.limits import GraphLimits
from gradserve.ir.types import Array
from gradserve.jobs.call import Call, Options, Placement, Reduction, make_call
from gradserve.jobs.report import Report
from gradserve.ops import OP_SET
from gradserve.service.store import BlobStore, GraphStore
from gradserve.v1 import execution_pb2, graph_pb2, tensor_pb2
from gradserve.wire.graph_encode import INLINE_LIMIT

CONSTRAINTS: Mapping[str, str] = {
    "M1": "a graph is there, inline or by digest",
    "M2": "an enum has one of its named values",
    "M3": "a digest is a SHA-256 in lower-case hexadecimal",
    "M4": "a number of bytes or points is not negative",
    "M5": "at least one vector is given",
    "M6": "what carries a batch is an input of the graph",
}
"""The rules of requests beyond those of graphs and arrays."""

W = TypeVar("W")
Results: TypeAlias = Array | Mapping[str, Array]
M = TypeVar("M", bound=Message)

REDUCTIONS = {
    execution_pb2.REDUCTION_UNSPECIFIED: Reduction.NONE,
    execution_pb2.REDUCTION_NONE: Reduction.NONE,
    execution_pb2.REDUCTION_SUM: Reduction.SUM,
    execution_pb2.REDUCTION_MEAN: Reduction.MEAN,
}
PLACEMENTS = {
    execution_pb2.PLACEMENT_UNSPECIFIED: Placement.AUTO,
    execution_pb2.PLACEMENT_AUTO: Placement.AUTO,
    execution_pb2.PLACEMENT_FRONT_END: Placement.FRONT_END,
    execution_pb2.PLACEMENT_CLUSTER: Placement.CLUSTER,
}
_DEFAULT_OPTIONS = Options()


def _places(graph: str, call: str = "") -> Mapping[str, str]:
    """Where the graph lies in a request, and where what goes with it does; see `status_of`."""
    places = dict.fromkeys(graph_pb2.Graph.DESCRIPTOR.fields_by_name, graph)
    if call:
        places |= dict.fromkeys(execution_pb2.Call.DESCRIPTOR.fields_by_name, call)
    return MappingProxyType(places)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a request a graph lies, for the paths of violations."""

    field: str
    inline: Mapping[str, str]
    registered: Mapping[str, str]

    @staticmethod
    def of(field: str, call: str = "") -> Place:
        """The place of a `GraphRef` in the field of that path, and of what goes with it in `call`."""
        return Place(field, _places(f"{field}.inline", call), _places(field, call))


IN_CALL = Place.of("call.graph", "call")
IN_REQUEST = Place.of("graph")
WHOLE_GRAPH = _places("graph")
"""The places of a request whose field `graph` is a graph."""


class HasPlaces(Protocol):
    """Whoever tells the client of violations."""

    places: Mapping[str, str]


class Wire:
    """Decodes requests and encodes replies, with what the front end remembers. Safe for threads."""

    def __init__(self, graphs: GraphStore, blobs: BlobStore, graph_limits: GraphLimits, inline_limit: int) -> None:
        """`inline_limit` is the number of bytes of arrays that one reply carries."""
        self.graphs = graphs
        self.blobs = blobs
        self._graph_limits = graph_limits
        self._inline_limit = inline_limit

    def call(self, message: execution_pb2.Call, rpc: HasPlaces) -> Call:
        """The call of a request.

        Raises:
            GraphNotRegistered, BlobNotFound: it names what is not here.
            InvalidGraph, UnsupportedOpSet, LimitExceeded: its graph is refused.
            InvalidRequest: what else it says does not fit; names all violations found.
        """
        graph = self.graph(message.graph, IN_CALL, rpc)
        arguments = self.arrays(message.arguments, "call.arguments")
        options = self.options(message.options, "call.options") if message.HasField("options") else _DEFAULT_OPTIONS
        if not message.HasField("batch"):
            return make_call(graph, arguments, options=options)
        batch, reduction = self.batch(message.batch, "call.batch")
        return make_call(graph, arguments, batch, reduction, options)

    def graph(self, message: execution_pb2.GraphRef, place: Place, rpc: HasPlaces) -> Graph:
        """The graph that a request sends along or names."""
        case = message.WhichOneof("graph")
        if case == "digest":
            rpc.places = place.registered
            found = self.graphs.find(message.digest)
            if found is not None:
                return found
            require_digest(message.digest, f"{place.field}.digest")
            return self.graphs.get(message.digest)
        rpc.places = place.inline
        if case is None:
            text = "neither a graph nor the digest of one is there"
            raise InvalidRequest("the request has no graph", [Violation(place.field, "M1", text)])
        return self.inline_graph(message.inline)

    def inline_graph(self, message: graph_pb2.Graph) -> Graph:
        """The graph of a message, decoded and checked once for equal messages."""
        # A registered graph's key is 64 characters, so that the two kinds never meet.
        key = "inline:" + hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()
        found = self.graphs.find(key)
        if found is None:
            found = self.whole_graph(message)
            self.graphs.put(key, found)
        return found

    def whole_graph(self, message: graph_pb2.Graph) -> Graph:
        """The graph of a message, with the blobs of its constants."""
        return wire.decode_graph(message, OP_SET, self.blobs.get, self._graph_limits)

    def checked_graph(self, message: graph_pb2.Graph) -> Graph:
        """The graph of a message, blobs of its constants left aside."""
        return wire.decode_graph(message, OP_SET, limits=self._graph_limits)

    def arrays(self, messages: Mapping[str, tensor_pb2.Tensor], field: str) -> dict[str, Array]:
        """The arrays of a request by name."""
        return wire.decode_tensors(messages, self.blobs.get, field)

    def options(self, message: execution_pb2.ExecutionOptions, field: str) -> Options:
        """The wishes of a request."""
        require_count(message.inline_limit, f"{field}.inline_limit")
        placement = word_of(PLACEMENTS, message.placement, f"{field}.placement")
        return Options(message.executor, placement, not message.ignore_kinks)

    def batch(self, message: execution_pb2.Batch, field: str) -> tuple[tuple[str, ...], Reduction]:
        """The batched inputs of a request and what becomes of the results."""
        return tuple(message.inputs), word_of(REDUCTIONS, message.reduction, f"{field}.reduction")

    def reply(
        self,
        message: M,
        results: Mapping[str, Results],
        call: execution_pb2.Call,
        more: Iterable[tuple[Array, tensor_pb2.Tensor]] = (),
    ) -> M:
        """The reply with arrays in the fields that `results` names and in the tensors of it that `more` names.

        The large ones are left as blobs.
        """
        tensors = list(more)
        for field, found in results.items():
            target = getattr(message, field)
            if isinstance(found, Mapping):
                tensors += [(array, target[name]) for name, array in found.items()]
            else:
                tensors.append((found, target))
        room = self._inline_limit
        largest = min(call.options.inline_limit or room, room)
        for array, tensor in sorted(tensors, key=_bytes_of):
            if array.nbytes <= min(largest, room):
                wire.write_tensor(tensor, array)
                room -= array.nbytes
            else:
                wire.write_tensor(tensor, array, array.nbytes - 1)
                self.blobs.put(tensor.blob, array.tobytes())
        return message

    def graph_message(self, graph: Graph) -> graph_pb2.Graph:
        """The message of a graph, its large constants as blobs."""
        limit = min(INLINE_LIMIT, self._inline_limit // max(1, len(graph.constants)))
        for digest, array in wire.large_constants(graph, limit).items():
            self.blobs.put(digest, array.tobytes())
        return wire.encode_graph(graph, limit)


def _bytes_of(entry: tuple[Array, tensor_pb2.Tensor]) -> int:
    return entry[0].nbytes


def word_of(words: Mapping[Any, W], number: int, field: str) -> W:
    """What a number of an enum means.

    Raises:
        InvalidRequest: it has no name here.
    """
    word = words.get(number)
    if word is None:
        text = f"{number} has no meaning to this server; known are {', '.join(str(known) for known in words)}"
        raise InvalidRequest("the request does not fit", [Violation(field, "M2", text)])
    return word


def require_digest(digest: str, field: str) -> None:
    """Refuses what is no digest."""
    if not DIGEST.fullmatch(digest):
        text = f"{shown(digest)} is not a SHA-256 in lower-case hexadecimal"
        raise InvalidRequest("the request does not fit", [Violation(field, "M3", text)])


def require_count(count: int, field: str) -> None:
    """Refuses a negative number."""
    if count < 0:
        raise InvalidRequest("the request does not fit", [Violation(field, "M4", f"{count} is negative")])


def write_report(message: execution_pb2.ExecutionReport, report: Report, spans: Sequence[float]) -> None:
    """Fills the empty message of a report, with the seconds of every phase as the whole call saw them."""
    phases = (message.queue, message.decode, message.plan, message.execute, message.encode)
    for duration, seconds in zip(phases, spans, strict=True):
        whole = int(seconds)
        duration.seconds = whole
        duration.nanos = int(1e9 * (seconds - whole))
    message.plan_cache_hit = report.plan_cache_hit
    message.executor = report.executor
    message.placement = report.placement
    message.chunks = report.chunks
    message.retries = report.retries
    message.batch_size = report.batch_size
    message.flops = report.flops
    message.peak_bytes = report.peak_bytes
    message.nonfinite_outputs = report.nonfinite_outputs
    message.workers.extend(report.workers)
    if report.kinks is not None:
        message.kinks.CopyFrom(execution_pb2.Kinks(nodes=report.kinks.nodes, examples=report.kinks.examples))
