"""Passes of the optimiser look at what is new alone, and leave nothing that a rule applies to."""

from __future__ import annotations

from collections import Counter

import pytest

from gradserve.autodiff import derive
from gradserve.ir.graph import Graph
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder
from gradserve.optimize import optimize, pipeline
from gradserve.questions.derivations import Gradient
from tests.execution.graphs import random_graph
from tests.optimize.test_optimize import loss_of

SEEDS = range(40)


def grown(seed: int) -> Graph:
    """A graph that several rules apply to, one after the other."""
    return derive(loss_of(random_graph(seed)), Gradient(("a", "b", "c", "s")))


def unsettled() -> int:
    """How many of the graphs are another after one more optimisation of the whole."""
    return sum(optimize(once).nodes != once.nodes for once in map(optimize, map(grown, SEEDS)))


def test_nothing_is_left_that_a_rule_applies_to():
    assert unsettled() == 0


def test_the_planted_fault_of_looking_at_nothing_again_is_found(monkeypatch):
    monkeypatch.setattr(pipeline, "_is_open", lambda *_: False)
    assert unsettled() > 0


@pytest.mark.parametrize("steps", [100, 1000])
def test_rules_are_tried_a_few_times_for_each_node(steps, monkeypatch):
    """However long the graph is."""
    tried: Counter[str] = Counter()
    rewritten = pipeline._rewritten

    def counting(g, op, operands, read):
        tried[op.name] += 1
        return rewritten(g, op, operands, read)

    monkeypatch.setattr(pipeline, "_rewritten", counting)
    g = builder()
    x = start = g.input("x", TensorType(ElementType.FLOAT64, (3,)))
    for _ in range(steps):
        x = x + g.sin(x) * 0.5 * 0.25 - start
    optimize(g.build({"y": x}))
    assert tried.total() < 8 * steps
