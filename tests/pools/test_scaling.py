"""How many workers a pool wants, over made-up time."""

import pytest

from gradserve.pools.ray import scaling
from gradserve.pools.ray.scaling import IDLE_SECONDS, PATIENCE_SECONDS, Scaling


def over_time(rule, chunks, seconds, start=0.0, step=0.25):
    """The number wanted at the end of so many seconds with so many chunks."""
    wanted = rule.wanted
    for tick in range(round(seconds / step) + 1):
        wanted = rule.update(chunks, start + tick * step)
    return wanted


def test_it_begins_with_the_least():
    assert Scaling(2, 8, 2).wanted == 2
    assert Scaling(2, 1, 2).most == 2


@pytest.mark.parametrize(("chunks", "wanted"), [(0, 1), (2, 1), (3, 2), (7, 4), (1000, 8)])
def test_work_that_waits_brings_workers_up_to_the_most(chunks, wanted):
    assert over_time(Scaling(1, 8, 2), chunks, PATIENCE_SECONDS) == wanted


def test_a_short_burst_brings_none():
    rule = Scaling(1, 8, 2)
    assert over_time(rule, 100, PATIENCE_SECONDS - 0.25) == 1
    assert over_time(rule, 0, 0.0, start=1.0) == 1
    assert over_time(rule, 100, PATIENCE_SECONDS - 0.25, start=2.0) == 1  # patience begins anew


def test_idle_workers_are_kept_for_a_while():
    rule = Scaling(1, 8, 2)
    assert over_time(rule, 100, PATIENCE_SECONDS) == 8
    assert over_time(rule, 0, IDLE_SECONDS - 1, start=10.0) == 8
    assert over_time(rule, 16, 0.0, start=70.0) == 8  # all needed once more
    assert over_time(rule, 0, IDLE_SECONDS - 1, start=71.0) == 8
    assert over_time(rule, 0, IDLE_SECONDS, start=71.0) == 1


def test_the_planted_fault_of_no_patience_is_found(monkeypatch):
    monkeypatch.setattr(scaling, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(AssertionError):
        test_a_short_burst_brings_none()
