"""Derivatives at kinks as the call wants them: by convention, as limits with a bound, or refused."""

import numpy as np
import pytest

from gradserve.client import Client
from gradserve.ir.errors import InvalidRequest, NotDifferentiable
from gradserve.questions.report import Kinks
from gradserve.verification import limits

norm = np.linalg.norm
ZERO = np.zeros(3)


def hidden(w):
    """|w|^2, as no algebra of ours sees it."""
    r = norm(w) + 0.0 * np.max(w * w)
    return np.exp(np.log1p(norm(w) - r + r * r)) - 1.0


RESOLVED = {
    "norm^2, hidden": (hidden, ZERO, 2 * np.eye(3)),
    "sinc with a guard": (
        lambda w: np.sum(np.where(w == 0, 1.0, np.sin(w) / np.where(w == 0, 1.0, w))),
        ZERO,
        -np.eye(3) / 3,
    ),
    "|x|^3": (lambda w: np.sum(np.abs(w) ** 3), ZERO, np.zeros((3, 3))),
    "norm + eps": (lambda w: np.cos(norm(w) + 1e-13), ZERO, -np.eye(3)),
}
REFUSED = {
    "|x|": (lambda w: np.sum(np.abs(w)), "grad"),
    "norm": (lambda w: norm(w), "grad"),
    "jump": (lambda w: np.sum(np.sign(w)), "grad"),
    "a single point": (lambda w: np.sum(np.where(w == 0, 5.0, w)), "grad"),
    "relu^2": (lambda w: np.sum(np.maximum(w, 0) ** 2), "hessian"),
    "x |x|": (lambda w: np.sum(w * np.abs(w)), "hessian"),
    "|x|, second order": (lambda w: np.sum(np.abs(w)), "hvp"),
    "between kinks": (lambda w: np.maximum(np.abs(w[0]) - np.abs(w[1]), 0) + w[2] ** 2, "grad"),
    "root": (lambda w: np.sum(np.sqrt(w)), "grad"),
}


def asked(client, function, kinks, w=ZERO):
    f = client.function(function, w=w)
    f.kinks = kinks
    return f


def ask(f, what, w=ZERO, **options):
    return f.hvp(w, tangent=np.ones_like(w), **options) if what == "hvp" else getattr(f, what)(w, **options)


@pytest.mark.parametrize("name", RESOLVED)
def test_where_all_limits_agree_they_are_the_derivative(name):
    function, point, hessian = RESOLVED[name]
    with Client() as client:
        f = asked(client, function, "resolve", point)
        np.testing.assert_allclose(f.grad(point), 0, atol=f.last_report.kinks.bound)
        found = f.hessian(point)
        kinks = f.last_report.kinks
        assert kinks.nodes
        assert 0 < kinks.bound < 1e-4
        np.testing.assert_allclose(found, hessian, atol=kinks.bound)
        np.testing.assert_allclose(
            f.hvp(point, tangent=np.ones(3)), hessian @ np.ones(3), atol=f.last_report.kinks.bound
        )


@pytest.mark.parametrize("name", REFUSED)
def test_where_they_differ_it_is_refused(name):
    function, what = REFUSED[name]
    with Client() as client, pytest.raises(NotDifferentiable) as caught:
        ask(asked(client, function, "resolve"), what)
    told = str(caught.value)
    assert "on a kink" in told
    assert "tends to" in told or "no limit" in told
    assert "test_at_kinks.py:" in told


def test_one_sided_values_are_told():
    words = r"w\[0\] tends to -1 along one direction and to 1 along another"
    with Client() as client, pytest.raises(NotDifferentiable, match=words):
        asked(client, lambda w: np.sum(np.abs(w)), "resolve").grad(ZERO)


@pytest.mark.parametrize("what", ["grad", "jacobian", "hessian", "hvp"])
def test_refuse_names_nodes_and_lines(what):
    def loss(w):
        return np.sum(np.abs(w))

    with Client() as client:
        f = asked(client, loss, "refuse")
        with pytest.raises(NotDifferentiable, match=r"3 element\(s\) of abs on a kink.*") as caught:
            ask(f, what)
        assert "test_at_kinks.py:" in str(caught.value)
        ask(f, what, np.ones(3))


WHAT = ["hessian_trace", "verify", "verify_symmetry", "taylor"]


