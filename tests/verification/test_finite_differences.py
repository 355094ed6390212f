"""Richardson tables: what they cancel, how small their error is, and that their bounds hold."""

from typing import Any

import numpy as np
import pytest

from gradserve.verification.finite_differences import Differences, Side, slope, steps_of, table

EXPONENTS = range(1, 9)
EPSILON = float(np.finfo(float).eps)


def differences(function, x, exponents=EXPONENTS, noise=0.0):
    steps = steps_of(exponents)
    with np.errstate(all="ignore"):
        origin = float(function(np.float64(x)))
        right = np.array([function(x + h) - origin for h in steps], float)
        left = np.array([function(x - h) - origin for h in steps], float)
    levels = np.full(len(steps), max(noise, EPSILON * abs(origin)))
    return Differences(exponents, right, left, levels, levels, float(levels[0]), EPSILON * abs(origin))


@pytest.mark.parametrize(("side", "power"), [(Side.BOTH, 2), (Side.RIGHT, 1), (Side.LEFT, 1)])
def test_an_entry_of_order_j_is_exact_on_polynomials_up_to_its_order(side, power):
    grid, steps = table(EXPONENTS, side), steps_of(EXPONENTS)
    for weights, order in zip(grid.weights, grid.order, strict=True):
        for degree in range(1, power * order + 2):
            points = np.concatenate([steps, -steps])
            derivative = float(weights @ points**degree)
            assert derivative == pytest.approx(1.0 if degree == 1 else 0.0, abs=1e-9)
        failing = power * order + power + 1
        assert abs(float(weights @ np.concatenate([steps, -steps]) ** failing)) > 0


def test_the_example_of_squire_and_trapp():
    found = slope(differences(lambda x: np.exp(x) / (np.sin(x) ** 3 + np.cos(x) ** 3), 1.5), Side.BOTH)
    assert abs(found.value - 3.622033700716326) <= found.bound
    assert found.bound < 1e-10


FUNCTIONS: list[tuple[Any, Any]] = [
    (np.sin, np.cos),
    (np.exp, np.exp),
    (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    (np.arctan, lambda x: 1 / (1 + x * x)),
    (lambda x: np.log(x * x + 0.01), lambda x: 2 * x / (x * x + 0.01)),
    (lambda x: np.sin(30 * x), lambda x: 30 * np.cos(30 * x)),
    (lambda x: 1e5 + x**3, lambda x: 3 * x * x),
    (lambda x: np.exp(-(x**2)) * 1e-8, lambda x: -2e-8 * x * np.exp(-(x**2))),
]


@pytest.mark.parametrize("side", [Side.BOTH, Side.RIGHT, Side.LEFT])
def test_bounds_hold_and_are_tight_on_smooth_functions(side):
    rng = np.random.default_rng(1)
    failures, total = 0, 0
    for function, derivative in FUNCTIONS:
        for x in rng.uniform(-2, 2, 50):
            found = slope(differences(function, x), side)
            error = abs(found.value - derivative(x))
            failures += error > found.bound
            total += 1
            scale = 1e3 if function is FUNCTIONS[6][0] else 1.0
            assert found.bound < 1e-6 * scale * max(1.0, abs(derivative(x)))
    assert failures <= total // 200


def test_second_differences_are_exact_on_polynomials_up_to_their_order():
    grid, steps = table(EXPONENTS, Side.SECOND), steps_of(EXPONENTS)
    points = np.concatenate([steps, -steps])
    for weights, order in zip(grid.weights, grid.order, strict=True):
        for degree in range(1, 2 * order + 4):
            assert float(weights @ points**degree) == pytest.approx(2.0 if degree == 2 else 0.0, abs=1e-6)
        assert abs(float(weights @ points ** (2 * order + 4))) > 0


CURVATURES: list[tuple[Any, Any]] = [
    (np.sin, lambda x: -np.sin(x)),
    (np.exp, np.exp),
    (np.tanh, lambda x: -2 * np.tanh(x) / np.cosh(x) ** 2),
    (np.arctan, lambda x: -2 * x / (1 + x * x) ** 2),
    (lambda x: np.sin(30 * x), lambda x: -900 * np.sin(30 * x)),
    (lambda x: 1e5 + x**3, lambda x: 6 * x),
]


def test_bounds_of_second_derivatives_hold():
    rng = np.random.default_rng(1)
    for function, curvature in CURVATURES:
        failures = 0
        for x in rng.uniform(-2, 2, 50):
            found = slope(differences(function, x), Side.SECOND)
            failures += abs(found.value - curvature(x)) > found.bound
            scale = 1e5 if function is CURVATURES[-1][0] else 1.0
            assert found.bound < 1e-4 * scale * max(1.0, abs(curvature(x)))
        assert failures == 0


def test_bounds_hold_on_rough_functions():
    """Sums of sines with wavelengths from 0.02 to 60, where coarse entries of a table often agree by accident."""
    rng = np.random.default_rng(3)
    for _ in range(1000):
        count = rng.integers(1, 30)
        a, phase = rng.standard_normal(count), rng.uniform(0, 7, count)
        w = rng.standard_normal(count) * 10 ** rng.uniform(-1, 2.5)
        found = slope(differences(lambda x: a @ np.sin(w * x + phase), 0.0, noise=EPSILON * np.abs(a).sum()), Side.BOTH)  # noqa: B023
        assert abs(found.value - (a * w) @ np.cos(phase)) <= found.bound


def test_bounds_hold_on_noisy_functions():
    rng = np.random.default_rng(2)
    for sigma in (1e-10, 1e-6, 1e-3):
        failures, bounds = 0, []
        for x in rng.uniform(-2, 2, 200):
            found = slope(differences(lambda y: np.sin(y) + sigma * rng.standard_normal(), x, noise=sigma), Side.BOTH)  # noqa: B023
            failures += abs(found.value - np.cos(x)) > found.bound
            bounds.append(found.bound)
        assert failures <= 1
        assert np.median(bounds) < 3000 * sigma


def test_points_where_the_function_is_not_finite_are_left_out():
    found = slope(differences(np.log, 1e-3, range(1, 12)), Side.BOTH)
    assert found.value == pytest.approx(1e3, rel=1e-6)
    nothing = slope(differences(lambda x: np.nan, 0.0), Side.BOTH)
    assert np.isnan(nothing.value)
    assert np.isinf(nothing.bound)


def test_coarse_steps_that_agree_by_saturation_are_not_believed():
    found = slope(differences(lambda x: np.tanh(1e4 * x), 0.0, range(0, 18)), Side.BOTH)
    assert found.value == pytest.approx(1e4, rel=1e-6)
    hidden = slope(differences(lambda x: np.tanh(1e4 * x), 0.0, range(0, 18), noise=1e-6), Side.BOTH)
    assert abs(hidden.value - 1e4) <= hidden.bound


def test_a_kink_nearby_is_stepped_inside_of():
    found = slope(differences(lambda x: np.maximum(x, 0) + np.sin(x), 1e-4, range(0, 18)), Side.BOTH)
    assert found.value == pytest.approx(2.0, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-290, 1e290])
def test_nothing_overflows(scale):
    found = slope(differences(lambda x: scale * np.sin(x), 0.3), Side.BOTH)
    assert found.value / scale == pytest.approx(np.cos(0.3), rel=1e-9)
