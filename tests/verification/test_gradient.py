"""Gradients verified: right ones pass, wrong ones are found and named, and what cannot be told is said so."""

import math

import numpy as np
import pytest

from gradserve.questions.verdicts import Verdict
from tests.verification.driver import verified


def problem(n, seed):
    """A sum of sines: loss, point and gradient."""
    rng = np.random.default_rng(seed)
    a, x = rng.standard_normal(n), rng.standard_normal(n)
    return (lambda y: float(a @ np.sin(y))), x, a * np.cos(x)


@pytest.mark.parametrize(("n", "trials"), [(10, 20), (1000, 20), (10_000, 6)])
def test_one_wrong_entry_is_found_and_named(n, trials):
    for seed in range(trials):
        loss, x, gradient = problem(n, seed)
        assert verified(loss, x, gradient, seed=seed).report.verdict is Verdict.AGREES
        position = int(np.argsort(np.abs(gradient))[n // 2])
        wrong = gradient.copy()
        wrong[position] *= 1 + 1e-4
        found = verified(loss, x, wrong, seed=seed)
        assert found.report.verdict is Verdict.DISAGREES
        (entry,) = found.report.entries
        assert entry.index == (position,)
        assert entry.claimed == wrong[position]
        assert abs(entry.measured - gradient[position]) <= entry.error_bound < 1e-5 * abs(gradient[position])
        assert found.evaluations < 2000


def test_several_wrong_entries_are_listed_worst_first():
    loss, x, gradient = problem(300, 0)
    wrong = gradient.copy()
    wrong[[3, 4, 170, 299]] += [0.5, -0.5, 1e-3, 0.02]
    report = verified(loss, x, wrong).report
    assert [entry.index[0] for entry in report.entries][2:] == [299, 170]
    assert {entry.index[0] for entry in report.entries[:2]} == {3, 4}


@pytest.mark.parametrize("fault", [lambda g: -g, lambda g: 2 * g, lambda g: g[::-1], lambda g: 0 * g, lambda g: g + 1])
def test_a_gradient_that_is_wrong_everywhere(fault):
    loss, x, gradient = problem(2000, 1)
    found = verified(loss, x, fault(gradient))
    assert found.report.verdict is Verdict.DISAGREES
    assert len(found.report.entries) == 16
    worst = [abs(entry.claimed - entry.measured) for entry in found.report.entries]
    assert worst == sorted(worst, reverse=True)
    assert found.evaluations < 6000


def test_inputs_are_verified_alone_as_well():
    rng = np.random.default_rng(0)
    w, x, b = rng.standard_normal((6, 5)), rng.standard_normal(5), rng.standard_normal(6)
    shapes = {"w": (6, 5), "x": (5,), "b": (6,), "unused": (2,)}

    def loss(y):
        z = y[:30].reshape(6, 5) @ y[30:35] + y[35:41]
        return float(np.sum(np.tanh(z)))

    slope = 1 / np.cosh(w @ x + b) ** 2
    gradient = np.r_[np.outer(slope, x).ravel(), w.T @ slope, slope, 0, 0]
    point = np.r_[w.ravel(), x, b, 1.0, 2.0]
    report = verified(loss, point, gradient, shapes).report
    assert [(i.input, i.verdict) for i in report.inputs] == [(name, Verdict.AGREES) for name in shapes]
    wrong = gradient.copy()
    wrong[11] += 1e-3
    report = verified(loss, point, wrong, shapes).report
    assert [i.verdict for i in report.inputs] == [Verdict.DISAGREES] + [Verdict.AGREES] * 3
    assert [(e.input, e.index) for e in report.entries] == [("w", (2, 1))]


@pytest.mark.parametrize("value", [0.0, 3.7, -1e300])
def test_a_constant_loss_has_gradient_zero(value):
    assert verified(lambda y: value, np.ones(50), np.zeros(50)).report.verdict is Verdict.AGREES
    assert (
        verified(lambda y: value, np.ones(50), np.full(50, 1e-3 * (1 + abs(value)))).report.verdict is Verdict.DISAGREES
    )


def test_a_minimum_has_gradient_zero():
    _, x, _ = problem(50, 0)
    for offset in (0.0, 1.0):
        loss = lambda y: offset + float(np.sum((y - x) ** 2))  # noqa: B023, E731
        assert verified(loss, x, np.zeros(50)).report.verdict is Verdict.AGREES
        assert verified(loss, x, np.full(50, 1e-6)).report.verdict is Verdict.DISAGREES


@pytest.mark.parametrize("offset", [1e13, 1e14, 1e15])
def test_where_rounding_hides_the_loss_nothing_is_concluded(offset):
    for seed in range(5):
        loss, x, gradient = problem(50, seed)
        report = verified(lambda y: (loss(y) + offset) - offset, x, gradient).report  # noqa: B023
        assert report.verdict is Verdict.INCONCLUSIVE
        slightly_wrong = gradient * (1 + 1e-3 * (np.arange(50) == 7))
        report = verified(lambda y: (loss(y) + offset) - offset, x, slightly_wrong).report  # noqa: B023
        assert report.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("sigma", [1e-3, 1e-2, 1.0])
def test_where_noise_hides_the_loss_nothing_is_concluded(sigma):
    loss, x, gradient = problem(50, 0)
    rng = np.random.default_rng(0)
    report = verified(lambda y: loss(y) + sigma * rng.standard_normal(), x, gradient).report
    assert report.verdict is Verdict.INCONCLUSIVE
    assert sigma / 4 < report.noise < 4 * sigma


@pytest.mark.parametrize("sigma", [1e-12, 1e-9, 1e-7])
def test_below_the_noise_gradients_are_told_apart_still(sigma):
    for seed in range(10):
        loss, x, gradient = problem(50, seed)
        rng = np.random.default_rng(seed)
        noisy = lambda y: loss(y) + sigma * rng.standard_normal()  # noqa: B023, E731
        assert verified(noisy, x, gradient, seed=seed).report.verdict is Verdict.AGREES
        wrong = gradient.copy()
        wrong[np.argmax(np.abs(gradient))] *= 1.01
        report = verified(noisy, x, wrong, seed=seed).report
        assert report.verdict is Verdict.DISAGREES
        assert [entry.index[0] for entry in report.entries] == [np.argmax(np.abs(gradient))]


@pytest.mark.parametrize("frequency", [1e2, 1e4, 1e6])
def test_losses_that_change_over_short_distances(frequency):
    _, x, _ = problem(50, 0)
    found = verified(lambda y: float(np.sum(np.sin(frequency * y))), x, frequency * np.cos(frequency * x))
    assert found.report.verdict is Verdict.AGREES


@pytest.mark.parametrize("scale", [1e-280, 1e-8, 1e8, 1e280])
def test_any_scale_of_loss_and_point(scale):
    loss, x, gradient = problem(20, 0)
    assert verified(lambda y: scale * loss(y), x, scale * gradient).report.verdict is Verdict.AGREES
    if scale > 1e-10 and scale < 1e10:
        found = verified(lambda y: float(np.sum((y / scale) ** 2)), x * scale, 2 * x / scale)
        assert found.report.verdict is Verdict.AGREES


def test_what_is_not_finite():
    loss, x, gradient = problem(20, 0)
    broken = gradient.copy()
    broken[[3, 5]] = math.nan, math.inf
    report = verified(loss, x, broken).report
    assert report.verdict is Verdict.NOT_FINITE
    assert [entry.index for entry in report.entries] == [(3,), (5,)]
    assert verified(lambda y: math.nan, x, gradient).report.verdict is Verdict.NOT_FINITE
    assert verified(lambda y: math.inf, x, gradient).report.verdict is Verdict.NOT_FINITE


def test_the_same_seed_gives_the_same_report():
    loss, x, gradient = problem(30, 0)
    first, again, other = (verified(loss, x, gradient, seed=seed).report for seed in (4, 4, 5))
    assert first == again
    assert first.directions != other.directions


def test_no_entries_and_one_entry():
    assert verified(lambda y: 2.0, np.empty(0), np.empty(0)).report.verdict is Verdict.AGREES
    assert verified(lambda y: float(y[0] ** 2), [3.0], [6.0], directions=1).report.verdict is Verdict.AGREES
    assert verified(lambda y: float(y[0] ** 2), [3.0], [6.001], directions=1).report.entries[0].index == (0,)
