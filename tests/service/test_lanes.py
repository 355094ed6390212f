"""Lanes: few small calls at a time, and nobody waits for one that takes long."""

import threading

import numpy as np
import pytest

from gradserve.client.tracing.trace import trace
from gradserve.jobs.answering import answers
from gradserve.jobs.sweeps.context import Context
from gradserve.pools.local.pool import LocalPool
from gradserve.questions.call import Call
from gradserve.questions.derivations import Gradient
from gradserve.questions.derivatives import Differentiate
from gradserve.runtime.control import Control
from gradserve.service.threads.lanes import Lanes
from gradserve.service.threads.silent import connection_of


@pytest.fixture
def lanes():
    made = Lanes(2, 8)
    yield made
    made.shutdown()


class Gate:
    """Calls that stay until they are let go."""

    def __init__(self):
        self.inside, self.open, self.entered = 0, threading.Event(), threading.Semaphore(0)

    def __call__(self, before=lambda: None):
        before()
        self.inside += 1
        self.entered.release()
        assert self.open.wait(10)
        return threading.get_ident()


def test_results_and_errors_come_back(lanes):
    assert [lanes.submit(pow, 2, k).result(5) for k in range(5)] == [1, 2, 4, 8, 16]
    with pytest.raises(ZeroDivisionError):
        lanes.submit(divmod, 1, 0).result(5)


def test_a_few_threads_do_for_many_small_calls(lanes):
    used = {lanes.submit(threading.get_ident).result(5) for _ in range(100)}
    assert len(used) <= 2


def test_calls_that_give_up_their_lane_run_beside_each_other(lanes):
    gate = Gate()
    calls = [lanes.submit(gate, lanes.give_up) for _ in range(7)]
    for _ in calls:
        assert gate.entered.acquire(timeout=10)
    assert lanes.submit(pow, 2, 3).result(10) == 8
    gate.open.set()
    assert len({call.result(10) for call in calls}) == 7


def test_a_lane_that_nobody_waits_for_wakes_no_thread():
    lanes, gate = Lanes(1, 8), Gate()
    call = lanes.submit(gate, lanes.give_up)
    assert gate.entered.acquire(timeout=10)
    assert lanes.held == 1
    assert lanes.submit(pow, 2, 3).result(10) == 8
    gate.open.set()
    call.result(10)
    lanes.shutdown()


def test_it_is_told_whether_there_are_long_calls_when_that_changes():
    heard, ended = [], threading.Semaphore(0)

    def hears(some):
        heard.append(some)
        if not some:
            ended.release()

    lanes, gate = Lanes(2, 8, hears), Gate()
    assert lanes.submit(pow, 2, 3).result(10) == 8
    assert heard == []
    calls = [lanes.submit(gate, lanes.give_up) for _ in range(3)]
    for _ in calls:
        assert gate.entered.acquire(timeout=10)
    assert heard == [True]
    gate.open.set()
    assert ended.acquire(timeout=10)
    assert heard == [True, False]
    lanes.submit(lanes.give_up).result(10)
    assert ended.acquire(timeout=10)
    assert heard == [True, False] * 2
    lanes.shutdown()


def test_a_call_that_says_nothing_loses_its_lane(lanes):
    """As one does whose client never sends the request."""
    gate = Gate()
    calls = [lanes.submit(gate) for _ in range(2)]
    assert lanes.submit(pow, 2, 3).result(10) == 8
    assert not any(call.done() for call in calls)
    gate.open.set()
    assert all(call.result(10) for call in calls)


def test_no_more_threads_than_there_may_be(lanes):
    gate = Gate()
    calls = [lanes.submit(gate, lanes.give_up) for _ in range(12)]
    for _ in range(8):
        assert gate.entered.acquire(timeout=10)
    assert not gate.entered.acquire(timeout=0.3)
    gate.open.set()
    assert len({call.result(10) for call in calls}) <= 8


def test_a_lane_that_was_given_up_comes_back(lanes):
    for _ in range(20):
        lanes.submit(lanes.give_up).result(5)
    gate = Gate()
    calls = [lanes.submit(gate) for _ in range(2)]
    for _ in calls:
        assert gate.entered.acquire(timeout=10)
    gate.open.set()
    assert all(call.result(10) for call in calls)


def test_giving_up_elsewhere_changes_nothing(lanes):
    lanes.give_up()
    assert lanes.submit(pow, 2, 3).result(5) == 8


def test_the_end_cancels_what_has_not_begun(lanes):
    gate = Gate()
    for _ in range(2):
        lanes.submit(gate)
        assert gate.entered.acquire(timeout=10)
    late = lanes.submit(pow, 2, 3)
    lanes.shutdown()
    with pytest.raises(RuntimeError, match="no calls"):
        lanes.submit(pow, 2, 3)
    gate.open.set()
    assert late.cancel() or late.exception(10) is None


class Event:
    """What gRPC hands over beside what is to be called."""

    def __init__(self, peer):
        self.call, self.peer = self, lambda: peer.encode()


def test_connections_take_turns():
    """Who sends two hundred calls at once waits for them, and another does not."""
    lanes, gate, order = Lanes(2, 2), Gate(), []
    for _ in range(2):
        lanes.submit(gate)
        assert gate.entered.acquire(timeout=10)
    calls = [lanes.submit(lambda *_: order.append("many"), 0, Event("ipv4:1:1")) for _ in range(200)]
    calls += [lanes.submit(lambda *_: order.append("few"), 0, Event("ipv4:1:2")) for _ in range(5)]
    gate.open.set()
    for call in calls:
        call.result(10)
    assert len(order) == 205
    last = max(place for place, who in enumerate(order) if who == "few")
    assert last < 50
    lanes.shutdown()


@pytest.mark.parametrize(
    ("arguments", "expected"), [((), ""), ((1, 2), ""), ((0, Event("unix:")), "unix:"), ((0, None), "")]
)
def test_what_is_no_call_has_no_connection(arguments, expected):
    assert connection_of(arguments) == expected


@pytest.mark.parametrize(("size", "asked"), [(3, 0), (200_000, 1)])
def test_only_calls_worth_a_thread_give_up_their_lane(size, asked):
    """Those that are known: of others nobody knows what is to be made for them."""
    given_up = []
    context = Context(LocalPool(1))
    graph = trace(lambda w: np.sum(w * w), np.zeros(size)).graph
    question = Differentiate(Call(graph, {"w": np.ones(size)}), Gradient())
    for _ in range(2):
        control = Control.after(60.0, lambda: given_up.append(1))
        (answer,) = answers(context, question, control)
        assert answer.arrays["value"] == {"result": size}
    assert len(given_up) == asked
    context.front_end.close()
