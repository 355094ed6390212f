"""Passes of the optimiser look at what is new alone, and leave nothing that a rule applies to."""

from __future__ import annotations

from collections import Counter
from unittest.mock import Mock

import pytest

from gradserve.autodiff import derive
from gradserve.ir.attributes import make_op
from gradserve.ir.graph import Graph
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder
from gradserve.ops.control.once import Checkpoint
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


@pytest.mark.parametrize(
    ("size", "op", "worth"),
    [(4, "reduce_sum", False), (10**6, "reduce_sum", True), (10**6, "sin", True), (4, "checkpoint", True)],
)
def test_another_pass_over_many_nodes_is_for_what_is_dear(size, op, worth):
    """One node of a thousand is left to look at: a sum of few numbers is no reason to write all of them anew."""
    g, inner = builder(), builder()
    x = g.input("x", TensorType(ElementType.FLOAT64, (size,)))
    function = inner.build({"y0": inner.sin(inner.input("x0", x.type))})
    y = x
    for _ in range(1000):
        y = g.tanh(y)
    if op == "checkpoint":
        (y,) = g.apply(Checkpoint(function), [y])
    else:
        y = g.sin(y) if op == "sin" else g.reduce_sum(y, axes=(0,))
    graph = g.build({"y": y})
    assert pipeline._Rebuilt(graph, [False] * 1000 + [True]).is_worth_a_pass is worth
    assert pipeline._Rebuilt(graph, [True] * 3 + [False] * 998).is_worth_a_pass


def test_equal_broadcasts_are_one_op(monkeypatch):
    """To check an op's attributes takes longer than to apply it, and series broadcast thousands of numbers."""
    made = Mock(wraps=make_op)
    monkeypatch.setattr("gradserve.ir.builder.make_op", made)
    g = builder()
    scalars = [g.input(f"x{k}", TensorType(ElementType.FLOAT64)) for k in range(20)]
    values = [g.broadcast(x, (3,)) for x in scalars]
    assert made.call_count == 1
    assert len({value.index for value in values}) == 20
    assert [g.broadcast(x, (2, 3)).type.shape for x in scalars] == [(2, 3)] * 20
