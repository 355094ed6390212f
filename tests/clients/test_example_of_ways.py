"""The example of four ways to a derivative: its counts and its errors, against closed forms."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from tests.clients.examples_of_use import loaded

example = loaded("ways_to_differentiate")


@pytest.fixture(scope="module")
def counts(embedded):
    return example.operations(embedded, range(1, 6))


@pytest.fixture(scope="module")
def errors(embedded):
    return example.errors(embedded, 5)


def test_the_derivative_by_hand_is_that_of_the_polynomial():
    """The map is a polynomial, whose coefficients are whole numbers."""
    polynomial = np.polynomial.Polynomial([0, 1])
    for _ in range(4):
        polynomial = 4 * polynomial * (1 - polynomial)
    assert float(example.exact(0.3, 4)) == pytest.approx(polynomial.deriv()(0.3), rel=1e-9)
    with mpmath.workdps(example.DIGITS):
        numeric = mpmath.diff(lambda x: example.iterated(x, 5), mpmath.mpf(0.3))
        assert mpmath.almosteq(example.exact(0.3, 5), numeric, 1e-15)


def test_symbols_swell_and_nothing_else_does(counts):
    steps = {name: np.diff(each) for name, each in counts.items()}
    grown = np.array(counts[example.SYMBOLIC])
    assert np.all(grown[2:] > 2.5 * grown[1:-1])
    assert len(set(steps[example.HAND])) == 1
    for name in (example.FORWARD, example.CENTRAL, example.AUTOMATIC):
        assert np.all(steps[name] == steps[name][0])
    assert np.all(np.array(counts[example.AUTOMATIC]) < 4 * (np.array(counts[example.FORWARD]) - 3) / 2)


def test_all_but_differences_are_right_to_rounding(errors):
    assert max(errors.ways.values()) < 1e-13
    assert errors.ways[example.AUTOMATIC] < 1e-14


def test_differences_choose_between_truncation_and_rounding(errors):
    """Errors fall like the step or its square, and rise again like its reciprocal."""
    for name, power in ((example.FORWARD, 1), (example.CENTRAL, 2)):
        each, coarse = errors.by_step[name], (example.STEPS > 1e-5) & (example.STEPS < 1e-3)
        slope = np.polyfit(np.log(example.STEPS[coarse]), np.log(each[coarse]), 1)[0]
        assert slope == pytest.approx(power, abs=0.1)
        assert each[:4].min() > 100 * each.min()
        step, error, bound = errors.chosen[name]
        assert error <= bound
        assert error <= 30 * each.min()
        assert example.STEPS[0] < step < example.STEPS[-1]


def test_the_figure_has_counts_and_errors(counts, errors):
    costs, steps = example.picture(range(1, 6), counts, errors).axes
    assert [line.get_label() for line in costs.get_lines()] == [*counts]
    np.testing.assert_array_equal(costs.get_lines()[1].get_ydata(), counts[example.SYMBOLIC])
    np.testing.assert_array_equal(steps.get_lines()[0].get_ydata(), errors.by_step[example.FORWARD])
