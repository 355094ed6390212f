"""One factorisation of each matrix, and none of inverses that only stand in products."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradserve.autodiff import derive, vmap
from gradserve.client.tracing.trace import trace
from gradserve.ir.errors import NumericalFailure
from gradserve.ir.graph import Graph
from gradserve.optimize import optimize
from gradserve.optimize.factors import WORTH_FACTORS
from gradserve.questions.derivations import Evaluate, Gradient, Hvp
from tests.running import prepared, program_of

N = WORTH_FACTORS + 8
RNG = np.random.default_rng(3)
A = RNG.normal(size=(N, N)) / 3 + 3 * np.eye(N)
B, V, X = RNG.normal(size=(N, 3)), RNG.normal(size=N), RNG.normal(size=(N, N))
FACTORISATIONS = {"lu", "inv", "solve", "slogdet", "eigh", "eigvalsh", "spectral", "svd", "svdvals"}


def tanh_of(a: Any) -> Any:
    w, q = np.linalg.eigh(a)
    return (q * np.tanh(w)) @ q.T


LOSSES: dict[str, tuple[Callable[[Any], Any], dict[str, int]]] = {
    "log det": (lambda a: np.linalg.slogdet(a)[1], {"lu": 1}),
    "a Gaussian's logarithm": (lambda a: np.linalg.slogdet(a)[1] + V @ np.linalg.solve(a, V), {"lu": 1}),
    "with the transpose": (lambda a: np.sum(np.linalg.solve(a, B)) * np.sum(np.linalg.solve(a.T, B)), {"lu": 1}),
    "the sign": (lambda a: np.linalg.slogdet(-a)[0] * np.linalg.slogdet(-a)[1], {"lu": 1}),
    "an inverse times a matrix": (lambda a: np.sum(np.linalg.inv(a) @ B), {"lu": 1}),
    "a vector times an inverse": (lambda a: np.sum((V @ np.linalg.inv(a)) ** 2), {"lu": 1}),
    "an inverse times a vector": (lambda a: np.sum((np.linalg.inv(a) @ V) ** 2), {"lu": 1}),
    "both sides": (lambda a: np.sum((B.T @ np.linalg.inv(a) @ X) ** 2), {"lu": 1}),
    "its transpose": (lambda a: np.sum(np.linalg.inv(a).T @ B), {"lu": 1}),
    "the inverse itself": (lambda a: np.sum(np.linalg.inv(a) * X), {"inv": 1}),
    "eigenvalues and a function": (
        lambda a: np.sum(np.linalg.eigvalsh(a) ** 2) + np.sum(np.linalg.eigh(a)[1][:, -1] * V),
        {"eigh": 1},
    ),
    "a function of eigenvalues": (
        lambda a: np.sum(tanh_of(a) * X),
        {"eigh": 1},
    ),
    "singular values and vectors": (
        lambda a: np.sum(np.linalg.svd(a)[1] * V) + np.sum(np.linalg.svd(a)[0][:, 0] * V),
        {"svd": 1},
    ),
}


def graph_of(loss: Callable[[Any], Any]) -> Graph:
    def traced(a: Any) -> Any:
        return loss(a)

    return trace(traced, A).graph


def run(graph: Graph, **arguments: Any) -> dict[str, Any]:
    return prepared(graph)(arguments)


def factorised(graph: Graph) -> dict[str, int]:
    """How often each kind of factorisation is done."""
    return dict(Counter(node.op.name for node in graph.nodes if node.op.name in FACTORISATIONS))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("derivation", [Evaluate(), Gradient(("a",)), Hvp(("a",)), Hvp(("a",), True)], ids=str)
def test_shared_factors_change_nothing(name, derivation):
    loss, _ = LOSSES[name]
    plain = derive(graph_of(loss), derivation)
    given = {"a": A} | ({"tangent:a": X} if isinstance(derivation, Hvp) else {})
    found, expected = run(optimize(plain), **given), run(plain, **given)
    for key, array in expected.items():
        np.testing.assert_allclose(found[key], array, rtol=1e-9, atol=1e-9 * np.max(np.abs(array)), err_msg=key)


@pytest.mark.parametrize("name", LOSSES)
def test_each_matrix_is_factorised_once(name):
    loss, expected = LOSSES[name]
    assert factorised(optimize(derive(graph_of(loss), Hvp(("a",))))) == expected


def test_stacks_share_their_factors_too():
    graph = vmap(derive(graph_of(LOSSES["a Gaussian's logarithm"][0]), Gradient(("a",))), {"a"}, 3)
    optimised = optimize(graph)
    assert factorised(optimised) == {"lu": 1}
    given = np.stack([A, 2 * A, A.T + np.eye(N)])
    found, expected = run(optimised, a=given), run(graph, a=given)
    for key, array in expected.items():
        np.testing.assert_allclose(found[key], array, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["log det", "a Gaussian's logarithm", "the inverse itself"])
def test_a_hessian_times_a_vector_costs_at_most_eight_losses(name):
    graph = graph_of(LOSSES[name][0])
    loss = program_of(optimize(graph)).flops
    assert program_of(optimize(derive(graph, Hvp(("a",), product_only=True)))).flops <= 8 * loss
    assert program_of(optimize(derive(graph, Gradient(("a",))))).flops <= 4 * loss


@pytest.mark.parametrize("name", ["an inverse times a vector", "a Gaussian's logarithm", "both sides"])
def test_singular_matrices_are_refused_with_and_without(name):
    graph = graph_of(LOSSES[name][0])
    for each in (graph, optimize(graph), optimize(derive(graph, Gradient(("a",))))):
        with pytest.raises(NumericalFailure, match=r"[Ss]ingular"):
            run(each, a=np.ones((N, N)) if each is graph else np.zeros((N, N)))


def test_small_matrices_are_left_to_numpy():
    def loss(a: Any) -> Any:
        return np.linalg.slogdet(a)[1] + np.sum(np.linalg.solve(a, B[:4]))

    assert "lu" not in factorised(optimize(derive(trace(loss, A[:4, :4]).graph, Hvp(("a",)))))


def test_products_of_an_inverse_with_itself_keep_it():
    def loss(a: Any) -> Any:
        p = np.linalg.inv(a)
        return np.sum(p @ p)

    assert factorised(optimize(trace(loss, A).graph)) == {"inv": 1}
