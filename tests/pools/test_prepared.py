"""What is made ready to run: once for all who want the same, beside what others want, and only as long as wanted."""

import threading
import time

import numpy as np
import pytest

from gradserve.execution import executor
from gradserve.ir.errors import Cancelled
from gradserve.pools import prepared as module
from gradserve.pools.local.pool import LocalPool
from gradserve.pools.prepared import PreparedSchedules
from gradserve.runtime.control import Control
from tests.pools.test_processes import Begun, then, until
from tests.pools.works import bits, compiled_work, one_input, square_schedule


class Waiting:
    """An executor that makes one schedule ready when it is told to, and others at once."""

    def __init__(self, slow):
        self.slow, self.go_on, self.begun = slow, threading.Event(), threading.Event()
        self.count = 0

    def prepare(self, schedule):
        self.count += 1
        if schedule is self.slow:
            self.begun.set()
            assert self.go_on.wait(30)
        return schedule

    def preparing_seconds(self, _program):
        return 2.0


@pytest.fixture
def waiting(monkeypatch):
    found = Waiting(square_schedule(3))
    monkeypatch.setattr(module, "executor_of", lambda _: found)
    return found


@pytest.fixture
def lone():
    pool = LocalPool(threads=1, processes=True)
    assert pool.processes
    pool.processes.warm()
    yield pool
    pool.close()


def test_who_wants_another_program_does_not_wait(waiting):
    ready = PreparedSchedules()
    thread = threading.Thread(target=ready.prepared, args=(waiting.slow, "it"))
    thread.start()
    assert waiting.begun.wait(30)
    other = square_schedule(4)
    assert ready.prepared(other, "it") is other
    assert ready.find(waiting.slow.program.digest, "it") is None
    waiting.go_on.set()
    thread.join()
    assert ready.find(waiting.slow.program.digest, "it") is waiting.slow


def test_who_wants_the_same_waits_for_it(waiting):
    ready, found = PreparedSchedules(), []
    threads = [threading.Thread(target=lambda: found.append(ready.prepared(waiting.slow, "it"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert waiting.begun.wait(30)
    time.sleep(0.05)
    waiting.go_on.set()
    for thread in threads:
        thread.join()
    assert found == [waiting.slow] * 4
    assert waiting.count == 1


def test_only_what_is_not_ready_takes_time(waiting):
    ready, other = PreparedSchedules(), square_schedule(4)
    programs = [waiting.slow.program, other.program]
    assert ready.seconds(programs, "it") == 4.0
    ready.prepared(other, "it")
    assert ready.seconds(programs, "it") == 2.0


def test_machine_code_is_not_finished_for_nobody():
    work = compiled_work(steps=600)
    looks: list[None] = []

    def stopped():
        looks.append(None)
        return len(looks) > 1

    (schedule,) = work.schedules.values()
    with pytest.raises(Cancelled):
        PreparedSchedules().prepared(schedule, "fused", stopped)
    assert len(looks) == 2


def test_what_compiles_long_is_compiled_in_a_process_that_can_be_ended(lone):
    work, control = compiled_work(steps=400), Control()
    (schedule,) = work.schedules.values()
    assert lone.direct(schedule, "fused") is None
    begun = Begun(lone)
    then(begun, control.cancel)
    with pytest.raises(Cancelled):
        list(lone.run(work, control))
    assert until(lambda: len(lone.processes.pids) <= 1)
    (result,) = lone.run(work, Control.after(120))
    assert result.worker.startswith("process")
    inside = LocalPool(threads=1)
    assert bits([result]) == bits(inside.run(work, Control()))
    inside.close()


def test_what_compiles_quickly_runs_here(lone):
    schedule = executor("fused").schedule(square_schedule().program)
    assert lone.direct(schedule, "fused") is not None
    (result,) = lone.run(one_input(schedule, np.ones(4), executor="fused"), Control.after(60))
    assert result.worker == "front-end"
