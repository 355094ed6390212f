"""Expressions of roots that are smooth have the derivatives of what they are; values keep NumPy's bits."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from gradserve.autodiff.smooth import smoothed
from gradserve.autodiff.smooth.smoother import Smoother
from gradserve.client import Client
from gradserve.client.functions import cond, scan
from gradserve.ops.elementwise.entire import Stumpff
from gradserve.questions.report import Kinks

norm = np.linalg.norm
ZERO = np.zeros(3)
NONE = Kinks(0, 0)
U, V = np.array([0.3, -0.5, 0.7]), np.array([1.0, 2.0, 3.0])


def told(f: Any) -> Any:
    """The kinks of the last report."""
    return f.last_report.kinks


def cross(w):
    o = 0 * w[0]
    return np.stack([np.stack([o, -w[2], w[1]]), np.stack([w[2], o, -w[0]]), np.stack([-w[1], w[0], o])])


def turned(a, b, w):
    k = cross(w)
    return U @ ((np.eye(3) + a * k + b * k @ k) @ V)


def by_where(w):
    t = norm(w)
    s = np.where(t == 0, 1.0, t)
    return turned(np.where(t == 0, 1.0, np.sin(s) / s), np.where(t == 0, 0.5, (1 - np.cos(s)) / s**2), w)


def by_positive(w):
    t = np.sqrt(np.sum(w**2))
    s = np.where(t > 0, t, 1.0)
    return turned(np.where(t > 0, np.sin(s) / s, 1.0), np.where(t > 0, (1 - np.cos(s)) / (s * s), 0.5), w)


def by_sinc(w):
    t = norm(w)
    return turned(np.sinc(t / np.pi), 0.5 * np.sinc(t / (2 * np.pi)) ** 2, w)


def by_series_near_zero(w):
    t = norm(w)
    near = t < 1e-3
    s = np.where(near, 1.0, t)
    a = np.where(near, 1 - t**2 / 6, np.sin(s) / s)
    return turned(a, np.where(near, 0.5 - t**2 / 24, (1 - np.cos(s)) / s**2), w)


def rotation_hessian():
    """Of U (I + K + K K / 2) V: the second order of Rodrigues' formula at 0."""
    generators = [cross(e) for e in np.eye(3)]
    return np.array([[U @ (a @ b + b @ a) @ V / 2 for b in generators] for a in generators])


