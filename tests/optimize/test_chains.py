"""Products of three arrays in the order that costs less: they stay what they are, and derivatives cost less too."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gradserve.autodiff import derive
from gradserve.client.tracing.trace import trace
from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder
from gradserve.ops.contraction.contract import Contract
from gradserve.optimize import chains, in_order, optimize
from gradserve.questions.derivations import Gradient
from tests.running import prepared, program_of

LENGTHS = (1, 2, 3, 7)
N = 40


def joined(g: Builder, x: Value, y: Value, dice: random.Random) -> Value | None:
    """Both contracted over one or two pairs of axes that fit."""
    pairs = [(i, j) for i, n in enumerate(x.shape) for j, m in enumerate(y.shape) if n == m]
    dice.shuffle(pairs)
    left: list[int] = []
    right: list[int] = []
    for i, j in pairs[: dice.randint(1, 2)]:
        if i not in left and j not in right:
            left.append(i)
            right.append(j)
    return g.apply(Contract(tuple(left), tuple(right), (), ()), (x, y))[0] if left else None


def random_chain(seed: int) -> Graph | None:
    """A contraction of a contraction; None if the arrays that were drawn have no axes in common."""
    dice, g = random.Random(seed), builder()
    shapes = [tuple(dice.choice(LENGTHS) for _ in range(dice.randint(1, 3))) for _ in range(3)]
    a, b, c = (g.input(name, TensorType(ElementType.FLOAT64, s)) for name, s in zip("abc", shapes, strict=True))
    pair = joined(g, a, b, dice)
    if pair is None:
        return None
    result = joined(g, pair, c, dice) if dice.random() < 0.5 else joined(g, c, pair, dice)
    return None if result is None else g.build({"y": result})


def differences() -> list[float]:
    """How far random chains are from what they were in their first order."""
    rng, found = np.random.default_rng(0), []
    for graph in filter(None, map(random_chain, range(1500))):
        other = in_order(graph)
        if other is not graph:
            given = {name: rng.standard_normal(type_.lengths) for name, type_ in graph.input_types.items()}
            found.append(float(np.abs(prepared(other)(given)["y"] - prepared(graph)(given)["y"]).max()))
            assert program_of(other).flops <= 0.5 * program_of(graph).flops
    return found


def test_another_order_gives_the_same():
    found = differences()
    assert len(found) > 50
    assert max(found) < 1e-12


def test_a_wrong_order_of_axes_is_seen(monkeypatch):
    monkeypatch.setattr(chains, "permuted", lambda _, value, order: value)
    with pytest.raises(ValueError, match="broadcast"):
        differences()


def test_a_matrix_times_a_matrix_times_a_vector_costs_two_products_with_the_vector():
    a, b, x = np.zeros((N, N)), np.zeros((N, N)), np.zeros(N)
    graph = in_order(trace(lambda a, b, x: np.sum((a @ b @ x) ** 2), a, b, x).graph)
    gradient = optimize(derive(graph, Gradient(("a", "b", "x"))))
    assert program_of(graph).flops < 5 * N**2
    assert program_of(gradient).flops < 20 * N**2


def test_a_product_that_is_read_again_stays():
    a, b, x = np.zeros((N, N)), np.zeros((N, N)), np.zeros(N)

    def loss(a, b, x):
        product = a @ b
        return np.sum(product @ x) + np.max(product)

    graph = trace(loss, a, b, x).graph
    assert in_order(graph) is graph
