"""Spectra, eigenpairs and systems of losses, from the question to the answer: against JAX's dense Hessians."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradserve.ir.errors import (
    Cancelled,
    DeadlineExceeded,
    InvalidRequest,
    LimitExceeded,
    NotDifferentiable,
    NumericalFailure,
)
from gradserve.jobs.answering import answers
from gradserve.jobs.explain import explain
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.limits import Limits
from gradserve.jobs.sweeps.programs import go_on
from gradserve.ops import builder
from gradserve.pools.local.pool import LocalPool
from gradserve.questions.call import Batch, Call
from gradserve.questions.eigenpairs import End, TopEigenpairs
from gradserve.questions.estimates import EstimateTrace, Estimator
from gradserve.questions.matrices import Matrix
from gradserve.questions.solve import Preconditioner, SolveHessian, SolveStop
from gradserve.questions.spectrum import EstimateSpectrum
from gradserve.runtime.control import Control
from tests import compiled
from tests.jobs.support import F32, F64, arguments_of, call_of, layer, quadratic, real, total

WRT = ("W", "b")


def last(context, question, control=None):
    *_, answer = answers(context, question, control or Control.after(60.0))
    return answer


def jax_hessian(arguments):
    """The Hessian of the loss of `layer` in W and b, as one matrix."""
    jax.config.update("jax_enable_x64", True)
    size = arguments["W"].size

    def loss(v):
        w, b = v[:size].reshape(arguments["W"].shape), v[size:]
        return jnp.sum(jnp.tanh(w @ arguments["x"] + b) ** 2)

    point = np.concatenate([arguments["W"].ravel(), arguments["b"]])
    return np.asarray(compiled.hessian(loss)(point))


def network(element_type=F64, width=6):
    graph = layer(element_type, width)
    arguments = arguments_of(graph, 3)
    return call_of(graph, arguments), jax_hessian({n: a.astype(np.float64) for n, a in arguments.items()})


@pytest.mark.parametrize(("element_type", "tolerance"), [(F64, 1e-9), (F32, 1e-4)])
def test_eigenpairs_of_a_network(context, element_type, tolerance):
    call, hessian = network(element_type)
    values = np.linalg.eigvalsh(hessian)
    for end, exact in ((End.LARGEST, values[::-1][:3]), (End.SMALLEST, values[:3])):
        found = last(context, TopEigenpairs(call, WRT, count=3, end=end))
        assert found.complete
        assert np.allclose(found.values, exact, atol=tolerance * np.abs(values).max())
        v = np.concatenate([found.vectors["W"].reshape(3, -1), found.vectors["b"]], axis=1)
        assert np.linalg.norm(v @ hessian - found.values[:, None] * v) < 10 * tolerance * np.abs(values).max()
    assert found.vectors["W"].shape == (3, 6, 6)


def test_the_spectrum_of_a_network(context):
    call, hessian = network()
    found = last(context, EstimateSpectrum(call, WRT, seed=2, probes=32))
    for p, each in enumerate(found.moments, start=1):
        assert each.lower <= np.trace(np.linalg.matrix_power(hessian, p)) / len(hessian) <= each.upper
    assert (found.size, found.probes, found.done) == (42, 32, True)
    assert found.largest == pytest.approx(np.linalg.eigvalsh(hessian)[-1])


def test_the_first_moment_is_the_estimate_of_the_trace(context):
    """The probes are the same."""
    call, _ = network()
    spectrum = last(context, EstimateSpectrum(call, WRT, seed=5, probes=16))
    trace = last(context, EstimateTrace(call, WRT, seed=5, max_probes=16, estimator=Estimator.HUTCHINSON))
    assert spectrum.moments[0].value * spectrum.size == pytest.approx(trace.value, rel=1e-12)
    other = last(context, EstimateSpectrum(call, WRT, seed=6, probes=16))
    assert other.moments[0].value * spectrum.size != pytest.approx(trace.value, rel=1e-3)


def test_answers_come_after_doubling_numbers_of_probes(context):
    call, _ = network()
    found = list(answers(context, EstimateSpectrum(call, probes=11), Control()))
    assert [each.probes for each in found] == [1, 2, 4, 8, 11]
    assert [each.done for each in found] == [False] * 4 + [True]
    assert [each.report.batch_size for each in found] == sorted(each.report.batch_size for each in found)
    alone = last(context, EstimateSpectrum(call, probes=4))
    assert alone.density.tobytes() == found[2].density.tobytes()


@pytest.mark.parametrize("preconditioner", Preconditioner)
def test_a_system_with_a_network(context, preconditioner):
    call, hessian = network()
    rng = np.random.default_rng(1)
    right = {"W": rng.standard_normal((6, 6)), "b": rng.standard_normal(6)}
    damping = 0.5 - np.linalg.eigvalsh(hessian)[0]
    question = SolveHessian(call, WRT, right=right, damping=damping, preconditioner=preconditioner)
    found = last(context, question)
    exact = np.linalg.solve(hessian + damping * np.eye(42), np.concatenate([right["W"].ravel(), right["b"]]))
    x = np.concatenate([found.solution["W"].ravel(), found.solution["b"]])
    assert found.converged
    assert found.residual <= 1e-6
    assert np.linalg.norm(x - exact) <= 1e-5 * np.linalg.norm(exact)
    bent = last(context, SolveHessian(call, WRT, right=right, damping=damping - 1))
    assert bent.stop_reason is SolveStop.NEGATIVE_CURVATURE
    p = np.concatenate([bent.direction["W"].ravel(), bent.direction["b"]])
    assert p @ hessian @ p + (damping - 1) == pytest.approx(bent.curvature)
    assert bent.curvature < 0


def gauss_newton():
    """Outputs z = W x and a loss of them; J^T J is known."""
    g = builder()
    w, x = g.input("W", real(4, 3)), g.input("x", real(3))
    z = g.contract(w, x, lhs_contract=(1,), rhs_contract=(0,), lhs_batch=(), rhs_batch=())
    return g.build({"z": z, "loss": total(g, g.exp(z))})


def test_the_gauss_newton_matrix(context):
    graph = gauss_newton()
    arguments = arguments_of(graph, 1)
    j = np.kron(np.eye(4), arguments["x"][None])
    weights = np.exp(arguments["W"] @ arguments["x"])
    exact = np.linalg.eigvalsh(j.T @ (weights[:, None] * j))[::-1]
    options: dict[str, Any] = {"wrt": ("W",), "matrix": Matrix.GAUSS_NEWTON, "loss": "loss"}
    found = last(context, TopEigenpairs(call_of(graph, arguments), **options, count=4))
    assert np.allclose(found.values, exact[:4])
    spectrum = last(context, EstimateSpectrum(call_of(graph, arguments), **options, damping=0.1, seed=1))
    assert spectrum.functions[0].lower <= np.log(np.abs(exact) + 0.1).sum() <= spectrum.functions[0].upper


def test_any_number_of_threads_has_the_same_bits(context):
    call, _ = network(width=30)
    questions = [
        EstimateSpectrum(call, WRT, probes=8, steps=20),
        TopEigenpairs(call, WRT, count=2),
        SolveHessian(call, WRT, right={n: call.arguments[n] for n in WRT}, damping=9.0),
    ]
    pool = LocalPool(1)
    for question in questions:
        here, there = last(context, question), last(Context(pool), question)
        for name in ("density", "values", "residuals"):
            if hasattr(here, name):
                assert getattr(here, name).tobytes() == getattr(there, name).tobytes()
    pool.close()


@pytest.mark.parametrize("kind", [EstimateSpectrum, TopEigenpairs])
def test_what_is_not_finite_is_refused(context, kind):
    g = builder()
    x = g.input("x", real(3))
    graph = g.build({"loss": total(g, g.sqrt(x))})
    with pytest.raises(NumericalFailure, match="products with the hessian matrix are not finite"):
        last(context, kind(call_of(graph, {"x": np.array([1.0, 2.0, 0.0])})))


def test_what_is_chosen_away_contributes_nothing(context):
    """Products that are NaN at first are taken again in the form in which zeros absorb what is not finite."""
    g = builder()
    x = g.input("x", real(2))
    y = g.select(g.gt(x, g.full(x.type, 0)), g.sqrt(x), g.mul(x, x))
    found = last(context, TopEigenpairs(call_of(g.build({"loss": total(g, y)}), {"x": np.zeros(2)}), count=2))
    assert np.allclose(found.values, 2, rtol=1e-14)


@pytest.mark.parametrize("kind", [EstimateSpectrum, TopEigenpairs, SolveHessian])
def test_limits_and_explanations(context, kind):
    call, _ = network()
    right = {"right": {n: call.arguments[n] for n in WRT}} if kind is SolveHessian else {}
    question = kind(call, WRT, **right)
    told = explain(context, question, go_on)
    single = explain(context, kind(call, WRT, **right), go_on)
    assert told.placement == "front-end"
    assert told.flops >= 42 * told.loss_flops
    assert told.peak_bytes > 42 * 8 * 5
    assert single.flops == told.flops
    tight = Context(context.front_end, limits=Limits(flops=told.flops * 0.9))
    assert explain(tight, question, go_on).placement == "refused"
    with pytest.raises(LimitExceeded, match="floating-point operations"):
        last(tight, question)
    with pytest.raises(LimitExceeded, match="a chunk needs"):
        last(Context(context.front_end, limits=Limits(peak_bytes=told.peak_bytes - 1)), question)


def test_deadlines_and_cancellation_are_looked_at_between_products(context):
    rng = np.random.default_rng(0)
    call = call_of(quadratic(np.diag(rng.standard_normal(600))), {"x": np.zeros(600)})
    question = TopEigenpairs(call, tolerance=1e-300, max_products=10**6)
    with pytest.raises(DeadlineExceeded):
        last(context, question, Control.after(0.3))
    control = Control()
    running = answers(context, question, control)
    next(running)
    control.cancel()
    with pytest.raises(Cancelled):
        list(running)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (lambda c: EstimateSpectrum(c, confidence=1.0), "confidence: K5"),
        (lambda c: EstimateSpectrum(c, width=-1.0), "width: K5"),
        (lambda c: EstimateSpectrum(c, steps=2000), "steps: K6: 2000 are asked for, and there are at most 1000"),
        (lambda c: EstimateSpectrum(c, damping=np.inf), "damping: K5"),
        (lambda c: SolveHessian(Call(c.graph, {**c.arguments, "b": c.arguments["b"][None]}, Batch(("b",)))), "K1"),
        (lambda c: SolveHessian(c, WRT), r'right\["W"\]: K3: what belongs to this input is missing: f64\[6,6\]'),
        (lambda c: SolveHessian(c, ("b",), right={"b": np.ones(5)}), r'right\["b"\]: R4'),
        (lambda c: SolveHessian(c, ("b",), right={"b": np.ones(6), "W": np.ones(6)}), r'right\["W"\]: K3.*not among'),
        (lambda c: SolveHessian(c, ("b",), right={"b": np.ones(6)}, diagonal={"b": np.ones(6)}), "preconditioner: K9"),
        (
            lambda c: SolveHessian(
                c,
                ("b",),
                right={"b": np.ones(6)},
                diagonal={"b": np.zeros(6)},
                preconditioner=Preconditioner.DIAGONAL,
            ),
            r'diagonal\["b"\]: K9: all of',
        ),
    ],
)
def test_what_does_not_fit_is_named(context, question, message):
    call, _ = network()
    with pytest.raises(InvalidRequest, match=message):
        last(context, question(call))


def test_what_is_no_loss_has_no_hessian(context):
    g = builder()
    x = g.input("x", real(3))
    with pytest.raises(NotDifferentiable, match="no loss"):
        last(context, EstimateSpectrum(call_of(g.build({"y": g.exp(x)}), {"x": np.zeros(3)})))


def test_there_has_to_be_something(context):
    g = builder()
    x = g.input("x", real(0))
    with pytest.raises(InvalidRequest, match="wrt: K2: there are no numbers"):
        last(context, EstimateSpectrum(call_of(g.build({"y": total(g, x)}), {"x": np.zeros(0)})))


@pytest.mark.parametrize("wrt", [("nothing",), ("", "b")])
def test_an_input_that_the_graph_has_not_got_is_named(context, wrt):
    call, _ = network()
    for question in (
        SolveHessian(call, wrt, right={wrt[0]: np.zeros(3)}),
        SolveHessian(call, wrt, right={}),
        TopEigenpairs(call, wrt, start={wrt[0]: np.zeros((2, 3))}),
        TopEigenpairs(call, wrt, start={"c": np.zeros((2, 3))}),
    ):
        with pytest.raises(InvalidRequest):
            last(context, question)
