"""Losses and graphs that several tests ask about."""

from __future__ import annotations

import numpy as np

RNG = np.random.default_rng(11)
W, B = RNG.standard_normal((3, 4)), RNG.standard_normal(4)
X = RNG.standard_normal((5, 3))
_FITTED = np.random.default_rng(3)
ROWS = _FITTED.standard_normal((20, 3))
V, C = _FITTED.standard_normal((3, 2)), _FITTED.standard_normal(2)
PAIR = np.array([0.3, -0.2])
DATA = np.random.default_rng(0).standard_normal(100_000)
SYMBOLIC = """\
graph (%0 "x": f64[n], %1 "y": f64[n]) {
  %2: f64[n] = mul %0, %1
  %3: f64[] = reduce_sum %2 {axes=[0]}
  return "loss" %3, "products" %2
}"""


def affine(w, b):
    return np.sum(np.tanh(X @ w + b) ** 2)


def affine_gradient(w, b):
    hidden = np.tanh(X @ w + b)
    slope = 2 * hidden * (1 - hidden**2)
    return {"w": X.T @ slope, "b": slope.sum(axis=0)}


def fitted(w, b):
    """A loss of eight numbers, such as V and C."""
    return np.sum(np.tanh(ROWS @ w + b) ** 2)


def much_data(w):
    """A loss of two numbers with 0.8 MB of data."""
    return np.sum(np.tanh(DATA * w[0] + w[1]) ** 2)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