@pytest.mark.parametrize("what", WHAT)
def test_what_is_no_derivative_alone_is_refused_at_kinks(what):
    with Client() as client:
        for kinks in ("resolve", "refuse"):
            f = asked(client, lambda w: np.sum(np.abs(w)), kinks)
            with pytest.raises(NotDifferentiable, match="abs on a kink"):
                getattr(f, what)(ZERO)


def guarded(w):
    """sum w + w^2 / 2, but for a guard whose branch at 0 has no slope."""
    return np.sum(np.where(w == 0, 0.0, w + 0.5 * w * w))


def test_limits_are_what_is_verified():
    with Client() as client:
        f = asked(client, guarded, "resolve")
        for order in (1, 2):
            report = f.verify(ZERO, order=order)
            assert report.passed, report
            assert "derivatives there are limits within" in str(report)
            assert "conventions" not in str(report)
        assert f.verify_symmetry(ZERO).passed
        assert f.verify(ZERO, claimed=np.ones(3)).passed
        assert not f.verify(ZERO, claimed=np.zeros(3)).passed
        assert not asked(client, guarded, "convention").verify(ZERO).passed


def test_wrong_limits_would_be_seen(monkeypatch):
    """The planted fault: limits are taken of what is a little off."""
    there = limits.limit

    def shifted(values, epsilon):
        return there(values + 0.01 * (values.ndim > 1), epsilon)

    monkeypatch.setattr("gradserve.jobs.derivatives.resolved.limit", shifted)
    with Client() as client:
        assert not asked(client, lambda w: norm(w) ** 3 + np.sum(np.abs(w) ** 3 + w), "resolve").verify(ZERO).passed


def test_estimates_of_limits():
    def loss(w):
        return hidden(w) + np.sum(np.where(w == 0, 0.0, w + 0.5 * w * w))

    with Client() as client:
        f = asked(client, loss, "resolve")
        trace, diagonal = f.hessian_trace(ZERO, max_probes=8), f.hessian_diagonal(ZERO, max_probes=8)
        for answer in (trace, diagonal):
            assert "limits within" in str(answer)
            assert "does not hold" not in str(answer)
        bound = max(trace.report.kinks.bound, diagonal.report.kinks.bound)
        assert 0 < bound < 1e-8
        np.testing.assert_allclose([trace.value, *diagonal.values], [9.0, 3.0, 3.0, 3.0], atol=3 * bound)
        assert asked(client, loss, "convention").hessian_trace(ZERO, max_probes=8).value != pytest.approx(9.0)


def test_taylor_models_of_limits():
    direction = np.array([1.0, -2.0, 0.5])
    with Client() as client:
        f = asked(client, guarded, "resolve")
        model = f.taylor_along(ZERO, direction=direction, order=3)
        wanted = [0.0, direction.sum(), 0.5 * direction @ direction, 0.0]
        np.testing.assert_allclose(model.coefficients, wanted, atol=model.kinks.bound)
        assert 0 < model.kinks.bound < 1e-3
        with pytest.raises(NotDifferentiable, match="order3:result"):
            asked(client, lambda w: np.sum(np.abs(w) ** 3), "resolve").taylor_along(ZERO, direction=direction, order=3)


def test_where_there_are_no_kinks_nothing_changes():
    w = np.array([0.5, -1.0, 2.0])
    with Client() as client:
        plain, resolving, refusing = (asked(client, norm_plus, kinks) for kinks in ("convention", "resolve", "refuse"))
        for what in ("grad", "hessian", "hvp"):
            expected = ask(plain, what, w)
            chunks = plain.last_report.chunks
            for f in (resolving, refusing):
                f.count_kinks = False
                np.testing.assert_array_equal(ask(f, what, w), expected)
                assert f.last_report.kinks == Kinks(0, 0)
                assert f.last_report.chunks == chunks


def norm_plus(w):
    return norm(w) + np.sum(np.abs(w))


POINTS = np.array([[1.0, 2.0, -1.0], [0.0, 0.0, 0.0], [0.5, 0.0, 1.0], [2.0, 1.0, 1.0]])


