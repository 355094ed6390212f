"""The pool of threads: order, laziness, stopping, errors, threads of BLAS."""

import threading
import time

import numpy as np
import pytest

from gradserve.ir.errors import Cancelled, DeadlineExceeded, NumericalFailure, Unavailable
from gradserve.pools.local.pool import LocalPool
from gradserve.runtime.control import Control
from tests.pools.works import (
    bits,
    endless_work,
    indefinite,
    one_quick_then_endless,
    probes,
    products,
    squares,
    watched,
)
from tests.runtime.test_blas import blas_threads


@pytest.fixture(scope="module")
def pool():
    pool = LocalPool(threads=2)
    yield pool
    pool.close()


def seconds_until_free(pool):
    """How long until every thread of the pool has run something."""
    started = time.monotonic()
    list(pool.run(squares(chunks=4 * pool.size), Control.after(20)))
    return time.monotonic() - started


def test_a_single_small_chunk_runs_in_the_callers_thread(pool):
    (result,) = pool.run(squares(), Control())
    np.testing.assert_array_equal(result.outputs["y"], np.arange(4.0) ** 2 + 1)
    assert result.worker == "front-end"
    assert result.retries == 0
    assert result.seconds >= 0
    assert result.waited >= 0


def test_chunks_agree_with_numpy_in_chunk_order(pool):
    work, a, w = products(chunks=20)
    results = list(pool.run(work, Control()))
    assert [r.index for r in results] == list(range(20))
    np.testing.assert_allclose(np.concatenate([r.outputs["y"] for r in results]), np.tanh(a @ w), rtol=1e-12)


def test_the_number_of_threads_does_not_change_bits(pool):
    work, _, _ = products(chunks=12)
    alone = LocalPool(threads=1)
    assert bits(pool.run(work, Control())) == bits(alone.run(work, Control()))
    assert bits(pool.run(probes(6), Control())) == bits(alone.run(probes(6), Control()))
    alone.close()


def test_chunks_run_a_window_ahead_and_no_further(pool):
    work = watched(squares(chunks=100))
    results = pool.run(work, Control())
    assert work.chunks.last == -1
    next(results)
    time.sleep(0.1)
    assert work.chunks.last < 10
    results.close()


def test_cancelling_ends_the_caller_and_frees_the_threads(pool):
    control = Control()
    threading.Timer(0.2, control.cancel).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        list(pool.run(endless_work(chunks=4), control))
    assert time.monotonic() - started < 5
    assert seconds_until_free(pool) < 5


@pytest.mark.parametrize("chunks", [1, 4])
def test_the_deadline_ends_the_caller_and_frees_the_threads(pool, chunks):
    work = endless_work(chunks=chunks)
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        list(pool.run(work, Control.after(0.2)))
    assert time.monotonic() - started < 5
    assert seconds_until_free(pool) < 5


def test_closing_the_results_frees_the_threads(pool):
    results = pool.run(one_quick_then_endless(chunks=9), Control())
    next(results)
    results.close()
    assert seconds_until_free(pool) < 5


def test_a_call_that_is_late_already_runs_nothing(pool):
    work = watched(squares())
    with pytest.raises(DeadlineExceeded):
        list(pool.run(work, Control.after(-1)))


def test_an_impossible_step_is_a_typed_failure_after_the_chunks_before_it(pool):
    results = pool.run(indefinite(), Control())
    np.testing.assert_array_equal(next(results).outputs["y"], np.eye(20))
    with pytest.raises(NumericalFailure) as raised:
        next(results)
    assert raised.value.violations[0].constraint == "cholesky"


def test_many_threads_may_call_at_once(pool):
    works = [products(chunks=6, seed=k) for k in range(8)]
    answers = {}

    def call(k):
        answers[k] = np.concatenate([r.outputs["y"] for r in pool.run(works[k][0], Control())])

    threads = [threading.Thread(target=call, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k, (_, a, w) in enumerate(works):
        np.testing.assert_allclose(answers[k], np.tanh(a @ w), rtol=1e-12)


def test_a_closed_pool_is_unavailable():
    pool = LocalPool(threads=1)
    pool.close()
    pool.close()
    for work in (squares(), squares(chunks=3)):
        with pytest.raises(Unavailable):
            list(pool.run(work, Control()))


def test_closing_the_pool_ends_who_waits():
    pool = LocalPool(threads=1)
    threading.Timer(0.2, pool.close).start()
    with pytest.raises(Unavailable):
        list(pool.run(endless_work(chunks=4), Control()))


def test_a_pool_limits_blas_for_as_long_as_it_lives():
    before = blas_threads()
    pool = LocalPool(threads=1)
    assert blas_threads() == {1}
    list(pool.run(squares(), Control()))
    assert blas_threads() == {1}
    pool.close()
    assert blas_threads() == before
