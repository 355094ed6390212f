"""What traced masks choose, `x[x > 0]`: NumPy's own values, and derivatives by differences of them."""

import numpy as np
import pytest

from gradserve.client.tracing.trace import trace
from gradserve.ir.errors import Untraceable

X = np.random.default_rng(0).standard_normal((12, 3))
Y = np.random.default_rng(1).standard_normal(12)
W = np.array([0.3, -0.7, 1.1, 0.4, -0.2])
STEP = 1e-5


def huber(b):
    residual = Y - X @ b
    near = np.abs(residual) <= 1.0
    return 0.5 * np.sum(residual[near] ** 2) + np.sum(np.abs(residual[np.abs(residual) > 1.0]) - 0.5)


def sortino(b):
    returns = X @ b
    losses = returns[returns < 0]
    return returns.mean() / losses.std() + 0.1 * losses.size + losses.min() + returns[returns > 0].max()


def by_assignment(w):
    a = w * 1.0
    a[a < 0] *= -2
    b = a.copy()
    b[b > 1] = 1
    b[b < 0.35] += w.sum()
    b[w > 0] = np.log(w[w > 0])
    return (a * b).sum()


def by_products(w):
    chosen = w[w > 0]
    return np.dot(chosen, np.sin(w)[w > 0]) + chosen @ chosen + np.linalg.norm(chosen) + np.prod(w[w < 0])


def by_statistics(w):
    chosen = w[w > 0]
    return np.var(chosen, ddof=1) + np.median(chosen) + np.mean(chosen**2) + np.count_nonzero(chosen > 0.35)


def by_rows(b):
    up = X @ b > 0
    rows = X[up]
    fitted = ((Y[up] - rows @ b) ** 2).mean() + rows.sum(axis=0) @ b + Y[up].sum() * b[0]
    return fitted + rows.sum(axis=1).max() + np.exp(rows @ b).mean() + rows.var(axis=0).sum()


def by_elements(w):
    chosen = w[w > 0]
    return np.clip(chosen, 0.35, 1).sum() + np.where(chosen > 0.45, 1.0, chosen).sum() + (2 - w[~(w > 0)]).sum()


def by_masks_of_masks(w):
    up = w[w > 0]
    low = up[up < 0.5]
    up[up > 1] = 1
    up[up < 0.35] *= 3
    return (up**2).sum() + low.sum() * np.exp(low[low > 0.35]).sum() + w.sum()


def by_columns(b):
    rows = X[X @ b > 0]
    return rows[:, 0] @ rows[:, 1] + (rows[:, :2] * b[:2]).sum() + rows[:].mean()


LOSSES = {
    by_masks_of_masks: W,
    by_columns: X[1],
    huber: X[0],
    sortino: X[0] + 0.3,
    by_assignment: W,
    by_products: W,
    by_statistics: W,
    by_rows: X[1],
    by_elements: W,
}


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_masks_choose_as_in_numpy(embedded, loss):
    point = LOSSES[loss]
    value, gradient = embedded.function(loss, point).value_and_grad(point)
    np.testing.assert_allclose(value, loss(point), rtol=1e-13)
    steps = STEP * np.eye(point.size)
    slopes = [(loss(point + step) - loss(point - step)) / (2 * STEP) for step in steps]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-8)


def test_what_is_not_chosen_leaves_no_trace(embedded):
    """No number of the logarithm of what is negative, neither in the value nor in the derivative."""
    f = embedded.function(lambda w: np.sum(np.log(w[w > 0])), W)
    value, gradient = f.value_and_grad(W)
    np.testing.assert_allclose(value, np.log(W[W > 0]).sum(), rtol=1e-14)
    np.testing.assert_allclose(gradient, np.where(W > 0, 1 / W, 0.0), rtol=1e-14)
    none = embedded.function(lambda w: np.sum(w[w > 5]) + np.max(w[w > 5], initial=0.5), W)
    assert none(W) == 0.5


@pytest.mark.parametrize(
    "function",
    [
        lambda w: w[w > 0],
        lambda w: len(w[w > 0]) * w.sum(),
        lambda w: w[w > 0][0],
        lambda w: np.concatenate([w[w > 0], w]).sum(),
        lambda w: sum(x for x in w[w > 0]),
        lambda w: np.fft.fft(w[w > 0]).real.sum(),
        lambda w: np.sort(w[w > 0])[0],
        lambda w: np.zeros(2) @ w[w > 0],
        lambda w: w[w > 0].cumsum().sum(),
    ],
)
def test_what_needs_the_number_of_elements_is_refused(function):
    with pytest.raises(Untraceable, match=r"test_masks.py:\d+: a traced mask selects.*np.where\(mask, x, 0\)"):
        trace(function, W)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda w: (w[w > 0] * w[w > 0.2]).sum(), "two masks"),
        (lambda w: (w[w > 0] + w).sum(), "an array of known length"),
        (lambda w: by_other_mask(w * 1.0), "one mask selects are assigned where another holds"),
    ],
)
def test_what_is_chosen_twice_meets_by_one_mask(function, said):
    with pytest.raises(Untraceable, match=rf"test_masks.py:\d+: .*{said}"):
        trace(function, W)


def by_other_mask(a):
    a[a > 0] = a[a > 0.2]
    return a.sum()


def test_a_mask_of_another_length_is_refused_as_by_numpy():
    with pytest.raises(IndexError, match="boolean index"):
        trace(lambda w: w[:3][w > 0].sum(), W)
