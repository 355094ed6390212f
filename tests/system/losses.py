"""Losses that are heavy enough to be cut into chunks."""

from __future__ import annotations

import numpy as np

_RNG = np.random.default_rng(11)
DATA = _RNG.standard_normal((2000, 50))
TARGETS = np.sign(_RNG.standard_normal(2000))


def network(w, u):
    """A two-layer net on 2000 rows of data."""
    hidden = np.tanh(DATA @ w)
    return np.mean(np.logaddexp(0.0, -TARGETS * (hidden @ u))) + 0.01 * np.sum(w * w)


def point(seed=0):
    rng = np.random.default_rng(seed)
    return {"w": 0.3 * rng.standard_normal((50, 40)), "u": rng.standard_normal(40)}


def batch(points):
    rng = np.random.default_rng(7)
    return {"w": 0.3 * rng.standard_normal((points, 50, 40)), "u": rng.standard_normal((points, 40))}
