"""How many calls are worked on at once."""

import threading
import time
from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from gradserve.ir.errors import Cancelled, DeadlineExceeded, GradserveError, Overloaded, Unavailable
from gradserve.runtime.control import Control
from gradserve.runtime.planned import Planned
from gradserve.service.admission.admission import Admission
from gradserve.service.admission.ticket import Ticket
from gradserve.service.configuration.settings import Settings


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


LONG = Planned(1e9, 1e9, 0.5, 0.5, 100, "front-end")
SHORT = Planned(1e6, 1e6, 1e-3, 1e-3, 100, "front-end")
TINY = Planned(1e3, 1e3, 1e-6, 1e-6, 100, "front-end")


def begin_in_thread(gate, caller, planned, control=None):
    """A thread whose call begins what is planned; its ticket, once it has begun, or an error."""
    outcome: list[Any] = []
    control = control or Control()

    def run():
        ticket = gate.enter(1, control, caller)
        try:
            ticket.begins(planned, control)
            outcome.append(ticket)
        except Exception as error:
            ticket.leave()
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, outcome


def begun(gate, caller="", planned=LONG):
    ticket = gate.enter(1, Control(), caller)
    ticket.begins(planned, Control())
    return ticket


def test_long_work_waits_for_workers_and_short_work_does_not_wait_for_it():
    gate = admission(calls=50, waiting=50)
    inside = [begun(gate) for _ in range(2)]
    _, outcome = begin_in_thread(gate, "a", LONG)
    wait_until(lambda: gate.waiting == 1)
    assert (gate.calls, gate.gates["front-end"].inside) == (3, 2)
    others = [begun(gate, "b", SHORT), begun(gate, "b", TINY)]
    assert (gate.calls, gate.waiting) == (5, 1)
    inside[0].leave()
    wait_until(lambda: outcome)
    for ticket in (*others, inside[1], outcome[0]):
        ticket.leave()
    assert (gate.calls, gate.bytes, gate.waiting) == (0, 0, 0)
    assert gate.wait_idle(0.1)


def test_callers_take_turns_at_a_gate():
    gate = admission(calls=50, waiting=50)
    first, held = begun(gate), begun(gate)
    greedy = []
    for k in range(10):
        greedy.append(begin_in_thread(gate, "greedy", LONG))
        wait_until(lambda: gate.waiting == k + 1)  # noqa: B023
    _, polite = begin_in_thread(gate, "polite", LONG)
    wait_until(lambda: gate.waiting == 11)
    order: list[str] = []
    outcomes = {"polite": polite} | {str(k): outcome for k, (_, outcome) in enumerate(greedy)}
    first.leave()
    while len(order) < 11:
        wait_until(lambda: any(outcomes.values()))
        for name, outcome in outcomes.items():
            if outcome:
                order.append(name)
                outcome.pop().leave()
                break
    held.leave()
    assert order.index("polite") <= 1
    assert [name for name in order if name != "polite"] == [str(k) for k in range(10)]


def test_a_full_queue_turns_away_whoever_has_most_in_it():
    gate = admission(calls=50, waiting=4)
    inside = [begun(gate) for _ in range(2)]
    greedy = []
    for k in range(4):
        greedy.append(begin_in_thread(gate, "greedy", LONG)[1])
        wait_until(lambda: gate.waiting == k + 1)  # noqa: B023
    _, polite = begin_in_thread(gate, "polite", LONG)
    wait_until(lambda: greedy[3])
    assert isinstance(greedy[3][0], Overloaded)
    assert greedy[3][0].limit == "max_in_flight"
    assert gate.waiting == 4
    _, late = begin_in_thread(gate, "greedy", LONG)
    wait_until(lambda: late)
    assert isinstance(late[0], Overloaded)
    assert gate.shed["max_in_flight"] == 2
    for ticket in inside:
        ticket.leave()
    wait_until(lambda: gate.waiting == 2)
    gate.close()
    for ticket in [each for outcome in (*greedy[:3], polite) for each in outcome]:
        ticket.leave()


def test_who_is_turned_away_is_told_to_come_back_in_turn():
    """Each of them later than the one before: all at once they would be too many again."""
    gate = admission(calls=50, waiting=0)
    inside = [begun(gate) for _ in range(2)]
    told = []
    for _ in range(5):
        ticket = gate.enter(1, Control(), "a")
        with pytest.raises(Overloaded, match="try again in") as caught:
            ticket.begins(LONG, Control())
        ticket.leave()
        told.append(caught.value.retry_after)
    assert told == sorted(told)
    # Both inside have just begun. One of them is taken to leave after two thirds of half a second, and until it
    # has been seen how fast they are, two workers do half a second of work in a quarter.
    assert told[0] == pytest.approx(0.33 + 0.25, abs=0.2)
    assert told[-1] == pytest.approx(0.33 + 5 * 0.25, abs=0.3)
    for ticket in inside:
        ticket.leave()
    assert begun(gate, "a").leave() is None


