"""The example of descents without derivatives: its rates are those of the theory, and its figure has its numbers."""

from __future__ import annotations

import numpy as np
import pytest

from tests.clients.examples_of_use import loaded

example = loaded("zero_order")
SIZES = (24, 96)


@pytest.fixture(scope="module")
def found(embedded):
    problems = {"quadratic": example.quadratic, "scaling": example.scaling}
    return {name: example.compared(embedded, make, SIZES, [0]) for name, make in problems.items()}


@pytest.mark.parametrize("name", ["quadratic", "scaling"])
def test_steps_grow_like_the_dimension_without_derivatives_alone(found, name):
    steps = {
        way: example.steps_of(found[name], way, SIZES) for way in (example.EXACT, example.CENTRAL, example.TWO_POINT)
    }
    assert 0.9 <= example.exponent(SIZES, steps[example.TWO_POINT]) <= 1.1
    assert abs(example.exponent(SIZES, steps[example.EXACT])) < 0.3
    assert steps[example.CENTRAL] == steps[example.EXACT]


@pytest.mark.parametrize("name", ["quadratic", "scaling"])
def test_strongly_convex_losses_fall_by_a_factor_a_step_and_at_random_by_the_dimension_less(found, name):
    exact, random = (example.linear_rates(found[name], way, SIZES) for way in (example.EXACT, example.TWO_POINT))
    assert abs(example.exponent(SIZES, exact)) < 0.3
    assert -1.2 <= example.exponent(SIZES, random) <= -0.8


def test_what_a_descent_spends(found):
    central = found["scaling"][example.CENTRAL, 96][0]
    random = found["scaling"][example.TWO_POINT, 96][0]
    assert central.evaluations[-1] == 2 * 96 * central.steps
    assert random.evaluations[-1] == 2 * random.steps
    assert example.advantage(found["scaling"], 96) >= 0.8 * 96 / 2


def test_a_step_contracts_by_the_closed_form(embedded):
    factor, error = example.contraction(embedded, 16, 200, 0)
    assert abs(factor - (1 - 1 / 16)) < 4 * error < 1 / 16


def test_a_convex_loss_falls_like_one_by_the_steps_and_at_random_like_the_dimension_by_them(embedded):
    exact, random, later = example.convex_exponents(embedded, 8, 0)
    assert exact == pytest.approx(-1, abs=0.1)
    assert random == pytest.approx(-1, abs=0.25)
    assert 0.5 < later < 2


def test_other_exponents_are_told():
    """A planted fault: steps that grow like the root."""
    assert not 0.9 <= example.exponent(SIZES, np.sqrt(SIZES)) <= 1.1


def test_the_figure_has_the_descents(found):
    axes = example.picture(found, SIZES).axes
    lines = axes[3].get_lines()
    assert lines[0].get_label() == "exact gradients, n = 24"
    last = found["scaling"][example.TWO_POINT, 24][0]
    np.testing.assert_allclose(lines[-1].get_ydata(), last.losses / last.losses[0])
    np.testing.assert_array_equal(axes[5].get_lines()[-1].get_xdata(), SIZES)
