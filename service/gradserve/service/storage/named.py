"""What the messages of one caller name, and his graphs as messages."""

from __future__ import annotations

import hashlib

from gradserve import wire
from gradserve.ir.graph import Graph
from gradserve.ir.limits import GraphLimits
from gradserve.ops import OP_SET
from gradserve.runtime.garbage import uncollected
from gradserve.service.storage.owners import OwnedBlobs, OwnedGraphs
from gradserve.v1 import execution_pb2, graph_pb2
from gradserve.wire.graph_encode import INLINE_LIMIT
from gradserve.wire.rules import broken, require_digest


class Named:
    """The graphs and blobs that are there for one caller. Safe for threads."""

    def __init__(
        self, caller: str, graphs: OwnedGraphs, blobs: OwnedBlobs, graph_limits: GraphLimits, inline_limit: int
    ) -> None:
        """`inline_limit` is the number of bytes of arrays that one reply carries."""
        self.graphs = graphs
        self.blobs = blobs
        self._caller = caller
        self._graph_limits = graph_limits
        self._inline_limit = inline_limit
        self.source = wire.Source(self.graph, blobs.get)
        """Where the graphs and arrays of his messages come from."""

    def graph(self, message: execution_pb2.GraphRef) -> Graph:
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

    @uncollected()
    def whole_graph(self, message: graph_pb2.Graph) -> Graph:
        """The graph of a message, with the blobs of its constants."""
        return wire.decode_graph(message, OP_SET, self.blobs.get, self._graph_limits)

    @uncollected()
    def checked_graph(self, message: graph_pb2.Graph) -> Graph:
        """The graph of a message, blobs of its constants left aside."""
        return wire.decode_graph(message, OP_SET, limits=self._graph_limits)

    def graph_message(self, graph: Graph) -> graph_pb2.Graph:
        """The message of a graph, its large constants as blobs."""
        limit = min(INLINE_LIMIT, self._inline_limit // max(1, len(graph.constants)))
        for digest, array in wire.large_constants(graph, limit).items():
            self.blobs.put(digest, array.tobytes())
        return wire.encode_graph(graph, limit)

    def _inline_graph(self, message: graph_pb2.Graph) -> Graph:
        """The graph of a message, decoded and checked once for equal messages of one caller.

        Not of all: it may name blobs, and must not show those of others.
        """
        # A registered graph's key is 64 characters, so that the two kinds never meet.
        digest = hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()
        key = f"inline:{self._caller}:{digest}"
        found = self.graphs.find(key)
        if found is None:
            found = self.whole_graph(message)
            self.graphs.put(key, found)
        return found
