"""The losses that are timed: each is written once, in plain NumPy, for whichever library stands behind `xp`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Loss = Callable[..., Any]


@dataclass(frozen=True)
class Workload:
    """A loss `loss(xp, **parameters)`, its data captured, and where it is differentiated."""

    name: str
    title: str
    loss: Loss
    parameters: dict[str, Any]

    def using(self, xp: Any) -> Loss:
        """The loss as a user of the array library `xp` writes it."""
        return functools.partial(self.loss, xp)

    @property
    def point(self) -> list[Any]:
        """The parameters in order."""
        return list(self.parameters.values())


def toy_loss(xp: Any, w1: Any, w2: Any) -> Any:
    t = w2 * xp.log(w1)
    return t + xp.sqrt(t)


def toy(_: np.random.Generator) -> Workload:
    parameters = {"w1": np.array(2.0), "w2": np.array(1.5)}
    return Workload("a_toy", "w2 log w1 + sqrt(w2 log w1), two scalars", toy_loss, parameters)


def _positive(rng: np.random.Generator, n: int) -> Any:
    """A symmetric positive definite matrix."""
    root = rng.standard_normal((n, n)) / np.sqrt(n)
    return root @ root.T + np.eye(n)


def quadratic(rng: np.random.Generator) -> Workload:
    A, b = _positive(rng, 1000), rng.standard_normal(1000)

    def loss(xp: Any, x: Any) -> Any:
        return xp.dot(x, xp.dot(A, x)) - xp.dot(b, x) + 3.0

    return Workload("b_quad", "x'Ax - b'x + 3, n = 1000", loss, {"x": rng.standard_normal(1000)})


def log_quadratic(rng: np.random.Generator) -> Workload:
    A = _positive(rng, 1000)

    def loss(xp: Any, x: Any) -> Any:
        return xp.log(xp.dot(x, xp.dot(A, x)))

    return Workload("b_lnquad", "ln x'Ax, n = 1000", loss, {"x": rng.standard_normal(1000)})


def log_determinant(rng: np.random.Generator) -> Workload:
    S = rng.standard_normal((200, 200))

    def loss(xp: Any, X: Any) -> Any:
        return xp.sum(S * X) - xp.linalg.slogdet(X)[1]

    return Workload("c_logdet", "<S, X> - ln |det X|, n = 200", loss, {"X": _positive(rng, 200)})


def _dissimilarities(rng: np.random.Generator) -> Any:
    half = np.abs(rng.standard_normal((500, 500)))
    return half + half.T


def scaling(rng: np.random.Generator) -> Workload:
    D = _dissimilarities(rng)

    def loss(xp: Any, W: Any) -> Any:
        apart = W[:, None, :] - W[None, :, :]
        r = xp.sum(apart * apart, axis=2) - D
        return xp.sum(r * r)

    return Workload("d_mds", "multidimensional scaling, 500 x 3, as written", loss, {"W": rng.standard_normal((500, 3))})


def gram_scaling(rng: np.random.Generator) -> Workload:
    D = _dissimilarities(rng)

    def loss(xp: Any, W: Any) -> Any:
        s = xp.sum(W * W, axis=1)
        r = s[:, None] + s[None, :] - 2.0 * xp.dot(W, W.T) - D
        return xp.sum(r * r)

    title = "multidimensional scaling, 500 x 3, through the Gram matrix"
    return Workload("d_mds_gram", title, loss, {"W": rng.standard_normal((500, 3))})


def logistic_regression(rng: np.random.Generator) -> Workload:
    X, y = rng.standard_normal((10_000, 200)), np.sign(rng.standard_normal(10_000))

    def loss(xp: Any, w: Any) -> Any:
        return xp.mean(xp.logaddexp(0.0, -(y * xp.dot(X, w))))

    return Workload("e_logreg", "logistic regression, 10000 x 200", loss, {"w": 0.1 * rng.standard_normal(200)})


def perceptron(rng: np.random.Generator) -> Workload:
    X = rng.standard_normal((256, 784))
    Y = np.eye(10)[rng.integers(0, 10, 256)]
    parameters = {}
    for k, (n, m) in enumerate(((784, 512), (512, 512), (512, 10)), start=1):
        parameters[f"W{k}"] = rng.standard_normal((n, m)) / np.sqrt(n)
        parameters[f"b{k}"] = 0.1 * rng.standard_normal(m)

    def loss(xp: Any, W1: Any, b1: Any, W2: Any, b2: Any, W3: Any, b3: Any) -> Any:
        h = xp.tanh(xp.dot(X, W1) + b1)
        h = xp.tanh(xp.dot(h, W2) + b2)
        z = xp.dot(h, W3) + b3
        z = z - xp.max(z, axis=1, keepdims=True)
        return xp.mean(xp.log(xp.sum(xp.exp(z), axis=1)) - xp.sum(z * Y, axis=1))

    return Workload("f_mlp", "perceptron 784-512-512-10, cross-entropy, batch 256", loss, parameters)


def sine_chain(rng: np.random.Generator) -> Workload:
    def loss(xp: Any, x: Any) -> Any:
        y = x
        for _ in range(40):
            y = xp.sin(y * 1.1 + 0.1) * x - 0.2
        return xp.sum(y)

    return Workload("i_chain", "40 rounds of sin, 10^6 elements", loss, {"x": 0.5 + 0.5 * rng.random(1_000_000)})


def polynomial_chain(rng: np.random.Generator) -> Workload:
    def loss(xp: Any, x: Any) -> Any:
        y = x
        for _ in range(40):
            y = ((y * 0.9 + 0.1) * x - 0.2) * 0.5
        return xp.sum(y)

    title = "40 rounds of a polynomial, 10^6 elements"
    return Workload("i_poly", title, loss, {"x": 0.5 + 0.5 * rng.random(1_000_000)})


MAKERS: dict[str, Callable[[np.random.Generator], Workload]] = {
    "a_toy": toy,
    "b_quad": quadratic,
    "b_lnquad": log_quadratic,
    "c_logdet": log_determinant,
    "d_mds": scaling,
    "d_mds_gram": gram_scaling,
    "e_logreg": logistic_regression,
    "f_mlp": perceptron,
    "i_chain": sine_chain,
    "i_poly": polynomial_chain,
}


def make(name: str) -> Workload:
    """The workload of that name; the same numbers each time."""
    return MAKERS[name](np.random.default_rng(0))
