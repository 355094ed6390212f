"""Gradients from values alone against closed forms: means, variances, contraction, full differences, steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradserve.autodiff import differences
from gradserve.client import Client, InvalidRequest, NotDifferentiable
from gradserve.estimation.entries import Means
from gradserve.estimation.samplers import signs
from gradserve.ir.types import ElementType
from gradserve.jobs.answering import answers
from gradserve.jobs.sweeps.context import Context
from gradserve.pools.local.pool import LocalPool
from gradserve.questions.call import Batch, Call
from gradserve.questions.zero_order import Directions, EstimateGradient, Scheme
from gradserve.runtime.control import Control

RANDOM = np.random.default_rng(5)
N = 6
ROOT = RANDOM.normal(size=(N, N))
H = ROOT @ ROOT.T
B = RANDOM.normal(size=N)
X = RANDOM.normal(size=N)
G = H @ X + B
RANDOM_ONES = [Directions.SPHERE, Directions.GAUSSIAN, Directions.SIGNS]
SEEDS = 60


def quadratic(x):
    return 0.5 * x @ (H @ x) + B @ x


def half_square(x):
    return 0.5 * x @ x


@pytest.fixture(scope="module")
def client():
    with Client(threads=1) as client:
        yield client


@pytest.fixture(scope="module")
def f(client):
    return client.function(quadratic, X)


# ---- random directions


def test_one_direction_is_the_slope_times_it(f):
    for seed in range(5):
        v = signs(seed, "probe:x", 0, 1, (N,), ElementType.FLOAT64)[0]
        found = f.zero_order_gradient(X, max_probes=1, sampler="signs", step=0.5, seed=seed)
        np.testing.assert_allclose(found.values, (G @ v) * v, rtol=1e-12)
        assert (found.probes, found.evaluations, found.step) == (1, 2, 0.5)


VARIANCES = {Directions.SPHERE: N - 1, Directions.GAUSSIAN: N + 1, Directions.SIGNS: N - 1}
"""The closed forms of E |G - g|^2 / |g|^2."""


def far_from(found: Any, sampler: Directions) -> float:
    return float(abs(found.variance / (VARIANCES[sampler] * (G @ G)) - 1))


@pytest.mark.parametrize("sampler", RANDOM_ONES)
def test_the_variance_of_one_direction(f, sampler):
    """And that of single answers, which nothing of ours estimates: E |G - g|^2 over seeds."""
    assert far_from(f.zero_order_gradient(X, max_probes=4096, sampler=sampler, step=0.25), sampler) < 0.1
    ones = np.array(
        [f.zero_order_gradient(X, max_probes=1, sampler=sampler, step=0.25, seed=k).values for k in range(300)]
    )
    distances = np.sum((ones - G) ** 2, axis=1)
    expected = VARIANCES[sampler] * (G @ G)
    assert abs(distances.mean() - expected) < 4 * distances.std() / np.sqrt(len(ones))


def test_another_variance_is_told(f):
    gaussian = f.zero_order_gradient(X, max_probes=4096, sampler="gaussian", step=0.25)
    assert far_from(gaussian, Directions.SIGNS) > 0.1


def test_directions_of_the_sphere_have_its_radius(client):
    """Along each of them <x, x> rises from 0 by h^2 n, over all parameters together."""
    g = client.function(lambda x, y: np.sum(x * x) + np.sum(y * y))
    point = np.zeros(3), np.zeros((2, 2))
    found = g.zero_order_gradient(*point, max_probes=1, scheme="forward", step=0.5)
    length = np.sqrt(np.sum(found.values["x"] ** 2) + np.sum(found.values["y"] ** 2))
    assert length == pytest.approx(0.5 * 7 * np.sqrt(7))


def test_forward_differences_have_the_second_order_in_their_variance(client):
    """At 0 of |x|^2 / 2 the slope along signs is h n / 2, so one estimate is that times signs, of mean 0."""
    g = client.function(half_square)
    found = g.zero_order_gradient(np.zeros(N), max_probes=4096, sampler="signs", scheme="forward", step=0.5)
    assert found.variance == pytest.approx(N * (0.25 * N) ** 2, rel=0.05)
    assert np.all(np.abs(found.values) <= found.half_widths)
    assert found.evaluations == 4097


def covered(f, sampler, gradient, count=32):
    hits = np.zeros(len(gradient))
    for seed in range(SEEDS):
        found = f.zero_order_gradient(X[: len(gradient)], max_probes=count, sampler=sampler, step=0.25, seed=seed)
        hits += np.abs(found.values - gradient) <= found.half_widths
    return hits / SEEDS


# Of 60 intervals at 95 %, fewer than 49 cover with probability 4e-5.
LEAST = 49 / SEEDS


@pytest.mark.parametrize("sampler", RANDOM_ONES)
def test_intervals_cover_each_entry(f, sampler):
    assert np.all(covered(f, sampler, G) >= LEAST)


def test_intervals_cover_where_samples_are_skewed(client):
    """One entry: samples are its slope times the square of a normal number."""
    assert covered(client.function(lambda x: np.sum(3.0 * x)), "gaussian", np.array([3.0]), 16)[0] >= LEAST


def test_another_gradient_is_not_covered(f):
    shifted = G + np.array([0, 0, 0.6 * np.linalg.norm(G), 0, 0, 0])
    assert covered(f, "sphere", shifted)[2] < LEAST


def test_a_tolerance_stops(f):
    found = f.zero_order_gradient(X, rel_tol=0.2, seed=2, sampler="signs")
    assert found.stop_reason == "tolerance"
    assert found.widest <= 0.2 * np.max(np.abs(found.values))
    assert found.probes < 4096
    assert found.error == pytest.approx(np.sqrt(found.variance / found.probes))


# ---- descents


def contraction(client, sampler, n, rate, seeds=250):
    """The mean of |x+|^2 / |x|^2 over seeds, for a step of gradient descent on |x|^2 / 2, and its standard error."""
    x = np.ones(n)
    g = client.function(half_square)
    ratios = []
    for seed in range(seeds):
        step = rate * g.zero_order_gradient(x, max_probes=1, sampler=sampler, step=0.25, seed=seed).values
        ratios.append(np.sum((x - step) ** 2) / n)
    return np.mean(ratios), np.std(ratios) / np.sqrt(seeds)


@pytest.mark.parametrize(
    ("sampler", "n", "rate"), [("sphere", 10, 1 / 10), ("gaussian", 10, 1 / 12), ("signs", 40, 1 / 40)]
)
def test_a_step_contracts_as_the_closed_form_says(client, sampler, n, rate):
    """By 1 - 1/n in mean with the step 1/n; of Gaussian directions by 1 - 1/(n + 2), with 1/(n + 2)."""
    mean, error = contraction(client, sampler, n, rate)
    assert abs(mean - (1 - rate)) < 4 * error
    assert 4 * error < rate / 2


def test_another_step_contracts_less(client):
    mean, error = contraction(client, "sphere", 10, 1 / 40)
    assert mean - (1 - 1 / 10) > 4 * error


# ---- full differences


def full_errors(f, scheme: str, step: float):
    found = f.zero_order_gradient(X, sampler="basis", scheme=scheme, step=step)
    assert found.stop_reason == "exact"
    assert found.variance == 0
    return found.values - G, found


def test_central_differences_of_a_quadratic_are_exact(f):
    error, found = full_errors(f, "central", 2.0)
    np.testing.assert_allclose(error, 0, atol=1e-12)
    assert (found.probes, found.evaluations) == (N, 2 * N)


def test_forward_differences_are_off_by_half_the_step_times_the_diagonal(f):
    error, found = full_errors(f, "forward", 0.5)
    np.testing.assert_allclose(error, 0.25 * np.diag(H), atol=1e-12)
    assert (found.probes, found.evaluations) == (N, N + 1)


def test_a_quotient_by_another_step_is_not_exact(monkeypatch):
    """A planted fault: moved by half of what is divided by."""
    moved = differences._moved
    monkeypatch.setattr(differences, "_moved", lambda g, x, d, step: moved(g, x, d, step * 0.5))
    with Client(threads=1) as other:
        error, _ = full_errors(other.function(quadratic), "central", 2.0)
    assert np.all(np.abs(error) > 1e-3)


# ---- the step


FUNCTIONS = {
    "exp": (lambda x: np.sum(np.exp(x)), lambda x: np.exp(x)),
    "sine": (lambda x: np.sum(np.sin(3 * x) * x), lambda x: np.sin(3 * x) + 3 * x * np.cos(3 * x)),
    "inverse": (lambda x: np.sum(1 / (2.5 + x)), lambda x: -1 / (2.5 + x) ** 2),
    "large": (lambda x: np.sum(np.log1p((1e3 + x) ** 2)), lambda x: 2 * (1e3 + x) / (1 + (1e3 + x) ** 2)),
    "linear": (lambda x: np.sum(2.0 * x), lambda x: np.full_like(x, 2.0)),
    "zero": (lambda x: np.sum(0.0 * x), lambda x: np.zeros_like(x)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("scheme", list(Scheme))
def test_the_chosen_step_is_near_the_best_and_its_error_within_the_bound(client, name, scheme):
    loss, gradient = FUNCTIONS[name]
    f = client.function(loss)

    def error(found):
        return np.max(np.abs(found.values - gradient(X)))

    chosen = f.zero_order_gradient(X, sampler="basis", scheme=scheme)
    steps = 10.0 ** np.arange(-9, 0, 0.5)
    others = [error(f.zero_order_gradient(X, sampler="basis", scheme=scheme, step=h)) for h in steps]
    assert error(chosen) <= chosen.step_error
    assert np.all(chosen.half_widths == chosen.step_error)
    assert error(chosen) <= 30 * min(others) + 1e-13 * np.max(np.abs(gradient(X)))
    assert chosen.evaluations > 2 * N


def test_noise_takes_a_larger_step(client):
    """Noise of 1e-7 in the values: a wave that is far too fast for any step."""
    noisy = client.function(lambda x: np.sum(np.exp(x)) + 1e-7 * np.sin(1e12 * np.sum(x)))
    clean = client.function(lambda x: np.sum(np.exp(x)))
    one, other = (g.zero_order_gradient(X, sampler="basis") for g in (noisy, clean))
    assert one.step > 50 * other.step
    assert np.max(np.abs(one.values - np.exp(X))) <= one.step_error < 1e-3
    missed = noisy.zero_order_gradient(X, sampler="basis", step=other.step).values
    assert np.max(np.abs(missed - np.exp(X))) > 1e-3


def test_a_given_step_is_not_measured(f):
    found = f.zero_order_gradient(X, sampler="basis", step=1e-3)
    assert np.isnan(found.step_error)
    assert np.isnan(found.half_widths).all()
    assert "error of the step not measured" in str(found)


# ---- what is computed, and what is refused


def test_the_same_seed_gives_the_same_bits_on_any_number_of_threads(f):
    found = []
    for threads in (1, 3):
        with Client(threads=threads) as client:
            g = client.function(quadratic)
            found.append(g.zero_order_gradient(X, max_probes=300, seed=9).values.tobytes())
            found.append(g.zero_order_gradient(X, max_probes=100, seed=9).values.tobytes())
    assert found[:2] == found[2:]
    assert found[0] != f.zero_order_gradient(X, max_probes=300, seed=10).values.tobytes()


def test_parameters_have_their_structure_and_single_precision_is_widened(client):
    g = client.function(lambda p: np.sum(p["a"] ** 3) + np.sum(np.exp(p["b"])))
    point = {"a": np.array([1.0, 2.0], np.float32), "b": np.array([[0.5]], np.float32)}
    found = g.zero_order_gradient(point, sampler="basis")
    np.testing.assert_allclose(found.values["a"], [3.0, 12.0], rtol=1e-8)
    np.testing.assert_allclose(found.values["b"], [[np.exp(0.5)]], rtol=1e-8)
    assert found.values["a"].dtype == np.float64


def test_what_has_no_derivative_has_differences(client):
    """Of a floor the rules give 0; differences over a step of 1 give 1."""
    g = client.function(lambda x: np.sum(np.floor(x)))
    assert g.zero_order_gradient(np.array([0.5, 3.5]), sampler="basis", step=1.0).values == pytest.approx([1, 1])
    on = client.function(lambda x: np.sum(np.abs(x))).zero_order_gradient(np.array([0.0, 1.0]), max_probes=8)
    assert on.report.on_kinks
    assert "the interval does not hold" in str(on)


def test_what_is_not_finite_is_counted(client):
    g = client.function(lambda x: np.sum(np.sqrt(x)))
    found = g.zero_order_gradient(-np.ones(3), max_probes=20, rel_tol=0.5)
    assert found.report.nonfinite_outputs == 20
    assert np.isnan(found.values).all()
    assert found.stop_reason == "max_probes"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "basis", "max_probes": 3}, "max_probes: E4: there are 6 entries, and 3 directions are allowed"),
        ({"sampler": "basis", "rel_tol": 0.1}, "sampler: E9: full differences take every entry"),
        ({"step": -1.0}, "step: E8: -1.0 is no step"),
        ({"step": float("nan")}, "E8"),
        ({"confidence": 2.0}, "E2"),
        ({"rel_tol": -1.0}, "E3"),
        ({"sampler": "cube"}, "there is no sampler 'cube'; there are sphere, gaussian, signs, basis"),
        ({"scheme": "backward"}, "there is no scheme 'backward'; there are central, forward"),
        ({"wrt": "y"}, "y"),
    ],
)
def test_what_does_not_fit_is_refused(f, options, message):
    with pytest.raises(InvalidRequest, match=message):
        f.zero_order_gradient(X, **options)


def test_a_batch_is_refused(f):
    question = EstimateGradient(Call(f.graph, {"x": np.stack([X, X])}, Batch(("x",))))
    with pytest.raises(InvalidRequest, match=r"call.batch: E1"):
        next(answers(Context(LocalPool(1)), question, Control()))


def test_what_is_no_loss_is_refused(client):
    with pytest.raises(NotDifferentiable, match="no loss"):
        client.function(lambda x: 2 * x).zero_order_gradient(X)


def test_the_statistics_can_fail(f, monkeypatch):
    """A planted fault: intervals from a variance that is a quarter of what it is."""
    widths = Means.half_widths
    monkeypatch.setattr(
        Means,
        "half_widths",
        lambda self, errors, *more: widths(self, {name: error / 2 for name, error in errors.items()}, *more),
    )
    assert np.any(covered(f, "signs", G) < LEAST)
