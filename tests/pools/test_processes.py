"""Processes for heavy work: the same bits as in this process, and what comes of those that die or stand still."""

import gc
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from gradserve.ir.errors import Cancelled, DeadlineExceeded, NumericalFailure, Unavailable, WorkerLost
from gradserve.pools.local.passing import LARGE_BYTES, MOST_FILES, Cargo, close, receive, send, unloaded
from gradserve.pools.local.pool import LocalPool
from gradserve.runtime.control import Control
from tests.pools.works import (
    bits,
    endless_work,
    indefinite,
    long_work,
    one_input,
    one_long_step,
    outer_schedule,
    squares,
)
from tests.system import exposure
from tests.system.processes import starve

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pool():
    pool = LocalPool(threads=2, processes=True)
    yield pool
    pool.close()


@pytest.fixture
def lone():
    """A pool of one process, which is there and knows how to run something."""
    pool = LocalPool(threads=1, processes=True)
    list(pool.run(long_work(steps=30, chunks=1, length=2_000_000), Control.after(60)))
    yield pool
    pool.close()


@pytest.fixture
def inside():
    pool = LocalPool(threads=1)
    yield pool
    pool.close()


def heavy(chunks=1):
    """Chunks that take a second or so."""
    return long_work(steps=200, chunks=chunks, length=2_000_000)


