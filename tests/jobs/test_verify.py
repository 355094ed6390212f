"""Verification of the gradients of graphs, on a pool."""

import numpy as np
import pytest

from gradserve.ir.errors import Cancelled, InvalidRequest, LimitExceeded, NotDifferentiable
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.limits import Limits
from gradserve.ops import builder
from gradserve.pools.local.pool import LocalPool
from gradserve.questions.call import Batch, Call
from gradserve.questions.derivations import Gradient
from gradserve.questions.verdicts import Verdict
from gradserve.runtime.control import Control
from tests.jobs.support import (
    F32,
    F64,
    arguments_of,
    differentiated,
    layer,
    product,
    progress,
    real,
    total,
    verified,
    wrt_of,
)


def gradient(context, graph, arguments):
    found = differentiated(context, Call(graph, arguments), Gradient()).arrays["gradient"]
    return {name: found[name].copy() for name in wrt_of(graph)}


@pytest.mark.parametrize("element_type", [F64, F32])
def test_the_gradient_that_gradient_answers_agrees(context, element_type):
    graph = layer(element_type)
    messages = progress(context, Call(graph, arguments_of(graph)))
    report = messages[-1].report
    assert report is not None
    assert report.passed
    assert [row.input for row in report.inputs] == ["W", "x", "b", "unused"]
    assert len(report.directions) == 2
    assert report.seed == 0
    assert all(message.report is None for message in messages[:-1])
    evaluations = [message.evaluations for message in messages]
    assert evaluations == sorted(evaluations)
    assert report.evaluations == evaluations[-1] < 300
    cost = messages[-1].execution
    assert cost.executor == "numpy"
    assert cost.placement == "front-end"
    assert cost.flops > 0
    assert cost.chunks > 0
    assert cost.peak_bytes > 0


FAULTS = {
    "sign": ("x", lambda g: -g),
    "factor": ("b", lambda g: 2 * g),
    "transposed": ("W", lambda g: g.T.copy()),
    "lost term": ("b", lambda g: 0 * g),
    "shifted": ("x", lambda g: np.roll(g, 1)),
    "not zero": ("unused", lambda g: g + 1),
}


@pytest.mark.parametrize("element_type", [F64, F32])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_claimed_gradient_with_a_fault_is_traced_to_its_input(context, element_type, fault):
    graph = layer(element_type)
    arguments = arguments_of(graph)
    claimed = gradient(context, graph, arguments)
    assert verified(context, graph, arguments, claimed=claimed).passed
    name, spoil = FAULTS[fault]
    report = verified(context, graph, arguments, claimed={**claimed, name: spoil(claimed[name])})
    assert report.verdict is Verdict.DISAGREES
    assert [row.input for row in report.inputs if row.verdict is not Verdict.AGREES] == [name]
    assert {entry.input for entry in report.entries} == {name}


def test_one_wrong_entry_of_a_thousand_is_named(context):
    g = builder()
    x = g.input("x", real(40, 25))
    y = g.input("y", real(7))
    rng = np.random.default_rng(0)
    graph = g.build({"loss": total(g, g.sin(x) * rng.standard_normal((40, 25))) + total(g, g.exp(y))})
    arguments = arguments_of(graph)
    claimed = gradient(context, graph, arguments)
    for seed in range(5):
        index = tuple(
            int(k) for k in np.unravel_index(np.argsort(np.abs(claimed["x"]), axis=None)[500 + seed], (40, 25))
        )
        wrong = claimed["x"].copy()
        wrong[index] *= 1 + 1e-4
        report = verified(context, graph, arguments, claimed={**claimed, "x": wrong}, seed=seed)
        assert report.verdict is Verdict.DISAGREES
        assert [(entry.input, entry.index) for entry in report.entries] == [("x", index)]


def test_in_single_precision_a_wrong_entry_of_half_a_percent_is_named(context):
    graph = layer(F32)
    arguments = arguments_of(graph)
    claimed = gradient(context, graph, arguments)
    position = int(np.argmax(np.abs(claimed["W"])))
    claimed["W"].flat[position] *= np.float32(1.005)
    report = verified(context, graph, arguments, claimed=claimed)
    assert [(e.input, e.index) for e in report.entries] == [("W", divmod(position, 20))]


def test_single_precision_that_rounding_has_spoilt_is_inconclusive(context):
    g = builder()
    x = g.input("x", real(20, element_type=F32))
    c = g.constant(np.float32(1e5))
    graph = g.build({"loss": total(g, g.sin((x + c) - c) * g.sin(x))})
    report = verified(context, graph, arguments_of(graph))
    assert report.verdict is Verdict.INCONCLUSIVE


