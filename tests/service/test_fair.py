"""Fair queueing, as laws on a queue without threads: shares by weight, no starvation, order within a flow."""

from __future__ import annotations

from collections import defaultdict

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from gradserve.service.admission.fair import FairQueue

COSTS = st.floats(1e-3, 10.0)
ARRIVALS = st.lists(st.tuples(st.sampled_from("abc"), COSTS), min_size=1, max_size=60)
WEIGHTS = {"a": 1.0, "b": 2.0, "c": 0.5}


class FirstComeFirstServed(FairQueue[int]):
    """A planted fault: all flows are one."""

    def push(self, flow, item, cost):
        return super().push("one", item, cost)


class CostsNothing(FairQueue[int]):
    """A planted fault: flows take turns, whatever their items cost."""

    def push(self, flow, item, cost):
        return super().push(flow, item, 1.0)


def served(queue, arrivals):
    """The items in the order in which they leave, with their flows and costs."""
    for position, (flow, cost) in enumerate(arrivals):
        queue.push(flow, position, cost)
    order = []
    while queue:
        position = queue.pop().item
        order.append((position, *arrivals[position]))
    return order


def unfairness(queue, arrivals):
    """How far two flows are apart at any time at which both have waited since the beginning, over what they may be.

    What has been served of each, over its weight, may differ by the largest costs of both over their weights.
    """
    left: dict[str, float] = defaultdict(float)
    had: dict[str, float] = defaultdict(float)
    most: dict[str, float] = defaultdict(float)
    worst = 0.0
    for flow, cost in arrivals:
        left[flow] += 1
        most[flow] = max(most[flow], cost / WEIGHTS[flow])
    for _, flow, cost in served(queue, arrivals):
        had[flow] += cost / WEIGHTS[flow]
        left[flow] -= 1
        waiting = [name for name in left if left[name] or name == flow]
        for one in waiting:
            for other in waiting:
                bound = most[one] + most[other]
                worst = max(worst, abs(had[one] - had[other]) / bound if bound else 0.0)
    return worst


@given(ARRIVALS)
@settings(max_examples=200)
def test_flows_that_wait_get_shares_by_weight(arrivals):
    assert unfairness(FairQueue(WEIGHTS.__getitem__), arrivals) <= 1.0 + 1e-9


@pytest.mark.parametrize("planted", [FirstComeFirstServed, CostsNothing])
def test_planted_faults_are_unfair(planted):
    arrivals = [("a", 10.0)] * 20 + [("b", 0.1)] * 20
    assert unfairness(FairQueue(WEIGHTS.__getitem__), arrivals) <= 1.0
    assert unfairness(planted(), arrivals) > 1.0


@given(ARRIVALS)
@settings(max_examples=100)
def test_everything_leaves_once_and_in_order_within_its_flow(arrivals):
    order = served(FairQueue(WEIGHTS.__getitem__), arrivals)
    assert sorted(position for position, _, _ in order) == list(range(len(arrivals)))
    for name in "abc":
        own = [position for position, flow, _ in order if flow == name]
        assert own == sorted(own)


@given(st.lists(st.tuples(st.booleans(), COSTS), min_size=1, max_size=60), COSTS)
@settings(max_examples=100)
def test_nobody_starves(steps, cost):
    """Whatever one flow sends afterwards, an item of another leaves after as much of it as it costs, and two items."""
    queue: FairQueue[str] = FairQueue()
    queue.push("greedy", "g", 1.0)
    queue.push("polite", "p", cost)
    passed = 0.0
    for more, each in steps:
        queue.push("greedy", "g", each)
        if more:
            entry = queue.pop()
            if entry.flow == "polite":
                return
            passed += entry.cost
            assert passed <= cost + 2 * 10.0
    assert queue.waiting("polite") == 1


@given(ARRIVALS, st.sets(st.integers(0, 59)))
@settings(max_examples=100)
def test_what_is_taken_out_leaves_the_others(arrivals, gone):
    queue: FairQueue[int] = FairQueue()
    entries = [queue.push(flow, position, cost) for position, (flow, cost) in enumerate(arrivals)]
    for position in gone & set(range(len(arrivals))):
        queue.remove(entries[position])
        queue.remove(entries[position])
    kept = set(range(len(arrivals))) - gone
    assert len(queue) == len(kept)
    assert queue.backlog == pytest.approx(sum(arrivals[position][1] for position in kept), abs=1e-9)
    assert {queue.pop().item for _ in kept} == kept
    assert queue.first() is None
    with pytest.raises(IndexError):
        queue.pop()


@given(ARRIVALS)
@settings(max_examples=100)
def test_what_is_ahead_is_known_to_an_item_or_two(arrivals):
    queue: FairQueue[int] = FairQueue()
    for position, (flow, cost) in enumerate(arrivals):
        queue.push(flow, position, cost)
    expected = queue.ahead("a")
    mine = queue.push("a", -1, 1.0)
    found = 0.0
    while (entry := queue.pop()) is not mine:
        found += entry.cost
    assert abs(found - expected) <= 2 * max(cost for _, cost in arrivals) + 1e-9


def test_who_comes_back_does_not_catch_up_on_what_it_did_not_ask_for():
    queue: FairQueue[str] = FairQueue()
    for _ in range(100):
        queue.push("busy", "b", 1.0)
        queue.pop()
    for name in ("busy", "idle"):
        for _ in range(10):
            queue.push(name, name, 1.0)
    first = [queue.pop().flow for _ in range(10)]
    assert 4 <= first.count("idle") <= 6


def test_what_was_charged_later_counts():
    queue: FairQueue[str] = FairQueue()
    queue.push("a", "a", 1.0)
    queue.push("b", "b", 1.0)
    queue.charge("a", 5.0)
    for name in ("a", "b"):
        for _ in range(5):
            queue.push(name, name, 1.0)
    assert [queue.pop().flow for _ in range(8)].count("b") == 6


def test_flows_that_owe_nothing_are_forgotten():
    queue: FairQueue[int] = FairQueue()
    for k in range(5000):
        queue.push(str(k), k, 1.0)
        queue.pop()
    assert len(queue._flows) < 2000
