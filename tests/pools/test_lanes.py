"""Small chunks by lane, on real actors of two Ray nodes: bits, deaths, stopping, and what is left."""

import os
import signal
import socket
import tempfile
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import psutil
import pytest

from gradserve.ir.errors import Cancelled, DeadlineExceeded
from gradserve.pools.local.pool import LocalPool
from gradserve.pools.ray.lane import Lane
from gradserve.pools.ray.packets import unpacked
from gradserve.pools.ray.pool import RayPool
from gradserve.pools.replies import Done
from gradserve.pools.work import Chunk, Shared
from gradserve.runtime.control import Control
from tests.pools.works import (
    bits,
    lasting,
    one_input,
    probes,
    product_schedule,
    products,
    square_schedule,
    squares,
    work_of,
)
from tests.raylets import nodes

pytestmark = pytest.mark.ray

MEMORY = 64 << 20
NEAR_CPUS = 2
"""What a worker takes that shall not fit on the other node."""


@pytest.fixture(scope="module")
def address():
    """A node with room for two workers of this file, and one for whoever wants a single CPU when that is full."""
    with nodes(2 * NEAR_CPUS, 1) as found:
        yield found


def ready(pool, size):
    end = time.monotonic() + 30
    while pool.size < size and time.monotonic() < end:
        time.sleep(0.02)
    assert pool.size == size
    return pool


@pytest.fixture(scope="module")
def shared_near(address):
    pool = ready(RayPool(address, 2, worker_memory=MEMORY, cpus_per_worker=NEAR_CPUS, silent_seconds=3.0), 2)
    yield pool
    pool.close()


@pytest.fixture
def near(shared_near):
    """Two workers on the node of this process."""
    return ready(shared_near, 2)


@pytest.fixture(scope="module")
def far(shared_near, address):
    """One worker on the other node."""
    pool = ready(RayPool(address, 1, worker_memory=MEMORY), 1)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def reference():
    pool = LocalPool(threads=1)
    yield pool
    pool.close()


@pytest.fixture
def carried(monkeypatch):
    """The packets that lanes have carried."""
    packets, send = [], Lane.send

    def noted(self, packet):
        future = send(self, packet)
        if future is not None:
            packets.append(packet)
        return future

    monkeypatch.setattr(Lane, "send", noted)
    return packets


def by_columns():
    """A matrix in Fortran's order that every chunk takes whole."""
    rng = np.random.default_rng(3)
    data = {"a": np.asfortranarray(rng.standard_normal((20, 30))), "w": rng.standard_normal(30)}
    schedule = product_schedule(20, 30)
    return work_of(schedule, data, (Chunk(schedule.program.digest, {"a": Shared("a"), "w": Shared("w")}),) * 3)


WORKS = {
    "rows": lambda: products(chunks=7, rows=4)[0],
    "probes": lambda: probes(chunks=5),
    "columns": by_columns,
    "large": lambda: products(chunks=4, rows=100)[0],  # by Ray's store
    "large results": lambda: one_input(square_schedule(50_000), np.linspace(0.0, 1.0, 50_000), chunks=3),
}


@pytest.mark.parametrize("make", WORKS.values(), ids=list(WORKS))
def test_bits_are_those_without_lanes_and_those_of_another_node(near, far, reference, carried, monkeypatch, make):
    work = make()
    expected = bits(reference.run(work, Control()))
    assert bits(near.run(work, Control.after(30))) == expected
    assert bits(near.run(work, Control.after(30))) == expected  # by now the workers know the program
    small = make in [WORKS["rows"], WORKS["probes"], WORKS["columns"]]
    assert (len(carried) == 2 * len(work.chunks)) if small else not carried
    monkeypatch.setattr(Lane, "send", lambda self, packet: None)
    assert bits(near.run(work, Control.after(30))) == expected
    assert bits(far.run(work, Control.after(30))) == expected


def test_the_planted_fault_of_a_bit_lost_on_the_way_is_found(near, reference, monkeypatch):
    def wrong(packet):
        reply = unpacked(packet)
        if isinstance(reply, Done):
            reply.outputs["y"] = np.nextafter(reply.outputs["y"], np.inf)
        return reply

    monkeypatch.setattr("gradserve.pools.ray.dispatcher.unpacked", wrong)
    work = WORKS["rows"]()
    assert bits(near.run(work, Control.after(30))) != bits(reference.run(work, Control()))


def test_a_lane_is_shorter_than_the_way_to_another_node(near, far, carried):
    assert near.hop_seconds < far.hop_seconds
    assert len(list(far.run(products(chunks=3)[0], Control.after(30)))) == 3
    assert not carried