def until(holds, seconds=20.0):
    """Whether something comes to hold."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


class Begun:
    """Tells when a process of a pool, idle so far, has begun with something."""

    def __init__(self, pool):
        (self.pid,) = pool.processes.pids
        self._process = psutil.Process(self.pid)
        self._before = self._seconds()

    def _seconds(self):
        return sum(self._process.cpu_times()[:2])

    def wait(self):
        assert until(lambda: self._seconds() > self._before + 0.1)


def then(begun, act):
    """Does something in a thread of its own, once a process has begun."""
    threading.Thread(target=lambda: (begun.wait(), act())).start()


def test_heavy_chunks_run_in_processes_with_the_same_bits(pool, inside):
    results = list(pool.run(heavy(2), Control.after(60)))
    assert bits(results) == bits(inside.run(heavy(2), Control()))
    assert {result.worker.split("-")[0] for result in results} == {"process"}
    assert all(result.seconds > 0 and result.waited >= 0 and result.retries == 0 for result in results)
    (small,) = pool.run(squares(), Control())
    assert small.worker == "front-end"


def test_an_impossible_step_is_a_typed_failure(pool):
    results = pool.run(indefinite(2000), Control.after(60))
    np.testing.assert_array_equal(next(results).outputs["y"], np.eye(2000))
    with pytest.raises(NumericalFailure) as raised:
        next(results)
    assert raised.value.violations[0].constraint == "cholesky"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_chunk_whose_process_dies_or_stands_still_runs_again_with_the_same_bits(lone, inside, number):
    begun = Begun(lone)
    then(begun, lambda: os.kill(begun.pid, number))
    (result,) = lone.run(heavy(), Control.after(60))
    assert bits([result]) == bits(inside.run(heavy(), Control()))
    assert result.retries == 1
    assert lone.processes.lost == 1


def test_a_chunk_that_costs_every_process_its_life_is_given_up_and_others_go_on(lone):
    over = threading.Event()

    def crash():
        while not over.is_set():
            for pid in lone.processes.pids:
                os.kill(pid, signal.SIGSEGV)
            time.sleep(0.02)

    thread = threading.Thread(target=crash)
    thread.start()
    try:
        with pytest.raises(WorkerLost, match=r"was lost 6 times, .* ended by SIGSEGV"):
            list(lone.run(heavy(), Control.after(60)))
    finally:
        over.set()
        thread.join()
    assert len(list(lone.run(heavy(), Control.after(60)))) == 1


def test_a_process_without_memory_says_so_and_goes_on(lone):
    (pid,) = lone.processes.pids
    before = resource.prlimit(pid, resource.RLIMIT_AS)
    starve(psutil.Process(pid), room=40 << 20)
    with pytest.raises(NumericalFailure, match="allocate"):
        list(lone.run(one_input(outer_schedule(9000), np.ones(9000)), Control.after(60)))
    resource.prlimit(pid, resource.RLIMIT_AS, before)
    assert len(list(lone.run(heavy(), Control.after(60)))) == 1
    assert lone.processes.pids == [pid]


def test_a_chunk_amid_a_long_step_is_ended_and_its_process_replaced(lone):
    begun, control = Begun(lone), Control()
    then(begun, control.cancel)
    with pytest.raises(Cancelled):
        list(lone.run(one_long_step(), control))
    assert until(lambda: begun.pid not in lone.processes.pids and len(lone.processes.pids) == 1)
    assert not psutil.pid_exists(begun.pid)


def test_a_chunk_between_short_steps_stops_and_keeps_its_process(lone):
    before = lone.processes.pids
    with pytest.raises(DeadlineExceeded):
        list(lone.run(endless_work(chunks=1), Control.after(0.4)))
    assert len(list(lone.run(heavy(), Control.after(60)))) == 1
    assert lone.processes.pids == before


def test_closing_the_pool_ends_who_waits_and_the_processes(lone):
    begun = Begun(lone)
    then(begun, lone.close)
    with pytest.raises(Unavailable):
        list(lone.run(one_long_step(), Control()))
    assert until(lambda: not psutil.pid_exists(begun.pid))
    with pytest.raises(Unavailable):
        list(lone.run(heavy(), Control()))


def test_a_process_stands_back_behind_the_one_that_started_it(lone):
    begun = Begun(lone)
    assert psutil.Process(begun.pid).nice() == max(10, psutil.Process().nice())
    sharing = Path(f"/proc/{begun.pid}/autogroup")
    assert not sharing.exists() or sharing.read_text().endswith("nice 10\n")


def test_a_process_listens_nowhere(lone):
    family = exposure.family(Begun(lone).pid)
    assert exposure.ports(family) == set()
    assert exposure.unix_sockets(family) == set()


OWNER = """
import os, signal
from gradserve.pools.local.pool import LocalPool
pool = LocalPool(1, processes=True)
pool.processes.warm()
print(*pool.processes.pids, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_ends_with_the_one_that_started_it():
    done = subprocess.run([sys.executable, "-c", OWNER], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    assert until(lambda: not psutil.pid_exists(int(done.stdout)))


class Broken(Control):
    """Fails, once, while a chunk is at work."""

    def __init__(self, begun):
        super().__init__()
        self._begun, self._failed = begun, False

    def stopped(self):
        if not self._failed and self._begun._seconds() > self._begun._before + 0.1:
            self._failed = True
            raise RuntimeError("planted")
        return super().stopped()


def test_the_reply_to_a_chunk_that_was_given_up_is_not_taken_for_that_to_the_next(lone, inside):
    with pytest.raises(RuntimeError, match="planted"):
        list(lone.run(heavy(), Broken(Begun(lone))))
    other = long_work(steps=150, chunks=1, length=2_000_000)
    assert bits(lone.run(other, Control.after(60))) == bits(inside.run(other, Control()))


@pytest.fixture
def descriptors():
    """Lets this process have some thousand of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    taken: list[int] = []
    yield taken
    for each in taken:
        os.close(each)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_service_with_a_thousand_connections_has_processes(descriptors, inside):
    gc.collect()  # pools of other tests have lower ones
    descriptors += [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    pool = LocalPool(threads=1, processes=True)
    assert bits(pool.run(heavy(), Control.after(60))) == bits(inside.run(heavy(), Control()))
    pool.close()


def test_arrays_without_a_descriptor_are_a_typed_failure_and_the_next_come_through(lone, descriptors):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (max(int(each.name) for each in Path("/proc/self/fd").iterdir()) + 1, most[1])
    )
    try:
        descriptors += fill()
        with pytest.raises(Unavailable):
            list(lone.run(heavy(), Control.after(60)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, most)
    assert len(list(lone.run(heavy(), Control.after(60)))) == 1


def fill():
    """Takes all descriptors that are left."""
    taken = []
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return taken


def passed(arrays):
    """Arrays as they come out at the other end of a socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        cargo = Cargo()
        parts = cargo.parts(arrays)
        sender = threading.Thread(target=send, args=(ours, parts, cargo.held))
        sender.start()
        parts, files = receive(theirs)
        sender.join()
    try:
        return unloaded(parts, files)
    finally:
        close(files)


def test_arrays_come_through_as_they_are():
    rng = np.random.default_rng(0)
    square = rng.standard_normal((200, 100))
    arrays = {
        "rows": square,
        "columns": np.asfortranarray(square),
        "strided": rng.standard_normal((400, 200))[::2, ::2],
        "complex": square + 1j,
        "whole": np.arange(20_000),
        "yes": square > 0,
        "small": np.arange(3.0),
        "none": np.zeros((0, 100_000)),
        "one": np.array(2.0),
    }
    assert arrays["rows"].nbytes > LARGE_BYTES
    found = passed(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, strict=True)
        assert found[name].flags.fnc == array.flags.fnc


def test_more_large_arrays_than_files_come_through():
    arrays = {str(k): np.full(LARGE_BYTES // 8, float(k)) for k in range(MOST_FILES + 10)}
    found = passed(arrays)
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())
