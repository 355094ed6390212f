"""Estimates of Hessian traces: right on average, honest at the end, the same bits everywhere."""

from typing import Any

import numpy as np
import pytest

from gradserve.estimation.samplers import signs
from gradserve.ir.errors import Cancelled, InvalidRequest, LimitExceeded, NotDifferentiable, NumericalFailure
from gradserve.jobs.answering import answers
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.limits import Limits
from gradserve.ops import builder
from gradserve.pools.local.pool import LocalPool
from gradserve.questions.call import Batch, Call, Reduction
from gradserve.questions.eigenpairs import TopEigenpairs
from gradserve.questions.estimates import EstimateDiagonal, EstimateTrace, Estimator, StopReason
from gradserve.questions.matrices import Matrix
from gradserve.questions.spectrum import EstimateSpectrum
from gradserve.questions.zero_order import EstimateGradient
from gradserve.runtime.control import Control
from tests.jobs.support import F32, F64, arguments_of, call_of, estimates, layer, quadratic, real, total


def symmetric(n, seed=0):
    a = np.random.default_rng(seed).standard_normal((n, n))
    return (a + a.T) / 2 + np.eye(n)


def by_signs(context, call, **options):
    return estimates(context, call, estimator=Estimator.HUTCHINSON, **options)


def at_zero(graph):
    return Call(graph, {i.name: np.zeros(i.type.lengths, i.type.element_type.dtype) for i in graph.inputs})


def test_estimates_are_the_means_of_the_quadratic_form(context):
    matrix = symmetric(30)
    found = by_signs(context, at_zero(quadratic(matrix)), seed=5, max_probes=100)
    assert [e.probes for e in found] == [16, 32, 64, 100]
    assert [e.stop_reason for e in found] == [StopReason.NONE] * 3 + [StopReason.MAX_PROBES]
    v = signs(5, "probe:x", 0, 100, (30,), F64)
    samples = np.einsum("pi,ij,pj->p", v, matrix, v)
    for estimate in found:
        part = samples[: estimate.probes]
        assert estimate.value == pytest.approx(part.mean(), rel=1e-12)
        assert estimate.standard_error == pytest.approx(part.std(ddof=1) / np.sqrt(len(part)), rel=1e-9)
        assert estimate.lower < estimate.value < estimate.upper
        assert (estimate.seed, estimate.confidence) == (5, 0.95)
    cost = found[-1].report
    assert cost.executor == "numpy"
    assert cost.batch_size >= 100
    assert cost.flops > 0


WAYS: dict[str, dict[str, Any]] = {
    "fixed": {"max_probes": 48},
    "stopping": {"max_probes": 4096, "relative_tolerance": 0.15},
}


@pytest.mark.parametrize("way", WAYS)
def test_intervals_cover_the_trace(context, way):
    matrix = symmetric(20) + 2 * np.eye(20)
    call = at_zero(quadratic(matrix))
    covered, stopped = 0, 0
    for seed in range(400):
        last = by_signs(context, call, seed=seed, **WAYS[way])[-1]
        covered += last.lower <= np.trace(matrix) <= last.upper
        stopped += last.stop_reason is StopReason.TOLERANCE
    assert covered >= 0.93 * 400
    assert stopped == (400 if way == "stopping" else 0)


@pytest.mark.parametrize("element_type", [F64, F32])
def test_a_diagonal_hessian_is_found_at_the_first_look(context, element_type):
    diagonal = np.random.default_rng(0).standard_normal(500)
    graph = quadratic(np.diag(diagonal).astype(element_type.dtype))
    (only,) = by_signs(context, at_zero(graph), relative_tolerance=1e-3)
    assert only.stop_reason is StopReason.TOLERANCE
    assert only.probes == 16
    assert only.lower <= diagonal.sum() <= only.upper
    assert only.upper - only.lower < (1e-12 if element_type is F64 else 1e-3) * abs(diagonal.sum())


def test_more_confidence_takes_more_equal_samples(context):
    call = at_zero(quadratic(np.eye(10)))
    probes = [by_signs(context, call, absolute_tolerance=1e-3, confidence=c)[-1].probes for c in (0.5, 0.95, 0.9999)]
    assert probes == [8, 16, 64]


def test_a_linear_loss_has_trace_zero(context):
    g = builder()
    graph = g.build({"loss": total(g, g.input("x", real(5)))})
    (only,) = by_signs(context, at_zero(graph), relative_tolerance=1e-3)
    assert (only.value, only.lower, only.upper) == (0.0, 0.0, 0.0)
    assert only.stop_reason is StopReason.TOLERANCE


