"""The pool of Ray actors, on real actors: order, bits, deaths, stopping, memory, fairness."""

import contextlib
import os
import signal
import threading
import time

import numpy as np
import psutil
import pytest
import ray

from gradserve.ir.errors import Cancelled, DeadlineExceeded, LimitExceeded, NumericalFailure, Unavailable, WorkerLost
from gradserve.ir.types import TensorType
from gradserve.ops import builder
from gradserve.pools.local.pool import LocalPool
from gradserve.pools.ray import cluster as local_cluster
from gradserve.pools.ray import scaling
from gradserve.pools.ray.pool import RayPool
from gradserve.runtime.control import Control
from tests.pools.works import (
    F64,
    bits,
    endless_work,
    indefinite,
    long_work,
    one_input,
    one_long_step,
    one_quick_then_endless,
    outer_schedule,
    probes,
    products,
    square_schedule,
    squares,
    watched,
)
from tests.running import schedule_of
from tests.system.processes import starve

pytestmark = pytest.mark.ray

MEMORY = 64 << 20


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """A cluster of four CPUs that all pools of this file share."""
    before = signal.getsignal(signal.SIGTERM)
    local_cluster.connect(None, cpus=4, object_store_bytes=256 << 20)
    assert signal.getsignal(signal.SIGTERM) is before
    yield
    local_cluster.disconnect()
    assert not ray.is_initialized()


@pytest.fixture(scope="module")
def shared_pool(cluster):
    pool = RayPool(workers=2, worker_memory=MEMORY)
    yield pool
    pool.close()
    assert ray.is_initialized()  # it did not start the cluster


@pytest.fixture
def pool(shared_pool):
    """The pool of this file with both workers: the test before may have cost it one."""
    await_size(shared_pool, 2)
    return shared_pool


@pytest.fixture
def reference():
    pool = LocalPool(threads=1)
    yield pool
    pool.close()


def seconds_until_free(pool):
    """How long until every worker has run something new."""
    started = time.monotonic()
    control = Control.after(20)
    seen: set[str] = set()
    while seen < set(pool.worker_pids()):
        seen |= {r.worker for r in pool.run(squares(chunks=4 * pool.size), control)}
    return time.monotonic() - started


