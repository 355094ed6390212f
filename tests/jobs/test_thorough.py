"""Checks by other means: what agrees everywhere, and that each sees the fault that it is for."""

import numpy as np
import pytest

from gradserve.execution import installed
from gradserve.ir.graph import Literal
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.verifications import losses, thorough
from gradserve.ops import builder
from gradserve.ops.contraction.contract import Contract
from gradserve.ops.elementwise.trigonometry import Tanh
from gradserve.pools.local.pool import LocalPool
from gradserve.questions.verdicts import Verdict
from gradserve.verification.symmetry import Product
from tests.jobs.support import F64, product, real, verified

W = np.random.default_rng(0).standard_normal((4, 3))
X = np.array([0.3, -0.7, 0.2])
NAMES = ["determinism", *["executors"] * len(installed()), "jvp and vjp", "second remainder", "complex step"]


@pytest.fixture
def fresh():
    """A context that has derived nothing yet."""
    pool = LocalPool(1)
    yield Context(pool)
    pool.close()


def network(kinked=False):
    g = builder()
    x = g.input("x", real(3, element_type=F64))
    z = product(g, g.constant(Literal(W)), x)
    y = g.maximum(z, 0.0) if kinked else g.tanh(z)
    return g.build({"loss": g.reduce_sum(g.mul(y, y), axes=(0,))})


def checks(context, graph=None, **options):
    report = verified(context, graph or network(), {"x": X}, thorough=True, **options)
    return report, {check.name: check for check in report.checks}


def test_right_rules_agree_by_every_means(context):
    report, found = checks(context)
    assert report.passed
    assert [check.name for check in report.checks] == NAMES
    assert {check.verdict for check in report.checks} == {Verdict.AGREES}
    assert found["determinism"].discrepancy == 0
    assert all(str(check) in report.notes for check in report.checks)


def test_nothing_is_checked_by_other_means_unless_asked_for(context):
    assert verified(context, network(), {"x": X}).checks == ()


def test_complex_steps_are_left_out_where_a_graph_is_not_analytic(context):
    _, found = checks(context, network(kinked=True))
    assert list(found) == list(dict.fromkeys(NAMES[:-1]))


def test_of_a_claim_what_does_not_rest_on_our_rules_is_checked(context):
    y = np.tanh(W @ X)
    right = W.T @ (2 * y * (1 - y**2))
    report, found = checks(context, claimed={"x": right})
    assert report.passed
    assert list(found) == ["determinism", "complex step"]
    _, found = checks(context, claimed={"x": right * [1, 1, 1.01]})
    assert found["complex step"].verdict is Verdict.DISAGREES


def test_a_differential_that_is_wrong_both_ways_is_seen_by_the_complex_step(fresh, monkeypatch):
    right = Tanh.differential
    monkeypatch.setattr(Tanh, "differential", lambda op, g, dx, x, y: g.mul(1.01, right(op, g, dx, x, y)))
    report, found = checks(fresh)
    assert report.verdict is Verdict.DISAGREES
    assert found["complex step"].verdict is Verdict.DISAGREES
    assert found["jvp and vjp"].verdict is Verdict.AGREES


def test_a_transpose_that_is_wrong_is_seen_forward(fresh, monkeypatch):
    right = Contract.transpose

    def wrong(op, g, cotangents, operands):
        return tuple(found and g.mul(1.01, found) for found in right(op, g, cotangents, operands))

    monkeypatch.setattr(Contract, "transpose", wrong)
    _, found = checks(fresh)
    assert found["jvp and vjp"].verdict is Verdict.DISAGREES
    assert found["complex step"].verdict is Verdict.DISAGREES


def test_gradients_that_change_are_seen(context, monkeypatch):
    right, turn = thorough.Thorough._gradient, iter(range(100))
    monkeypatch.setattr(thorough.Thorough, "_gradient", lambda self, call: right(self, call) + 1e-15 * next(turn))
    _, found = checks(context)
    assert found["determinism"].verdict is Verdict.DISAGREES


def test_an_executor_that_differs_is_seen(context, monkeypatch):
    right = thorough.Thorough._gradient

    def wrong(self, call):
        return right(self, call) * (1.01 if call.options.executor == "fused" else 1.0)

    monkeypatch.setattr(thorough.Thorough, "_gradient", wrong)
    report, _ = checks(context)
    told = {check.detail.split()[0]: check.verdict for check in report.checks if check.name == "executors"}
    assert told == {name: Verdict.DISAGREES if name == "fused" else Verdict.AGREES for name in installed()}


def test_products_that_are_wrong_leave_a_remainder_of_second_order(context, monkeypatch):
    right = losses.Losses.products

    def wrong(self, vectors):
        return [Product(2 * product.value, product.bound) for product in right(self, vectors)]

    monkeypatch.setattr(losses.Losses, "products", wrong)
    _, found = checks(context)
    assert found["second remainder"].verdict is Verdict.INCONCLUSIVE
    assert found["second remainder"].discrepancy == pytest.approx(1, abs=0.1)
