"""The lecture's examples: losses in plain NumPy with their derivatives in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Example:
    """A loss of one array, with its gradient and its Hessian applied to v in closed form."""

    name: str
    loss: Callable[[Any], Any]
    point: Any
    gradient: Callable[[Any], Any]
    hvp: Callable[[Any, Any], Any]

    @property
    def direction(self) -> Any:
        return np.random.default_rng(5).standard_normal(np.shape(self.point))


def _running() -> Example:
    """L(w1, w2) = w2 log w1 + sqrt(w2 log w1)."""

    def loss(w):
        t = w[1] * np.log(w[0])
        return t + np.sqrt(t)

    def gradient(w):
        t = w[1] * np.log(w[0])
        s = 1 + 0.5 / np.sqrt(t)
        return np.array([s * w[1] / w[0], s * np.log(w[0])])

    def hvp(w, v):
        t, dt = w[1] * np.log(w[0]), np.array([w[1] / w[0], np.log(w[0])])
        second = np.array([[-w[1] / w[0] ** 2, 1 / w[0]], [1 / w[0], 0.0]])
        return (1 + 0.5 / np.sqrt(t)) * second @ v - 0.25 * t**-1.5 * dt * (dt @ v)

    return Example("w2 log w1 + sqrt(w2 log w1)", loss, np.array([2.5, 1.7]), gradient, hvp)


def _quadratic() -> Example:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((6, 6)), rng.standard_normal(6)

    return Example(
        "<x, Ax> - b'x + c",
        lambda x: np.dot(x, a @ x) - b @ x + 3.0,
        rng.standard_normal(6),
        lambda x: (a + a.T) @ x - b,
        lambda x, v: (a + a.T) @ v,
    )


def _log_quadratic() -> Example:
    rng = np.random.default_rng(2)
    m = rng.standard_normal((6, 6))
    a = m @ m.T + np.eye(6)

    def hvp(x, v):
        q = x @ a @ x
        return 2 * a @ v / q - 4 * a @ x * (x @ a @ v) / q**2

    return Example(
        "ln <x, Ax>",
        lambda x: np.log(np.dot(x, a @ x)),
        rng.standard_normal(6),
        lambda x: 2 * a @ x / (x @ a @ x),
        hvp,
    )


def _log_determinant() -> Example:
    rng = np.random.default_rng(3)
    s, m = rng.standard_normal((5, 5)), rng.standard_normal((5, 5))

    def hvp(x, v):
        inverse = np.linalg.inv(x)
        return (inverse @ v @ inverse).T

    return Example(
        "<S, X> - log det X",
        lambda x: np.sum(s * x) - np.linalg.slogdet(x)[1],
        m @ m.T + 5 * np.eye(5),
        lambda x: s - np.linalg.inv(x).T,
        hvp,
    )


def _scaling() -> Example:
    """Multidimensional scaling: sum_ij (|Wi - Wj|^2 - Dij)^2."""
    rng = np.random.default_rng(4)
    d = np.abs(rng.standard_normal((7, 7)))
    d = d + d.T

    def residual(w):
        difference = w[:, None, :] - w[None, :, :]
        return difference, np.sum(difference * difference, axis=2) - d

    def loss(w):
        return np.sum(residual(w)[1] ** 2)

    def gradient(w):
        difference, r = residual(w)
        return 8 * np.einsum("ij,ijk->ik", r, difference)

    def hvp(w, v):
        difference, r = residual(w)
        moved = v[:, None, :] - v[None, :, :]
        dr = 2 * np.sum(difference * moved, axis=2)
        return 8 * (np.einsum("ij,ijk->ik", dr, difference) + np.einsum("ij,ijk->ik", r, moved))

    return Example("sum_ij (|Wi - Wj|^2 - Dij)^2", loss, rng.standard_normal((7, 3)), gradient, hvp)


def _network() -> Example:
    """A two-layer net on a batch, in its input-to-hidden weights: 1/2 |tanh(X W) u - y|^2."""
    rng = np.random.default_rng(6)
    x, u, y = rng.standard_normal((8, 4)), rng.standard_normal(3), rng.standard_normal(8)

    def loss(w):
        return 0.5 * np.sum((np.tanh(x @ w) @ u - y) ** 2)

    def gradient(w):
        hidden = np.tanh(x @ w)
        return x.T @ (np.outer(hidden @ u - y, u) * (1 - hidden**2))

    def hvp(w, v):
        hidden = np.tanh(x @ w)
        slope = 1 - hidden**2
        moved = slope * (x @ v)
        return x.T @ (np.outer(moved @ u, u) * slope - np.outer(hidden @ u - y, u) * 2 * hidden * moved)

    return Example("two-layer net", loss, 0.5 * rng.standard_normal((4, 3)), gradient, hvp)


EXAMPLES = [_running(), _quadratic(), _log_quadratic(), _log_determinant(), _scaling(), _network()]
