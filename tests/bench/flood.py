"""A light client that sends prepared bytes at its own pace, whatever comes back: `python -m tests.bench.flood`.

It takes one order by standard input and answers on standard output, both in JSON.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from queue import SimpleQueue
from typing import Any

import grpc
import numpy as np

from gradserve import wire
from gradserve.client import Client
from gradserve.questions.call import Call
from gradserve.questions.derivations import Gradient
from gradserve.questions.derivatives import Differentiate
from gradserve.v1 import graph_service_pb2, graph_service_pb2_grpc
from tests.bench.bare import METHOD

_OPTIONS = [("grpc.use_local_subchannel_pool", 1)]
_PUSHBACK = "grpc-retry-pushback-ms"
_SECONDS_OF_A_CALL = 20.0
_BYTES = 2200
_WARM_SECONDS = 6.0
"""By when there is machine code for what is asked."""


@dataclass(frozen=True)
class Order:
    """What is to be sent, by whom, and when."""

    address: str
    products: int
    """Products of 256 x 256 matrices in the loss that is asked for; 0 for one of a thousand numbers and some us."""
    rate: float = 0.0
    """Calls in a second, whether others are answered or not; 0 for one when the one before it is answered."""
    seconds: float = 1.0
    pause: float = 0.0
    """Between an answer and the next call, where they come one by one."""
    at_once: int = 0
    """Calls that are kept under way, instead; those that are refused come back when they are told to."""
    connections: int = 1
    bare: bool = False
    """Whether it is a server that does nothing but say requests again."""


@dataclass(frozen=True)
class Seen:
    """One call: when it was sent, how long its answer took, and what it was."""

    sent: float
    took: float
    code: str
    told: float
    """Seconds after which it may come back; 0 if nothing was said."""


def main() -> None:
    """Does one order."""
    order = Order(**json.loads(sys.stdin.readline()))
    with ThreadPoolExecutor(order.connections) as threads:
        methods = list(threads.map(lambda _: _method(order), range(order.connections)))
    print("ready", flush=True)
    sys.stdin.readline()
    seen = _flood(order, methods) if order.rate else _keep(order, methods) if order.at_once else _ask(order, methods[0])
    print(json.dumps([asdict(each) for each in seen]), flush=True)


def loss_of(products: int) -> tuple[Callable[[Any], Any], Any]:
    """A loss that takes so many products of matrices, and a point."""
    rng = np.random.default_rng(0)
    if not products:
        return lambda w: 0.5 * np.mean((w - 1.0) ** 2), rng.standard_normal(1000)
    A = rng.standard_normal((256, 256)) / 16

    def loss(w: Any) -> Any:
        M = w[:, None] * A
        for _ in range(products - 1):
            M = M @ A
        return np.mean(M**2)

    return loss, rng.standard_normal(256)


def _method(order: Order) -> Callable[[], Any]:
    """Begins a call on a connection of its own, which is warm."""
    channel = grpc.insecure_channel(order.address, _OPTIONS)
    if order.bare:
        return _saying(channel)
    loss, point = loss_of(order.products)
    with Client() as client:
        graph = client.function(loss, point).graph
    whole = graph_service_pb2.RegisterGraphRequest(graph=wire.encode_graph(graph, 64 << 20))
    graph_service_pb2_grpc.GraphServiceStub(channel).RegisterGraph(whole)
    (name,) = graph.input_types
    question = Differentiate(Call(graph, {name: point}), Gradient())
    request = wire.encode_question(question).SerializeToString()
    method = channel.unary_unary(f"/{wire.full_name(question.rpc)}", None, None)
    until = time.monotonic() + (_WARM_SECONDS if order.products else 0.1)
    while time.monotonic() < until:
        method(request, timeout=60)
    return lambda: method.future(request, timeout=_SECONDS_OF_A_CALL)


def _saying(channel: grpc.Channel) -> Callable[[], Any]:
    """Begins a call of a bare server, with as many bytes as the requests for gradients of products have."""
    method, request = channel.unary_unary(METHOD, None, None), bytes(_BYTES)
    method(request, timeout=60)
    return lambda: method.future(request, timeout=_SECONDS_OF_A_CALL)


def _begin(method: Callable[[], Any], done: Callable[[Seen], None]) -> None:
    sent = time.monotonic()

    def ended(call: Any) -> None:
        took = time.monotonic() - sent
        told = [value for key, value in call.trailing_metadata() or () if key == _PUSHBACK]
        done(Seen(sent, took, call.code().name, float(told[0]) / 1e3 if told else 0.0))

    method().add_done_callback(ended)


def _flood(order: Order, methods: list[Callable[[], Any]]) -> list[Seen]:
    """Calls at a rate, then the answers to all of them."""
    seen: list[Seen] = []
    count = round(order.rate * order.seconds)
    began = time.monotonic()
    for k in range(count):
        ahead = began + k / order.rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        _begin(methods[k % len(methods)], seen.append)
    until = time.monotonic() + _SECONDS_OF_A_CALL
    while len(seen) < count and time.monotonic() < until:
        time.sleep(0.01)
    return seen


def _ask(order: Order, method: Callable[[], Any]) -> list[Seen]:
    """Calls one by one."""
    seen: list[Seen] = []
    until = time.monotonic() + order.seconds
    while time.monotonic() < until:
        answered: SimpleQueue[Seen] = SimpleQueue()
        _begin(method, answered.put)
        seen.append(answered.get())
        time.sleep(order.pause)
    return seen


def _keep(order: Order, methods: list[Callable[[], Any]]) -> list[Seen]:
    """So many calls under way, or on their way back."""
    seen: list[Seen] = []
    until = time.monotonic() + order.seconds

    def again(each: Seen, method: Callable[[], Any]) -> None:
        seen.append(each)
        if time.monotonic() < until:
            if each.told:
                timer = threading.Timer(each.told, begin, (method,))
                timer.daemon = True
                timer.start()
            else:
                begin(method)

    def begin(method: Callable[[], Any]) -> None:
        if time.monotonic() < until:
            _begin(method, lambda each: again(each, method))

    for k in range(order.at_once):
        begin(methods[k % len(methods)])
    time.sleep(order.seconds)
    return list(seen)


if __name__ == "__main__":
    main()
