"""When an estimate is looked at, what its intervals promise, and that they keep it."""

import math

import numpy as np
import pytest

from gradserve.estimation import looks as looking
from gradserve.estimation.looks import Target, error_probability, first_look, looks
from gradserve.estimation.running import Running, student_t
from gradserve.estimation.spending import needed
from gradserve.estimation.trace import interval_at
from gradserve.questions.estimates import StopReason

EPSILON = float(np.finfo(float).eps)


def stop_reason(samples, target, interval):
    return looking.stop_reason(target, samples.count, interval.half_width, abs(samples.mean))


def test_looks_double_and_end_with_all_probes():
    assert list(looks(Target(1000))) == [16, 32, 64, 128, 256, 512, 1000]
    assert list(looks(Target(64))) == [16, 32, 64]
    assert list(looks(Target(5))) == [5]


def test_the_error_probabilities_of_all_looks_sum_to_the_one_allowed():
    target = Target(10**9, relative_tolerance=0.1, confidence=0.9)
    spent = sum(error_probability(target, look) for look in range(1, 100_000))
    assert spent < 0.1
    assert spent == pytest.approx(0.1, rel=1e-4)
    assert error_probability(Target(100, confidence=0.9), 3) == pytest.approx(0.1)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
def test_equal_samples_at_the_first_look_prove_something(confidence):
    for tolerance in (0.0, 0.1):
        target = Target(10**6, relative_tolerance=tolerance, confidence=confidence)
        assert 0.75 ** (first_look(target) - 1) <= error_probability(target, 1)
        assert first_look(target) >= 8


def test_the_worst_case_of_equal_samples():
    """The matrix of ones in three dimensions: the form is 1 with probability 3/4, where the trace is 3."""
    rng = np.random.default_rng(0)
    target = Target(10**6, relative_tolerance=1e-3)
    missed = 0
    for _ in range(2000):
        samples = rng.choice([-1.0, 1.0], (first_look(target), 3)).sum(axis=1) ** 2
        interval = interval_at(Running().with_samples(samples), target, 1, EPSILON)
        if stop_reason(Running().with_samples(samples), target, interval) is StopReason.TOLERANCE:
            missed += not interval.lower <= 3 <= interval.upper
    assert missed <= 0.025 * 2000


def test_too_few_equal_samples_promise_nothing():
    interval = interval_at(Running().with_samples(np.ones(4)), Target(4), 1, EPSILON)
    assert (interval.lower, interval.upper) == (-math.inf, math.inf)
    enough = interval_at(Running().with_samples(np.ones(16)), Target(16), 1, EPSILON)
    assert enough.half_width < 1e-14


def test_stop_reasons():
    samples = Running().with_samples(np.random.default_rng(0).standard_normal(100) + 100)
    for target, reason in [
        (Target(1000), StopReason.NONE),
        (Target(100), StopReason.MAX_PROBES),
        (Target(1000, relative_tolerance=0.01), StopReason.TOLERANCE),
        (Target(1000, relative_tolerance=1e-4), StopReason.NONE),
        (Target(1000, absolute_tolerance=1.0), StopReason.TOLERANCE),
        (Target(100, absolute_tolerance=1e-3), StopReason.MAX_PROBES),
    ]:
        assert stop_reason(samples, target, interval_at(samples, target, 3, EPSILON)) is reason


def test_an_interval_of_nan_never_stops_as_good():
    samples = Running().with_samples(np.array([math.nan] * 32))
    target = Target(1000, relative_tolerance=0.5)
    assert stop_reason(samples, target, interval_at(samples, target, 2, EPSILON)) is StopReason.NONE


def estimated(rng, matrix, target):
    """Looks until it stops; the interval at the end."""
    samples, look = Running(), 0
    for look, probes in enumerate(looks(target), start=1):
        v = rng.choice([-1.0, 1.0], (probes - samples.count, len(matrix)))
        samples = samples.with_samples(np.einsum("pi,ij,pj->p", v, matrix, v, optimize=True))
        interval = interval_at(samples, target, look, EPSILON)
        if stop_reason(samples, target, interval) is not StopReason.NONE:
            return interval
    raise AssertionError


SPECTRA = {"flat": np.linspace(1, 3, 60), "exp": 0.8 ** np.arange(60), "indefinite": np.linspace(-1, 1.2, 60)}


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize(
    "target", [Target(64), Target(10_000, relative_tolerance=0.1, absolute_tolerance=0.5)], ids=str
)
def test_intervals_cover_the_trace(spectrum, target):
    rng = np.random.default_rng(0)
    q, _ = np.linalg.qr(rng.standard_normal((60, 60)))
    matrix = (q * SPECTRA[spectrum]) @ q.T
    intervals = [estimated(rng, matrix, target) for _ in range(400)]
    covered = sum(i.lower <= np.trace(matrix) <= i.upper for i in intervals)
    assert covered >= 0.93 * 400


def test_looking_again_and_again_without_paying_for_it_covers_less():
    """The planted fault: the same stopping rule with the plain level at every look."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        samples = Running()
        for probes in (8, 16, 32, 64, 128, 256, 512):
            samples = samples.with_samples(rng.standard_normal(probes - samples.count) + 0.5)
            half = student_t(0.2, probes - 1) * samples.standard_error
            if half <= 0.3 * abs(samples.mean):
                break
        covered += abs(samples.mean - 0.5) <= half
    assert covered < 0.8 * 2000


@pytest.mark.parametrize("deviation", [1e150, 1e308, math.inf, math.nan])
def test_no_number_of_samples_is_enough_for_a_huge_deviation(deviation):
    assert needed(Target(1000, absolute_tolerance=1e-3), 1, deviation, 0.0) == math.inf
