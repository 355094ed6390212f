"""A minute's load in small: nothing is wrong, nothing lost; and what a soak would tell if something were."""

import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest

from gradserve.ir.errors import Unavailable
from tests.soak import growth, soak
from tests.soak.calls import Kind
from tests.soak.durations import Durations
from tests.soak.growth import Watch, growth_of
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


LEAKS = "import os, sys; any(os.open(os.devnull, os.O_RDONLY) < 0 for _ in sys.stdin)"
"""A process that keeps one more file open for each line that it reads."""


def test_a_descriptor_leaked_at_every_look_is_growth(monkeypatch):
    monkeypatch.setattr(growth, "PAUSE_SECONDS", 0.01)
    with subprocess.Popen([sys.executable, "-c", LEAKS], stdin=subprocess.PIPE, bufsize=0) as process:
        still = growing(process, b"")
        grown = growing(process, b"\n")
        process.kill()
    assert "descriptors" not in still
    assert "descriptors" in grown


def growing(process, line):
    looks = []

    def looked():
        looks.append(process.stdin.write(line))
        return [psutil.Process(process.pid)]

    with Watch({"looked at": looked}) as watched:
        until = time.monotonic() + 30
        while len(looks) < LOOKS and time.monotonic() < until:
            time.sleep(0.01)
    return [growth.figure for growth in watched.growth(warm_up=0.0) if growth.grows]


MINUTES = np.arange(0.0, 14.0, 1 / 30)
NOISE = np.random.default_rng(1).normal(0.0, 2.0, len(MINUTES))


def verdict(figures):
    return growth_of("a process", "MiB", MINUTES, 200 + figures + NOISE).verdict


def test_what_leaks_is_told_from_what_fills():
    assert verdict(1.7 * MINUTES) == "grows"
    assert verdict(np.minimum(10.0 * MINUTES, 50.0)) == "filled"
    assert verdict(40.0 * (1 - np.exp(-MINUTES))) == "filled"
    assert verdict(0.0 * MINUTES) == "still"
    assert (
        verdict(np.where(MINUTES > 9.0, 30.0, 0.0)) == "still"
    )  # a step: once more than before, and no more than that


def test_durations_are_told_to_a_hundredth_without_being_kept():
    taken = np.random.default_rng(2).lognormal(-5.0, 1.0, 20_000)
    halves = Durations(), Durations()
    for k, seconds in enumerate(taken):
        halves[k % 2].add(seconds)
    both = halves[0].joined(halves[1])
    for share in (0.5, 0.99):
        assert both.quantile(share) == pytest.approx(np.quantile(taken, share), rel=0.02)
    assert both.longest == both.quantile(1.0) == taken.max()
    assert len(both._counts) < 1000


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
