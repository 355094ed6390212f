"""A cluster that is lost or not there: nothing of a work is lost or done twice, and the cluster is tried again."""

import threading
import time

import pytest

from gradserve.ir.errors import DeadlineExceeded, Unavailable
from gradserve.pools.local.pool import LocalPool
from gradserve.pools.ray import cluster as local_cluster
from gradserve.pools.ray import healing
from gradserve.pools.ray.healing import HealingPool
from gradserve.runtime.control import Control
from tests.pools.works import bits, products, squares


def opened(*arguments, **options):
    pool = HealingPool(*arguments, **options)
    pool.open()
    return pool


@pytest.fixture
def beside():
    pool = LocalPool(threads=1)
    yield pool
    pool.close()


class Cluster(LocalPool):
    """A cluster as far as these tests need one: threads, which end amid a work when it is lost."""

    wanted, lost, waiting = 2, 0, 0
    after = 10**9
    """How many chunks it answers until it is lost."""

    def run(self, work, control):
        for result in super().run(work, control):
            if self.after == 0:
                local_cluster.lose("its power is off")
                raise Unavailable("the pool is closed")
            self.after -= 1
            yield result


class Starts:
    """Starts clusters, but for the first few times."""

    def __init__(self, failures=0):
        self.failures, self.made = failures, []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, running):
        self.gate.wait(20)
        if self.failures:
            self.failures -= 1
            raise Unavailable("nobody is there")
        self.made.append(Cluster(2))
        running.callback(self.made[-1].close)
        local_cluster._lost.clear()
        return self.made[-1]


def until(holds):
    end = time.monotonic() + 20
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


@pytest.mark.parametrize("answered", [0, 3])
def test_what_a_lost_cluster_has_not_answered_runs_beside_it_with_the_same_bits(beside, answered):
    starts = Starts()
    states: list[bool] = []
    pool = opened(starts, beside, 1 << 30)
    pool.tell(states.append)
    work, _, _ = products(chunks=7)
    expected = bits(beside.run(work, Control()))
    starts.made[0].after = answered
    assert bits(pool.run(work, Control.after(60))) == expected
    assert until(lambda: len(starts.made) == 2 and pool.size == 2)
    assert states == [True, False, True]
    assert bits(pool.run(work, Control.after(60))) == expected
    pool.close()
    assert pool.size == 0


def test_who_is_patient_serves_without_a_cluster_and_keeps_trying(beside):
    starts = Starts(failures=2)
    pool = opened(starts, beside, 1 << 30, patient=True)
    assert pool.size == 0
    assert len(list(pool.run(squares(chunks=3), Control.after(60)))) == 3
    assert until(lambda: pool.size == 2)
    pool.close()
    pool = HealingPool(Starts(failures=1), beside, 1 << 30)
    with pytest.raises(Unavailable, match="nobody is there"):
        pool.open()
    pool.close()


def test_what_comes_before_the_cluster_is_there_is_done_beside_it(beside):
    starts = Starts()
    starts.gate.clear()
    states: list[bool] = []
    pool = HealingPool(starts, beside, 1 << 30)
    pool.tell(states.append)
    opening = threading.Thread(target=pool.open)
    opening.start()
    assert len(list(pool.run(squares(chunks=3), Control.after(60)))) == 3
    starts.gate.set()
    opening.join(20)
    assert states == [False, True]
    pool.close()


def test_a_pool_that_ends_does_not_wait_for_a_cluster_that_is_slow_to_start(beside, monkeypatch):
    monkeypatch.setattr(healing, "_END_SECONDS", 0.05)
    starts = Starts()
    starts.gate.clear()
    pool = HealingPool(starts, beside, 1 << 30)
    opening = threading.Thread(target=pool.open)
    opening.start()
    pool.close()
    assert opening.is_alive()
    starts.gate.set()
    opening.join(20)
    assert pool.size == 0
    with pytest.raises(Unavailable, match="closed"):
        list(starts.made[0].run(squares(chunks=2), Control.after(60)))


def test_work_too_large_to_be_done_beside_waits_for_the_cluster(beside):
    starts = Starts(failures=1)
    pool = opened(starts, beside, 16, patient=True)
    starts.gate.clear()
    with pytest.raises(DeadlineExceeded):
        list(pool.run(squares(chunks=2), Control.after(0.2)))
    starts.gate.set()
    assert len(list(pool.run(squares(chunks=2), Control.after(60)))) == 2
    assert starts.made
    pool.close()


def test_an_error_that_is_no_loss_stays_one(beside):
    starts = Starts()
    pool = opened(starts, beside, 1 << 30)
    starts.made[0].close()
    with pytest.raises(Unavailable, match="closed"):
        list(pool.run(squares(chunks=2), Control.after(60)))
    pool.close()


def test_a_cluster_that_is_lost_as_it_begins_is_started_again(beside):
    starts = Starts()

    def start(running):
        made = starts(running)
        if len(starts.made) == 1:
            local_cluster.lose("its node has ended")
        return made

    pool = opened(start, beside, 1 << 30)
    assert until(lambda: len(starts.made) == 2 and pool.size == 2)
    pool.close()
