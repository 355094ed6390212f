"""Derivatives with a closed form where linear algebra is degenerate: singular matrices, repeated values, norms at zero.

Most of these break rules that divide by a determinant, by a gap between eigenvalues, or by a norm.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import scipy.linalg

from gradserve.autodiff import derive
from gradserve.client import Client, functions
from gradserve.client.tracing.trace import trace
from gradserve.ir.errors import NotDifferentiable, NumericalFailure
from gradserve.ir.types import Array
from gradserve.optimize import optimize
from gradserve.questions.derivations import Gradient, Hvp, Jvp
from tests.ops.support import normal
from tests.running import prepared

STEP = 1e-30  # of complex steps, which do not cancel
N = 4
G = normal(N, N, seed=1)
TURN, OTHER = (np.linalg.qr(normal(N, N, seed=k))[0] for k in (2, 3))
REPEATED = (TURN * [2.0, 2.0, 0.5, 2.0]) @ TURN.T
TWICE = (TURN * [2.0, 2.0, 0.5, 0.5]) @ OTHER.T
POSITIVE = normal(N, N, seed=4) @ normal(N, N, seed=4).T + np.eye(N)
TALL, WIDE, TALL_RANK_2 = normal(6, 3, seed=5), normal(3, 6, seed=6), normal(6, 2, seed=7) @ normal(2, 3, seed=8)
B3, B6 = normal(3, 2, seed=9), normal(6, 2, seed=10)
G_TALL, G_WIDE, G_TRIANGLE = normal(6, 3, seed=11), normal(3, 6, seed=12), normal(3, 3, seed=13)


def symmetric(x: Array) -> Array:
    return (x + x.T) / 2


def cofactors(x: Array) -> Array:
    """By minors: polynomials of the elements."""
    rows = range(len(x))
    return np.array([[(-1) ** (i + j) * minor(x, i, j) for j in rows] for i in rows])


def minor(x: Array, i: int, j: int) -> Any:
    return determinant(np.delete(np.delete(x, i, 0), j, 1))


def determinant(x: Array) -> Any:
    return sum((-1) ** j * x[0, j] * minor(x, 0, j) for j in range(len(x))) if len(x) else 1.0


def frechet(a: Array, e: Array) -> Array:
    return np.asarray(scipy.linalg.expm_frechet(a, e, compute_expm=False))


def polar_change(a: Array, e: Array) -> Array:
    """How the orthogonal factor of A moves along E: Newton's iteration, differentiated."""
    for _ in range(60):
        inverse = np.linalg.inv(a).T
        a, e = (a + inverse) / 2, (e - inverse @ e.T @ inverse) / 2
    return e


def elements(along: Callable[[Array], Any], shape: tuple[int, ...]) -> Array:
    """The gradient from its products with the matrices of one 1."""
    units = np.eye(math.prod(shape)).reshape(-1, *shape)
    return np.array([along(unit) for unit in units]).reshape(shape)


def by_complex_steps(loss: Callable[[Array], Any]) -> Callable[[Array], Array]:
    """The gradient of a function made of analytic steps alone."""
    return lambda x: elements(lambda unit: np.imag(loss(x + 1j * STEP * unit)) / STEP, x.shape)


def moved(function: Callable[[Array], Array]) -> Callable[[Array, Array], Array]:
    """The derivative of an analytic function in a direction."""
    return lambda x, v: np.imag(function(x + 1j * STEP * v)) / STEP


def gram_schmidt(a: Array) -> tuple[Any, Any]:
    """Q and R with the signs that LAPACK gives, in analytic steps."""
    signs = np.sign(np.diagonal(np.linalg.qr(a.real)[1]))
    q, r = np.zeros_like(a), np.zeros((a.shape[1], a.shape[1]), a.dtype)
    for k in range(a.shape[1]):
        r[:k, k] = q[:, :k].T @ a[:, k]
        rest = a[:, k] - q[:, :k] @ r[:k, k]
        r[k, k] = signs[k] * np.sqrt(rest @ rest)
        q[:, k] = rest / r[k, k]
    return q, r


def cholesky(a: Array) -> Array:
    """The lower factor of the symmetric part, in analytic steps."""
    a, lower = (a + a.T) / 2, np.zeros_like(a)
    for k in range(len(a)):
        rest = a[k:, k] - lower[k:, :k] @ lower[k, :k]
        lower[k:, k] = rest / np.sqrt(rest[0])
    return lower


def qr_loss(qr: Callable[..., Any], a: Any) -> Any:
    if a.shape[0] >= a.shape[1]:
        q, r = qr(a)
        return (G_TALL * q).sum() + (G_TRIANGLE * r).sum()
    q, r = qr(a[:, :3]) if qr is gram_schmidt else qr(a)
    r = q.T @ a if qr is gram_schmidt else r
    return (G_TRIANGLE * q).sum() + (G_WIDE * np.triu(np.ones(G_WIDE.shape)) * r).sum()


