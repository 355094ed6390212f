"""A function that draws random numbers is another one each time it is run: no graph can say it."""

import random
import threading
import time

import numpy as np
import pytest

from gradserve.ir.errors import Untraceable

W = np.array([1.0, 2.0, 3.0])
RNG = np.random.default_rng(3)
COIN = random.Random(4)
LEGACY = np.random.RandomState(5)


class Dropout:
    def __init__(self):
        self.rng = np.random.default_rng(6)

    def __call__(self, w):
        return np.sum(w * (self.rng.random(3) < 0.5))


def captured():
    rng = np.random.default_rng(7)
    return lambda w: np.sum(w + rng.normal(size=3))


DRAWING = {
    "numpy's shared state": lambda w: np.sum(w * np.random.normal(size=3)),  # noqa: NPY002
    "random": lambda w: random.random() * np.sum(w),
    "a coin": lambda w: np.sum(w) if COIN.random() < 0.5 else np.sum(w**2),
    "a shuffle": lambda w: w[np.random.permutation(3)[0]],  # noqa: NPY002
    "a global generator": lambda w: np.sum(w * RNG.uniform(size=3)),
    "a captured generator": captured(),
    "a generator of an object": Dropout(),
    "a legacy generator": lambda w: np.sum(w * LEGACY.randn(3)),
    "a new generator": lambda w: np.sum(w * np.random.default_rng().normal(size=3)),
    "system": lambda w: random.SystemRandom().random() * np.sum(w),
    "a clock": lambda w: np.sum(w) * time.perf_counter(),
}


@pytest.mark.parametrize("what", DRAWING)
def test_a_random_call_is_refused_with_the_way_to_write_it(embedded, what):
    with pytest.raises(Untraceable, match=r"test_random_losses\.py:\d+: .*pass them as an argument"):
        embedded.function(DRAWING[what], W)
    f = embedded.function(DRAWING[what])
    with pytest.raises(Untraceable):
        f.grad(W)


def test_a_seed_within_the_function_makes_it_a_function(embedded):
    def own(w):
        rng = np.random.default_rng(0)
        return np.sum(w * rng.normal(size=3))

    def shared(w):
        np.random.seed(1)  # noqa: NPY002
        return np.sum(w * np.random.normal(size=3))  # noqa: NPY002

    np.testing.assert_array_equal(embedded.function(own).grad(W), np.random.default_rng(0).normal(size=3))
    np.testing.assert_array_equal(embedded.function(shared).grad(W), np.random.RandomState(1).normal(size=3))


def test_numbers_drawn_outside_are_an_argument(embedded):
    noise = np.random.default_rng(0).normal(size=3)
    f = embedded.function(lambda w, noise: np.sum(w * noise))
    np.testing.assert_array_equal(f.grad(W, noise, wrt="w"), noise)


def test_a_clock_that_only_measures_is_let_pass(embedded):
    def timed(w):
        started = time.perf_counter()
        result = np.sum(w**2)
        assert time.perf_counter() >= started
        return result

    np.testing.assert_array_equal(embedded.function(timed).grad(W), 2 * W)


def test_another_thread_may_draw_meanwhile(embedded):
    ended = threading.Event()

    def draw():
        while not ended.is_set():
            np.random.normal()  # noqa: NPY002
            time.sleep(0)

    other = threading.Thread(target=draw)
    other.start()
    try:
        for k in range(5):
            f = embedded.function(lambda w, k=k: np.sum(w**2) * (k + 1.0))
            np.testing.assert_array_equal(f.grad(W), 2 * W * (k + 1))
    finally:
        ended.set()
        other.join()
