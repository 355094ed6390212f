"""The pace of the machine: told seconds go by it, and nothing else does."""

from __future__ import annotations

import math
from dataclasses import replace

from gradserve.client.embedded import EmbeddedBackend
from gradserve.client.transport.deadline import Deadline
from gradserve.jobs import explain
from gradserve.jobs.sweeps import pace
from gradserve.questions.derivations import Gradient
from gradserve.questions.derivatives import Differentiate
from gradserve.questions.explanation import Explain
from tests.jobs.support import arguments_of, call_of, layer


def explained():
    graph = layer(width=5)
    question = Explain(Differentiate(call_of(graph, arguments_of(graph)), Gradient()))
    backend = EmbeddedBackend(threads=1)
    try:
        with Deadline(60.0) as deadline:
            return backend.ask(question, deadline)
    finally:
        backend.close()


def test_told_seconds_go_by_it_and_nothing_else_does(monkeypatch):
    monkeypatch.setattr(explain, "pace", lambda: 1.0)
    usual = explained()
    monkeypatch.setattr(explain, "pace", lambda: 3.0)
    assert explained() == replace(usual, seconds=3.0 * usual.seconds)


def test_it_is_what_the_yardsticks_take_of_what_is_predicted_for_them(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr("gradserve.jobs.sweeps.pace.time.thread_time", lambda: float(next(clock)))  # a second each
    taken = [pace._measured(graph) for graph in (pace._steps(), pace._product(), pace._reading(), pace._functions())]
    found = pace.pace.__wrapped__()
    assert math.isclose(found, math.prod(taken) ** (1 / 4))
    assert all(each > 1 for each in taken)  # none of them was predicted to take that long


def test_it_is_measured_once():
    assert pace.pace() == pace.pace() > 0.0
