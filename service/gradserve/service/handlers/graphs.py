"""Graphs by content."""

from __future__ import annotations

from gradserve import wire
from gradserve.ir.errors import InvalidGraph
from gradserve.runtime.shared import can_open
from gradserve.service.calls.places import WHOLE_GRAPH
from gradserve.service.calls.rpc import Rpc
from gradserve.service.storage.content import Content
from gradserve.text.printing import to_text
from gradserve.v1 import graph_service_pb2 as pb
from gradserve.wire.errors import encode_violation
from gradserve.wire.rules import require_digest


class Graphs:
    """The methods of GraphService that ask no question."""

    def __init__(self, content: Content) -> None:
        """`content` is where graphs are kept."""
        self._content = content

    def register_graph(self, request: pb.RegisterGraphRequest, rpc: Rpc) -> pb.RegisterGraphResponse:
        """Keeps a graph under its digest."""
        rpc.places = WHOLE_GRAPH
        theirs = self._content.of(rpc.caller.name)
        graph = theirs.whole_graph(request.graph)
        rpc.decoded()
        theirs.graphs.put(graph.digest, graph)
        shares = request.HasField("memory") and can_open(wire.read_memory(request.memory))
        signature = wire.encode_signature(graph)
        return pb.RegisterGraphResponse(digest=graph.digest, signature=signature, shares_memory=shares)

    def get_graph(self, request: pb.GetGraphRequest, rpc: Rpc) -> pb.GetGraphResponse:
        """A registered graph as a message and as text."""
        require_digest(request.digest, "digest")
        theirs = self._content.of(rpc.caller.name)
        graph = theirs.graphs.get(request.digest)
        return pb.GetGraphResponse(graph=theirs.graph_message(graph), text=to_text(graph))

    def check_graph(self, request: pb.CheckGraphRequest, rpc: Rpc) -> pb.CheckGraphResponse:
        """Every violation of a graph; or its digest and signature, if there is none."""
        rpc.places = WHOLE_GRAPH
        try:
            graph = self._content.of(rpc.caller.name).checked_graph(request.graph)
        except InvalidGraph as refused:
            return pb.CheckGraphResponse(violations=[encode_violation(v) for v in refused.violations])
        return pb.CheckGraphResponse(digest=graph.digest, signature=wire.encode_signature(graph))
