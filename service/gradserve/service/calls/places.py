"""Where in a request the things lie that violations name; see `status_of`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType

from gradserve.v1 import execution_pb2, graph_pb2, graph_service_pb2

_EXPLAINED = graph_service_pb2.ExplainGraphRequest.DESCRIPTOR.fields_by_name
_GRAPH = tuple(graph_pb2.Graph.DESCRIPTOR.fields_by_name)
_CALL = tuple(execution_pb2.Call.DESCRIPTOR.fields_by_name)

WHOLE_GRAPH: Mapping[str, str] = MappingProxyType(dict.fromkeys(_GRAPH, "graph"))
"""The places of a request whose field `graph` is a graph."""


@functools.cache
def places_of(inline: bool, explained: str = "") -> Mapping[str, str]:
    """The places of a request that asks a question: the first word of a path, to the path of what holds it.

    `inline` says whether its graph is sent along; `explained` is the field of an ExplainGraphRequest that the question
    is in, empty if it is the request itself.
    """
    call = f"{explained}.call" if explained else "call"
    places = dict.fromkeys(_GRAPH, f"{call}.graph.inline" if inline else f"{call}.graph") | dict.fromkeys(_CALL, call)
    question = _EXPLAINED[explained].message_type if explained else None
    if question is not None:
        places |= dict.fromkeys(question.fields_by_name, explained)
    return MappingProxyType(places)


@functools.cache
def places_in_stream(inline: bool) -> Mapping[str, str]:
    """The places of a stream, whose first message has a call, and whose others have arguments."""
    return MappingProxyType({word: place for word, place in places_of(inline).items() if word != "arguments"})