TWICE = 2 * np.eye(3)
SMOOTH = {
    "norm^2": (lambda w: norm(w) ** 2, TWICE),
    "norm * norm": (lambda w: norm(w) * norm(w), TWICE),
    "norm^4": (lambda w: norm(w) ** 4, 0 * TWICE),
    "squares of norms of rows": (lambda w: np.sum(norm(np.stack([w, 2 * w]), axis=1) ** 2), 5 * TWICE),
    "norms @ norms": (lambda w: (n := norm(np.stack([w, 2 * w]), axis=1)) @ n, 5 * TWICE),
    "kept axis": (lambda w: np.sum(norm(w[:, None], axis=1, keepdims=True) ** 2), TWICE),
    "(3 norm / 2)^2": (lambda w: (3 * norm(w) / 2) ** 2, 2.25 * TWICE),
    "norm ** 2.0 / 2": (lambda w: norm(w) ** 2.0 / 2, TWICE / 2),
    "sqrt^2": (lambda w: np.sqrt(np.sum(w * w)) ** 2, TWICE),
    "sqrt * sqrt": (lambda w: np.sqrt(w @ w) * np.sqrt(w @ w), TWICE),
    "power 1/2, squared": (lambda w: ((w @ w) ** 0.5) ** 2, TWICE),
    "power 3/2, squared": (lambda w: ((w @ w) ** 1.5) ** 2, 0 * TWICE),
    "abs^2": (lambda w: np.sum(np.abs(w) ** 2), TWICE),
    "abs * abs": (lambda w: np.sum(np.abs(w) * np.abs(w)), TWICE),
    "abs^4": (lambda w: np.sum(np.abs(w) ** 4), 0 * TWICE),
    "|x|^2 |y|^2": (lambda w: np.sum((np.abs(w) * np.abs(w[::-1])) ** 2), 0 * TWICE),
    "hypot^2": (lambda w: np.hypot(np.hypot(w[0], w[1]), w[2]) ** 2, TWICE),
    "std^2": (lambda w: np.std(w) ** 2, TWICE / 3 - TWICE @ np.ones((3, 3)) / 9),
    "cos norm": (lambda w: np.cos(norm(w)), -TWICE / 2),
    "cosh norm": (lambda w: np.cosh(2 * norm(w)), 2 * TWICE),
    "cos abs": (lambda w: np.sum(np.cos(np.abs(w))), -TWICE / 2),
    "cosh abs": (lambda w: np.sum(np.cosh(np.abs(w))), TWICE / 2),
    "norm sin norm": (lambda w: norm(w) * np.sin(norm(w)), TWICE),
    "sinc norm": (lambda w: np.sinc(norm(w)), -(np.pi**2) / 6 * TWICE),
    "1 - cos": (lambda w: 1 - np.cos(norm(w)), TWICE / 2),
    "Gauss": (lambda w: np.exp(-(norm(w) ** 2)), -TWICE),
    "sign * abs": (lambda w: np.sum(np.sign(w) * np.abs(w)), 0 * TWICE),
    "sign * sin abs": (lambda w: np.sum(np.sign(w) * np.sin(np.abs(w))), 0 * TWICE),
    "sign * tanh abs, squared": (lambda w: np.sum((np.sign(w) * np.tanh(np.abs(w))) ** 2), TWICE),
    "x tanh of |x|, by parity": (lambda w: np.sum(np.abs(w) * np.tanh(np.abs(w))), TWICE),
    "guarded sinc": (
        lambda w: np.where((t := norm(w)) == 0, 1.0, np.sin(t) / np.where(t == 0, 1.0, t)),
        -TWICE / 6,
    ),
    "Rodrigues, where": (by_where, rotation_hessian()),
    "Rodrigues, where positive": (by_positive, rotation_hessian()),
    "Rodrigues, sinc": (by_sinc, rotation_hessian()),
    "Rodrigues, series": (by_series_near_zero, rotation_hessian()),
}
"""Losses of three numbers that are smooth at 0, and their Hessians there."""
GRADIENTS = {
    **dict.fromkeys(("sign * abs", "sign * sin abs"), np.ones(3)),
    **{name: U @ np.array([cross(e) @ V for e in np.eye(3)]).T for name in SMOOTH if name.startswith("Rodrigues")},
}


def wrong(name, function, hessian):
    """What is wrong with the derivatives of a loss at 0."""
    with Client() as client:
        f = client.function(function, w=ZERO)
        asked = {"grad": f.grad(ZERO), "hessian": f.hessian(ZERO)}
        kinks = told(f)
        value = f(ZERO)
    expected = {"grad": GRADIENTS.get(name, ZERO), "hessian": hessian}
    found = [what for what, x in expected.items() if not np.allclose(asked[what], x, rtol=1e-14, atol=1e-14)]
    found += ["kinks"] * (kinks != NONE)
    with np.errstate(all="ignore"):
        return found + ["value"] * (np.asarray(value).tobytes() != np.asarray(function(ZERO), np.float64).tobytes())


@pytest.mark.parametrize("name", SMOOTH)
def test_a_smooth_expression_of_roots_is_smooth(name):
    function, hessian = SMOOTH[name]
    assert wrong(name, function, hessian) == []


def test_without_the_rules_it_would_be_seen(monkeypatch):
    """The planted fault: nothing is known of roots."""
    monkeypatch.setattr(Smoother, "even", lambda self, form: None)
    assert all(wrong(name, *SMOOTH[name]) for name in ("norm^2", "sqrt^2", "sign * abs", "Rodrigues, where"))