def pinv_gradient(a: Array) -> Array:
    """Golub and Pereyra, 1973."""
    p, g = np.linalg.pinv(a), G_WIDE
    rows, columns = np.eye(6) - a @ p, np.eye(3) - p @ a
    return -p.T @ g @ p.T + rows @ g.T @ p @ p.T + p.T @ p @ g.T @ columns


def reconstructed(a: Any) -> Any:
    u, s, vh = np.linalg.svd(a)
    return np.sum(((u * s) @ vh) ** 2)


def exponential(a: Any) -> Any:
    w, q = np.linalg.eigh(symmetric(a))
    return np.trace((q * np.exp(w)) @ q.T @ G)


def polar(a: Any) -> Any:
    u, _, vh = np.linalg.svd(a)
    return np.sum((u @ vh) * G)


@dataclass(frozen=True)
class Case:
    """A loss in plain NumPy, a matrix, the closed form of its gradient there, and of its Hessian times a direction."""

    loss: Callable[[Any], Any]
    at: Array
    gradient: Callable[[Array], Array]
    product: Callable[[Array, Array], Array] | None = None


def of_rank(rank: int) -> Array:
    return np.asarray((TURN * (np.arange(N) < rank)) @ OTHER.T)


def solution(a: Any, b: Any) -> Any:
    return a.T @ np.linalg.solve(a @ a.T, b) if a.shape[0] < a.shape[1] else np.linalg.solve(a.T @ a, a.T @ b)


CASES = {
    "det at rank n - 1": Case(np.linalg.det, of_rank(N - 1), cofactors, moved(cofactors)),
    "det at rank n - 2": Case(np.linalg.det, of_rank(N - 2), cofactors, moved(cofactors)),
    "log det": Case(
        lambda a: np.linalg.slogdet(a)[1],
        POSITIVE,
        lambda a: np.linalg.inv(a).T,
        lambda a, v: -(np.linalg.inv(a) @ v @ np.linalg.inv(a)).T,
    ),
    "sum of squares of eigenvalues": Case(
        lambda a: np.sum(np.linalg.eigvalsh(symmetric(a)) ** 2),
        REPEATED,
        lambda a: 2 * a,
        lambda a, v: 2 * symmetric(v),
    ),
    "nuclear norm": Case(lambda a: np.linalg.norm(a, "nuc"), TWICE, lambda a: scipy.linalg.polar(a)[0], polar_change),
    "tr(Q e^w Q^T G)": Case(
        exponential,
        REPEATED,
        lambda a: frechet(a, symmetric(G)),
        moved(lambda a: frechet((a + a.T) / 2, symmetric(G).astype(a.dtype))),
    ),
    "|U S V^T|^2 at repeated singular values": Case(reconstructed, TWICE, lambda a: 2 * a, lambda a, v: 2 * v),
    "|U S V^T|^2 at rank 1": Case(reconstructed, of_rank(1), lambda a: 2 * a, lambda a, v: 2 * v),
    "|U S V^T|^2 at the identity": Case(reconstructed, np.eye(N), lambda a: 2 * a, lambda a, v: 2 * v),
    "polar factor": Case(
        polar,
        TWICE,
        lambda a: elements(lambda unit: np.sum(polar_change(a, unit) * G), a.shape),
        lambda a, v: elements(lambda unit: moved(lambda x: np.sum(polar_change(x, unit) * G))(a, v), a.shape),
    ),
    "least squares, tall": Case(
        lambda a: np.sum(np.linalg.lstsq(a, B6)[0] * B3), TALL, by_complex_steps(lambda a: np.sum(solution(a, B6) * B3))
    ),
    "least squares of least norm, wide": Case(
        lambda a: np.sum(np.linalg.lstsq(a, B3)[0] * B6), WIDE, by_complex_steps(lambda a: np.sum(solution(a, B3) * B6))
    ),
    "QR, tall": Case(lambda a: qr_loss(np.linalg.qr, a), TALL, by_complex_steps(lambda a: qr_loss(gram_schmidt, a))),
    "QR, wide": Case(lambda a: qr_loss(np.linalg.qr, a), WIDE, by_complex_steps(lambda a: qr_loss(gram_schmidt, a))),
    "Cholesky": Case(
        lambda a: np.sum(np.linalg.cholesky(symmetric(a)) * G),
        POSITIVE,
        by_complex_steps(lambda a: np.sum(cholesky(a) * G)),
    ),
    "pinv at constant rank": Case(lambda a: np.sum(np.linalg.pinv(a) * G_WIDE), TALL_RANK_2, pinv_gradient),
    "|x| at 0": Case(np.linalg.norm, np.zeros(N), np.zeros_like),
    "|A|_F at 0": Case(lambda a: np.linalg.norm(a, "fro"), np.zeros((N, N)), np.zeros_like),
}


