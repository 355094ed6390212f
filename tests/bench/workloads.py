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


def toy(_: np.random.Generator, scale: float) -> Workload:
    parameters = {"w1": np.array(2.0), "w2": np.array(1.5)}
    return Workload("a_toy", "w2 log w1 + sqrt(w2 log w1), two scalars", toy_loss, parameters)


def _positive(rng: np.random.Generator, n: int) -> Any:
    """A symmetric positive definite matrix."""
    root = rng.standard_normal((n, n)) / np.sqrt(n)
    return root @ root.T + np.eye(n)


def quadratic(rng: np.random.Generator, scale: float) -> Workload:
    n = int(1000 * scale)
    A, b = _positive(rng, n), rng.standard_normal(n)

    def loss(xp: Any, x: Any) -> Any:
        return xp.dot(x, xp.dot(A, x)) - xp.dot(b, x) + 3.0

    return Workload("b_quad", f"x'Ax - b'x + 3, n = {n}", loss, {"x": rng.standard_normal(n)})


def log_quadratic(rng: np.random.Generator, scale: float) -> Workload:
    n = int(1000 * scale)
    A = _positive(rng, n)

    def loss(xp: Any, x: Any) -> Any:
        return xp.log(xp.dot(x, xp.dot(A, x)))

    return Workload("b_lnquad", f"ln x'Ax, n = {n}", loss, {"x": rng.standard_normal(n)})


def log_determinant(rng: np.random.Generator, scale: float) -> Workload:
    n = int(200 * scale)
    S = rng.standard_normal((n, n))

    def loss(xp: Any, X: Any) -> Any:
        return xp.sum(S * X) - xp.linalg.slogdet(X)[1]

    return Workload("c_logdet", f"<S, X> - ln |det X|, n = {n}", loss, {"X": _positive(rng, n)})


def _dissimilarities(rng: np.random.Generator, n: int) -> Any:
    half = np.abs(rng.standard_normal((n, n)))
    return half + half.T


def scaling(rng: np.random.Generator, scale: float) -> Workload:
    n = int(500 * scale)
    D = _dissimilarities(rng, n)

    def loss(xp: Any, W: Any) -> Any:
        apart = W[:, None, :] - W[None, :, :]
        r = xp.sum(apart * apart, axis=2) - D
        return xp.sum(r * r)

    title = f"multidimensional scaling, {n} x 3, as written"
    return Workload("d_mds", title, loss, {"W": rng.standard_normal((n, 3))})


def gram_scaling(rng: np.random.Generator, scale: float) -> Workload:
    n = int(500 * scale)
    D = _dissimilarities(rng, n)

    def loss(xp: Any, W: Any) -> Any:
        s = xp.sum(W * W, axis=1)
        r = s[:, None] + s[None, :] - 2.0 * xp.dot(W, W.T) - D
        return xp.sum(r * r)

    title = f"multidimensional scaling, {n} x 3, through the Gram matrix"
    return Workload("d_mds_gram", title, loss, {"W": rng.standard_normal((n, 3))})


def logistic_regression(rng: np.random.Generator, scale: float) -> Workload:
    n, m = int(10_000 * scale), int(200 * scale)
    X, y = rng.standard_normal((n, m)), np.sign(rng.standard_normal(n))

    def loss(xp: Any, w: Any) -> Any:
        return xp.mean(xp.logaddexp(0.0, -(y * xp.dot(X, w))))

    return Workload("e_logreg", f"logistic regression, {n} x {m}", loss, {"w": 0.1 * rng.standard_normal(m)})


def cross_entropy(X: Any, Y: Any) -> Loss:
    """The loss of a perceptron of three layers at these points, whose classes are the rows of Y."""

    def loss(xp: Any, W1: Any, b1: Any, W2: Any, b2: Any, W3: Any, b3: Any) -> Any:
        h = xp.tanh(xp.dot(X, W1) + b1)
        h = xp.tanh(xp.dot(h, W2) + b2)
        z = xp.dot(h, W3) + b3
        z = z - xp.max(z, axis=1, keepdims=True)
        return xp.mean(xp.log(xp.sum(xp.exp(z), axis=1)) - xp.sum(z * Y, axis=1))

    return loss


def perceptron(rng: np.random.Generator, scale: float) -> Workload:
    points, entries, hidden = (int(n * scale) for n in (256, 784, 512))
    X = rng.standard_normal((points, entries))
    Y = np.eye(10)[rng.integers(0, 10, points)]
    parameters = {}
    for k, (n, m) in enumerate(((entries, hidden), (hidden, hidden), (hidden, 10)), start=1):
        parameters[f"W{k}"] = rng.standard_normal((n, m)) / np.sqrt(n)
        parameters[f"b{k}"] = 0.1 * rng.standard_normal(m)

    title = f"perceptron {entries}-{hidden}-{hidden}-10, cross-entropy, batch {points}"
    return Workload("f_mlp", title, cross_entropy(X, Y), parameters)


def sine_chain(rng: np.random.Generator, scale: float) -> Workload:
    def loss(xp: Any, x: Any) -> Any:
        y = x
        for _ in range(40):
            y = xp.sin(y * 1.1 + 0.1) * x - 0.2
        return xp.sum(y)

    n = int(1e6 * scale)
    return Workload("i_chain", f"40 rounds of sin, {n} elements", loss, {"x": 0.5 + 0.5 * rng.random(n)})


def polynomial_chain(rng: np.random.Generator, scale: float) -> Workload:
    def loss(xp: Any, x: Any) -> Any:
        y = x
        for _ in range(40):
            y = ((y * 0.9 + 0.1) * x - 0.2) * 0.5
        return xp.sum(y)

    n = int(1e6 * scale)
    return Workload("i_poly", f"40 rounds of a polynomial, {n} elements", loss, {"x": 0.5 + 0.5 * rng.random(n)})


def jacobian_network(outputs: int) -> Workload:
    """The lecture's figure 27: a function of 100 inputs, whose whole Jacobian is wanted."""
    rng, inputs = np.random.default_rng(0), 100
    W1 = rng.standard_normal((inputs, inputs)) / np.sqrt(inputs)
    W2 = rng.standard_normal((outputs, inputs)) / np.sqrt(inputs)

    def function(xp: Any, x: Any) -> Any:
        return xp.sin(xp.dot(W2, xp.tanh(xp.dot(W1, x))))

    title = f"sin(W2 tanh(W1 x)), {inputs} inputs, {outputs} outputs"
    return Workload(f"jacobian {outputs}", title, function, {"x": rng.standard_normal(inputs)})


MAKERS: dict[str, Callable[[np.random.Generator, float], Workload]] = {
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


def make(name: str, scale: float = 1.0) -> Workload:
    """The workload of that name, its lengths multiplied by `scale`; the same numbers each time."""
    return MAKERS[name](np.random.default_rng(0), scale)
