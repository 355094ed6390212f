"""What is not chosen contributes nothing to a derivative, though its partials are infinite or NaN."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gradserve.client import Client
from gradserve.client.functions import cond, log_softmax, logsumexp, scan, softmax, while_loop
from gradserve.jobs.sweeps import careful, cut

HOLE = np.array([1.0, np.nan, 3.0])
ROWS = np.array([[1, 2, 3], [np.nan] * 3, [3, 2, 1]])
KEPT = np.array([True, False, True])


@pytest.fixture(scope="module")
def client():
    with Client(threads=2) as made:
        yield made


def masked(w):
    return np.where(KEPT, w, -np.inf)


def logarithm(w):
    return np.sum(np.where(w > 1, np.log(w), 0.0))


def inverses(w):
    """Of two matrices, the second of which has infinite elements."""
    return np.linalg.inv(np.stack([w[:1], 1e308 * (1 + 9 * w[1:2])])[:, :, None])[:, :, 0]


def matern(r):
    return (1 + r) * np.exp(-r)


CHOICES: dict[str, tuple[Any, list[float], list[float]]] = {
    "where": (logarithm, [-1, 0, 2], [0, 0, 0.5]),
    "select": (
        lambda w: np.sum(np.select([w > 1, w < -1], [np.log(w), np.sqrt(-w)], 0.0)),
        [-4, 0, 2],
        [-0.25, 0, 0.5],
    ),
    "clip": (lambda w: np.sum(np.clip(np.exp(w), 0, 9)), [0, 800, -800], [1, 0, 0]),
    "minimum": (lambda w: np.sum(np.minimum(np.exp(w), 9)), [0, 800, 3], [1, 0, 0]),
    "maximum": (lambda w: np.sum(np.maximum(-np.exp(w), -9)), [0, 800, 3], [-1, 0, 0]),
    "nan_to_num": (lambda w: np.sum(np.nan_to_num(np.sqrt(w)) ** 2), [-1, 2, 3], [0, 1, 1]),
    "index": (lambda w: np.sum(np.log(w)[np.array([0, 2])]), [2, 0, 4], [0.5, 0, 0.25]),
    "nansum": (lambda w: np.nansum((w - HOLE) ** 2), [0, 0, 0], [-2, 0, -6]),
    "nanmean": (lambda w: np.nanmean(w**2 * HOLE), [1, 2, 3], [1, 0, 9]),
    "nanvar": (lambda w: np.nanvar(w * HOLE), [1, 0, 2], [-2.5, 0, 7.5]),
    "nanstd": (lambda w: np.nanstd(w * HOLE), [1, 0, 2], [-0.5, 0, 1.5]),
    "nanmax": (lambda w: np.nanmax(w * HOLE), [1, 0, 2], [0, 0, 3]),
    "nanprod": (lambda w: np.nanprod(w * HOLE), [1, 0, 2], [6, 0, 3]),
    "nanmedian": (lambda w: np.nanmedian(w * HOLE), [1, 0, 2], [0.5, 0, 1.5]),
    "fmax": (lambda w: np.sum(np.fmax(np.log(w), -1.0)), [-1, 0.5, 2], [0, 2, 0.5]),
    "entropy": (lambda w: -np.sum(np.where(w > 0, w * np.log(w), 0)), [0, 1, np.e], [0, -1, -2]),
    "softmax": (lambda w: softmax(masked(w))[2], [0, 5, 0], [-0.25, 0, 0.25]),
    "log_softmax": (lambda w: np.sum(np.where(KEPT, log_softmax(masked(w)), 0)), [0, 5, 0], [0, 0, 0]),
    "logsumexp": (lambda w: logsumexp(w, b=np.array([1.0, 0, 1])), [0, 800, 0], [0.5, 0, 0.5]),
    "rows": (lambda w: np.sum(np.where(KEPT, ROWS @ w, 0)), [1, 1, 1], [4, 4, 4]),
    "outputs": (lambda w: np.stack([w[0] * w[1], np.log(w[2]) * w[0]])[0], [3, 2, -1], [2, 3, 0]),
    "inverse": (lambda w: np.sum(np.where(KEPT[:2, None], inverses(w), 0)), [2, 1, 1], [-0.25, 0, 0]),
    "scan": (lambda w: scan(lambda c, r: (c + np.where(r > 1, np.log(r), 0.0), c), 0.0, w)[0], [-1, 0, 2], [0, 0, 0.5]),
    "cond": (lambda w: cond(w[2] > 0, lambda: logarithm(w), lambda: w[0]), [-1, 0, 2], [0, 0, 0.5]),
    "while": (
        lambda w: while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, c[1] + logarithm(w)), (0, 0.0), most=9)[0][1],
        [-1, 0, 2],
        [0, 0, 1],
    ),
    "chain": (lambda w: np.sqrt(w @ np.diag([1.0, 2, 3]) @ w) ** 2, [0, 0, 0], [0, 0, 0]),
    "matern": (lambda w: np.sum(matern(np.sqrt((w[:, None] - w) ** 2))), [1, 1, 1], [0, 0, 0]),
}


@pytest.mark.parametrize("name", CHOICES)
def test_in_both_modes(client, name):
    function, point, expected = CHOICES[name]
    w = np.array(point, float)
    f = client.function(function, w=w)
    assert_allclose(f.grad(w), expected, atol=1e-15)
    assert_allclose([f.jvp(w, tangent=e)[1] for e in np.eye(3)], expected, atol=1e-15)
    assert np.all(np.isfinite(f.hvp(w, tangent=np.ones(3))))


W = np.array([-1.0, 0.0, 2.0])
POINTS = np.array([[2.0, 3.0, 4.0], W, [5.0, 4.0, 1.5]])


def test_every_derivative(client):
    f = client.function(lambda w: logarithm(w) ** 2, w=W)
    slope, curvature = np.log(2), (1 - np.log(2)) / 2
    assert_allclose(f.hessian(W), np.diag([0, 0, curvature]), atol=1e-15)
    assert_allclose(f.taylor_along(W, direction=np.ones(3), order=2).coefficients[1], slope)
    assert_allclose(f.hessian_trace(W, max_probes=64).value, curvature)
    assert_allclose(f.hessian_diagonal(W, max_probes=64).values, [0, 0, curvature], atol=1e-15)
    assert_allclose(f.inspect(W).values[0].adjoint, [0, 0, slope])
    assert f.verify(W).verdict.name == "AGREES"
    residuals = client.function(lambda w: np.where(w > 1, np.log(w), 0.0), w=W)
    assert_allclose(residuals.gauss_newton_product(W, tangent=np.ones(3))[1], [0, 0, 0.25])
    assert_allclose(residuals.jacobian(POINTS, batch=True)[1], np.diag([0, 0, 0.5]))
    assert residuals.last_report.kinks.nodes == 0


def test_points_that_are_smooth_keep_their_bits(client):
    f = client.function(lambda w: logarithm(w) * np.sum(np.sin(w)), w=W)
    found = f.grad(POINTS, batch=True)
    assert_array_equal(found[[0, 2]], f.grad(POINTS[[0, 2]], batch=True))
    assert_array_equal(found[1], f.grad(W))
    assert_allclose(f.grad(POINTS, batch=True, reduction="sum"), found.sum(0))
    assert_allclose(f.grad(POINTS, batch=True, reduction="mean"), found.mean(0))
    assert f.last_report.nonfinite_outputs == 0


@pytest.mark.parametrize("executor", ["fused", "numpy", "xla"])
def test_in_single_precision_and_every_executor(client, executor):
    f = client.function(logarithm, w=np.zeros(3, np.float32))
    f.executor = executor
    found = f.grad(W.astype(np.float32))
    assert found.dtype == np.float32
    assert_array_equal(found, [0, 0, 0.5])


def test_vectors_choose_as_well(client):
    f = client.function(lambda w: np.sqrt(w), w=W)
    point, chosen = np.array([0.0, 4.0, -1.0]), np.array([0.0, 1.0, 0.0])
    assert_array_equal(f.vjp(point, cotangent=chosen)[1], [0, 0.25, 0])
    assert_array_equal(f.jvp(point, tangent=chosen)[1], [0, 0.25, 0])


def test_many_chunks_keep_their_order(monkeypatch):
    monkeypatch.setattr(cut, "CHUNK_SECONDS", 0.0)
    monkeypatch.setattr(careful, "WINDOW", 3)
    points = np.where(np.arange(10)[:, None] % 3 == 1, W, np.arange(2.0, 32.0).reshape(10, 3))
    with Client(threads=2) as client:
        f = client.function(logarithm, w=W)
        assert_allclose(f.grad(points, batch=True), np.where(points > 1, 1 / np.maximum(points, 1), 0))
        report = f.last_report
    assert report is not None
    assert report.chunks == 10


def kinks(client, function, w):
    f = client.function(function, w=np.array(w))
    f.grad(np.array(w))
    return f.last_report.kinks.nodes


def test_zeros_that_follow_a_convention_are_told(client):
    assert kinks(client, lambda w: np.sum(np.arctan(1 / w)), [0.0, 1.0]) == 1
    assert kinks(client, lambda w: scan(lambda c, r: (c + np.arctan(1 / r), c), 0.0, w)[0], [0.0, 1.0]) == 1
    f = client.function(lambda w: np.arctan(1 / w), w=W)
    f.jacobian(np.array([[0.0, 1.0], [2.0, 1.0], [0.0, 0.0]]), batch=True)
    assert (f.last_report.kinks.nodes, f.last_report.kinks.examples) == (1, 2)


def test_zeros_that_are_chosen_are_not(client):
    assert kinks(client, lambda w: np.sum(np.where(KEPT[:2], w, np.sqrt(w))), [3.0, 1.0]) == 0
    assert kinks(client, lambda w: np.sum(np.where(KEPT[:2], np.log(w[::-1]), w)), [0.0, 1.0]) == 0
    assert kinks(client, lambda w: np.sum(np.minimum(np.exp(w), 9.0)), [800.0, 1.0]) == 0
    assert kinks(client, lambda w: np.sum(np.log(w)[1:]), [0.0, 1.0]) == 0


def test_values_that_are_no_numbers_stay_that(client):
    f = client.function(lambda w: np.sum(np.log(w)), w=W)
    assert_array_equal(f.grad(np.array([np.nan, 1.0, 2.0])), [np.nan, 1, 0.5])
    assert_array_equal(f.grad(np.array([0.0, 1.0, 2.0])), [np.inf, 1, 0.5])
