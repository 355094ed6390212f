"""Running statistics against NumPy and SciPy."""

import math

import numpy as np
import pytest
import scipy.stats

from gradserve.estimation.running import Running, student_t


@pytest.mark.parametrize("offset", [0.0, 1e8, -1e12])
def test_mean_variance_and_standard_error(offset):
    samples = np.random.default_rng(0).standard_normal(1000) + offset
    found = Running().with_samples(samples)
    centred = samples - offset
    assert found.count == 1000
    assert found.mean - offset == pytest.approx(centred.mean(), abs=1e-15 * abs(offset) + 1e-14)
    assert found.variance == pytest.approx(centred.var(ddof=1), rel=1e-3 if offset else 1e-12)
    assert found.standard_error == pytest.approx(scipy.stats.sem(centred), rel=1e-3 if offset else 1e-12)


def test_bits_do_not_depend_on_how_samples_are_cut():
    rng = np.random.default_rng(1)
    samples = rng.standard_normal(500) * 10.0 ** rng.uniform(-8, 8, 500)
    whole = Running().with_samples(samples)
    for cuts in ([1, 2, 3], [250], [7, 99, 100, 499]):
        parts = Running()
        for part in np.split(samples, cuts):
            parts = parts.with_samples(part)
        assert parts == whole


@pytest.mark.parametrize("degrees", [1, 2, 15, 1000])
@pytest.mark.parametrize("alpha", [0.5, 0.05, 1e-4])
def test_quantiles_of_student(degrees, alpha):
    assert student_t(alpha, degrees) == pytest.approx(scipy.stats.t.isf(alpha / 2, degrees), rel=1e-9)


def test_the_interval_is_that_of_a_t_test_and_a_little_wider():
    samples = np.random.default_rng(2).standard_normal(20)
    found = Running().with_samples(samples)
    interval = found.interval(0.1, 0.0)
    expected = scipy.stats.ttest_1samp(samples, 0.0).confidence_interval(0.9)
    more = (1 + 8 / 20) / np.sqrt(20) * found.standard_error
    assert (interval.lower, interval.upper) == pytest.approx((expected.low - more, expected.high + more))
    wide = found.interval(0.1, 0.0, deviation=3 * np.sqrt(found.variance))
    assert wide.half_width == pytest.approx(3 * interval.half_width)
    assert found.interval(0.1, 0.0, deviation=1e-3) == interval


def test_too_few_samples_say_nothing():
    for samples in ([], [3.0]):
        interval = Running().with_samples(np.array(samples)).interval(0.05, 1e-16)
        assert (interval.lower, interval.upper) == (-math.inf, math.inf)


def test_an_interval_is_not_narrower_than_rounding():
    epsilon = float(np.finfo(float).eps)
    interval = Running().with_samples(np.full(100, 0.1)).interval(0.05, epsilon)
    assert interval.lower < 0.1 < interval.upper
    assert epsilon * 0.1 <= interval.half_width <= 10 * epsilon * 0.1
    cancelling = Running().with_samples(np.array([1e8, -1e8] * 50)).interval(0.05, epsilon)
    assert cancelling.half_width > epsilon * 1e8


def test_samples_that_are_not_finite_are_seen():
    for bad in (math.nan, math.inf):
        interval = Running().with_samples(np.array([1.0, bad, 2.0])).interval(0.05, 1e-16)
        assert not interval.half_width <= 1e300