def cubes(w):
    return np.sum(w * np.abs(w))


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("what", ["grad", "hvp", "jacobian"])
def test_in_a_batch_each_point_is_settled_by_itself(what, reduction):
    """The convention is right for these, so that both must agree."""
    with Client() as client:
        expected = ask(asked(client, cubes, "convention"), "grad", POINTS, batch=True, reduction=reduction)
        if what != "hvp":
            f = asked(client, cubes, "resolve")
            found = ask(f, what, POINTS, batch=True, reduction=reduction)
            assert (f.last_report.kinks.nodes, f.last_report.kinks.examples) == (1, 2)
            np.testing.assert_allclose(found, expected, atol=1e-12)
            return
        with pytest.raises(NotDifferentiable, match=r"at point\(s\) 1, 2"):
            ask(asked(client, cubes, "resolve"), "hvp", POINTS, batch=True, reduction=reduction)
        smooth = lambda w: np.sum(np.abs(w) ** 3)  # noqa: E731
        expected = ask(asked(client, smooth, "convention"), "hvp", POINTS, batch=True, reduction=reduction)
        found = ask(asked(client, smooth, "resolve"), "hvp", POINTS, batch=True, reduction=reduction)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_tangents_and_cotangents_of_a_batch_go_with_their_points():
    def outputs(w, c):
        return w * np.abs(w) + c

    c = np.arange(3.0)
    with Client() as client:
        f = client.function(outputs, w=POINTS[0], c=c)
        plain = [
            f.jvp(POINTS, c, tangent=POINTS, wrt="w", batch="w"),
            f.vjp(POINTS, c, cotangent=POINTS, wrt="w", batch="w"),
        ]
        f.kinks = "resolve"
        found = [
            f.jvp(POINTS, c, tangent=POINTS, wrt="w", batch="w"),
            f.vjp(POINTS, c, cotangent=POINTS, wrt="w", batch="w"),
        ]
    for (value, expected), (same, derivative) in zip(plain, found, strict=True):
        np.testing.assert_array_equal(value, same)
        np.testing.assert_allclose(derivative, expected, atol=1e-12)


def test_single_precision_is_resolved_within_its_own_bound():
    w = np.zeros(3, np.float32)
    with Client() as client:
        f = asked(client, lambda w: np.sum(np.abs(w) ** 3 + w), "resolve", w)
        found = f.grad(w)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, 1, atol=f.last_report.kinks.bound)


def test_a_service_does_the_same(address):
    with Client(address) as client:
        f = asked(client, RESOLVED["|x|^3"][0], "resolve")
        assert f.hessian(ZERO).shape == (3, 3)
        assert 0 < f.last_report.kinks.bound < 1e-12
        with pytest.raises(NotDifferentiable, match="tends to"):
            asked(client, REFUSED["|x|"][0], "resolve").grad(ZERO)
        with pytest.raises(NotDifferentiable, match="on a kink"):
            asked(client, REFUSED["|x|"][0], "refuse").grad(ZERO)


def test_another_word_is_refused():
    with Client() as client, pytest.raises(InvalidRequest, match="convention, resolve, refuse"):
        asked(client, norm_plus, "ignore").grad(ZERO)


def test_a_limit_from_one_side_alone_would_be_seen(monkeypatch):
    """The planted fault: no direction has an opposite one."""
    there = limits.displacements

    def halved(point):
        return np.abs(there(point))

    monkeypatch.setattr("gradserve.jobs.derivatives.resolved.displacements", halved)
    with Client() as client, pytest.raises(pytest.fail.Exception), pytest.raises(NotDifferentiable):
        asked(client, REFUSED["relu^2"][0], "resolve").hessian(ZERO)


@pytest.mark.parametrize("slope", [0.0, 1e-9, 1.0, 1e9])
def test_limits_have_bounds_that_hold(slope):
    """Of functions that are analytic along every ray, with a value of their own, and rounding."""
    rng = np.random.default_rng(1)
    point = np.array([0.0, 3.0])
    shifts = limits.displacements(point)
    for _ in range(50):
        a, b = rng.normal(size=2)
        exact = rng.normal()
        values = exact * (1 + 1e-16 * rng.normal(size=len(shifts))) + slope * (np.sin(shifts @ [a, b]))
        found = limits.limit(values, 2.2e-16)
        assert abs(float(found.value) - exact) <= float(found.bound) or np.isinf(found.bound)
        assert np.isfinite(found.bound)


def test_around_a_point_without_entries_there_are_as_many_points():
    assert limits.displacements(np.zeros(0)).shape == (len(limits.displacements(np.zeros(1))), 0)
