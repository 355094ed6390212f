"""What derivatives cost beside their loss, counted from shapes: cheap gradients (Baur and Strassen 1983)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradserve.client import Client
from gradserve.client import functions as gs
from gradserve.execution import Program, executor
from gradserve.ir.graph import Graph
from gradserve.jobs.sweeps.programs import Programs
from gradserve.ops.elementwise.trigonometry import Sin
from gradserve.questions.derivations import Derivation, Evaluate, Gradient, Hvp
from tests.bench.workloads import MAKERS, make
from tests.frames import few_frames

GRADIENT, HVP = 4.0, 8.0
"""The most operations of the loss and its gradient, and of H v, in those of the loss."""
RNG = np.random.default_rng(0)
SCALES = {"a_toy": 1.0, "c_logdet": 1.0}
"""A tenth of their size is enough to count the others; the determinant is to be large enough for LAPACK."""

Loss = tuple[Callable[..., Any], dict[str, Any]]


def normal(*shape: int) -> Any:
    return RNG.standard_normal(shape)


def of_workload(name: str) -> Loss:
    workload = make(name, SCALES.get(name, 0.1))
    return workload.using(np), workload.parameters


def convolutional() -> Loss:
    images, labels = normal(8, 3, 16, 16), np.eye(10)[RNG.integers(0, 10, 8)]

    def loss(k1, k2, w):
        h = gs.max_pool(np.tanh(gs.convolution(images, k1)), (2, 2))
        h = np.maximum(gs.convolution(h, k2), 0.0).reshape(8, -1) @ w
        return np.mean(gs.logsumexp(h, axis=1) - np.sum(h * labels, axis=1))

    return loss, {"k1": normal(4, 3, 3, 3), "k2": normal(6, 4, 3, 3), "w": normal(150, 10)}


def attention() -> Loss:
    words, width = normal(32, 16), 16

    def loss(q, k, v, up, down):
        weights = gs.softmax((words @ q) @ (words @ k).T / 4.0, axis=1)
        h = words + weights @ (words @ v)
        h = (h - np.mean(h, axis=1, keepdims=True)) / np.sqrt(np.var(h, axis=1, keepdims=True) + 1e-5)
        return np.sum((h + np.tanh(h @ up) @ down) ** 2)

    square = {name: normal(width, width) for name in "qkv"}
    return loss, {**square, "up": normal(width, 64), "down": normal(64, width)}


def of_matrix(loss: Callable[[Any], Any], n: int = 50) -> Loss:
    root = normal(n, n) / np.sqrt(n)
    return loss, {"a": root @ root.T + np.eye(n)}


def of_vector(loss: Callable[[Any], Any], n: int = 1000) -> Loss:
    return loss, {"x": 0.1 + RNG.random(n)}


def chain(rounds: int) -> Loss:
    def loss(x):
        for turn in TURNS[:rounds]:  # no two steps need be alike, so that no loop is seen in them
            x = np.sin(x) + 0.1 if turn else np.sin(0.9 * x)
        return x

    return loss, {"x": 0.3}


TURNS = 3 * np.random.default_rng(8).integers(0, 2, 200).tolist()
RIGHT, PLACES, STEPS = normal(50), RNG.integers(0, 1000, 3000), np.arange(1000.0)
LOSSES: dict[str, Callable[[], Loss]] = {
    **{name: functools.partial(of_workload, name) for name in MAKERS},
    "convolutional network": convolutional,
    "attention": attention,
    "slogdet": lambda: of_matrix(lambda a: np.linalg.slogdet(a)[1]),
    "gaussian": lambda: of_matrix(lambda a: RIGHT @ np.linalg.solve(a, RIGHT) + np.linalg.slogdet(a)[1]),
    "solve": lambda: of_matrix(lambda a: np.sum(np.linalg.solve(a, RIGHT) ** 2)),
    "solve for a matrix": lambda: of_matrix(lambda a: np.sum(np.linalg.solve(a, a.T) ** 2)),
    "inv": lambda: of_matrix(lambda a: np.sum(np.linalg.inv(a) ** 2)),
    "qr": lambda: of_matrix(lambda a: np.sum(np.linalg.qr(a)[1] ** 2)),
    "eigh": lambda: of_matrix(lambda a: np.sum(STEPS[:50] * np.linalg.eigh(a)[0])),
    "sort": lambda: of_vector(lambda x: np.sum(np.sort(x) ** 2 * STEPS)),
    "cumsum": lambda: of_vector(lambda x: np.sum(np.cumsum(x) ** 2)),
    "gather": lambda: of_vector(lambda x: np.sum(np.sin(x[PLACES]) * x[PLACES[::-1]])),
    "max": lambda: of_vector(lambda x: np.max(x) * np.sum(x)),
    "softmax": lambda: of_vector(lambda x: np.sum(gs.softmax(x) ** 2)),
    "norm": lambda: of_vector(lambda x: np.linalg.norm(x)),
    "where": lambda: of_vector(lambda x: np.sum(np.where(x > 0.5, x**2.5, np.exp(-x)))),
    "long chain": lambda: chain(500),
}


def traced(loss: Callable[..., Any], parameters: dict[str, Any]) -> Graph:
    with Client(threads=1) as client:
        return client.function(loss, **parameters).graph


def programs(graph: Graph, *derivations: Derivation) -> list[Program]:
    """The programs of derived and optimised graphs, as jobs make them."""
    cache = Programs()
    return [cache.instance(graph, derivation)[0].program for derivation in derivations]


def ratios(graph: Graph) -> tuple[float, float, float]:
    """Operations of the loss with its gradient, of H v, and of all three together, in those of the loss."""
    wrt = tuple(i.name for i in graph.inputs)
    found = programs(graph, Evaluate(), Gradient(wrt), Hvp(wrt, product_only=True), Hvp(wrt))
    loss, *others = (program.flops for program in found)
    gradient, product, everything = (flops / loss for flops in others)
    return gradient, product, everything


@pytest.mark.parametrize("name", LOSSES)
def test_derivatives_cost_a_few_losses(name):
    gradient, product, everything = ratios(traced(*LOSSES[name]()))
    assert gradient <= GRADIENT
    assert product <= HVP
    assert everything <= GRADIENT + HVP


def test_eigenvalues_cost_a_few_decompositions_with_their_vectors():
    """Eigenvalues alone are had for a seventh of what they cost with their vectors, and no derivative is without these.

    So of `eigvalsh` alone a gradient is 8 times the loss; beside the decomposition itself it is within the limits.
    """
    with_vectors = traced(*LOSSES["eigh"]())
    alone = traced(*of_matrix(lambda a: np.sum(STEPS[:50] * np.linalg.eigvalsh(a))))
    (loss,) = programs(with_vectors, Evaluate())
    gradient, product = programs(alone, Gradient(("a",)), Hvp(("a",), product_only=True))
    assert gradient.flops <= GRADIENT * loss.flops
    assert product.flops <= HVP * loss.flops


def test_the_limit_can_be_exceeded(monkeypatch):
    def cosine_of_many(self, g, dx, x, y):
        total = g.cos(x)
        for k in range(2, 8):
            total = g.add(total, g.cos(g.mul(x, float(k))))
        return g.mul(total, dx)

    monkeypatch.setattr(Sin, "differential", cosine_of_many)
    gradient, product, _ = ratios(traced(*chain(50)))
    assert gradient > GRADIENT
    assert product > HVP


@pytest.mark.parametrize("derivation", [Gradient(("x",)), Hvp(("x",))], ids=["gradient", "hvp"])
def test_derived_graphs_grow_with_the_graph_and_not_faster(derivation):
    (short,), (long,) = (programs(traced(*chain(n)), derivation) for n in (200, 400))
    assert len(long.graph.nodes) <= 2.02 * len(short.graph.nodes)
    assert long.flops <= 2.02 * short.flops
    longer, shorter = (executor("numpy").schedule(program) for program in (long, short))
    assert longer.peak_bytes <= 2.02 * shorter.peak_bytes


@pytest.mark.parametrize("derivation", [Gradient(("x",)), Hvp(("x",))], ids=["gradient", "hvp"])
def test_a_long_chain_is_derived_without_recursion(derivation):
    loss, parameters = chain(500)
    with Client(threads=1) as client:
        f = client.function(loss, **parameters)
        assert len(f.graph.nodes) >= 1000  # ten for each frame
        with few_frames(100):
            (program,) = programs(f.graph, derivation)
            gradient = f.grad(**parameters)
    assert len(program.graph.nodes) > 1000
    x, slope = parameters["x"], 1.0
    for turn in TURNS[:500]:
        x, slope = (np.sin(x) + 0.1, slope * np.cos(x)) if turn else (np.sin(0.9 * x), slope * 0.9 * np.cos(0.9 * x))
    assert gradient == pytest.approx(slope, rel=1e-12)


def test_recursion_would_be_seen():
    def deep(n):
        return deep(n - 1) if n else 0

    with pytest.raises(RecursionError), few_frames(100):
        deep(100)
