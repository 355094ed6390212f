"""The graphs that a service knows, as far as this client has told it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from gradserve import wire
from gradserve.client.transport.blobs import Blobs
from gradserve.client.transport.connection import Connection
from gradserve.client.transport.deadline import Deadline
from gradserve.ir.errors import BlobNotFound, DeadlineExceeded, GraphNotRegistered
from gradserve.ir.graph import Graph
from gradserve.v1 import graph_service_pb2, graph_service_pb2_grpc

T = TypeVar("T")

CONSTANT_BYTES = 64 << 10
"""Constants above this travel as blobs, once."""
GRAPH_BYTES = 16 << 20
"""What the other constants of a graph may take together."""
ATTEMPTS = 4
"""How often a call is tried when the service lacks a graph or a blob."""


class Registry:
    """Registers each graph before it is first used, and again when the service has forgotten it. Safe for threads."""

    def __init__(self, connection: Connection, blobs: Blobs) -> None:
        """Nothing is known to be registered."""
        self._connection = connection
        self._blobs = blobs
        self._stub = graph_service_pb2_grpc.GraphServiceStub(connection.channel)
        self._registered: set[str] = set()
        self._under_way: dict[str, threading.Lock] = {}

    def with_graph(self, graph: Graph, deadline: Deadline, ask: Callable[[], T]) -> T:
        """The answer to `ask`, which names the graph by its digest; what the service lacks is sent again."""
        for _ in range(ATTEMPTS - 1):
            try:
                self._register(graph, deadline)
                return ask()
            except GraphNotRegistered:
                self._registered.discard(graph.digest)
            except BlobNotFound:
                self._blobs.forget()
        self._register(graph, deadline)
        return ask()

    def _register(self, graph: Graph, deadline: Deadline) -> None:
        """Registers the graph, unless that has been done. Who wants the same at the same time waits for the first."""
        if graph.digest in self._registered:
            return
        one = self._under_way.setdefault(graph.digest, threading.Lock())
        left = deadline.left()
        if not one.acquire(timeout=-1 if left is None else left):
            raise DeadlineExceeded("the deadline passed before the graph was sent")
        try:
            if graph.digest not in self._registered:
                self._send(graph, deadline)
                self._registered.add(graph.digest)
        finally:
            one.release()
            self._under_way.pop(graph.digest, None)

    def _send(self, graph: Graph, deadline: Deadline) -> None:
        limit = min(CONSTANT_BYTES, GRAPH_BYTES // max(1, len(graph.constants)))
        self._blobs.write(wire.large_constants(graph, limit), deadline)
        request = graph_service_pb2.RegisterGraphRequest(graph=wire.encode_graph(graph, limit))
        self._connection.call(self._stub.RegisterGraph, request, deadline)