def relu_graph():
    g = builder()
    x = g.input("x", real(4))
    return g.build({"loss": total(g, g.maximum(x, 0.0) + g.sin(x))})


def test_relu_at_zero_is_a_kink(context):
    report = verified(context, relu_graph(), {"x": np.array([1.0, 0.0, -2.0, 0.5])})
    assert report.verdict is Verdict.KINK
    assert [(entry.index, entry.verdict) for entry in report.entries] == [((1,), Verdict.KINK)]
    claimed = {"x": np.array([1 + np.cos(1.0), 2.5, np.cos(2.0), 1 + np.cos(0.5)])}
    assert (
        verified(context, relu_graph(), {"x": np.array([1.0, 0, -2, 0.5])}, claimed=claimed).verdict
        is Verdict.DISAGREES
    )


def test_points_where_a_step_is_impossible_are_left_out(context):
    """The matrix is definite at the point itself, but not at the coarser steps."""
    g = builder()
    a = g.input("a", real(6, 6))
    graph = g.build({"loss": total(g, g.cholesky(a))})
    rng = np.random.default_rng(0)
    half = rng.standard_normal((6, 6))
    arguments = {"a": half @ half.T / 6 + 0.05 * np.eye(6)}
    report = verified(context, graph, arguments, directions=4)
    assert report.verdict is Verdict.AGREES


def test_what_is_not_finite(context):
    g = builder()
    x = g.input("x", real(5))
    graph = g.build({"loss": total(g, g.sqrt(x))})
    report = verified(context, graph, {"x": np.array([1.0, 4.0, 0.0, 2.0, 3.0])})
    assert report.verdict is Verdict.NOT_FINITE
    assert [entry.index for entry in report.entries] == [(2,)]
    assert verified(context, graph, {"x": -np.ones(5)}).verdict is Verdict.NOT_FINITE


def test_the_same_bits_on_any_number_of_workers(context):
    graph = layer()
    arguments = arguments_of(graph)
    claimed = gradient(context, graph, arguments)
    claimed["W"][3, 4] += 1e-3
    expected = verified(context, graph, arguments, claimed=claimed, seed=7)
    for threads in (1, 3):
        pool = LocalPool(threads)
        assert verified(Context(pool), graph, arguments, claimed=claimed, seed=7) == expected
        pool.close()


def test_what_does_not_fit_is_refused(context):
    graph = layer()
    arguments = arguments_of(graph)
    claimed = gradient(context, graph, arguments)
    call = Call(graph, arguments)
    missing = {name: claimed[name] for name in ("W", "x", "b")}
    with pytest.raises(InvalidRequest, match=r'claimed\["unused"\]: V3'):
        progress(context, call, claimed=missing)
    with pytest.raises(InvalidRequest, match=r"f64\[20\] is given where f64\[20,20\] is expected"):
        progress(context, call, claimed={**claimed, "W": claimed["b"]})
    with pytest.raises(InvalidRequest, match="V4"):
        progress(context, call, claimed=claimed, wrt=("W",))
    for tolerance in (-1.0, float("nan")):
        with pytest.raises(InvalidRequest, match="V2"):
            progress(context, call, relative_tolerance=tolerance)
    batched = Call(graph, {**arguments, "x": np.zeros((3, 20))}, Batch(("x",)))
    with pytest.raises(InvalidRequest, match="V1"):
        progress(context, batched)
    with pytest.raises(LimitExceeded, match="directions"):
        progress(context, call, directions=10**6)
    with pytest.raises(LimitExceeded, match="flops"):
        progress(Context(context.front_end, limits=Limits(flops=1e4)), call)
    with pytest.raises(LimitExceeded, match="peak_bytes"):
        progress(Context(context.front_end, limits=Limits(peak_bytes=10_000)), call)
    g = builder()
    vector = g.build({"y": g.sin(g.input("x", real(3)))})
    with pytest.raises(NotDifferentiable):
        progress(context, Call(vector, {"x": np.zeros(3)}), claimed={"x": np.zeros(3)})


def test_a_cancelled_verification_ends(context):
    control = Control()
    control.cancel()
    graph = layer()
    with pytest.raises(Cancelled):
        progress(context, Call(graph, arguments_of(graph)), control=control)


def test_a_loss_with_matrices_and_many_parameters(context):
    g = builder()
    w, v, x = g.input("w", real(80, 60)), g.input("v", real(60, 70)), g.input("x", real(30, 80))
    h = g.tanh(product(g, g.tanh(product(g, x, w)), v))
    graph = g.build({"loss": g.reduce_sum(h * h, axes=(0, 1)) * (1 / 2100)})
    assert verified(context, graph, arguments_of(graph)).passed
