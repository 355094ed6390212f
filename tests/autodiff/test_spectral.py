"""Functions of eigenvalues and eigenvectors: recognised where they do not depend on a choice, and only there."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradserve.autodiff import derive
from gradserve.autodiff.derivation import TaylorSeries
from gradserve.autodiff.spectral import invariant
from gradserve.client.tracing.trace import trace
from gradserve.ir.errors import NotDifferentiable
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array
from gradserve.optimize import optimize
from gradserve.questions.derivations import Derivation, Gradient, Hvp, Jvp
from tests.rows import in_one
from tests.running import prepared

N = 4
RNG = np.random.default_rng(5)
G, C, B = RNG.normal(size=(N, N)), RNG.normal(size=N), RNG.normal(size=(N, 2))
TURN, OTHER = (np.linalg.qr(RNG.normal(size=(N, N)))[0] for _ in range(2))
W = np.array([0.5, 0.9, 1.6, 2.7])
SIMPLE, REPEATED = ((TURN * w) @ TURN.T for w in (W, np.array([0.5, 1.6, 1.6, 1.6])))
FIXED = (OTHER * W) @ OTHER.T
GENERAL, GENERAL_REPEATED = ((TURN * w) @ OTHER.T for w in (W, np.array([0.5, 1.6, 1.6, 1.6])))
BOTH = np.stack([SIMPLE, SIMPLE + np.diag(C) ** 2])


def eigh(a: Any) -> Any:
    return list(np.linalg.eigh(a))


def svd(a: Any) -> Any:
    return list(np.linalg.svd(a, full_matrices=False))


def with_eigh(function: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    return lambda a: function(*eigh(a))


def with_svd(function: Callable[[Any, Any, Any], Any]) -> Callable[[Any], Any]:
    return lambda a: function(*svd(a))


INVARIANT: dict[str, Callable[[Any], Any]] = {
    "Q f(w) Q^T": with_eigh(lambda w, q: np.sum(((q * np.sin(w)) @ q.T) * G)),
    "by einsum": with_eigh(lambda w, q: np.einsum("ik,k,jk,ij->", q, w**3, q, G)),
    "by a diagonal matrix": with_eigh(lambda w, q: np.trace(q @ np.diag(np.sqrt(w)) @ q.T @ G)),
    "by scaling twice": with_eigh(lambda w, q: np.sum(((q / w) @ (q / (1 + w)).T) * G)),
    "a quadratic form": with_eigh(lambda w, q: np.sum((C @ q) ** 2 * np.log(w))),
    "a distance": with_eigh(lambda w, q: np.sum(np.tanh(w) * (B.T @ q) ** 2)),
    "Q Q^T": with_eigh(lambda w, q: np.sum((q @ q.T) * G)),
    "products of two forms": with_eigh(lambda w, q: np.sum(np.exp(w)) * np.sum(((q * w) @ q.T) * G)),
    "a softmax of eigenvalues": with_eigh(lambda w, q: np.sum((q * (np.exp(w) / np.sum(np.exp(w)))) @ q.T * G)),
    "the smallest alone": lambda a: np.log(eigh(a)[0][0]),
    "the last three": lambda a: np.sum(eigh(a)[0][1:] ** 2),
    "their projection": with_eigh(lambda w, q: np.sum((q[:, 1:] @ q[:, 1:].T) * G)),
    "their part of a function": with_eigh(lambda w, q: np.sum(((q[:, 1:] * np.exp(w[1:])) @ q[:, 1:].T) * G)),
    "the last three, by descending order": with_eigh(
        lambda w, q: np.sum(((q[:, ::-1][:, :3] * np.exp(w[::-1][:3])) @ q[:, ::-1][:, :3].T) * G)
    ),
    "descending values and vectors": with_eigh(lambda w, q: np.sum(((q[:, ::-1] * w[::-1]) @ q[:, ::-1].T) * G)),
    "reversed and summed": lambda a: np.sum(eigh(a)[0][::-1] ** 3),
    "clipped": with_eigh(lambda w, q: np.sum((q * np.maximum(w - 1.0, 0.0)) @ q.T * G)),
    "entropy": lambda a: -np.sum(eigh(a)[0] * np.log(eigh(a)[0])),
    "a norm of the values": lambda a: np.linalg.norm(eigh(a)[0]),
    "power sums over one another": lambda a: np.sum(eigh(a)[0] ** 2) / np.sum(eigh(a)[0]),
}
INVARIANT_SINGULAR: dict[str, Callable[[Any], Any]] = {
    "U V^T": with_svd(lambda u, s, vh: np.sum((u @ vh) * G)),
    "U f(s) V^T": with_svd(lambda u, s, vh: np.sum(((u * np.maximum(s - 1.0, 0.0)) @ vh) * G)),
    "U f(s) U^T": with_svd(lambda u, s, vh: np.sum(((u * np.exp(-s)) @ u.T) * G)),
    "V f(s) V^T": with_svd(lambda u, s, vh: np.sum((vh.T @ np.diag(s**2) @ vh) * G)),
    "V f(s) U^T": with_svd(lambda u, s, vh: np.sum(((vh.T / s) @ u.T) * G)),
    "sum of f(s)": lambda a: np.sum(np.log1p(svd(a)[1])),
    "norm of order 5": lambda a: np.sum(np.linalg.svdvals(a) ** 5) ** 0.2,
    "the smallest": lambda a: np.linalg.norm(a, -2),
}
DEPENDENT: dict[str, Callable[[Any], Any]] = {
    "weights that are no function of w": with_eigh(lambda w, q: np.sum(((q * C) @ q.T) * G)),
    "w in the opposite order": with_eigh(lambda w, q: np.sum(((q * w[::-1]) @ q.T) * G)),
    "both in descending order, sliced apart": with_eigh(
        lambda w, q: np.sum(((q[:, ::-1][:, :2] * w[::-1][1:3]) @ q[:, ::-1][:, :2].T) * G)
    ),
    "w rolled": with_eigh(lambda w, q: np.sum(((q * np.roll(w, 1)) @ q.T) * G)),
    "rows scaled": with_eigh(lambda w, q: np.sum(((q.T * w) @ q) * G)),
    "rows instead of columns": with_eigh(lambda w, q: np.sum(((w[:, None] * q) @ q.T) * G)),
    "Q f(w) Q": with_eigh(lambda w, q: np.sum(((q * w) @ q) * G)),
    "one Q alone": with_eigh(lambda w, q: np.sum((q * w) * G)),
    "three Q": with_eigh(lambda w, q: np.sum((q * w) @ q.T * q)),
    "fourth powers": with_eigh(lambda w, q: np.sum(w * np.sum(q**4, axis=0))),
    "absolute elements": with_eigh(lambda w, q: np.sum((np.abs(q) * w) @ np.abs(q).T * G)),
    "Q of one, w of another": lambda a: np.sum(((eigh(a)[1] * eigh(FIXED)[0]) @ eigh(a)[1].T) * G),
    "Q of one and of another": lambda a: np.sum(((eigh(a)[1] * eigh(a)[0]) @ eigh(a @ FIXED @ a)[1].T) * G),
    "products of neighbours": with_eigh(lambda w, q: np.sum(w[1:] * w[:-1] ** 2)),
    "a part of w with another part of Q": with_eigh(lambda w, q: np.sum(((q[:, 1:] * w[:-1]) @ q[:, 1:].T) * G)),
    "a projection on some of a cluster": with_eigh(lambda w, q: np.sum((q[:, 2:] @ q[:, 2:].T) * G)),
    "the largest": lambda a: eigh(a)[0][-1],
    "the range": lambda a: np.ptp(eigh(a)[0]),
    "a weighted sum": lambda a: eigh(a)[0] @ C,
    "cumulative sums": lambda a: np.sum(np.cumsum(eigh(a)[0]) ** 2),
    "a median": lambda a: np.median(eigh(a)[0]),
    "the outer product of w with itself": with_eigh(lambda w, q: np.sum(np.outer(w, w) * G)),
}
DEPENDENT_SINGULAR: dict[str, Callable[[Any], Any]] = {
    "U alone": with_svd(lambda u, s, vh: np.sum(u * G)),
    "U V": with_svd(lambda u, s, vh: np.sum((u @ vh.T) * G)),
    "U f(s) V^T with s in the opposite order": with_svd(lambda u, s, vh: np.sum(((u * s[::-1]) @ vh) * G)),
    "the norm of order 2": lambda a: np.linalg.norm(a, 2),
    "a Ky Fan norm inside a cluster": lambda a: np.sum(svd(a)[1][:2]),
}
SQUARE = np.stack([SIMPLE + 0.3 * k * np.diag(C) for k in range(N)])
"""As many matrices as they have rows, so that axes can be taken for one another."""
G3 = RNG.normal(size=(N, N, N))
IN_SQUARE: dict[str, Callable[[Any], Any]] = {
    "a weight for each eigenvalue": lambda a: np.sum(np.linalg.eigvalsh(a) * C),
    "a weight for each matrix": lambda a: np.sum(np.linalg.eigvalsh(a) * C[:, None]),
    "eigenvalues moved apart": lambda a: np.sum((np.linalg.eigvalsh(a) + C) ** 2),
    "columns scaled": with_eigh(lambda w, q: np.sum(((q * C) @ q.mT) * G3)),
    "rows scaled": with_eigh(lambda w, q: np.sum(((q * C[:, None]) @ q.mT) * G3)),
    "matrices scaled": with_eigh(lambda w, q: np.sum(((q * C[:, None, None]) @ q.mT) * G3)),
    "by sums over the stack": with_eigh(lambda w, q: np.sum(w**2 / np.sum(w, axis=0))),
    "by sums of other matrices": with_eigh(lambda w, q: np.sum((w / np.sum(w, axis=1)) ** 2)),
    "by their own sums": with_eigh(lambda w, q: np.sum((w / np.sum(w, axis=1, keepdims=True)) ** 2)),
    "eigenvalues of other matrices": with_eigh(lambda w, q: np.sum(((q * w.T[:, None, :]) @ q.mT) * G3)),
    "crossed in a sum": with_eigh(lambda w, q: np.einsum("bik,kb,bjk,bij->", q, w, q, G3)),
    "the largest of each": lambda a: np.sum(np.max(np.linalg.eigvalsh(a), axis=1) * C),
    "the largest of each place": lambda a: np.sum(np.max(np.linalg.eigvalsh(a), axis=0)),
    "singular values and weights": with_svd(lambda u, s, vh: np.sum(((u * (s * C)[:, None, :]) @ vh) * G3)),
    "laid out in a row": lambda a: np.sum(np.linalg.eigvalsh(a).reshape(N * N)[:N] ** 2),
    "some of the matrices": with_eigh(lambda w, q: np.sum(((q[1:3] * w[1:3, None, :]) @ q[1:3].mT) * G3[1:3])),
    "neighbours in the stack": with_eigh(lambda w, q: np.sum(((q[1:] * w[:-1, None, :]) @ q[1:].mT) * G3[1:])),
    "the stack reversed": with_eigh(lambda w, q: np.sum(((q[::-1] * w[:, None, :]) @ q[::-1].mT) * G3)),
}
STACKED: dict[str, Callable[[Any], Any]] = {
    "each by itself": with_eigh(lambda w, q: np.sum(((q * np.exp(w)[:, None, :]) @ q.mT) * G)),
    "both together": lambda a: np.sum(eigh(a)[0] ** 3),
    "one times the other": with_eigh(lambda w, q: np.prod(np.sum(w**2, axis=-1))),
    "crossed": with_eigh(lambda w, q: np.einsum("ik,k,jk,ij->", q[0], w[1], q[0], G)),
    "crossed vectors": with_eigh(lambda w, q: np.einsum("ik,k,jk,ij->", q[0], w[0], q[1], G)),
    "summed over the stack first": with_eigh(lambda w, q: np.sum(((q[0] * np.sum(w, axis=0)) @ q[0].T) * G)),
}


def run(graph: Graph, **arguments: Array) -> dict[str, Array]:
    return prepared(optimize(graph))(arguments)


def graph_of(loss: Callable[[Any], Any], at: Array) -> Graph:
    def traced(a: Any) -> Any:
        return loss(a)

    return trace(traced, at).graph


def difference(loss: Callable[[Array], Any], at: Array, direction: Array) -> float:
    """The derivative in a direction, by central differences of two orders."""

    def quotient(h: float) -> float:
        return float(loss(at + h * direction) - loss(at - h * direction)) / (2 * h)

    return (4 * quotient(5e-4) - quotient(1e-3)) / 3


def symmetric_direction(at: Array) -> Array:
    direction = np.random.default_rng(1).normal(size=at.shape)
    return direction + np.swapaxes(direction, -1, -2)


CASES = [
    *((name, loss, SIMPLE) for name, loss in (INVARIANT | DEPENDENT).items()),
    *((name, loss, GENERAL) for name, loss in (INVARIANT_SINGULAR | DEPENDENT_SINGULAR).items()),
    *((name, loss, BOTH) for name, loss in STACKED.items()),
    *((name, loss, SQUARE) for name, loss in IN_SQUARE.items()),
]
REWRITES: list[dict[str, bool]] = [{"forward": False}, {"forward": True}, {"forward": True, "again": True}]


@in_one
@pytest.mark.parametrize("flags", REWRITES, ids=str)
@pytest.mark.parametrize(("name", "loss", "at"), CASES, ids=[case[0] for case in CASES])
def test_the_rewritten_graph_has_the_same_values(name, loss, at, flags):
    graph = graph_of(loss, at)
    (expected,) = run(graph, a=at).values()
    (found,) = run(invariant(graph, ("a",), **flags), a=at).values()
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


@in_one
@pytest.mark.parametrize(("name", "loss", "at"), CASES, ids=[case[0] for case in CASES])
def test_derivatives_at_simple_values(name, loss, at):
    graph, direction = graph_of(loss, at), symmetric_direction(at)
    gradient = run(derive(graph, Gradient(("a",))), a=at)["gradient:a"]
    expected = difference(loss, at, direction)
    np.testing.assert_allclose(np.sum(gradient * direction), expected, rtol=1e-7, atol=1e-7)
    pushed = run(derive(graph, Jvp(("a",))), a=at, **{"tangent:a": direction})
    np.testing.assert_allclose(pushed["tangent:result"], expected, rtol=1e-7, atol=1e-7)


def quadratic(loss: Callable[[Array], Any], at: Array, direction: Array) -> float:
    """The second derivative along a direction."""
    ts = 0.01 * np.arange(-4, 5)
    return 2 * float(np.polynomial.polynomial.polyfit(ts, [loss(at + t * direction) for t in ts], 6)[2])


@in_one
@pytest.mark.parametrize(("name", "loss", "at"), CASES, ids=[case[0] for case in CASES])
def test_second_derivatives_at_simple_values(name, loss, at):
    graph, direction = graph_of(loss, at), symmetric_direction(at) / 10
    expected = quadratic(loss, at, direction)
    given = {"a": at, "tangent:a": direction}
    product = run(derive(graph, Hvp(("a",))), **given)["product:a"]
    np.testing.assert_allclose(np.sum(product * direction), expected, rtol=1e-4, atol=1e-4)
    coefficients = run(derive(graph, TaylorSeries(("a",), 2)), **given)
    np.testing.assert_allclose(2 * coefficients["order2:result"], expected, rtol=1e-4, atol=1e-4)


AT_REPEATED = [
    *((name, loss, REPEATED) for name, loss in INVARIANT.items()),
    *((name, loss, GENERAL_REPEATED) for name, loss in INVARIANT_SINGULAR.items()),
    ("each by itself", STACKED["each by itself"], np.stack([SIMPLE, REPEATED])),
    ("both together", STACKED["both together"], np.stack([SIMPLE, REPEATED])),
    ("one times the other", STACKED["one times the other"], np.stack([SIMPLE, REPEATED])),
]


@pytest.mark.parametrize(("name", "loss", "at"), AT_REPEATED, ids=[case[0] for case in AT_REPEATED])
def test_derivatives_at_repeated_values(name, loss, at):
    graph, direction = graph_of(loss, at), symmetric_direction(at)
    gradient = run(derive(graph, Gradient(("a",))), a=at)["gradient:a"]
    np.testing.assert_allclose(np.sum(gradient * direction), difference(loss, at, direction), rtol=1e-7, atol=1e-7)
    given = {"a": at, "tangent:a": direction / 10}
    pushed = run(derive(graph, Jvp(("a",))), **given)["tangent:result"]
    np.testing.assert_allclose(pushed, np.sum(gradient * given["tangent:a"]), rtol=1e-9, atol=1e-9)
    expected = quadratic(loss, at, given["tangent:a"])
    product = run(derive(graph, Hvp(("a",))), **given)["product:a"]
    np.testing.assert_allclose(np.sum(product * given["tangent:a"]), expected, rtol=1e-4, atol=1e-4)
    coefficients = run(derive(graph, TaylorSeries(("a",), 2)), **given)
    np.testing.assert_allclose(2 * coefficients["order2:result"], expected, rtol=1e-4, atol=1e-4)


REFUSED = [
    *((name, loss, REPEATED) for name, loss in DEPENDENT.items()),
    *((name, loss, GENERAL_REPEATED) for name, loss in DEPENDENT_SINGULAR.items()),
    *(
        (name, STACKED[name], np.stack([REPEATED, REPEATED]))
        for name in ("crossed", "crossed vectors", "summed over the stack first")
    ),
]


@pytest.mark.parametrize(("name", "loss", "at"), REFUSED, ids=[case[0] for case in REFUSED])
def test_what_depends_on_the_choice_is_refused(name, loss, at):
    graph, direction = graph_of(loss, at), symmetric_direction(at)
    moving = {"a": at, "tangent:a": direction}
    derivations: list[Derivation] = [Gradient(("a",)), Jvp(("a",)), Hvp(("a",)), TaylorSeries(("a",), 2)]
    for derivation in derivations:
        given = {"a": at} if isinstance(derivation, Gradient) else moving
        with pytest.raises(NotDifferentiable, match=r"values \d to \d.* form a cluster near .* with gap"):
            run(derive(graph, derivation), **given)