def odd_inverse(w):
    return np.sum(np.sign(w) * np.log1p(np.abs(w)))


def test_what_is_differentiable_once_has_its_gradient_and_counts_as_a_kink():
    with Client() as client:
        f = client.function(odd_inverse, w=ZERO)
        np.testing.assert_array_equal(f.grad(ZERO), 1)
        assert told(f) == Kinks(1, 1)
        for function in (lambda w: np.sum(np.sign(w) * np.expm1(np.abs(w))), lambda w: np.sum(np.sign(w) * w**2)):
            client.function(function, w=ZERO).grad(ZERO)
        np.testing.assert_array_equal(client.function(lambda w: np.sum(w * np.abs(w)), w=ZERO).grad(ZERO), 0)


KINKED = {
    "norm": lambda w: norm(w),
    "norm^3": lambda w: norm(w) ** 3,
    "abs": lambda w: np.sum(np.abs(w)),
    "abs^3": lambda w: np.sum(np.abs(w) ** 3),
    "x |x|": lambda w: np.sum(w * np.abs(w)),
    "sign x": lambda w: np.sum(np.sign(w) * w),
    "sign": lambda w: np.sum(np.sign(w)),
    "sign^2": lambda w: np.sum(np.sign(w) ** 2),
    "cos sign": lambda w: np.sum(np.cos(np.sign(w))),
    "(sign / 2) (sign / 3)": lambda w: np.sum(np.sign(w) / 2 * (np.sign(w) / 3)),
    "sin norm": lambda w: np.sin(norm(w)),
    "exp -norm": lambda w: np.exp(-norm(w)),
    "norm^2 + norm": lambda w: norm(w) ** 2 + norm(w),
    "tanh abs": lambda w: np.sum(np.tanh(np.abs(w))),
    "sqrt": lambda w: np.sum(np.sqrt(w)),
    "power 1/2": lambda w: np.sum(w**0.5),
    "power 3/2": lambda w: np.sum(w**1.5),
    "acos": lambda w: np.sum(np.arccos(1 - w)),
    "acos^2": lambda w: np.sum(np.arccos(1 - w) ** 2),
    "guard with another number": lambda w: np.where((t := norm(w)) == 0, 2.0, np.sin(t) / np.where(t == 0, 1.0, t)),
    "norm + eps": lambda w: np.sin(norm(w) + 1e-12) / (norm(w) + 1e-12),
    "relu^2": lambda w: np.sum(np.maximum(w, 0) ** 2),
    "|x| |y|": lambda w: np.sum(np.abs(w) * np.abs(w[::-1] + 1)),
}
"""Losses that have a kink at 0 in a derivative of some order, or an op that has."""


@pytest.mark.parametrize("name", KINKED)
def test_what_has_a_kink_still_counts_as_one(name):
    with Client() as client:
        f = client.function(KINKED[name], w=ZERO)
        f.hessian(ZERO)
        assert told(f).nodes


def test_below_the_domain_derivatives_stay_nan():
    with Client() as client:
        f = client.function(lambda w: np.sum(np.sqrt(w) ** 2), w=ZERO)
        np.testing.assert_array_equal(f.grad(np.array([-1.0, 0.0, 2.0])), [np.nan, 1, 1])


def test_derivatives_away_from_zero_are_those_of_the_plain_rules():
    rng = np.random.default_rng(5)
    with Client() as client:
        for name, (function, _) in [*SMOOTH.items()][::3]:
            w = rng.normal(size=3)
            f = client.function(function, w=w)
            step = 1e-5 * np.eye(3)
            (above, g), (below, k) = (f.value_and_grad(w + s * step, batch=True) for s in (1, -1))
            slopes, curvature = (above - below) / 2e-5, (g - k) / 2e-5
            np.testing.assert_allclose(f.grad(w), slopes, rtol=1e-8, atol=1e-8, err_msg=name)
            np.testing.assert_allclose(f.hessian(w), curvature, rtol=1e-6, atol=1e-6, err_msg=name)


