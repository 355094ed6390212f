"""Calls as they arrive: who is known to be turned away is told so without a thread, by gRPC's insides or without."""

from __future__ import annotations

import threading
import time
from collections import Counter
from functools import partial

import grpc
import numpy as np
import pytest

from gradserve import wire
from gradserve.client import Client
from gradserve.questions.call import Call
from gradserve.questions.derivations import Gradient
from gradserve.questions.derivatives import Differentiate
from gradserve.service.calls.methods import Method
from gradserve.service.threads import arrivals
from gradserve.v1 import derivative_service_pb2 as pb
from gradserve.v1 import graph_service_pb2
from tests.service.support import call_of, read

A = np.random.default_rng(0).standard_normal((256, 256)) / 16
GRADIENT = "/gradserve.v1.DerivativeService/Gradient"


def loss(w):
    """Some 20 ms of products."""
    M = w[:, None] * A
    for _ in range(11):
        M = M @ A
    return np.mean(M**2)


def heavy(stubs):
    """The bytes of a request for its gradient, whose graph is registered."""
    with Client() as client:
        graph = client.function(loss, np.ones(256)).graph
    stubs.graphs.RegisterGraph(graph_service_pb2.RegisterGraphRequest(graph=wire.encode_graph(graph, 64 << 20)))
    (name,) = graph.input_types
    return wire.encode_question(Differentiate(Call(graph, {name: np.ones(256)}), Gradient())).SerializeToString()


@pytest.fixture
def judged(monkeypatch):
    """What calls that came were to end in: None for those that went on."""
    found = []

    def turns(method, *asked):
        found.append(before(method, *asked))
        return found[-1]

    before = Method.turns
    monkeypatch.setattr(Method, "turns", turns)
    return found


def flooded(stubs, request, count=120):
    """The calls of a flood by code, and what those were told that were turned away."""
    method = stubs.channel.unary_unary(GRADIENT, None, None)
    method(request, timeout=60)
    calls = []
    for _ in range(count):
        calls.append(method.future(request, timeout=60))
        time.sleep(1e-3)
    codes = Counter(call.code() for call in calls)
    return codes, [read(call) for call in calls if call.code() is not grpc.StatusCode.OK]


def test_in_a_flood_nearly_all_are_told_where_they_come(start, judged):
    """Also while nobody waits, as whoever might wait for too long is not let in."""
    _server, stubs = start(workers=1)
    _, refused = flooded(stubs, heavy(stubs), 600)
    at_once = [ending for ending in judged if ending is not None]
    assert len(at_once) > 0.8 * len(refused) > 200


def test_who_is_known_to_be_turned_away_is_told_the_same_where_it_comes(start, judged):
    server, stubs = start(workers=1, max_queued=2)
    codes, refused = flooded(stubs, heavy(stubs))
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    at_once = [ending for ending in judged if ending is not None]
    assert at_once
    assert len(at_once) <= len(refused)
    assert {ending.code for ending in at_once} == {grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]}
    for each in refused:
        assert (each.info.reason, each.info.metadata["limit"]) == ("OVERLOADED", "max_in_flight")
        assert each.retry_after
        assert each.retry_after >= 0.05
    assert sum(server.admission.shed.values()) == len(refused)
    assert server.admission.wait_idle(10)


def test_small_calls_of_a_flooding_connection_go_on(start, judged):
    _, stubs = start(workers=1, max_queued=2)
    request, codes = heavy(stubs), Counter[grpc.StatusCode]()
    flood = threading.Thread(target=lambda: codes.update(flooded(stubs, request)[0]))
    flood.start()
    small = 0
    while flood.is_alive() or small < 20:
        assert wire.decode_tensor(stubs.derivatives.Gradient(pb.GradientRequest(call=call_of()), timeout=10).value)
        small += 1
    flood.join(60)
    assert codes[grpc.StatusCode.RESOURCE_EXHAUSTED]
    assert {type(ending) for ending in judged} == {type(None), arrivals.Ending}


def test_nobody_is_judged_where_nobody_waits(start, judged):
    _, stubs = start()
    for _ in range(20):
        assert wire.decode_tensor(stubs.derivatives.Gradient(pb.GradientRequest(call=call_of()), timeout=10).value)
    assert judged == []


@pytest.mark.parametrize("fault", ["another gRPC", "no judgement"])
def test_without_that_calls_end_in_the_same_way(start, monkeypatch, fault):
    """One that is built in another way, and a fault of ours: each goes on as if nothing were known of it."""
    if fault == "another gRPC":
        monkeypatch.setattr(arrivals, "_CAN", False)
    else:
        monkeypatch.setattr(Method, "turns", partial(divmod, 0))
    server, stubs = start(workers=1, max_queued=2)
    codes, refused = flooded(stubs, heavy(stubs))
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert all(each.retry_after for each in refused)
    assert server.admission.wait_idle(10)


def test_calls_without_a_request_and_with_one_too_many_places_taken_are_answered(start):
    server, stubs = start(max_in_flight=4, max_queued=4, threads=4)
    empty = stubs.channel.stream_stream(GRADIENT, None, None)
    for _ in range(8):
        call = empty(iter(()), timeout=10)
        assert call.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "one request message" in call.details()
    many = [stubs.derivatives.Gradient.future(pb.GradientRequest(call=call_of()), timeout=30) for _ in range(64)]
    assert {call.code() for call in many} == {grpc.StatusCode.OK}
    assert server.admission.wait_idle(10)
