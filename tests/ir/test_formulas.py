"""Formulas are made once in a graph, and come to the same numbers."""

from collections.abc import Sequence

import numpy as np
from scipy import special

from gradserve.ir.builder import Builder, Value
from gradserve.ir.formulas import formula
from gradserve.ir.op import Op
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder
from gradserve.ops.special.gammas import digamma_rise
from tests.laws.support import evaluate

REALS = TensorType(ElementType.FLOAT64, (3,))


def test_what_is_made_of_the_same_values_is_made_once(monkeypatch):
    asked: list[Op] = []
    apply = Builder.apply

    def noted(self: Builder, op: Op, operands: Sequence[Value]) -> tuple[Value, ...]:
        asked.append(op)
        return apply(self, op, operands)

    monkeypatch.setattr(Builder, "apply", noted)
    g = builder()
    x, step = g.input("x", REALS), g.input("step", REALS)
    first = digamma_rise(g, x, step)
    once = len(asked)
    assert digamma_rise(g, x, step) is first
    assert len(asked) == once > 30
    assert digamma_rise(g, step, x) is not first
    assert len(asked) > once


def test_each_graph_has_its_own():
    made = []

    @formula
    def doubled(g, x):
        made.append(g)
        return g.add(x, x)

    graphs = [builder(), builder()]
    for g in graphs:
        x, y = g.input("x", REALS), g.input("y", REALS)
        assert doubled(g, x) is doubled(g, x)
        assert doubled(g, y) is not doubled(g, x)
        assert doubled(g, x).builder is g
    assert made == [graphs[0], graphs[0], graphs[1], graphs[1]]


def test_a_formula_used_twice_is_right():
    g = builder()
    x, step = g.input("x", REALS), g.input("step", REALS)
    rises = [digamma_rise(g, x, step) for _ in range(2)]
    given = {"x": np.array([0.5, 3.0, 40.0]), "step": np.array([1.5, 0.25, 7.0])}
    found = evaluate(g.build({"y": g.add(*rises)}), given)["y"]
    expected = 2 * (special.digamma(given["x"] + given["step"]) - special.digamma(given["x"]))
    np.testing.assert_allclose(found, expected, rtol=1e-13)
