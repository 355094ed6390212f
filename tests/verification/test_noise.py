"""The noise estimate against noise that is known."""

import numpy as np
import pytest

from gradserve.verification import noise
from gradserve.verification.noise import EPSILON, noise_level, noise_steps, window_noise


def level(function):
    return noise_level(np.array([function(h) for h in noise_steps()]), function(0.0))


@pytest.mark.parametrize("sigma", [1e-12, 1e-9, 1e-6, 1e-3])
def test_the_noise_of_one_window(sigma):
    """The spread is the one measured for the published program: 0.4 to 1.7 times the truth in 90 of 100 windows."""
    rng = np.random.default_rng(0)
    x = 1e-8 * np.arange(1, 8)
    ratios = []
    for _ in range(400):
        found = window_noise(np.sin(1 + x) + sigma * rng.standard_normal(7))
        assert found is not None
        ratios.append(found.sigma / sigma)
    assert 0.7 < np.median(ratios) < 1.2
    low, high = np.quantile(ratios, [0.05, 0.95])
    assert low > 0.3
    assert high < 2.0


@pytest.mark.parametrize("sigma", [1e-12, 1e-6, 1e-3])
def test_the_noise_of_a_loss(sigma):
    rng = np.random.default_rng(1)
    ratios = [level(lambda h: np.exp(1 + h) + sigma * rng.standard_normal()) / sigma for _ in range(200)]
    assert np.quantile(ratios, 0.02) > 0.4
    assert np.quantile(ratios, 0.98) < 3.0


def test_rounding_is_the_least_noise():
    found = level(lambda h: float(np.sin(1 + h)))
    assert EPSILON * np.sin(1) <= found < 20 * EPSILON


@pytest.mark.parametrize("offset", [1e6, 1e8, 1e10, 1e13])
def test_the_noise_of_cancellation_is_found_at_the_spacing_where_it_shows(offset):
    found = level(lambda h: (7 * np.sin(1 + h) + offset) - offset)
    quantum = np.spacing(offset)
    assert 0.1 * quantum < found < 3 * quantum


def test_a_kink_is_no_noise():
    assert level(lambda h: max(h, 0.0) + float(np.sin(1 + h))) < 1e-14
    assert level(lambda h: (h > 0) + float(np.sin(1 + h))) < 1e-14


def test_constant_and_broken_losses():
    assert level(lambda h: 3.0) == 3.0 * EPSILON
    assert level(lambda h: 0.0) == 0.0
    assert level(lambda h: 1.0 if h == 0 else np.nan) == EPSILON


def test_where_neither_side_tells_anything_one_is_heard_again_and_the_other_if_that_is_loud():
    """Steps may fall in with those of rounding, which makes values lie on a line; no evaluation is to be wasted."""
    windows = np.full((2, 5, 7), np.nan)
    windows[:, 0] = 1 + 2.0**-40 * np.arange(7)
    assert noise.unsettled(windows) == [0]
    rng = np.random.default_rng(0)
    for sigma, asked in ((EPSILON, []), (1e-9, [1])):
        windows[0, 1] = 1 + sigma * rng.standard_normal(7)
        assert noise.unsettled(windows) == asked
    windows[0, 1] = windows[0, 0]
    assert noise.unsettled(windows) == [0, 1]


def smooth_by_chance(h):
    """Noise of 1e-9 whose first values on the left lie on a parabola."""
    rng = np.random.default_rng(int(abs(h) * 2**40) + (h < 0))
    noise = 1e-9 * rng.standard_normal()
    k = round(-h * 2**36)
    return np.sin(1.0) + (1e-9 * (k - 4) ** 2 / 8 + 1e-2 * noise if -h * 2**36 == k and 1 <= k <= 7 else noise)


def test_noise_that_is_smooth_by_chance_on_one_side_is_heard_again():
    assert level(smooth_by_chance) > 2e-10


def test_without_a_second_window_it_is_taken_for_quiet(monkeypatch):
    """The planted fault: the quieter side is believed at once."""
    monkeypatch.setattr(noise, "_are_alike", lambda sigmas: max(sigmas) <= 8 * min(sigmas) and len(sigmas) > 2)
    assert level(smooth_by_chance) < 1e-10