def run(graph: Any, **arguments: Array) -> dict[str, Array]:
    return prepared(optimize(graph))(arguments)


def gradient_of(loss: Callable[[Any], Any], at: Array) -> Array:
    def traced(x: Any) -> Any:
        return loss(x)

    return run(derive(trace(traced, at).graph, Gradient(("x",))), x=at)["gradient:x"]


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_is_the_closed_form(name):
    case = CASES[name]
    np.testing.assert_allclose(gradient_of(case.loss, case.at), case.gradient(case.at), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_through_the_client(name):
    case = CASES[name]

    def loss(x: Any) -> Any:
        return case.loss(x)

    with Client() as client:
        value, gradient = client.function(loss, x=case.at).value_and_grad(case.at)
        gradients = client.function(loss, x=case.at).value_and_grad(np.stack([case.at, case.at]), batch=True)[1]
    assert value == pytest.approx(float(loss(case.at)), rel=1e-12, abs=1e-14)
    for found in (gradient, *gradients):
        np.testing.assert_allclose(found, case.gradient(case.at), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_in_single_precision(name):
    case = CASES[name]
    found = gradient_of(case.loss, case.at.astype(np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, case.gradient(case.at), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.product])
def test_the_second_derivative_is_the_closed_form(name):
    case = CASES[name]
    direction = normal(*case.at.shape, seed=20)

    def loss(x: Any) -> Any:
        return case.loss(x)

    graph = derive(trace(loss, case.at).graph, Hvp(("x",)))
    found = run(graph, x=case.at, **{"tangent:x": direction})["product:x"]
    assert case.product is not None
    np.testing.assert_allclose(found, case.product(case.at, direction), rtol=1e-10, atol=1e-10)


def test_the_derivative_of_a_pseudoinverse_along_matrices_of_the_same_rank_only():
    left, right, d_left, d_right = normal(6, 2, seed=7), normal(2, 3, seed=8), normal(6, 2), normal(2, 3)

    def pinv(b: Array, c: Array) -> Array:
        return c.T @ np.linalg.inv(c @ c.T) @ np.linalg.inv(b.T @ b) @ b.T

    along = d_left @ right + left @ d_right
    expected = np.imag(pinv(left + 1j * STEP * d_left, right + 1j * STEP * d_right)) / STEP
    graph = derive(trace(lambda x: np.linalg.pinv(x), TALL_RANK_2).graph, Jvp(("x",)))
    (name,) = (output.name for output in graph.outputs if output.name.startswith("tangent:"))
    found = run(graph, x=TALL_RANK_2, **{"tangent:x": along})[name]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
    assert np.sum(pinv_gradient(TALL_RANK_2) * along) == pytest.approx(np.sum(expected * G_WIDE), rel=1e-10)
    with pytest.raises(NotDifferentiable, match="in this direction the rank grows: the pseudoinverse jumps"):
        run(graph, x=TALL_RANK_2, **{"tangent:x": normal(6, 3)})


REFUSED = {
    "matrix norm of order 2 at the identity": (
        lambda a: np.linalg.norm(a, 2),
        np.eye(N),
        "singular values 0 to 3 form a cluster near 1 with gap 0",
    ),
    "condition number at the identity": (lambda a: np.linalg.cond(a), np.eye(N), "singular values 0 to 3 form"),
    "nuclear part at a singular matrix": (
        lambda a: np.sum(np.linalg.svdvals(a) * [1.0, 1.0, 1.0, 2.0]),
        of_rank(2) + 0.5 * np.outer(TURN[0], OTHER[0]),
        "singular value 3 is zero to rounding, where it is at a kink",
    ),
    "polar factor at a singular matrix": (polar, of_rank(N - 1), "kink|no derivative|zero"),
    "square root at a singular matrix": (
        lambda a: np.sum(functions.sqrtm(a) * G),
        of_rank(N - 1) @ of_rank(N - 1).T,
        "no derivative",
    ),
    "least squares at deficient rank": (
        lambda a: np.sum(np.linalg.lstsq(a, B6)[0]),
        TALL_RANK_2,
        "the rank is 2, less than 3",
    ),
    "QR at deficient rank": (lambda a: qr_loss(np.linalg.qr, a), TALL_RANK_2, "the rank is 2 to rounding, less than 3"),
    "fourth powers of eigenvectors": (
        lambda a: np.sum(np.linalg.eigh(a)[1] ** 4),
        REPEATED,
        "eigenvalues 1 to 3 form a cluster near 2 with gap",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_where_there_is_no_derivative_it_is_refused(name):
    loss, at, message = REFUSED[name]
    with pytest.raises(NotDifferentiable, match=message):
        gradient_of(loss, at)


def test_the_logarithm_of_a_determinant_of_zero_is_refused():
    with pytest.raises(NumericalFailure, match="inv: Singular matrix"):
        gradient_of(lambda a: np.linalg.slogdet(a)[1], np.zeros((N, N)))
