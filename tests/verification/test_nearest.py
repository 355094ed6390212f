"""Where a loss is not smooth: what kind of place the nearest one is, and how far away."""

import math

import numpy as np
import pytest

from gradserve.questions.verdicts import Irregularity, Verdict
from gradserve.verification import nearest
from tests.verification.driver import verified
from tests.verification.faults import DISTANCES, KINDS, SMOOTH, A, Y, beside, kinked

SMOOTH_ONES = {
    "sine": (math.sin, math.cos),
    "steep": (lambda x: math.exp(8 * x), lambda x: 8 * math.exp(8 * x)),
    "quartic": (lambda x: x**4, lambda x: 4 * x**3),
    "bend": (lambda x: x * abs(x), lambda x: 2 * abs(x)),
    "power": (lambda x: abs(x) ** 1.5, lambda x: 1.5 * math.sqrt(abs(x)) * np.sign(x)),
}


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("name", KINDS)
def test_the_kind_and_the_distance(name, distance):
    kind = KINDS[name][2]
    report = kinked(name, distance)
    assert report.verdict is (Verdict.AGREES if distance else Verdict.KINK)
    factor = 4.0 if kind is Irregularity.JUMP else 2.0  # of a jump the nearest steps alone tell
    for row in report.directions:
        assert row.irregularity is kind
        assert (
            distance / factor / 2 <= row.distance <= 1.05 * distance
        )  # steps move the entry by one to two times as much
    assert any(f"the loss has a {kind}" in note for note in report.notes)


@pytest.mark.parametrize("name", KINDS)
def test_entries_on_a_kink_have_both_one_sided_values(name):
    function, _, kind = KINDS[name]
    (entry,) = kinked(name, 0.0).entries
    h = 2.0**-40
    assert (entry.verdict, entry.irregularity, entry.distance) == (Verdict.KINK, kind, 0.0)
    for measured, sign in ((entry.right, 1.0), (entry.left, -1.0)):
        quotient = sign * (function(sign * h) - function(0.0)) / h
        assert measured == pytest.approx(quotient if abs(quotient) < 1e3 else math.copysign(math.inf, quotient))


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("name", SMOOTH_ONES)
def test_what_has_a_derivative_is_not_irregular(name, distance):
    function, derivative = SMOOTH_ONES[name]
    report = beside(function, derivative(distance), distance)
    assert report.verdict is Verdict.AGREES
    assert {row.irregularity for row in report.directions} == {Irregularity.NONE}
    assert all(math.isinf(row.distance) for row in report.directions)


def test_remainders_fall_with_the_square_of_the_step_and_with_the_step_where_the_gradient_is_wrong():
    loss = lambda y: float(A @ np.sin(y))  # noqa: E731
    for row in verified(loss, Y, SMOOTH).report.directions:
        assert row.remainder_order == pytest.approx(2, abs=0.1)
    for row in verified(loss, Y, SMOOTH * (1 + 1e-2 * (np.arange(20) == 3))).report.directions:
        assert row.remainder_order == pytest.approx(1, abs=0.1)
    for row in verified(lambda y: float(A @ y), Y, A).report.directions:
        assert math.isnan(row.remainder_order)


def test_with_one_shape_alone_kinds_are_confused(monkeypatch):
    """The planted fault: only jumps are known."""
    only = {shape: kind for shape, kind in nearest._KINDS.items() if kind is Irregularity.JUMP}
    monkeypatch.setattr(nearest, "_KINDS", only)
    for distance in DISTANCES[1:]:
        with pytest.raises(AssertionError):
            test_the_kind_and_the_distance("relu", distance)


def test_networks_without_kinks_have_none():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        w, v, x = (
            rng.standard_normal((50, 6)) * (0.5, 1.0, 3.0)[seed % 3],
            rng.standard_normal(50),
            rng.standard_normal(6),
        )
        slope = v * np.cos(w @ x) + 2 * np.tanh(w @ x) / np.cosh(w @ x) ** 2
        loss = lambda y: float(v @ np.sin(w @ y) + np.sum(np.tanh(w @ y) ** 2))  # noqa: B023, E731
        report = verified(loss, x, w.T @ slope, seed=seed).report
        assert {row.irregularity for row in report.directions} == {Irregularity.NONE}
