"""The limit that follows what is measured, against workers that are simulated."""

from __future__ import annotations

import pytest

from gradserve.service.admission.adaptive import Adaptive
from gradserve.service.admission.brim import Brim
from gradserve.service.admission.fair import FairQueue
from gradserve.service.admission.promises import Promises
from gradserve.service.admission.quota import Bucket, Quotas


def driven(adaptive, workers, seconds=0.02, calls=3000, slower=1.0, now=0.0, predicted=0.02):
    """The limits that are seen while always as many calls run as may, on so many workers that share them evenly."""
    limits = []
    for _ in range(calls):
        inside = adaptive.limit
        took = seconds * slower * max(1.0, inside / workers)
        now += took / inside
        adaptive.saw(predicted, took, inside, now)
        limits.append(adaptive.limit)
    return limits


@pytest.mark.parametrize("workers", [1, 2, 8, 32])
def test_no_more_run_than_the_workers_can_do_well(workers):
    limits = driven(Adaptive(workers, 64), workers)
    assert min(limits) == workers
    assert max(limits) <= 1.3 * workers + 2


def test_calls_that_do_not_slow_each_other_down_may_be_many():
    limits = driven(Adaptive(2, 64), 40, calls=20_000)
    assert max(limits) >= 40
    assert max(limits) <= 1.3 * 40 + 2


def test_one_that_is_too_many_is_tried_seldom_and_two_calls_tell():
    limits = driven(Adaptive(1, 64), 1, calls=2000)
    assert max(limits) == 2
    assert 0 < limits.count(2) <= 20
    assert limits[-200:].count(2) <= 2


def test_what_was_too_many_is_tried_again_when_it_is_no_more():
    adaptive = Adaptive(1, 64)
    driven(adaptive, 1, calls=2000)
    assert max(driven(adaptive, 8, calls=20_000, now=1e3)) >= 8


def test_the_most_is_never_passed():
    assert max(driven(Adaptive(2, 10), 1000)) == 10
    assert Adaptive(8, 4).limit == 4


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_a_wrong_prediction_changes_nothing(factor):
    """All predictions are multiplied by the same: so are all ratios."""
    found, expected = Adaptive(2, 64), Adaptive(2, 64)
    assert driven(found, 2, predicted=0.02 * factor) == driven(expected, 2)
    assert found.pace == pytest.approx(expected.pace / factor)


def test_a_machine_that_becomes_slower_is_learnt():
    adaptive = Adaptive(2, 64)
    driven(adaptive, 8)
    driven(adaptive, 8, slower=3.0, now=1e3, calls=20_000)
    assert adaptive.pace == pytest.approx(3.0)
    assert max(driven(adaptive, 8, slower=3.0, now=1e4)) >= 8


def test_long_calls_are_not_taken_for_slow_ones():
    """Calls of two lengths take turns, each of them as long as predicted."""
    adaptive, now = Adaptive(2, 64), 0.0
    for k in range(2000):
        seconds = (0.001, 1.0)[k % 2]
        now += seconds
        adaptive.saw(seconds, seconds, adaptive.limit, now)
    assert adaptive.limit > 10


def test_calls_that_began_under_a_higher_limit_tell_nothing():
    adaptive, now = Adaptive(2, 64), 0.0
    for _ in range(1000):
        now += 0.01
        adaptive.saw(0.01, 10.0, 50, now)
    assert adaptive.pace == 1.0


def test_a_bucket_fills_at_its_rate_and_may_be_overdrawn_once():
    bucket = Bucket(rate=10.0, burst=100.0, now=0.0)
    assert bucket.wait(0.0) == 0.0
    bucket.spend(150.0, 0.0)
    assert bucket.wait(0.0) == pytest.approx(5.01)
    assert bucket.wait(5.0) > 0
    assert bucket.wait(5.02) == 0.0
    assert not bucket.full(14.9)
    assert bucket.full(15.0)
    bucket.spend(0.0, 1e6)
    assert bucket.wait(1e6) == 0.0
    bucket.spend(101.0, 1e6)
    assert bucket.wait(1e6) > 0  # no more than the burst is ever saved


def test_callers_have_quotas_of_their_own():
    now = 0.0
    quotas = Quotas({"quota_flops": 100.0, "quota_bytes": 1000.0}, 10.0, lambda: now)
    assert quotas.wait("a") == ("", 0.0)
    quotas.spend("a", {"quota_flops": 2000.0, "quota_bytes": 0.0})
    name, seconds = quotas.wait("a")
    assert (name, quotas.wait("b")) == ("quota_flops", ("", 0.0))
    now = seconds
    assert quotas.wait("a") == ("", 0.0)
    quotas.spend("a", {"quota_flops": 0.0, "quota_bytes": 50_000.0})
    assert quotas.wait("a")[0] == "quota_bytes"
    now = 1e6
    for k in range(10_000):
        quotas.spend(str(k), {"quota_flops": 1.0, "quota_bytes": 1.0})
        now += 1.0
    assert len(quotas._buckets) <= 4098


def test_made_up_callers_cost_as_much_each_however_many_there_are(monkeypatch):
    """All of them owe something, so that none can be forgotten: they are looked through seldom all the same."""
    looked, forgot = [], []
    full, forget = Bucket.full, FairQueue._forget

    def looks(bucket, now):
        looked.append(bucket)
        return full(bucket, now)

    def forgets(queue):
        forgot.append(len(queue._flows))
        forget(queue)

    monkeypatch.setattr(Bucket, "full", looks)
    monkeypatch.setattr(FairQueue, "_forget", forgets)
    quotas = Quotas({"quota_flops": 1.0}, 10.0, lambda: 0.0)
    queue: FairQueue[int] = FairQueue()
    for k in range(20_000):
        quotas.spend(str(k), {"quota_flops": 1.0})
        queue.push(str(k), k, 1.0)
    assert 4096 < len(looked) < 2 * 20_000
    assert 1024 < sum(forgot) < 3 * 20_000
    promises = Promises()
    for k in range(5000):
        promises.make(str(k), 0.0, 1.0, 0.0)
    assert promises.knows("0")
    for k in range(6000):
        promises.make(f"later {k}", 1e6, 1.0, 1e6)
    assert [promises.knows(name) for name in ("0", "4999", "later 0")] == [False, False, True]


def test_brim_is_reached_when_twice_as_much_is_there_as_was_left():
    brim = Brim(10)
    assert [brim.reached(size) for size in (10, 11)] == [False, True]
    brim.left(8)
    assert [brim.reached(size) for size in (16, 17)] == [False, True]
    brim.left(0)
    assert [brim.reached(size) for size in (10, 11)] == [False, True]
