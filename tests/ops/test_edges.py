"""Derivatives where formulas are tempted to answer NaN, or worse, a number: against limits known in closed form."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.ops.differentiation import curvatures, slopes

INF, NAN = np.inf, np.nan


def power(g, x, y):
    return g.pow(x, y)


def test_power_along_the_base():
    x = [0.0, 0.0, 0.0, 0.0, 0.0, -2.0, -2.0, -2.0, 3.0]
    y = [0.0, 1.0, 2.0, 3.0, 0.5, 3.0, 0.0, -1.0, 0.0]
    assert_allclose(slopes(power, x=x, y=y)["x"], [0.0, 1.0, 0.0, 0.0, INF, 12.0, 0.0, -0.25, 0.0])


def test_power_along_the_exponent():
    x = [0.0, 0.0, 0.0, 0.0, 2.0, INF, 1e-200, -2.0]
    y = [2.0, 0.5, 0.0, -1.0, 3.0, -1.0, 2.0, 2.0]
    assert_allclose(slopes(power, x=x, y=y)["y"], [0.0, 0.0, -INF, -INF, 8 * np.log(2), 0.0, 0.0, NAN])


@pytest.mark.parametrize(("exponent", "expected"), [(0.0, 0.0), (1.0, 0.0), (2.0, 2.0), (3.0, 0.0), (4.0, 0.0)])
def test_second_derivative_of_a_whole_power_at_zero(exponent, expected):
    assert_allclose(curvatures(power, "x", "x", x=[0.0], y=[exponent]), [expected])


def test_mixed_derivative_of_the_zeroth_power():
    # d/dy (y x^(y-1)) = 1/x at y = 0: the guard for x = 0 must not reach here.
    assert_allclose(curvatures(power, "x", "y", x=[2.0, -4.0], y=[0.0, 0.0])[:1], [0.5])


def test_square_of_a_negative_base_does_not_ask_for_its_logarithm():
    assert_allclose(slopes(lambda g, x: g.pow(x, 2.0), x=[-3.0, 0.0])["x"], [-6.0, 0.0])


def test_product_with_zeros():
    x = np.array([[2.0, 3.0, 5.0], [2.0, 0.0, 5.0], [0.0, 0.0, 5.0]])
    found = slopes(lambda g, x: g.reduce_prod(x, axes=(1,)), x=x)["x"]
    assert_array_equal(found, [[15.0, 10.0, 6.0], [0.0, 10.0, 0.0], [0.0, 0.0, 0.0]])


@pytest.mark.parametrize("length", [1, 2, 3, 5, 7, 8, 13])
def test_product_of_any_length(length):
    x = np.random.default_rng(length).uniform(-2, 2, length)
    expected = [np.prod(np.delete(x, k)) for k in range(length)]
    assert_allclose(slopes(lambda g, x: g.reduce_prod(x, axes=(0,)), x=x)["x"], expected, rtol=1e-12)


def test_second_derivative_of_a_product_with_two_zeros():
    x = np.array([0.0, 0.0, 5.0])
    hessian_row_sums = curvatures(lambda g, x: g.reduce_prod(x, axes=(0,)), "x", "x", x=x)
    assert_array_equal(hessian_row_sums, [5.0, 5.0, 0.0])


def test_logaddexp_at_infinities():
    pairs = list(itertools.product([INF, -INF, 1.0], repeat=2))
    x, y = np.array(pairs).T
    found = slopes(lambda g, x, y: g.logaddexp(x, y), x=x, y=y)
    shares = np.array([0.5 if a == b else float(a > b) for a, b in pairs])
    assert_array_equal(found["x"], shares)
    assert_array_equal(found["y"], 1.0 - shares)


def test_logaddexp_far_apart_keeps_small_shares():
    found = slopes(lambda g, x, y: g.logaddexp(x, y), x=[-600.0, 1e17], y=[0.0, 1e17])
    assert_allclose(found["x"], [np.exp(-600.0), 0.5], rtol=1e-12)
    assert_allclose(found["y"], [1.0, 0.5])


@pytest.mark.parametrize("gap", [0.0, 1.0, 40.0, 800.0, -800.0])
def test_second_derivative_of_logaddexp(gap):
    found = curvatures(lambda g, x: g.logaddexp(x, 0.0), "x", "x", x=[gap])
    assert_allclose(found, [np.exp(-abs(gap)) / (1 + np.exp(-abs(gap))) ** 2], rtol=1e-12)


@pytest.mark.parametrize("x", [0.0, 30.0, -30.0, 800.0, -800.0])
def test_second_derivative_of_the_logistic_function_keeps_its_digits(x):
    p = np.exp(-abs(x))
    expected = -np.sign(x) * p * (1 - p) / (1 + p) ** 3
    assert_allclose(curvatures(lambda g, x: g.logistic(x), "x", "x", x=[x]), [expected], rtol=1e-12)


def test_roots_and_logarithms_at_zero_are_honestly_infinite():
    assert_array_equal(slopes(lambda g, x: g.sqrt(x), x=[0.0])["x"], [INF])
    assert_array_equal(slopes(lambda g, x: g.log(x), x=[0.0])["x"], [INF])
    assert_array_equal(slopes(lambda g, x: g.asin(x), x=[1.0, -1.0])["x"], [INF, INF])
    assert_array_equal(slopes(lambda g, x: g.acos(x), x=[1.0, -1.0])["x"], [-INF, -INF])
    assert_array_equal(slopes(lambda g, x: g.acosh(x), x=[1.0])["x"], [INF])


def test_stable_near_minus_one():
    assert_allclose(slopes(lambda g, x: g.expm1(x), x=[-50.0, 1e-20])["x"], [np.exp(-50.0), 1.0], rtol=1e-14)
    assert_allclose(slopes(lambda g, x: g.log1p(x), x=[1e-20, -1 + 2**-53])["x"], [1.0, 2.0**53], rtol=1e-14)


def test_hyperbolic_tangent_saturates():
    def tangent(g, x):
        return g.tanh(x)

    x = [INF, -INF, 800.0, -800.0]
    assert_array_equal(slopes(tangent, x=x)["x"], np.zeros(4))
    assert_array_equal(curvatures(tangent, "x", "x", x=x), np.zeros(4))


def test_inverse_functions_of_large_arguments():
    assert_allclose(slopes(lambda g, x: g.asinh(x), x=[1e200, -1e200])["x"], [1e-200, 1e-200], rtol=1e-12)
    assert_allclose(slopes(lambda g, x: g.acosh(x), x=[1e200])["x"], [1e-200], rtol=1e-12)
    assert_allclose(slopes(lambda g, x: g.atan(x), x=[1e200, INF])["x"], [0.0, 0.0])


def test_angle_of_far_and_near_points():
    found = slopes(lambda g, x, y: g.atan2(x, y), x=[1e200, 1e-200, 0.0, 2.0], y=[1e200, 0.0, -3.0, 0.0])
    assert_allclose(found["x"], [0.5e-200, 0.0, -1 / 3, 0.0], rtol=1e-15)
    assert_allclose(found["y"], [-0.5e-200, -1e200, 0.0, -0.5], rtol=1e-15)


def test_kinks():
    assert_array_equal(slopes(lambda g, x: g.abs(x), x=[0.0, -0.0, -2.0])["x"], [0.0, 0.0, -1.0])
    for name in ("sign", "floor", "ceil", "round"):
        assert_array_equal(slopes(lambda g, x, name=name: g.emit(name, x), x=[0.0, 0.5, -1.3])["x"], np.zeros(3))


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_ties_of_two(name):
    found = slopes(lambda g, x, y: g.emit(name, x, y), x=[1.0, 0.0, INF, 1.0], y=[1.0, -0.0, INF, 2.0])
    assert_array_equal(found["x"][:3], [0.5, 0.5, 0.5])
    assert_array_equal(found["x"] + found["y"], np.ones(4))


@pytest.mark.parametrize("name", ["reduce_max", "reduce_min"])
def test_ties_of_many(name):
    x = np.array([[1.0, 1.0, 1.0], [0.0, -0.0, 0.0], [INF, INF, INF]])
    found = slopes(lambda g, x: g.emit(name, x, axes=(1,)), x=x)["x"]
    assert_allclose(found, np.full((3, 3), 1 / 3))


def test_extreme_of_what_holds_nan_has_no_plausible_derivative():
    found = slopes(lambda g, x: g.reduce_max(x, axes=(0,)), x=np.array([1.0, NAN, 2.0]))["x"]
    assert_array_equal(found, [NAN, NAN, NAN])


def test_clip_is_closed():
    x, low, high = [-1.0, 1.0, 0.0, -2.0, 2.0, 0.5], [-1.0] * 5 + [2.0], [1.0] * 5 + [-1.0]
    found = slopes(lambda g, x, low, high: g.clip(x, low, high), x=x, low=low, high=high)
    assert_array_equal(found["x"], [1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    assert_array_equal(found["low"], [0.0, 0.0, 0.0, 1.0, 0.0, 0.0])
    assert_array_equal(found["high"], [0.0, 0.0, 0.0, 0.0, 1.0, 1.0])


def test_select_ignores_the_other_branch():
    def safe_root(g, x):
        positive = g.gt(x, 0.0)
        return g.select(positive, g.sqrt(g.select(positive, x, 1.0)), 0.0)

    assert_allclose(slopes(safe_root, x=[0.0, 4.0])["x"], [0.0, 0.25])


def test_remainder_by_a_divisor_that_rounds():
    # 0.3 / 0.1 rounds below 3 and 0.9 / 0.3 to 3, though both remainders are almost the divisor.
    x, y = np.array([0.3, 0.9, -0.3]), np.array([0.1, 0.3, 0.1])
    quotient = np.rint((x - np.remainder(x, y)) / y)
    assert_array_equal(slopes(lambda g, x, y: g.remainder(x, y), x=x, y=y)["y"], -quotient)