def test_roots_in_loops_and_branches_are_followed():
    def looped(w):
        return scan(lambda c, _: (c + norm(w) ** 2, c), 0.0 * w[0], length=2)[0]

    def branched(w):
        return cond(np.sum(w) > -1, lambda v: norm(v) ** 2, lambda v: np.sum(v), w)

    with Client() as client:
        for function, times in ((looped, 2), (branched, 1)):
            f = client.function(function, w=ZERO)
            np.testing.assert_array_equal(f.hessian(ZERO), times * TWICE)
            assert told(f) == NONE


def test_a_kernel_has_its_cross_hessian_at_equal_points():
    """Of exp(-|x - y|^2): the derivative in x and y is 2I where they are equal, by norms of differences as well."""
    kernels = {
        "norm": lambda x, y: np.exp(-(norm(x - y) ** 2)),
        "pairwise": lambda x, y: np.sum(np.exp(-(norm(x[None, None, :] - y[None, None, :], axis=-1) ** 2))),
        "sqrt": lambda x, y: np.exp(-(np.sqrt(np.sum((x - y) ** 2)) ** 2)),
    }
    with Client() as client:
        for name, kernel in kernels.items():
            f = client.function(kernel, x=U, y=U)
            np.testing.assert_allclose(f.hessian(U, U)["x"]["y"], TWICE, atol=1e-14, err_msg=name)
            assert told(f) == NONE


def test_values_keep_their_bits():
    x = np.random.default_rng(3).normal(size=50)
    with Client() as client:
        for function in (lambda w: np.sum(np.sqrt(w * w) ** 2), lambda w: np.cos(norm(w)), lambda w: norm(w) ** 2):
            f = client.function(function, w=x)
            assert f.value_and_grad(x)[0] == f(x)


def test_a_graph_without_roots_stays_as_it_is():
    with Client() as client:
        f = client.function(lambda w: np.sum(np.exp(w) * w), w=ZERO)
        assert smoothed(f.graph) is f.graph
        f = client.function(lambda w: np.sum(np.abs(w)), w=ZERO)
        assert smoothed(f.graph) is f.graph


@pytest.mark.parametrize("order", range(7))
def test_stumpff_functions_are_right_to_the_last_digits(order):
    points = np.concatenate([s * np.logspace(-20, 2.5, 40) for s in (1, -1)] + [[0.0, (order + 1.0) ** 2]])
    for x, y in zip(points, Stumpff(order).impl(np, points), strict=True):
        exact = float(sum((-Fraction(float(x))) ** j / math.factorial(2 * j + order) for j in range(60)))
        size = max(1.0, abs(x)) ** (-order / 2) if x > 0 else 0.0  # of what oscillates its amplitude
        assert abs(y - exact) <= 64 * np.finfo(float).eps * max(abs(exact), size), x


ONE_SIDED = {
    "where positive": lambda w: np.sum(np.where(w > 0, np.abs(w), 0) ** 2),
    "where negative": lambda w: np.sum(np.where(w > 0, 0, np.abs(w)) ** 2),
    "root of the positive part": lambda w: np.sum(np.where(w > 0, np.sqrt(np.where(w > 0, w, 1)), 0) ** 2),
    "negative factor": lambda w: np.sum(np.where(-norm(w) > 0, 1.0, norm(w)) ** 2),
}
"""What looks like a guard against 0, and chooses on one side of it."""


@pytest.mark.parametrize("name", ONE_SIDED)
def test_a_guard_on_one_side_is_no_guard_against_zero(name):
    w = np.array([0.5, -1.5, 2.0])
    with Client() as client:
        f = client.function(ONE_SIDED[name], w=w)
        slopes = [(f(w + h) - f(w - h)) / 2e-6 for h in 1e-6 * np.eye(3)]
        np.testing.assert_allclose(f.grad(w), slopes, rtol=1e-8, atol=1e-8)
