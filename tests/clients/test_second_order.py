"""Second derivatives verified against differences of gradients; and that whatever derives counts kinks."""

from typing import Any

import numpy as np
import pytest

from gradserve.client import Client
from gradserve.client.functions import cond, while_loop
from gradserve.ir.errors import InvalidRequest
from gradserve.ops.elementwise.trigonometry import Sin
from gradserve.questions.report import Kinks
from gradserve.questions.verdicts import Verdict

ZERO, X = np.zeros(3), np.array([0.5, -1.0, 2.0])


def smooth(w):
    return np.exp(0.1 * (w @ w)) + np.sum(np.sin(w) * w)


def hidden_square(w):
    r = np.linalg.norm(w) + 0.0 * np.max(w * w)
    return np.exp(np.log1p(np.linalg.norm(w) - r + r * r)) - 1.0


@pytest.fixture(scope="module")
def client():
    with Client() as made:
        yield made


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_right_second_derivatives_agree(client, dtype):
    report = client.function(smooth, w=X.astype(dtype)).verify(X.astype(dtype), order=2)
    assert report.passed
    assert [row.order for row in report.inputs] == [1, 2]
    assert "w, order 2" in str(report)


@pytest.mark.parametrize(
    ("loss", "verdict"),
    [
        (lambda w: np.linalg.norm(w) ** 2, Verdict.AGREES),
        (hidden_square, Verdict.DISAGREES),
        (lambda w: np.sum(w * np.abs(w)), Verdict.KINK),
        (lambda w: np.sum(np.maximum(w, 0) ** 2), Verdict.KINK),
    ],
)
def test_conventions_that_differ_from_one_sided_differences_are_told(client, loss, verdict):
    f = client.function(loss, w=ZERO)
    assert f.verify(ZERO).passed
    report = f.verify(ZERO, order=2)
    assert report.verdict is verdict
    assert all(entry.order == 2 for entry in report.entries)
    assert bool(report.kinks.nodes) is (verdict is not Verdict.AGREES)


def test_a_wrong_rule_of_second_order_would_be_seen(monkeypatch):
    """The planted fault: d sin(x) = cos(x) dx with a cosine that does not move."""
    monkeypatch.setattr(Sin, "differential", lambda self, g, dx, x, y: g.mul(g.cos(g.stop_gradient(x)), dx))
    with Client() as fresh:
        f = fresh.function(lambda w: np.sum(np.sin(w) * w + w**2) + 1.0, w=X)
        assert f.verify(X).passed
        assert f.verify(X, order=2).verdict is Verdict.DISAGREES


def test_other_orders_and_claims_are_refused(client):
    f = client.function(smooth, w=X)
    with pytest.raises(InvalidRequest, match="give 1 or 2"):
        f.verify(X, order=3)
    with pytest.raises(InvalidRequest, match="first order"):
        f.verify(X, order=2, claimed=X)


def test_a_service_verifies_the_second_order(address):
    with Client(address) as remote:
        report = remote.function(hidden_square, w=ZERO).verify(ZERO, order=2)
    assert report.verdict is Verdict.DISAGREES
    assert report.kinks is not None
    assert report.kinks.nodes
    assert {row.order for row in report.directions} == {1, 2}


EVERY = {
    "grad": lambda f, w: f.grad(w),
    "jvp": lambda f, w: f.jvp(w, tangent=np.ones(3)),
    "vjp": lambda f, w: f.vjp(w, cotangent=1.0),
    "hvp": lambda f, w: f.hvp(w, tangent=np.ones(3)),
    "jacobian": lambda f, w: f.jacobian(w),
    "hessian": lambda f, w: f.hessian(w),
    "trace": lambda f, w: f.hessian_trace(w, max_probes=64),
    "diagonal": lambda f, w: f.hessian_diagonal(w, max_probes=64),
    "verify": lambda f, w: f.verify(w),
    "verify twice": lambda f, w: f.verify(w, order=2),
    "symmetry": lambda f, w: f.verify_symmetry(w),
    "taylor": lambda f, w: f.taylor(w),
    "inspect": lambda f, w: f.inspect(w),
}
"""Whatever has to do with derivatives."""


def bent(w):
    return np.sum(np.abs(w)) + w @ w


@pytest.mark.parametrize("what", EVERY)
def test_every_reply_counts_kinks(client, what):
    f = client.function(bent, w=ZERO)
    for w, expected in ((ZERO, Kinks(1, 1)), (X, Kinks(0, 0))):
        EVERY[what](f, w)
        assert f.last_report.kinks == expected


def test_an_interval_through_kinks_says_that_it_does_not_hold(client, address):
    with Client(address) as remote:
        for each in (client, remote):
            f = each.function(bent, w=ZERO)
            for method in (f.hessian_trace, f.hessian_diagonal):
                assert "the interval does not hold" in str(method(ZERO, max_probes=8))
                assert method(ZERO, max_probes=8).report.on_kinks
                assert "hold" not in str(method(X, max_probes=8))


THRESHOLDS = {
    "where": lambda w: np.sum(np.where(w > 1, w**2, 2 * w - 1)),
    "cond": lambda w: cond(np.sum(w) > 3, lambda v: np.sum(v**2), lambda v: np.sum(v), w),
    "cond on a part": lambda w: cond(w[0] >= 1, lambda v: np.sum(v**2), lambda v: np.sum(v), w),
    "loop": lambda w: while_loop(lambda c: c < 4.0, lambda c: 2.0 * c, np.sum(w) / 3.0, 8)[0],
    "clip": lambda w: np.sum(np.clip(w, -1, 1)),
    "sort": lambda w: np.sort(w) @ X,
}


@pytest.mark.parametrize("name", THRESHOLDS)
def test_a_comparison_at_its_threshold_counts(client, name):
    f = client.function(THRESHOLDS[name], w=ZERO)
    f.grad(np.ones(3))
    assert f.last_report.kinks.nodes
    f.grad(np.array([1.25, 1.5, 2.25]))
    assert not f.last_report.kinks.nodes


def test_inspect_tells_how_far_the_next_branch_is(client, address):
    w = np.array([0.4, 0.7, 2.0])
    with Client(address) as remote:
        for each in (client, remote):
            found = each.function(lambda w: np.sum(np.where(w > 0.5, w**2, np.maximum(w, 0.25))), w=w).inspect(w)
            margins = {value.op: value.margin for value in found.values if value.margin is not None}
            assert margins == pytest.approx({"gt": 0.1, "maximum": 0.15})
            assert "0.1 away" in str(found)


MARGINS: dict[str, Any] = {"abs": np.abs, "sign": np.sign, "floor": np.floor, "ceil": np.ceil, "round": np.round}


@pytest.mark.parametrize("name", MARGINS)
def test_margins_are_distances_to_where_the_op_turns(client, name):
    for x, expected in (
        (0.3, {"abs": 0.3, "sign": 0.3, "round": 0.2}),
        (-1.75, {"abs": 1.75, "sign": 1.75, "floor": 0.25, "ceil": 0.25}),
    ):
        found = client.function(lambda w: MARGINS[name](w) * w, w=np.array(x)).inspect(np.array(x))
        (margin,) = [value.margin for value in found.values if value.op == name]
        assert margin == pytest.approx(expected.get(name, 0.3 if x > 0 else 0.25))
