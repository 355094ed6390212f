"""Callers in processes of their own, each thread with a connection of its own, that call at once when they are told."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

import grpc
import numpy as np

from gradserve import wire
from gradserve.client import Client
from gradserve.questions.call import Call
from gradserve.questions.derivations import Gradient
from gradserve.questions.derivatives import Differentiate
from gradserve.v1 import graph_service_pb2, graph_service_pb2_grpc
from tests.bench.asked import Asked
from tests.bench.servers import METHOD, OPTIONS
from tests.bench.timing import Turn

PROCESSES, THREADS = 2, 4
"""Callers altogether are as many as the product: one process would be at its own limit before a server is at its."""
_LARGEST = 64 << 20
_OWN_CONNECTION = ("grpc.use_local_subchannel_pool", 1)


class Callee(Protocol):
    """What is called: made in the caller's process."""

    def call(self) -> Callable[[], Any]:
        """One caller's call, connected and warm."""
        ...


@dataclass(frozen=True)
class Bare:
    """The bare server."""

    address: str
    asked: Asked

    def call(self) -> Callable[[], Any]:
        method = grpc.insecure_channel(self.address, [*OPTIONS, _OWN_CONNECTION]).unary_unary(METHOD, None, None)
        request = self.asked.point.tobytes()
        return lambda: method(request)


@dataclass(frozen=True)
class Service:
    """Gradserve, asked by its client."""

    address: str
    asked: Asked

    def call(self) -> Callable[[], Any]:
        point = self.asked.point
        function = Client(self.address).function(self.asked.loss, point)
        return lambda: function.value_and_grad(point)


@dataclass(frozen=True)
class Raw:
    """Gradserve, sent the bytes of one request again and again, as the bare server is."""

    address: str
    asked: Asked

    def call(self) -> Callable[[], Any]:
        channel = grpc.insecure_channel(self.address, [*OPTIONS, _OWN_CONNECTION])
        point = self.asked.point
        with Client() as client:
            graph = client.function(self.asked.loss, point).graph
        whole = graph_service_pb2.RegisterGraphRequest(graph=wire.encode_graph(graph, _LARGEST))
        graph_service_pb2_grpc.GraphServiceStub(channel).RegisterGraph(whole)
        (name,) = graph.input_types
        question = Differentiate(Call(graph, {name: point}), Gradient())
        request = wire.encode_question(question).SerializeToString()
        method = channel.unary_unary(f"/{wire.full_name(question.rpc)}", None, None)
        return lambda: method(request)


class Callers:
    """Callers of one server, as many as `PROCESSES` times `THREADS`; a subject of interleaved turns."""

    def __init__(self, name: str, pipes: list[Connection[Any, Any]]) -> None:
        self.name = name
        self._pipes = pipes

    def turn(self, calls: int) -> Turn:
        """The seconds of all calls together, over their number."""
        started = time.perf_counter()
        self.latencies(calls // len(self._pipes) // THREADS)
        return Turn((time.perf_counter() - started) / calls, 0.0)

    def latencies(self, calls: int, pause: float = 0.0) -> Any:
        """Seconds of each call, as many by each caller, with pauses between them."""
        for pipe in self._pipes:
            pipe.send((calls, pause))
        return np.concatenate([pipe.recv() for pipe in self._pipes])


@contextmanager
def calling(name: str, callee: Callee, processes: int = PROCESSES, threads: int = THREADS) -> Iterator[Callers]:
    """A crowd that is connected and warm."""
    context, pipes, started = multiprocessing.get_context("spawn"), [], []
    try:
        for _ in range(processes):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(callee, theirs, threads), daemon=True)
            process.start()
            pipes.append(ours)
            started.append(process)
        for pipe in pipes:
            pipe.recv()
        yield Callers(name, pipes)
    finally:
        for process in started:
            process.terminate()
            process.join()


def _serve(callee: Callee, pipe: Connection[Any, Any], threads: int) -> None:
    calls = [callee.call() for _ in range(threads)]
    for call in calls:
        for _ in range(20):
            call()
    pipe.send(None)
    while True:
        count, pause = pipe.recv()
        seen: list[list[float]] = [[] for _ in calls]
        running = [
            threading.Thread(target=_call, args=(call, count, pause, times))
            for call, times in zip(calls, seen, strict=True)
        ]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        pipe.send(np.concatenate(seen))


def _call(call: Callable[[], Any], count: int, pause: float, seen: list[float]) -> None:
    for _ in range(count):
        started = time.perf_counter()
        call()
        seen.append(time.perf_counter() - started)
        if pause:
            time.sleep(pause)
