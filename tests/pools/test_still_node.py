"""A node that others run, on the machine of this process, and that a signal has stopped: its work is done beside it."""

import threading
import time
from contextlib import contextmanager, suppress

import numpy as np
import psutil
import pytest

from gradserve.ir.errors import Cancelled, Unavailable
from gradserve.ir.types import TensorType
from gradserve.ops import builder
from gradserve.pools.local.pool import LocalPool
from gradserve.pools.ray.healing import HealingPool
from gradserve.pools.ray.pool import RayPool
from gradserve.pools.ray.watch import ANSWER_SECONDS
from gradserve.pools.ray.workers import DOUBT_SECONDS
from gradserve.runtime.control import Control
from tests.pools.works import F64, bits, lasting, one_input, outer_schedule, products
from tests.raylets import unconnected
from tests.running import schedule_of
from tests.system.processes import is_actor

pytestmark = pytest.mark.ray

DELAY_SECONDS = 10.0
"""The longest delay that it may cause."""
HEALED_SECONDS = 60.0
MEMORY = 64 << 20


def wide():
    """A small argument, and a result of 800 KB, which comes by the store."""
    g = builder()
    x = g.input("x", TensorType(F64, (1,)))
    y = g.broadcast_to(g.exp(x), shape=(100_000,))
    return one_input(schedule_of(g.build({"y": y})), np.ones(1), chunks=3)


def tall():
    """Chunks of 400 KB each, which go there by the store."""
    return products(chunks=3, rows=250, length=200)[0]


@pytest.fixture(scope="module")
def node():
    with unconnected(2) as (found,):
        yield found


@pytest.fixture
def beside():
    pool = LocalPool(threads=1)
    yield pool
    pool.close()


@pytest.fixture
def pool(node, beside):
    """A pool that uses that node, and is patient; not open yet."""

    def start(running):
        found = RayPool(node.gcs_address, workers=2, worker_memory=MEMORY)
        running.callback(found.close)
        return found

    made = HealingPool(start, beside, 1 << 30, patient=True)
    yield made
    made.close()


def part(node, kind):
    return psutil.Process(node.all_processes[kind][0].process.pid)


@contextmanager
def stopped(*processes):
    """A context in which they stand still."""
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def until_workers(pool):
    assert until(lambda: pool.size == 2)


def seconds(pool, work, expected):
    """How long a work takes, whose results have these bits."""
    begun = time.monotonic()
    assert bits(pool.run(work, Control.after(60))) == expected
    return time.monotonic() - begun


def runs_there(pool, work):
    """Whether the workers of the cluster do it."""
    return all(result.worker.startswith("worker-") for result in pool.run(work, Control.after(60)))


@pytest.mark.parametrize("work", [tall(), wide()], ids=["arguments", "results"])
def test_what_lies_in_its_store_is_not_waited_for(pool, beside, node, work):
    expected = bits(beside.run(work, Control()))
    states: list[bool] = []
    pool.open()
    pool.tell(states.append)
    until_workers(pool)
    assert runs_there(pool, work)
    with stopped(part(node, "raylet")):
        assert seconds(pool, work, expected) < DELAY_SECONDS
        assert states == [True, False]
        assert seconds(pool, work, expected) < DELAY_SECONDS
    until_workers(pool)
    assert states == [True, False, True]
    seconds(pool, work, expected)
    assert runs_there(pool, work)


def test_who_begins_while_it_stands_still_does_without(pool, beside, node):
    work = tall()
    expected = bits(beside.run(work, Control()))
    with stopped(part(node, "raylet")):
        begun = time.monotonic()
        pool.open()
        assert pool.size == 0
        seconds(pool, work, expected)
        assert time.monotonic() - begun < DELAY_SECONDS
    until_workers(pool)
    assert runs_there(pool, work)


def test_who_ends_while_it_stands_still_does_not_wait_for_it(pool, node):
    pool.open()
    with stopped(part(node, "raylet")):
        begun = time.monotonic()
        pool.close()
        assert time.monotonic() - begun < DELAY_SECONDS


def test_without_its_head_a_cluster_is_lost_with_its_last_worker(pool, beside, node):
    work, large = tall(), one_input(outer_schedule(3000), np.linspace(0.0, 1.0, 3000))  # needs a worker of its own
    expected, control = bits(beside.run(work, Control())), part(node, "gcs_server")
    states: list[bool] = []
    pool.open()
    pool.tell(states.append)
    until_workers(pool)
    assert runs_there(pool, work)
    workers = [process for process in part(node, "raylet").children() if is_actor(process)]
    assert len(workers) == 2
    with stopped(control):
        time.sleep(ANSWER_SECONDS + 2)  # in which its silence is noticed
        assert runs_there(pool, work)
        begun = time.monotonic()
        with pytest.raises(Unavailable, match="head of the Ray cluster has not answered"):
            list(pool.run(large, Control.after(60)))
        assert time.monotonic() - begun < DELAY_SECONDS
        assert states == [True]
        with stopped(*workers):
            assert seconds(pool, work, expected) < DELAY_SECONDS
            assert states == [True, False]
    until_workers(pool)
    assert runs_there(pool, work)


@pytest.mark.parametrize("work", [tall(), wide()], ids=["arguments", "results"])
def test_a_worker_whose_node_stands_still_is_not_waited_for(beside, work):
    expected = bits(beside.run(work, Control()))
    with unconnected(0, 1, 1) as (head, *_):
        pool = RayPool(head.gcs_address, workers=1, worker_memory=MEMORY)
        try:
            assert seconds(pool, work, expected) < HEALED_SECONDS
            (pid,) = pool.worker_pids().values()
            with stopped(psutil.Process(pid).parent()):
                assert seconds(pool, work, expected) < DELAY_SECONDS
            assert pid not in pool.worker_pids().values()
        finally:
            pool.close()


def test_a_chunk_that_nobody_wants_ends_though_its_node_stands_still():
    control, work = Control(), lasting(steps=8000, chunks=1, size=2_000_000)
    with unconnected(0, 1) as (head, _):
        pool = RayPool(head.gcs_address, workers=1, worker_memory=MEMORY, silent_seconds=60.0)
        try:
            (pid,) = pool.worker_pids().values()
            worker = psutil.Process(pid)
            asking = threading.Thread(target=cancelled, args=(pool, work, control))
            asking.start()
            assert until(lambda: worker.cpu_percent(0.1) > 50)
            with stopped(worker.parent()):
                time.sleep(2 * DOUBT_SECONDS)  # by now it is asked whether it lives, and waits for its node
                control.cancel()
                asking.join()
                assert until(lambda: worker.cpu_percent(0.5) < 10)
            assert (pool.lost, pid in pool.worker_pids().values()) == (0, True)
        finally:
            pool.close()


def cancelled(pool, work, control):
    with pytest.raises(Cancelled):
        list(pool.run(work, control))


def until(holds):
    """Whether something comes to hold."""
    end = time.monotonic() + HEALED_SECONDS
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()