def until(holds, seconds=20):
    """Whether something comes to hold."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return holds()


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def await_size(pool, size):
    deadline = time.monotonic() + 20
    while pool.size < size and time.monotonic() < deadline:
        time.sleep(0.02)
    assert pool.size == size


def test_chunks_agree_with_numpy_in_chunk_order_and_both_workers_help(pool):
    work, a, w = products(chunks=20)
    results = list(pool.run(work, Control.after(30)))
    assert [r.index for r in results] == list(range(20))
    np.testing.assert_allclose(np.concatenate([r.outputs["y"] for r in results]), np.tanh(a @ w), rtol=1e-12)
    assert {r.worker for r in results} == set(pool.worker_pids())
    assert {r.retries for r in results} == {0}
    assert all(r.seconds >= 0 and r.waited >= 0 for r in results)


@pytest.mark.parametrize("rows", [4, 100], ids=["inline", "by reference"])
def test_bits_do_not_depend_on_the_pool(pool, reference, rows):
    # 100 rows of 300 numbers are more than travels inside a call, 4 rows are less.
    work, _, _ = products(chunks=7, rows=rows)
    expected = bits(reference.run(work, Control()))
    assert bits(pool.run(work, Control.after(30))) == expected
    one = RayPool(workers=1, worker_memory=MEMORY)
    assert bits(one.run(work, Control.after(30))) == expected
    one.close()


def test_probes_are_made_where_they_are_used_with_the_same_bits(pool, reference):
    assert bits(pool.run(probes(5), Control.after(30))) == bits(reference.run(probes(5), Control()))


def test_large_data_is_put_once_and_not_for_each_chunk(pool, monkeypatch):
    puts, put = [], ray.put

    def counted(value):
        puts.append(value)
        return put(value)

    monkeypatch.setattr(ray, "put", counted)
    work = long_work(steps=3, chunks=6)
    list(pool.run(work, Control.after(30)))
    list(pool.run(work, Control.after(30)))
    sizes = sorted(value.nbytes for value in puts if isinstance(value, np.ndarray))
    assert sizes == [4_000_000] * 4  # x and b, in each of the two works
    assert len(puts) == 5  # and the schedule, once for both


def test_chunks_run_a_window_ahead_and_no_further(pool):
    work = watched(squares(chunks=100))
    results = pool.run(work, Control.after(30))
    assert work.chunks.last == -1
    next(results)
    time.sleep(0.2)
    assert work.chunks.last < 10
    results.close()


@pytest.mark.parametrize("attempt", range(5))
def test_a_killed_worker_is_replaced_and_its_chunks_run_again_with_the_same_bits(pool, reference, attempt):
    await_size(pool, 2)
    work = long_work(steps=60 + attempt, chunks=8)
    expected = bits(reference.run(work, Control()))
    victim = sorted(pool.worker_pids().values())[attempt % 2]
    results = pool.run(work, Control.after(60))
    got = [next(results)]
    kill(victim)
    got += list(results)
    assert bits(got) == expected
    assert sum(r.retries for r in got) > 0
    await_size(pool, 2)
    assert victim not in pool.worker_pids().values()


def test_a_chunk_that_loses_its_worker_every_time_is_given_up():
    pool = RayPool(workers=1, worker_memory=MEMORY)
    over = threading.Event()

    def killer():
        while not over.is_set():
            for pid in pool.worker_pids().values():
                kill(pid)
            time.sleep(0.05)

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        with pytest.raises(WorkerLost):
            list(pool.run(endless_work(chunks=1), Control.after(60)))
    finally:
        over.set()
        thread.join()
        pool.close()


def test_a_worker_that_falls_silent_counts_as_dead():
    # Stopped, a process neither works nor dies: so looks a worker behind a broken network.
    pool = RayPool(workers=1, worker_memory=MEMORY, silent_seconds=1.0)
    (pid,) = pool.worker_pids().values()
    results = pool.run(long_work(steps=400, chunks=2, length=2_000_000), Control.after(60))
    threading.Timer(0.3, os.kill, (pid, signal.SIGSTOP)).start()
    got = list(results)
    assert sum(r.retries for r in got) == 1
    assert pid not in pool.worker_pids().values()
    pool.close()


def test_in_the_place_of_a_worker_that_is_doubted_another_works_until_it_answers():
    pool = RayPool(workers=1, worker_memory=MEMORY, silent_seconds=60.0)
    (pid,) = pool.worker_pids().values()
    os.kill(pid, signal.SIGSTOP)
    assert until(lambda: pool.size == 2)
    (other,) = (name for name, each in pool.worker_pids().items() if each != pid)
    assert {r.worker for r in pool.run(squares(chunks=4), Control.after(10))} == {other}
    os.kill(pid, signal.SIGCONT)
    assert until(lambda: pool.size == 1)
    assert pool.lost == 0
    pool.close()


def test_cancelling_ends_the_caller_and_frees_the_workers(pool):
    await_size(pool, 2)
    pids = pool.worker_pids()
    control = Control()
    threading.Timer(0.4, control.cancel).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        list(pool.run(endless_work(chunks=8), control))
    assert time.monotonic() - started < 5
    assert seconds_until_free(pool) < 5
    assert pool.worker_pids() == pids  # freed, not killed


def test_the_deadline_ends_the_caller_and_frees_the_workers(pool):
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        list(pool.run(endless_work(chunks=8), Control.after(0.4)))
    assert time.monotonic() - started < 5
    assert seconds_until_free(pool) < 5


def test_a_worker_amid_a_long_step_is_ended_and_replaced(pool):
    await_size(pool, 2)
    before = set(pool.worker_pids().values())
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        list(pool.run(one_long_step(), Control.after(1.5)))
    assert time.monotonic() - started < 7
    while set(pool.worker_pids().values()) == before:
        assert time.monotonic() - started < 12
        time.sleep(0.02)
    await_size(pool, 2)


def test_closing_the_results_frees_the_workers(pool):
    results = pool.run(one_quick_then_endless(chunks=9), Control.after(60))
    next(results)
    results.close()
    assert seconds_until_free(pool) < 5


def test_a_consumer_that_stops_asking_frees_the_workers_when_cancelled(pool):
    control = Control()
    results = pool.run(one_quick_then_endless(chunks=9), control)
    next(results)
    control.cancel()
    assert seconds_until_free(pool) < 5
    with pytest.raises(Cancelled):
        list(results)


def test_an_impossible_step_is_a_typed_failure_after_the_chunks_before_it(pool):
    results = pool.run(indefinite(), Control.after(30))
    np.testing.assert_array_equal(next(results).outputs["y"], np.eye(20))
    with pytest.raises(NumericalFailure) as raised:
        next(results)
    assert type(raised.value) is NumericalFailure
    assert raised.value.violations[0].constraint == "cholesky"


def test_workers_run_machine_code(pool, reference):
    g = builder()
    x = g.input("x", TensorType(F64, (3000,)))
    graph = g.build({"y": g.reduce_sum(g.exp(g.sin(x)) * x, axes=(0,))})
    point = np.linspace(-1.0, 1.0, 3000)
    works = [one_input(schedule_of(graph, name), point, chunks=3, executor=name) for name in ("numpy", "fused")]
    expected = next(iter(reference.run(works[0], Control.after(30)))).outputs["y"]
    for result in pool.run(works[1], Control.after(30)):
        np.testing.assert_allclose(result.outputs["y"], expected, rtol=1e-14)


def test_a_worker_without_memory_for_the_library_of_a_program_is_replaced():
    pool = RayPool(workers=1, worker_memory=MEMORY)
    (pid,) = pool.worker_pids().values()
    starve(psutil.Process(pid), room=1 << 20)
    graph = square_schedule().program.graph
    work = one_input(schedule_of(graph, "fused"), np.arange(4.0), executor="fused")
    (result,) = pool.run(work, Control.after(60))
    np.testing.assert_array_equal(result.outputs["y"], np.arange(4.0) ** 2 + 1.0)
    assert result.retries == 1
    assert pid not in pool.worker_pids().values()
    pool.close()


def test_an_error_that_nobody_planned_keeps_its_type(pool):
    work = one_input(next(iter(squares().schedules.values())), np.zeros(4), executor="no such executor")
    with pytest.raises(KeyError, match="no such executor"):
        list(pool.run(work, Control.after(30)))


def test_many_threads_may_call_at_once(pool):
    works = [products(chunks=6, seed=k) for k in range(8)]
    answers = {}

    def call(k):
        answers[k] = np.concatenate([r.outputs["y"] for r in pool.run(works[k][0], Control.after(60))])

    threads = [threading.Thread(target=call, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k, (_, a, w) in enumerate(works):
        np.testing.assert_allclose(answers[k], np.tanh(a @ w), rtol=1e-12)


def test_a_small_work_does_not_wait_for_a_large_one(pool):
    results = pool.run(long_work(steps=100, chunks=60), Control.after(60))
    first = next(results)
    started = time.monotonic()
    list(pool.run(squares(chunks=2), Control.after(30)))
    # Two chunks of the other work on the way, and not sixty.
    assert time.monotonic() - started < 20 * first.seconds + 0.5
    results.close()


def test_a_work_over_the_memory_of_a_worker_gets_a_worker_of_its_own(pool):
    schedule = outer_schedule(3000)
    assert schedule.peak_bytes > MEMORY
    x = np.linspace(0.0, 1.0, 3000)
    ordinary = set(pool.worker_pids())
    (result,) = pool.run(one_input(schedule, x), Control.after(30))
    np.testing.assert_allclose(result.outputs["y"], np.exp(np.outer(x, x)).sum(), rtol=1e-10)
    assert result.worker not in ordinary
    deadline = time.monotonic() + 10
    while set(pool.worker_pids()) != ordinary and time.monotonic() < deadline:
        time.sleep(0.02)
    assert set(pool.worker_pids()) == ordinary


def test_a_work_over_the_memory_of_the_cluster_is_refused_by_name(pool):
    g = builder()
    x = g.input("x", TensorType(F64, (1,)))
    schedule = schedule_of(g.build({"y": g.exp(g.broadcast_to(x, shape=(10**6, 10**6)) * 2.0)}))
    started = time.monotonic()
    with pytest.raises(LimitExceeded) as raised:
        list(pool.run(one_input(schedule, np.zeros(1)), Control.after(30)))
    assert raised.value.limit == "cluster_memory"
    assert time.monotonic() - started < 5


def test_a_pool_starts_with_the_workers_there_is_room_for(pool, caplog):
    # The cluster has four CPUs and the pool of this file holds two.
    other = RayPool(workers=3, worker_memory=MEMORY)
    assert other.size == 2
    assert "2 of 3 workers are ready" in caplog.text
    assert len(list(other.run(squares(chunks=5), Control.after(30)))) == 5
    other.close()


def test_a_pool_grows_while_work_waits_and_shrinks_when_idle(pool, monkeypatch):
    monkeypatch.setattr(scaling, "IDLE_SECONDS", 0.5)
    growing = RayPool(workers=1, max_workers=2, worker_memory=MEMORY)
    try:
        assert (growing.size, growing.wanted) == (1, 1)
        results = growing.run(long_work(steps=50, chunks=5000), Control.after(60))
        seen = {next(results).worker}
        while len(seen) < 2:
            seen.add(next(results).worker)
        assert growing.wanted == 2
        assert growing.waiting > 0
        results.close()  # type: ignore[attr-defined]
        assert until(lambda: (growing.size, growing.wanted, growing.waiting) == (1, 1, 0))
        assert len(list(growing.run(squares(chunks=5), Control.after(30)))) == 5
        assert growing.lost == 0
        kill(*growing.worker_pids().values())
        assert until(lambda: growing.lost == 1 and growing.size == 1)
    finally:
        growing.close()


def test_a_pool_for_which_there_is_no_room_is_unavailable(pool):
    with pytest.raises(Unavailable, match="no worker was ready"):
        RayPool(workers=1, worker_memory=MEMORY, cpus_per_worker=64, start_seconds=0.5)


def test_a_closed_pool_is_unavailable():
    closed = RayPool(workers=1, worker_memory=MEMORY)
    results = closed.run(endless_work(chunks=2), Control.after(30))
    threading.Timer(0.3, closed.close).start()
    with pytest.raises(Unavailable):
        list(results)
    closed.close()
    with pytest.raises(Unavailable):
        list(closed.run(squares(), Control()))


def test_round_trips_are_timed(pool, capsys):
    large, _, _ = products(chunks=1, rows=1000, length=1000)
    with capsys.disabled():
        print()
        for name, work in [("tiny", squares()), ("8 MB of data", large)]:
            times = []
            for _ in range(40):
                started = time.perf_counter()
                list(pool.run(work, Control.after(30)))
                times.append(time.perf_counter() - started)
            print(f"  round trip, {name}: {np.median(times) * 1e3:.2f} ms (fastest {min(times) * 1e3:.2f})")
