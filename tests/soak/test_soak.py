"""A minute's load in small: nothing is wrong, nothing lost; and what a soak would tell if something were."""

import os
import threading
import time

import pytest

from gradserve.ir.errors import Unavailable
from tests.soak import growth, soak
from tests.soak.calls import Kind
from tests.soak.growth import Growth
from tests.soak.service import Service
from tests.soak.soak import Outcome, faults

LOOKS = 40
"""At processes that may grow."""


class Done(Service):
    """A service that is not there, and tells which faults would have been done to it."""

    def __init__(self):
        pass

    def restart(self, number):
        return f"restart by {number.name}"

    def kill_worker(self):
        return "kill"

    def stop_worker(self):
        return "stop"

    def starve_worker(self):
        return "starve"


def came_of(call, expected):
    """What a caller makes of one kind of call."""
    out, over = Outcome(), threading.Event()
    caller = soak._Caller({"a call": Kind(1, call)}, {"a call": expected}, 0, out, over)
    caller.start()
    while not (out.answered or out.lost):
        time.sleep(0.01)
    over.set()
    caller.join()
    return out


def lost():
    raise Unavailable("the service is away")


def test_an_answer_that_differs_and_a_call_that_fails_are_told():
    assert came_of(lambda: b"1", b"1").passed
    assert set(came_of(lambda: b"1", b"2").wrong) == {"a call"}
    assert "Unavailable" in came_of(lost, b"1").lost[0]


def test_a_descriptor_leaked_at_every_look_is_growth(monkeypatch):
    monkeypatch.setattr(growth, "PAUSE_SECONDS", 0.01)
    leaked = []

    def leak():
        leaked.append(os.open(os.devnull, os.O_RDONLY))
        return []

    still, grown = slopes(lambda: []), slopes(leak)
    for each in leaked:
        os.close(each)
    assert [slope for slope in still if slope.figure == "descriptors" and slope.grows] == []
    assert [slope for slope in grown if slope.figure == "descriptors" and slope.grows]


def slopes(workers):
    looks = []

    def looked():
        looks.append(time.monotonic())
        return workers()

    with Growth(os.getpid, looked) as watched:
        until = time.monotonic() + 30
        while len(looks) < LOOKS and time.monotonic() < until:
            time.sleep(0.01)
    return watched.slopes(warm_up=0.0)


def test_every_kind_of_fault_is_planned():
    done = [(moment, fault()) for moment, fault in faults(Done(), 1200.0)]
    said = [name for _, name in done]
    assert said.count("kill") == 40
    assert set(said) == {"kill", "stop", "starve", "restart by SIGTERM", "restart by SIGKILL"}
    assert [moment for moment, _ in done] == sorted(moment for moment, _ in done)


@pytest.mark.ray
@pytest.mark.slow
def test_a_short_soak_loses_nothing():
    out = soak.soak(12.0, callers=3)
    assert out.wrong == out.lost == out.untyped == []
    assert [said for _, said in out.faults if "killed" in said or "stopped" in said]
    assert {"front end restarted by SIGTERM", "front end restarted by SIGKILL"} <= {said for _, said in out.faults}
