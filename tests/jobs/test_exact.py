"""Traces without chance: in one pass, or by products with all columns, whichever is predicted to take less."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradserve.jobs.answering import answers
from gradserve.jobs.estimates.multiplied import Products
from gradserve.jobs.sweeps.limits import Limits
from gradserve.ops import builder
from gradserve.questions.call import AtKinks, Call, Options
from gradserve.questions.estimates import EstimateTrace, Estimator, StopReason
from gradserve.questions.matrices import Matrix
from gradserve.runtime.control import Control
from tests.jobs.support import call_of, estimates, product, quadratic, real, total

SIZE, WIDTH = 70, 120
WEIGHTS = np.random.default_rng(2).standard_normal((WIDTH, SIZE)) / np.sqrt(SIZE)
POINT = np.linspace(-1.0, 1.0, SIZE)


def network() -> Call:
    """The sum of tanh(W x), whose Hessian is W^T diag(tanh'') W."""
    g = builder()
    x = g.input("x", real(SIZE))
    return call_of(g.build({"loss": total(g, g.tanh(product(g, g.constant(WEIGHTS), x)))}), {"x": POINT})


def expected() -> float:
    t = np.tanh(WEIGHTS @ POINT)
    return float(np.sum(-2 * t * (1 - t * t) * np.sum(WEIGHTS**2, axis=1)))


@pytest.fixture
def passes(monkeypatch):
    """How many traces were made in one pass."""
    made: list[float] = []
    real_trace = Products.trace

    def trace(self):
        made.append(real_trace(self))
        return made[-1]

    monkeypatch.setattr(Products, "trace", trace)
    return made


@pytest.mark.parametrize("estimator", [Estimator.EXACT, Estimator.AUTO])
def test_a_trace_in_one_pass(estimator, context, passes):
    """Of more directions than one pass takes: the last one runs beyond the identity."""
    (last,) = estimates(context, network(), estimator=estimator)
    assert passes == [last.value]
    assert last.stop_reason is StopReason.EXACT
    assert last.value == pytest.approx(expected(), rel=1e-12)
    assert last.lower <= expected() <= last.upper
    assert last.upper - last.lower < 1e-10
    assert last.probes == SIZE
    assert last.report.flops > 0


def test_the_way_that_is_predicted_to_take_less_is_taken(context, passes, monkeypatch):
    by_pass = estimates(context, network(), estimator=Estimator.EXACT)[-1]
    monkeypatch.setattr(Products, "pass_price", lambda *_: np.inf)
    by_columns = estimates(context, network(), estimator=Estimator.EXACT)[-1]
    assert len(passes) == 1
    assert by_columns.value == pytest.approx(by_pass.value, rel=1e-12)
    assert by_pass.report.flops < by_columns.report.flops


@pytest.mark.parametrize("estimator", Estimator)
def test_a_matrix_without_entries_has_the_trace_zero(context, estimator):
    g = builder()
    graph = g.build({"loss": total(g, g.input("x", real(0)))})
    last = estimates(context, call_of(graph, {"x": np.zeros(0)}), estimator=estimator)[-1]
    assert (last.value, last.lower, last.upper) == (0.0, 0.0, 0.0)


def test_a_pass_over_a_limit_is_not_taken(context, passes, monkeypatch):
    monkeypatch.setattr(Products, "_directions", 1 << 16)
    narrow = replace(context, limits=Limits(peak_bytes=16 << 20))
    (last,) = estimates(narrow, network(), estimator=Estimator.EXACT)
    assert passes == []
    assert last.value == pytest.approx(expected(), rel=1e-12)


@pytest.mark.parametrize(
    "more", [{"diagonal": True}, {"matrix": Matrix.FISHER}, {"matrix": Matrix.GAUSS_NEWTON}, {"max_probes": SIZE - 1}]
)
def test_where_more_is_asked_for_it_is_made_of_products(more, context, passes):
    estimates(context, network(), estimator=Estimator.AUTO, **more)
    assert passes == []


def test_a_trace_that_cancels_keeps_its_interval(context):
    """Of a saddle: what is left of a sum of large numbers is rounding, and the interval says so."""
    matrix = np.diag(np.tile([1e8, -1e8], 20)) + np.diag(np.linspace(0.0, 1e-6, 40))
    (last,) = estimates(context, call_of(quadratic(matrix), {"x": np.ones(40)}), estimator=Estimator.EXACT)
    assert last.lower <= 40 * 0.5e-6 <= last.upper


def test_it_is_gone_on_with(context, passes):
    question = EstimateTrace(network(), estimator=Estimator.EXACT)
    (first,) = answers(context, question, Control())
    (again,) = answers(context, replace(question, resume=first.token), Control())
    assert (again.value, again.interval) == (first.value, first.interval)
    assert len(passes) == 1


def test_kinks_are_counted(context, passes):
    g = builder()
    x = g.input("x", real(SIZE))
    graph = g.build({"loss": total(g, g.abs(product(g, g.constant(WEIGHTS), x)) * 2.0)})
    (last,) = estimates(context, Call(graph, {"x": np.zeros(SIZE)}, None, Options()), estimator=Estimator.EXACT)
    assert last.report.kinks is not None
    assert last.report.kinks.nodes == 1
    assert last.report.on_kinks
    refused = replace(Options(), kinks=AtKinks.CONVENTION, count_kinks=False)
    (silent,) = estimates(context, Call(graph, {"x": np.zeros(SIZE)}, None, refused), estimator=Estimator.EXACT)
    assert silent.report.kinks is None
