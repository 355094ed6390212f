"""How many calls are worked on at once."""

import threading
import time
from typing import Any

import pytest

from gradserve.ir.errors import Cancelled, DeadlineExceeded, Unavailable
from gradserve.runtime.control import Control
from gradserve.service.admission import Admission
from gradserve.service.settings import Settings
from gradserve.service.ticket import Ticket


def admission(calls=2, nbytes=100, waiting=2, wait=5.0, **more):
    given = {"max_in_flight": calls, "max_in_flight_bytes": nbytes, "max_queued": waiting, "queue_seconds": wait}
    return Admission(Settings(**given, **more), workers=2)


def enter_in_thread(gate, size=1, control=None, caller=""):
    """A thread that enters; what it ended with, its ticket or an error."""
    outcome: list[Any] = []

    def run():
        try:
            outcome.append(gate.enter(size, control or Control(), caller))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, outcome


def wait_until(condition, seconds=5.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.002)


def test_counts():
    gate = admission()
    tickets = [gate.enter(10, Control()), gate.enter(20, Control())]
    assert (gate.calls, gate.bytes) == (2, 30)
    for ticket in tickets:
        ticket.leave()
    assert (gate.calls, gate.bytes) == (0, 0)


def test_waits_its_turn():
    gate = admission(calls=1)
    first = gate.enter(1, Control())
    threads = []
    for _ in range(2):
        before = gate.waiting
        threads.append(enter_in_thread(gate))
        wait_until(lambda: gate.waiting > before)  # noqa: B023
    first.leave()
    threads[0][0].join(5)
    (second,) = threads[0][1]
    assert isinstance(second, Ticket)
    assert threads[1][1] == []
    second.leave()
    threads[1][0].join(5)
    assert isinstance(threads[1][1][0], Ticket)


def test_turns_away_at_once_when_too_many_wait():
    gate = admission(calls=1, waiting=1)
    gate.enter(1, Control())
    enter_in_thread(gate)
    wait_until(lambda: gate.waiting)
    started = time.monotonic()
    with pytest.raises(Unavailable, match="max_in_flight"):
        gate.enter(1, Control())
    assert time.monotonic() - started < 5


def test_turns_away_after_waiting():
    gate = admission(calls=1, wait=0.05)
    gate.enter(1, Control())
    with pytest.raises(Unavailable, match="max_in_flight"):
        gate.enter(1, Control())
    assert not gate.waiting


def test_bytes_are_bounded_but_one_large_request_may_come_alone():
    gate = admission(calls=10, wait=0.05)
    alone = gate.enter(1000, Control())
    with pytest.raises(Unavailable, match="max_in_flight_bytes"):
        gate.enter(1, Control())
    alone.leave()
    gate.enter(60, Control())
    with pytest.raises(Unavailable, match="max_in_flight_bytes"):
        gate.enter(60, Control())
    gate.enter(40, Control())


def test_closed_gate_lets_nobody_in():
    gate = admission(calls=1)
    inside = gate.enter(1, Control())
    thread, outcome = enter_in_thread(gate)
    wait_until(lambda: gate.waiting)
    gate.close()
    thread.join(5)
    assert isinstance(outcome[0], Unavailable)
    with pytest.raises(Unavailable, match="stop"):
        gate.enter(1, Control())
    assert not gate.wait_idle(0.01)
    inside.leave()
    assert gate.wait_idle(0.01)


def test_cancelled_call_does_not_wait_on():
    gate, control = admission(calls=1), Control()
    gate.enter(1, Control())
    thread, outcome = enter_in_thread(gate, control=control)
    wait_until(lambda: gate.waiting)
    control.cancel()
    thread.join(2)
    assert isinstance(outcome[0], Cancelled)
    assert not gate.waiting


def test_call_that_is_cancelled_already_does_not_wait():
    gate, control = admission(calls=1), Control()
    gate.enter(1, Control())
    control.cancel()
    thread, outcome = enter_in_thread(gate, control=control)
    thread.join(2)
    assert isinstance(outcome[0], Cancelled)


def test_nobody_waits_beyond_the_deadline():
    gate = admission(calls=1)
    gate.enter(1, Control())
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        gate.enter(1, Control.after(0.05))
    assert time.monotonic() - started < 5


def test_many_threads_never_exceed_the_bound():
    gate = admission(calls=3, waiting=100)
    most = []

    def work():
        for _ in range(50):
            ticket = gate.enter(1, Control())
            most.append(gate.calls)
            ticket.leave()

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert max(most) <= 3
    assert (gate.calls, gate.bytes, len(most)) == (0, 0, 800)
