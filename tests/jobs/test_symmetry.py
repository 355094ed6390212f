"""Verification of the symmetry of Hessians, on a pool."""

import numpy as np
import pytest

from gradserve.ir.errors import Cancelled, InvalidRequest, LimitExceeded, NotDifferentiable
from gradserve.jobs.answering import answers
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.limits import Limits
from gradserve.ops import builder
from gradserve.ops.elementwise.arithmetic import Mul
from gradserve.ops.elementwise.powers import Exp
from gradserve.ops.family import total
from gradserve.pools.local.pool import LocalPool
from gradserve.questions.call import Batch, Call
from gradserve.questions.symmetry import EntryPair, VerifySymmetry
from gradserve.questions.verdicts import Verdict
from gradserve.questions.verification import Entry
from gradserve.runtime.control import Control
from tests.jobs.support import F32, F64, arguments_of, layer, real, wrt_of


def progress(context, graph, arguments, wrt=(), pairs=(), count=0, seed=0, tolerance=0.0, control=None, batch=()):
    call = Call(graph, arguments, Batch(batch) if batch else None)
    pairs = tuple(EntryPair(u, v) for u, v in pairs)
    question = VerifySymmetry(call, wrt or wrt_of(graph), pairs, count, seed, tolerance)
    return list(answers(context, question, control or Control()))


def verified(*given, **wishes):
    return progress(*given, **wishes)[-1].report


def product_of_two(element_type=F64):
    """exp(x y) x."""
    g = builder()
    x, y = (g.input(name, real(element_type=element_type)) for name in "xy")
    return g.build({"loss": g.mul(g.exp(g.mul(x, y)), x)})


POINT = {"x": np.array(0.7), "y": np.array(-0.4)}


@pytest.mark.parametrize("element_type", [F64, F32])
def test_a_right_hessian_agrees(context, element_type):
    graph = layer(element_type)
    messages = progress(context, graph, arguments_of(graph), count=6)
    report = messages[-1].report
    assert report.passed
    assert [pair.entries is None for pair in report.pairs].count(True) == 3
    assert all(abs(pair.uv - pair.u_hv) < 1e-3 * max(1, abs(pair.u_hv)) for pair in report.pairs)
    evaluations = [message.evaluations for message in messages]
    assert evaluations == sorted(evaluations)
    assert report.evaluations == evaluations[-1]
    assert all(message.report is None for message in messages[:-1])
    cost = messages[-1].execution
    assert min(cost.flops, cost.chunks, cost.peak_bytes, cost.plan, cost.execute) > 0


def test_named_pairs(context):
    pairs = [(Entry("y", ()), Entry("x", ()))]
    (pair,) = verified(context, product_of_two(), POINT, pairs=pairs).pairs
    assert pair.entries == EntryPair(*pairs[0])
    x, y = 0.7, -0.4
    assert pair.uv == pytest.approx((2 * x + x * x * y) * np.exp(x * y), rel=1e-6)


def without_second_order(self, g, dx, x, y):
    return g.mul(g.stop_gradient(y), dx)


def one_side_forgotten(self, g, outputs, primals, tangents):
    """The product rule, right in the first order: the other factor of the second tangent counts as a constant."""
    (x, y), (dx, dy) = primals, tangents
    return (total(g, [dx and g.mul(dx, y), dy and g.mul(g.stop_gradient(x), dy)]),)


def test_a_wrong_rule_of_second_order_is_found(context, monkeypatch):
    """The gradient is right; only what is derived from it is not."""
    assert verified(context, product_of_two(), POINT).passed
    monkeypatch.setattr(Exp, "differential", without_second_order)
    (pair,) = verified(Context(context.front_end), product_of_two(), POINT).pairs
    assert pair.verdict is Verdict.DISAGREES
    assert abs(pair.uv - pair.u_hv) > 0.1


def test_a_rule_that_makes_the_hessian_unsymmetric_is_found(context, monkeypatch):
    monkeypatch.setattr(Mul, "jvp", one_side_forgotten)
    g = builder()
    graph = g.build({"loss": g.mul(g.input("x", real()), g.input("y", real()))})
    (pair,) = verified(Context(context.front_end), graph, POINT).pairs
    assert pair.verdict is Verdict.DISAGREES
    assert abs(pair.u_hv - pair.v_hu) > 0.1


def test_the_report_does_not_depend_on_the_number_of_threads():
    graph = layer()
    reports = []
    for threads in (1, 3):
        pool = LocalPool(threads)
        reports.append(verified(Context(pool), graph, arguments_of(graph), count=4, seed=5))
        pool.close()
    assert repr(reports[0]) == repr(reports[1])


@pytest.mark.parametrize(
    ("wishes", "field"),
    [
        ({"pairs": [(Entry("x", (0,)), Entry("b", (20,)))]}, "pairs[0].v"),
        ({"pairs": [(Entry("x", ()), Entry("b", (1,)))]}, "pairs[0].u"),
        ({"pairs": [(Entry("z", ()), Entry("b", (1,)))]}, "pairs[0].u"),
        ({"pairs": [(Entry("b", (1,)), Entry("b", (1,)))]}, "pairs[0]"),
        ({"wrt": ("b",), "pairs": [(Entry("b", (1,)), Entry("x", (1,)))]}, "pairs[0].v"),
        ({"tolerance": -1.0}, "relative_tolerance"),
        ({"wrt": ("nothing",)}, "wrt[0]"),
    ],
)
def test_what_does_not_fit_is_refused(context, wishes, field):
    graph = layer()
    with pytest.raises(InvalidRequest) as refused:
        progress(context, graph, arguments_of(graph), **wishes)
    assert field in [violation.field for violation in refused.value.violations]


def test_batches_are_refused(context):
    batched = {name: np.stack([array, array]) for name, array in POINT.items()}
    with pytest.raises(InvalidRequest, match="one point"):
        progress(context, product_of_two(), batched, batch=("x", "y"))


def test_what_is_no_loss_is_refused(context):
    g = builder()
    g_out = g.exp(g.input("x", real(3)))
    with pytest.raises(NotDifferentiable):
        progress(context, g.build({"y": g_out}), {"x": np.ones(3)})


def test_limits_and_cancelling(context):
    with pytest.raises(LimitExceeded, match="directions"):
        progress(context, product_of_two(), POINT, count=1001)
    small = Context(context.front_end, limits=Limits(flops=1e3))
    with pytest.raises(LimitExceeded, match="flops"):
        progress(small, product_of_two(), POINT)
    control = Control()
    control.cancel()
    with pytest.raises(Cancelled):
        progress(context, product_of_two(), POINT, control=control)
