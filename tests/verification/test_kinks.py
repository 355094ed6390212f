"""Kinks, jumps and edges told apart from wrong gradients."""

import numpy as np
import pytest

from gradserve.questions.verdicts import Verdict
from tests.verification.driver import verified

RNG = np.random.default_rng(1)
A, Y = RNG.standard_normal(20), RNG.standard_normal(20)
SMOOTH = A * np.cos(Y)


def relu(y):
    return np.maximum(y, 0.0)


def beside(kinked):
    """A loss with a kink in its first entry and smooth others."""
    return lambda y: float(kinked(y[0]) + A @ np.sin(y[1:]))


def with_first(kinked, x, claim):
    return verified(beside(kinked), np.r_[x, Y], np.r_[claim, SMOOTH]).report


AT_KINK = [
    (relu, [0.0, 0.5, 1.0], [1.001, 1.5, -0.01, -1.0]),
    (np.abs, [0.0, 0.3, 1.0, -1.0], [1.01, -2.0]),
    (lambda x: max(2 * x, -3 * x) + x**2, [-3.0, 0.0, 2.0], [2.1, -3.1]),
    (lambda x: np.floor(x + 1), [0.0, 5.0], [-1.0]),
    (lambda x: np.sqrt(np.abs(x)), [0.0, 1.0], []),
]


@pytest.mark.parametrize(("kinked", "between", "outside"), AT_KINK, ids=["relu", "abs", "max", "floor", "cusp"])
def test_a_kink_is_named_and_only_claims_outside_of_it_are_wrong(kinked, between, outside):
    for claim in between:
        report = with_first(kinked, 0.0, claim)
        assert report.verdict is Verdict.KINK
        assert [(entry.index, entry.verdict) for entry in report.entries] == [((0,), Verdict.KINK)]
    for claim in outside:
        report = with_first(kinked, 0.0, claim)
        assert report.verdict is Verdict.DISAGREES
        assert [(entry.index, entry.verdict) for entry in report.entries] == [((0,), Verdict.DISAGREES)]


@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-6, 1e-7, 1e-9])
def test_beside_a_kink_the_gradient_of_that_side_is_right(distance):
    for x, slope in ((distance, 1.0), (-distance, 0.0)):
        assert with_first(relu, x, slope).verdict is Verdict.AGREES
        assert with_first(relu, x, 1.0 - slope).verdict is Verdict.DISAGREES


def test_a_kink_nearer_than_steps_can_tell_counts_as_at_the_point():
    for x in (1e-13, -1e-13):
        assert with_first(relu, x, 0.0).verdict is Verdict.KINK
        assert with_first(relu, x, 2.0).verdict is Verdict.DISAGREES


@pytest.mark.parametrize("smooth", [lambda x: x * abs(x), lambda x: abs(x) ** 1.5, lambda x: relu(x) ** 2])
def test_a_kink_in_the_derivative_alone_is_none(smooth):
    assert with_first(smooth, 0.0, 0.0).verdict is Verdict.AGREES


def test_a_step_elsewhere_is_none():
    assert with_first(np.floor, 0.3, 0.0).verdict is Verdict.AGREES
    assert with_first(np.round, 0.3, 0.5).verdict is Verdict.DISAGREES


def test_ties_of_a_maximum():
    def loss(y):
        return float(max(y[0], y[1], y[2]) + y[3] ** 2)

    point = [1.0, 1.0, 1.0, 3.0]
    report = verified(loss, point, [1 / 3, 1 / 3, 1 / 3, 6.0]).report
    assert report.verdict is Verdict.KINK
    assert sorted(entry.index for entry in report.entries) == [(0,), (1,), (2,)]
    wrong = verified(loss, point, [1 / 3, 1 / 3, 1 / 3, 6.01]).report
    assert wrong.verdict is Verdict.DISAGREES
    assert wrong.entries[0].index == (3,)


def test_a_wrong_entry_is_not_excused_by_a_kink_in_another():
    claimed = SMOOTH.copy()
    claimed[7] *= 1 + 1e-4
    report = verified(beside(relu), np.r_[0.0, Y], np.r_[0.0, claimed]).report
    assert report.verdict is Verdict.DISAGREES
    assert [(entry.index, entry.verdict) for entry in report.entries] == [
        ((8,), Verdict.DISAGREES),
        ((0,), Verdict.KINK),
    ]


def test_kinks_that_cancel_along_a_direction_are_found():
    report = verified(lambda y: float(relu(y[0]) - relu(y[1]) + A @ np.sin(y[2:])), np.r_[0, 0, Y], np.r_[0, 0, SMOOTH])
    assert report.report.verdict is Verdict.KINK
    assert sorted(entry.index for entry in report.report.entries) == [(0,), (1,)]


def test_a_point_where_everything_has_a_kink():
    weights = RNG.standard_normal(200)
    report = verified(lambda y: float(weights @ relu(y)), np.zeros(200), np.zeros(200)).report
    assert report.verdict is Verdict.KINK
    assert len(report.entries) == 16
    assert {direction.verdict for direction in report.directions} == {Verdict.KINK}


def test_networks_of_many_rectifiers():
    weights, out = RNG.standard_normal((2000, 20)), RNG.standard_normal(2000) / 2000
    gradient = weights.T @ (out * (weights @ Y > 0))

    def loss(y):
        return float(out @ relu(weights @ y))

    assert verified(loss, Y, gradient).report.verdict is Verdict.AGREES
    largest = int(np.argmax(np.abs(gradient)))
    wrong = gradient * (1 + 1e-2 * (np.arange(20) == largest))
    report = verified(loss, Y, wrong).report
    assert report.verdict is Verdict.DISAGREES
    assert [entry.index for entry in report.entries] == [(largest,)]


def test_the_edge_of_the_domain():
    assert with_first(lambda x: x**1.5, 0.0, 0.0).verdict is Verdict.AGREES  # the derivative from the right
    report = with_first(lambda x: x**1.5, 0.0, 0.5)
    assert report.verdict is Verdict.DISAGREES
    assert [(entry.index, entry.verdict) for entry in report.entries] == [((0,), Verdict.DISAGREES)]
    assert with_first(np.sqrt, 0.0, 1.0).verdict is Verdict.NOT_FINITE
    assert with_first(np.log, 1e-6, 1e6).verdict is Verdict.AGREES
