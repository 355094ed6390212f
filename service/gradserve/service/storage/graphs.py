"""Registered graphs as objects, decoded and checked like those that clients send: a place may be anybody's."""

from __future__ import annotations

import logging

from google.protobuf.message import DecodeError

from gradserve import wire
from gradserve.ir.errors import GradserveError, LimitExceeded, Unavailable
from gradserve.ir.graph import Graph
from gradserve.ir.limits import GraphLimits
from gradserve.ops import OP_SET
from gradserve.runtime.garbage import uncollected
from gradserve.service.storage.objects import Objects, sealed, unsealed
from gradserve.v1 import graph_pb2
from gradserve.wire.graph_encode import INLINE_LIMIT

_logger = logging.getLogger(__name__)

CONSTANT_BYTES = 32 << 20
"""Bytes of constants within one object; the large ones are objects of their own, which others may share."""


class Shelf:
    """Graphs by digest. Safe for threads."""

    def __init__(self, graphs: Objects, blobs: Objects, find: wire.Blobs, limits: GraphLimits) -> None:
        """`find` is where large constants are found, which are kept among `blobs`."""
        self._graphs, self._blobs, self._find, self._limits = graphs, blobs, find, limits

    @uncollected()
    def read(self, digest: str) -> Graph | None:
        """The graph; None if it is not there, or not whole any more."""
        data = self._graphs.read(digest)
        if data is None:
            return None
        try:
            message = graph_pb2.Graph.FromString(unsealed(data))
            graph = wire.decode_graph(message, OP_SET, self._find, self._limits)
        except (DecodeError, GradserveError) as error:
            _logger.warning("graph %s has to be registered again: %s", digest, error)
            return None
        return graph if graph.digest == digest else None

    def write(self, graph: Graph, anew: bool = False) -> None:
        """Keeps a graph, if there is room; with `anew` by the same work whether it was there or not."""
        digest = graph.digest
        if not anew and self._graphs.holds(digest):
            return
        limit = min(INLINE_LIMIT, CONSTANT_BYTES // max(1, len(graph.constants)))
        try:
            for name, array in wire.large_constants(graph, limit).items():
                self._blobs.write(name, array.tobytes(), lasting=False, anew=anew)
            data = wire.encode_graph(graph, limit).SerializeToString()
            self._graphs.write(
                digest, sealed(data), lasting=False, anew=anew
            )  # after a loss of power clients register again
        except (LimitExceeded, Unavailable) as error:
            _logger.warning("graph %s stays in memory alone: %s", digest, error.message)