@pytest.mark.parametrize("victim", [0, 1])
def test_chunks_on_the_lane_of_a_killed_worker_run_again(near, reference, carried, victim):
    work = lasting(steps=20 + victim, chunks=12)
    expected = bits(reference.run(work, Control()))
    pid = sorted(near.worker_pids().values())[victim]
    results = near.run(work, Control.after(60))
    got = [next(results)]
    os.kill(pid, signal.SIGKILL)
    got += list(results)
    assert bits(got) == expected  # every chunk once, in order
    assert sum(r.retries for r in got) > 0
    assert len(carried) > len(work.chunks)
    ready(near, 2)
    assert pid not in near.worker_pids().values()
    assert near.hop_seconds < 1e-3  # the new one has a lane as well


def test_chunks_of_a_stopped_worker_run_again_and_are_taken_once(near, reference):
    work = lasting(steps=20, chunks=12)
    expected = bits(reference.run(work, Control()))
    (stopped, *_) = near.worker_pids().values()
    results = near.run(work, Control.after(60))
    got = [next(results)]
    os.kill(stopped, signal.SIGSTOP)
    got += list(results)
    assert bits(got) == expected
    assert stopped not in near.worker_pids().values()


def test_the_planted_fault_of_a_reply_that_is_lost_is_found(near, monkeypatch):
    before = set(near.worker_pids().values())
    monkeypatch.setattr(Lane, "send", lambda self, packet: Future())
    with pytest.raises(DeadlineExceeded):
        list(near.run(products(chunks=2)[0], Control.after(1.0)))
    end = time.monotonic() + 20
    while before & set(near.worker_pids().values()) and time.monotonic() < end:  # they look as if they did not stop
        time.sleep(0.02)
    assert not before & set(near.worker_pids().values())


def test_many_small_chunks_of_several_threads(near, carried):
    works = [products(chunks=40, rows=2, length=30, seed=k) for k in range(6)]
    answers = {}

    def call(k):
        answers[k] = list(near.run(works[k][0], Control.after(60)))

    threads = [threading.Thread(target=call, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k, (_, a, w) in enumerate(works):
        assert [r.index for r in answers[k]] == list(range(40))
        np.testing.assert_allclose(np.concatenate([r.outputs["y"] for r in answers[k]]), np.tanh(a @ w), rtol=1e-12)
    assert len(carried) >= 6 * 40


@pytest.mark.parametrize("late", [False, True], ids=["cancelled", "late"])
def test_stopping_frees_the_workers_without_ending_them(near, carried, late):
    pids, started = near.worker_pids(), time.monotonic()
    control = Control.after(0.4) if late else Control()
    if not late:
        threading.Timer(0.4, control.cancel).start()
    with pytest.raises(DeadlineExceeded if late else Cancelled):
        list(near.run(lasting(steps=60, chunks=6, size=2_000_000), control))  # quickly made ready, unlike many steps
    seen: set[str] = set()
    while seen < set(pids):
        seen |= {r.worker for r in near.run(lasting(steps=1, chunks=8), Control.after(20))}
    assert time.monotonic() - started < 10
    assert near.worker_pids() == pids
    assert carried


def test_a_worker_that_hears_late_that_it_shall_stop_is_kept(far):
    """As on a machine whose processors are all taken: what counts is when it heard of it, not when it was told."""
    pids, control = far.worker_pids(), Control()
    (pid,) = pids.values()

    def stop():
        os.kill(pid, signal.SIGSTOP)
        control.cancel()
        time.sleep(2)
        os.kill(pid, signal.SIGCONT)

    threading.Timer(0.4, stop).start()
    with pytest.raises(Cancelled):
        list(far.run(lasting(steps=200, chunks=2, size=2_000_000), control))
    assert len(list(far.run(squares(), Control.after(20)))) == 1
    assert far.worker_pids() == pids


def lanes():
    """The lanes of this process: the threads at their ends, and the sockets of their kind."""
    ends = sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("gradserve-lane-"))
    kinds = [one.type for one in psutil.Process().net_connections("unix")]
    return ends, kinds.count(socket.SOCK_SEQPACKET)


def test_lanes_end_with_their_pool_and_leave_no_file(far, address, monkeypatch):
    folder = tempfile.mkdtemp(prefix="gs-")  # short, because the names of sockets may not be long
    monkeypatch.setattr(tempfile, "tempdir", folder)
    before = lanes()
    pool = RayPool(address, 1, worker_memory=2 * MEMORY, cpus_per_worker=0)
    assert len(list(ready(pool, 1).run(products(chunks=3)[0], Control.after(30)))) == 3
    assert not list(Path(folder).iterdir())  # no name is left through which another process could come
    pool.close()
    end = time.monotonic() + 10
    while lanes() != before and time.monotonic() < end:
        time.sleep(0.02)
    assert lanes() == before
    Path(folder).rmdir()


def test_a_worker_that_never_starts_leaves_no_door(address, monkeypatch):
    folder = tempfile.mkdtemp(prefix="gs-")
    monkeypatch.setattr(tempfile, "tempdir", folder)
    pool = RayPool(address, 1, worker_memory=MEMORY, cpus_per_worker=64)  # more than there is
    assert list(Path(folder).iterdir())
    pool.close()
    Path(folder).rmdir()