def test_several_inputs_and_the_terms_between_them(context):
    graph = layer(width=5)
    arguments = arguments_of(graph)
    last = by_signs(context, Call(graph, arguments), wrt=("x", "b"), max_probes=4000)[-1]
    z = arguments["W"] @ arguments["x"] + arguments["b"]
    t = np.tanh(z)
    curvature = 2 * (1 - t**2) * (1 - 3 * t**2)
    expected = curvature.sum() + np.sum(curvature[:, None] * arguments["W"] ** 2)
    assert last.lower <= expected <= last.upper
    assert last.upper - last.lower < 0.3 * abs(expected)


def without_timings(found):
    return [(e.value, e.standard_error, e.lower, e.upper, e.probes, e.stop_reason) for e in found]


def test_the_same_bits_on_any_number_of_workers_and_for_any_budget(context):
    graph = layer()
    call = Call(graph, arguments_of(graph))
    expected = without_timings(by_signs(context, call, seed=3, max_probes=300))
    for threads in (1, 3):
        pool = LocalPool(threads)
        assert without_timings(by_signs(Context(pool), call, seed=3, max_probes=300)) == expected
        pool.close()
    longer = without_timings(by_signs(context, call, seed=3, max_probes=1000))
    assert [e[:2] for e in longer[:4]] == [e[:2] for e in expected[:4]]
    assert without_timings(by_signs(context, call, seed=4, max_probes=300)) != expected


OUTSIDE = {"negative": -np.ones(3), "at the edge": np.array([1.0, 0.0, 1.0]), "no number": np.full(3, np.nan)}


def roots():
    g = builder()
    return g.build({"loss": total(g, g.sqrt(g.input("x", real(3))))})


@pytest.mark.parametrize("point", OUTSIDE)
@pytest.mark.parametrize("estimator", Estimator)
def test_what_is_not_finite_is_refused(context, estimator, point):
    """As by spectra, eigenpairs and solutions: no estimate, and least of all an exact one, is made of it."""
    call = call_of(roots(), {"x": OUTSIDE[point]})
    for more in ({}, {"relative_tolerance": 0.5}, {"matrix": Matrix.FISHER}):
        with pytest.raises(NumericalFailure, match=r"^the products with the \w+ matrix are not finite at this point"):
            estimates(context, call, estimator=estimator, **more)
    with pytest.raises(NumericalFailure, match="products with the hessian matrix are not finite"):
        list(answers(context, EstimateDiagonal(call), Control()))


@pytest.mark.parametrize("kind", [EstimateTrace, EstimateDiagonal, EstimateSpectrum])
def test_which_of_several_points_is_not_finite_is_told(context, kind):
    points = {"x": np.array([[1.0, 2.0, 3.0], [1.0, -1.0, 1.0]])}
    with pytest.raises(NumericalFailure, match=r"^point 1: the products with the hessian matrix"):
        list(answers(context, kind(Call(roots(), points, Batch(("x",)))), Control()))
    summed = kind(Call(roots(), points, Batch(("x",), Reduction.SUM)))
    with pytest.raises(NumericalFailure, match=r"^the products"):
        list(answers(context, summed, Control()))


def test_what_does_not_fit_is_refused(context):
    call = at_zero(quadratic(np.eye(3)))
    for confidence in (1.0, -0.5, 2.0, float("nan")):
        with pytest.raises(InvalidRequest, match="E2"):
            by_signs(context, call, confidence=confidence)
    with pytest.raises(InvalidRequest, match="E3"):
        by_signs(context, call, relative_tolerance=-1.0)
    for tolerance in (float("nan"), float("inf")):
        with pytest.raises(InvalidRequest, match="E3"):
            by_signs(context, call, absolute_tolerance=tolerance)
    batched = Call(quadratic(np.eye(3)), {"x": np.zeros((4, 3))}, Batch(("x",)))
    with pytest.raises(InvalidRequest, match="E1"):
        list(answers(context, EstimateGradient(batched), Control()))
    with pytest.raises(LimitExceeded, match="probes"):
        by_signs(context, call, max_probes=10**9)
    with pytest.raises(LimitExceeded, match="flops"):
        by_signs(Context(context.front_end, limits=Limits(flops=1e5)), call, max_probes=10**5)
    with pytest.raises(InvalidRequest, match="W1"):
        by_signs(context, call, wrt=("y",))
    for question in (EstimateTrace, EstimateDiagonal, EstimateSpectrum, TopEigenpairs):
        with pytest.raises(InvalidRequest, match="named twice"):
            list(answers(context, question(call, ("x", "x")), Control()))
    g = builder()
    vector = g.build({"y": g.sin(g.input("x", real(3)))})
    with pytest.raises(NotDifferentiable):
        by_signs(context, Call(vector, {"x": np.zeros(3)}))


def test_a_cancelled_estimate_ends(context):
    control = Control()
    control.cancel()
    with pytest.raises(Cancelled):
        by_signs(context, at_zero(quadratic(np.eye(3))), control=control)
