"""Random matrices with clusters of eigenvalues or singular values planted in them, and losses with known gradients."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg

from gradserve.autodiff import derive
from gradserve.client.tracing.trace import trace
from gradserve.ir.types import Array
from gradserve.optimize import optimize
from gradserve.questions.derivations import Gradient, Hvp
from tests.running import prepared

GAPS = (0.0, *(10.0**-k for k in range(16, 3, -1)))
SIZE = 7
GRADIENT = Gradient(("a",))


@dataclass(frozen=True)
class Planted:
    """A = L diag(x) R^T with orthogonal L and R, equal for a symmetric A; a cluster at positions first to last."""

    x: Array
    left: Array
    right: Array
    gap: float
    first: int
    last: int

    @property
    def matrix(self) -> Array:
        made = (self.left * self.x) @ self.right.T
        return (made + made.T) / 2 if self.left is self.right else made


def orthogonal(generator: np.random.Generator) -> Array:
    return np.linalg.qr(generator.normal(size=(SIZE, SIZE)))[0]


def planted(seed: int, symmetric: bool) -> Planted:
    """Values from 0.6 to 3, ascending for eigenvalues and descending for singular ones, a cluster somewhere."""
    generator = np.random.default_rng(seed)
    gap, size = GAPS[seed % len(GAPS)], int(generator.integers(2, 6))
    apart = SIZE - size + 1
    centers = 0.6 + 2.4 * (np.arange(apart) + generator.uniform(0.1, 0.6, apart)) / apart
    which = int(generator.integers(apart))
    steps = gap * np.arange(size) * (1 + (generator.random(size) < 0.3))
    x = np.sort(np.concatenate([np.delete(centers, which), centers[which] + steps]))
    first = int(np.sum(np.delete(centers, which) < centers[which]))
    left = orthogonal(generator)
    if symmetric:
        return Planted(x, left, left, gap, first, first + size - 1)
    return Planted(x[::-1].copy(), left, orthogonal(generator), gap, SIZE - first - size, SIZE - first - 1)


@dataclass(frozen=True)
class Loss:
    """A loss of a matrix in plain NumPy, and its gradient from what was planted."""

    function: Callable[[Array], Any]
    gradient: Callable[[Planted], Array]


def symmetric_part(x: Array) -> Array:
    return (x + x.T) / 2


def as_read(p: Planted, gradient: Array) -> Array:
    """The gradient in what is read of the matrix: the lower triangle alone of a symmetric one."""
    return np.tril(gradient) + np.tril(gradient.T, -1) if p.left is p.right else gradient


G = np.random.default_rng(99).normal(size=(SIZE, SIZE))
B = np.random.default_rng(98).normal(size=(SIZE, 2))
WEIGHTS = np.linspace(0.5, 2.0, SIZE)


def in_basis(p: Planted, inside: Array) -> Array:
    return p.left @ inside @ p.right.T


def frechet_of_exp(p: Planted, of: Array, factor: float = 1.0) -> Array:
    """The derivative of exp at a multiple of the matrix."""
    return np.asarray(scipy.linalg.expm_frechet(factor * p.matrix, symmetric_part(of), compute_expm=False))


def function_of(p: Planted, f: Callable[[Array], Array]) -> Array:
    return in_basis(p, np.diag(f(p.x)))


def softmax_of(p: Planted) -> Array:
    return function_of(p, lambda x: np.exp(x) / np.exp(x).sum())


def band_gradient(p: Planted, chosen: Array, of: Array) -> Array:
    """The gradient of <G, P>, P the projection on some eigenvectors."""
    f = chosen.astype(float)
    gaps = p.x[:, None] - p.x
    slopes = np.divide(f[:, None] - f, gaps, out=np.zeros_like(gaps), where=f[:, None] != f)
    return in_basis(p, slopes * (p.left.T @ symmetric_part(of) @ p.right))


def with_q(function: Callable[[Array, Array], Any]) -> Callable[[Array], Any]:
    return lambda a: function(*np.linalg.eigh(a))


def with_svd(function: Callable[[Array, Array, Array], Any]) -> Callable[[Array], Any]:
    return lambda a: function(*np.linalg.svd(a, full_matrices=False))


def polar_gradient(p: Planted, of: Array = G) -> Array:
    inside = p.left.T @ of @ p.right
    return in_basis(p, (inside - inside.T) / (p.x[:, None] + p.x))


def odd_gradient(p: Planted, minus: Array, plus: Array) -> Array:
    """The gradient of <G, U f(S) V^T> from the slopes of f between s_i and s_j, and between s_i and -s_j."""
    inside = p.left.T @ G @ p.right
    return in_basis(p, minus * (inside + inside.T) / 2 + plus * (inside - inside.T) / 2)


def tanh_gradient(p: Planted) -> Array:
    gaps, sums = p.x[:, None] - p.x, p.x[:, None] + p.x
    t = np.tanh(p.x)
    share = np.divide(np.tanh(gaps), gaps, out=np.ones_like(gaps), where=gaps != 0)
    return odd_gradient(p, share * (1 - np.outer(t, t)), (t[:, None] + t) / sums)


INVARIANT = {
    "tr(G Q e^w Q^T)": Loss(with_q(lambda w, q: np.sum(((q * np.exp(w)) @ q.T) * G)), lambda p: frechet_of_exp(p, G)),
    "tr(G Q diag(e^(-w/2) + 1) Q^T)": Loss(
        with_q(lambda w, q: np.sum((q @ np.diag(np.exp(-w / 2) + 1) @ q.T) * G)),
        lambda p: -0.5 * frechet_of_exp(p, G, -0.5),
    ),
    "tr(G Q sqrt(w) Q^T)": Loss(
        with_q(lambda w, q: np.einsum("ik,k,jk,ij", q, np.sqrt(w), q, G)),
        lambda p: in_basis(p, (p.left.T @ symmetric_part(G) @ p.left) / (np.sqrt(p.x)[:, None] + np.sqrt(p.x))),
    ),
    "b^T (A + c)^-1 b by eigenvectors": Loss(
        with_q(lambda w, q: np.sum((q.T @ B) ** 2 / (w + 0.5)[:, None])),
        lambda p: (lambda inverse: -inverse @ B @ B.T @ inverse)(np.linalg.inv(p.matrix + 0.5 * np.eye(SIZE))),
    ),
    "log sum exp w": Loss(lambda a: np.log(np.sum(np.exp(np.linalg.eigvalsh(a)))), softmax_of),
    "log sum exp w, shifted": Loss(
        lambda a: (lambda w: np.max(w) + np.log(np.sum(np.exp(w - np.max(w)))))(np.linalg.eigvalsh(a)), softmax_of
    ),
    "sum w^3": Loss(lambda a: np.sum(np.linalg.eigvalsh(a) ** 3), lambda p: function_of(p, lambda x: 3 * x**2)),
    "sum log w": Loss(lambda a: np.sum(np.log(np.linalg.eigvalsh(a))), lambda p: function_of(p, lambda x: 1 / x)),
    "variance of w": Loss(
        lambda a: np.var(np.linalg.eigvalsh(a)), lambda p: function_of(p, lambda x: 2 * (x - x.mean()) / SIZE)
    ),
    "log det": Loss(
        lambda a: np.linalg.slogdet(np.tril(a) + np.tril(a, -1).T)[1], lambda p: function_of(p, lambda x: 1 / x)
    ),
}

OF_SINGULAR = {
    "polar factor": Loss(with_svd(lambda u, s, vh: np.sum((u @ vh) * G)), polar_gradient),
    "|U S V^T|^2": Loss(with_svd(lambda u, s, vh: np.sum(((u * s) @ vh) ** 2)), lambda p: 2 * p.matrix),
    "tr(G^T U tanh(S) V^T)": Loss(with_svd(lambda u, s, vh: np.sum(((u * np.tanh(s)) @ vh) * G)), tanh_gradient),
    "nuclear norm": Loss(lambda a: np.linalg.norm(a, "nuc"), lambda p: p.left @ p.right.T),
    "sum of singular values": Loss(lambda a: np.sum(np.linalg.svd(a)[1]), lambda p: p.left @ p.right.T),
    "sum s^4": Loss(lambda a: np.sum(np.linalg.svdvals(a) ** 4), lambda p: function_of(p, lambda x: 4 * x**3)),
    "U diag(s^2) U^T": Loss(
        with_svd(lambda u, s, vh: np.sum(((u * s**2) @ u.T) * G)), lambda p: 2 * symmetric_part(G) @ p.matrix
    ),
}


def program(
    function: Callable[[Array], Any], derivation: Gradient | Hvp = GRADIENT, dtype: Any = np.float64
) -> Callable[..., Array]:
    """The gradient of a loss, or its Hessian times a direction, compiled once."""
    graph = optimize(derive(trace(function, np.eye(SIZE, dtype=dtype)).graph, derivation))
    run = prepared(graph)
    inputs, result = [i.name for i in graph.inputs], graph.outputs[-1].name
    return lambda *matrices: run(dict(zip(inputs, matrices, strict=True)))[result]


def error(found: Array, expected: Array) -> float:
    """The largest error, relative to the largest element."""
    return float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))


def vectors_gradient(p: Planted, cotangent: Array) -> Array:
    """The gradient for a cotangent of the eigenvectors, as if they were simple."""
    gaps = p.x - p.x[:, None]
    f = np.divide(1.0, gaps, out=np.zeros_like(gaps), where=gaps != 0)
    return symmetric_part(in_basis(p, f * (p.left.T @ cotangent)))


def value_gradient(p: Planted, weights: Array) -> Array:
    return in_basis(p, np.diag(weights))


def left_vectors_gradient(p: Planted, cotangent: Array) -> Array:
    """The gradient for a cotangent of the left singular vectors, as if they were simple."""
    squares = p.x**2
    gaps = squares - squares[:, None]
    e = np.divide(1.0, gaps, out=np.zeros_like(gaps), where=gaps != 0)
    inside = e * (p.left.T @ cotangent)
    return in_basis(p, (inside + inside.T) * p.x)


MIDDLE = np.arange(SIZE) == SIZE // 2
TOP = np.arange(SIZE) >= SIZE - 3

DEPENDENT = {
    "sum q^4": Loss(with_q(lambda w, q: np.sum(q**4)), lambda p: vectors_gradient(p, 4 * p.left**3)),
    "sum c_k w_k": Loss(lambda a: np.sum(np.linalg.eigvalsh(a) * WEIGHTS), lambda p: value_gradient(p, WEIGHTS)),
    "weighted q": Loss(
        with_q(lambda w, q: np.sum((q * WEIGHTS) @ q.T * G)),
        lambda p: vectors_gradient(p, 2 * symmetric_part(G) @ (p.left * WEIGHTS)),
    ),
    "difference of extreme w": Loss(
        lambda a: (lambda w: np.max(w) - np.min(w))(np.linalg.eigvalsh(a)),
        lambda p: value_gradient(p, np.eye(SIZE)[-1] - np.eye(SIZE)[0]),
    ),
    "middle w": Loss(lambda a: np.linalg.eigvalsh(a)[SIZE // 2], lambda p: value_gradient(p, MIDDLE.astype(float))),
    "middle q": Loss(
        with_q(lambda w, q: np.sum(q[:, SIZE // 2] ** 4)), lambda p: vectors_gradient(p, 4 * p.left**3 * MIDDLE)
    ),
    "projection on the last q": Loss(
        with_q(lambda w, q: np.sum((q[:, -3:] @ q[:, -3:].T) * G)),
        lambda p: band_gradient(p, TOP, G),
    ),
    "sum of the last w": Loss(
        lambda a: np.sum(np.linalg.eigvalsh(a)[-3:]), lambda p: value_gradient(p, TOP.astype(float))
    ),
}

DEPENDENT_SINGULAR = {
    "norm of order 2": Loss(lambda a: np.linalg.norm(a, 2), lambda p: value_gradient(p, np.eye(SIZE)[0])),
    "condition number": Loss(
        lambda a: np.linalg.cond(a),
        lambda p: value_gradient(p, np.eye(SIZE)[0] / p.x[-1] - np.eye(SIZE)[-1] * p.x[0] / p.x[-1] ** 2),
    ),
    "sum u^4": Loss(with_svd(lambda u, s, vh: np.sum(u**4)), lambda p: left_vectors_gradient(p, 4 * p.left**3)),
    "first u": Loss(
        with_svd(lambda u, s, vh: np.sum(u[:, 0] ** 4)),
        lambda p: left_vectors_gradient(p, 4 * p.left**3 * (np.arange(SIZE) == 0)),
    ),
}