def test_work_under_way_is_never_turned_away():
    gate = admission(calls=50, waiting=0)
    control = Control()
    mine = gate.enter(1, control, "a")
    mine.begins(LONG, control)
    mine.rests()
    inside = [begun(gate, "b") for _ in range(2)]
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(mine.goes_on(control)), daemon=True)
    thread.start()
    wait_until(lambda: gate.waiting == 1)
    inside[0].leave()
    thread.join(5)
    assert outcome == [None]
    mine.leave()
    inside[1].leave()
    assert (gate.calls, gate.bytes) == (0, 0)


@pytest.mark.parametrize(
    ("setting", "most"),
    [("max_in_flight_flops", 1.5e9), ("max_in_flight_seconds", 0.7), ("max_in_flight_peak_bytes", 150)],
)
def test_predicted_work_in_flight_is_bounded(setting, most):
    gate = admission(calls=50, waiting=0, **{setting: most})
    alone = begun(gate, planned=replace(LONG, flops=1e12, seconds=100.0, peak_bytes=1000))  # too large, so alone
    ticket = gate.enter(1, Control())
    with pytest.raises(Overloaded) as caught:
        ticket.begins(LONG, Control())
    assert caught.value.limit == setting
    ticket.leave()
    alone.leave()
    begun(gate).leave()


def test_memory_of_the_cluster_is_not_that_of_the_process():
    gate = admission(calls=50, waiting=0, max_in_flight_peak_bytes=150)
    elsewhere = replace(LONG, place="cluster")
    for ticket in [begun(gate, planned=elsewhere) for _ in range(2)]:
        ticket.leave()


def test_a_cluster_that_may_grow_is_given_what_it_grows_by():
    limits = {kind: gate.adaptive.limit for kind, gate in admission(calls=64, max_workers=5).gates.items()}
    assert limits == {"short": 2, "front-end": 2, "cluster": 10}


def test_one_caller_may_have_its_share_and_no_more():
    gate = admission(calls=4, waiting=4, caller_share=0.5)
    mine = [gate.enter(1, Control(), "a") for _ in range(2)]
    _, third = enter_in_thread(gate, caller="a")
    wait_until(lambda: gate.waiting == 1)
    gate.enter(1, Control(), "b").leave()  # passes whoever waits for itself
    assert not third
    mine[0].leave()
    wait_until(lambda: third)
    third[0].leave()
    mine[1].leave()
    assert (gate.calls, gate.bytes, gate.waiting) == (0, 0, 0)


def test_a_quota_that_is_spent_comes_back():
    now = 0.0
    spent = Settings(quota_flops=1e9, quota_seconds=2.0)
    gate = Admission(spent, workers=2, clock=lambda: now)
    begun(gate, "a", replace(LONG, flops=5e9)).leave()
    with pytest.raises(Overloaded) as caught:
        gate.enter(1, Control(), "a")
    assert caught.value.limit == "quota_flops"
    assert caught.value.retry_after == pytest.approx(3.0, rel=0.01)
    gate.enter(1, Control(), "b").leave()
    now = caught.value.retry_after
    gate.enter(1, Control(), "a").leave()
    for _ in range(2):  # small work is charged when the call ends
        begun(gate, "c", replace(TINY, flops=1e9)).leave()
    with pytest.raises(Overloaded):
        gate.enter(1, Control(), "c")


def test_threads_that_do_everything_at_once_leave_nothing_behind():
    gate = admission(calls=8, waiting=6, wait=0.05, caller_share=0.75)
    ended: Counter[str] = Counter()

    def work(seed):
        random = Random(seed)
        for _ in range(40):
            control = Control.after(random.choice([0.01, 5.0]))
            try:
                ticket = gate.enter(random.randrange(30), control, random.choice("abc"))
            except GradserveError as error:
                ended[type(error).__name__] += 1
                continue
            try:
                for planned in random.choices([LONG, SHORT, TINY], k=random.randrange(3)):
                    ticket.begins(planned, control)
                    if random.random() < 0.3:
                        ticket.rests()
                        ticket.goes_on(control)
                ended["done"] += 1
            except GradserveError as error:
                ended[type(error).__name__] += 1
            finally:
                ticket.leave(as_predicted=True)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(ended.values()) == 24 * 40
    assert ended["done"] > 0
    assert (gate.calls, gate.bytes, gate.waiting) == (0, 0, 0)
    assert all(not each.inside and not each.queue for each in gate.gates.values())
