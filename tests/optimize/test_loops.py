"""Unrolled loops as scans: values to the bit as NumPy gives them, derivatives as autograd's of the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np
import pytest

from gradserve.client import Client
from gradserve.client.tracing.trace import trace
from gradserve.ir.canonical import canonical
from gradserve.ir.graph import Graph
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder
from gradserve.ops.control.scan import Scan
from gradserve.optimize import rerolled
from gradserve.optimize.loops import bodies, rewrite, stacks
from tests.laws.support import difference_quotient, evaluate

RNG = np.random.default_rng(5)
LETTERS = np.eye(7)[RNG.integers(0, 7, 60)]
TABLE = RNG.normal(size=(120, 3))
SQUARE = 0.3 * RNG.normal(size=(4, 4))

Loss = Callable[[Any, Any], Any]


def pendulum(xp: Any, w: Any) -> Any:
    """Two carries, no rows."""
    angle, speed = w[0], w[1]
    for _ in range(150):
        angle, speed = angle + 0.01 * speed, speed - 0.01 * xp.sin(angle)
    return angle**2 + speed**2


def weighted(xp: Any, w: Any) -> Any:
    """Rows that are constants, another number and another array at each step."""
    state = w[:3]
    for k in range(120):
        state = xp.tanh(state * (1 + 0.01 * k) + TABLE[k] * w[3])
    return xp.sum(state**2)


def indexed(xp: Any, w: Any) -> Any:
    """Rows of the argument, from the front, from behind, and every other one."""
    total = 0.0
    for k in range(100):
        total = total + xp.sin(w[k]) * w[199 - k] * w[2 * k]
    return total


def rows_of_a_result(xp: Any, w: Any) -> Any:
    """Rows of something computed before the loop."""
    known = xp.exp(0.1 * xp.reshape(w, (100, 2)) @ SQUARE[:2, :2])
    total = known[0, 0]
    for k in range(100):
        total = total * 0.9 + xp.sum(known[k] ** 2) * known[k, 1]
    return total


def two_back(xp: Any, w: Any) -> Any:
    """Steps that read the one before, and the one before that."""
    older, old = w[0], w[1]
    for k in range(150):
        older, old = old, 0.5 * xp.cos(old) + 0.3 * older * w[2] + 0.001 * k
    return old * older


def listed(xp: Any, w: Any) -> Any:
    """All states are read later, in a loop of their own and one by one."""
    states = [w[:4]]
    for _ in range(130):
        states.append(SQUARE @ states[-1] + 0.1 * xp.sin(states[-1]))
    total = 0.0
    for state in states[3:]:
        total = total + xp.sum(state**2) / (1 + state[0] ** 2)
    return total + states[17][2] * states[90][1]


def nested(xp: Any, w: Any) -> Any:
    """A loop in each step of a loop."""
    x, y = w[0], w[1]
    for k in range(12):
        for _ in range(60):
            x = x + 0.01 * xp.cos(x * y) * w[2]
        y = y * 0.99 + xp.sin(x) * (0.1 + k / 50)
    return x * y


def there_and_back(xp: Any, w: Any) -> Any:
    """A loop that reads what another one has made, from its end."""
    states = [w[0]]
    for k in range(140):
        states.append(0.8 * states[-1] + 0.1 * xp.sin(states[-1] + k))
    total = states[-1]
    for state in reversed(states):
        total = xp.cos(total) * w[1] + state
    return total


def letters(xp: Any, w: Any) -> Any:
    """A recurrent network: what equal letters give is computed once for all of them."""
    given, again = w[:28].reshape(7, 4), w[28:44].reshape(4, 4)
    hidden, total = np.zeros(4), 0.0
    for k in range(59):
        hidden = xp.tanh(LETTERS[k] @ given + hidden @ again)
        scores = given @ hidden
        total = total + xp.log(xp.sum(xp.exp(scores))) - scores @ LETTERS[k + 1]
    return total / 59


def irregular(xp: Any, w: Any) -> Any:
    """Steps of two sorts."""
    x = w[0]
    for k in range(240):
        x = x * xp.cos(0.1 * x) + w[1]
        if k % 40 == 7:
            x = xp.sqrt(1 + x**2)
    return x


def factored(xp: Any, w: Any) -> Any:
    """An op with several results, at each step."""
    a, total = SQUARE + xp.diag(2 + w[:4]), 0.0
    for _ in range(70):
        sign, logarithm = xp.linalg.slogdet(a)
        total = total + sign * logarithm
        a = a + 0.01 * a.T + 0.001 * total * np.eye(4)
    return total


def kinked(xp: Any, w: Any) -> Any:
    """Choices at each step."""
    x = w[0]
    for k in range(120):
        x = xp.where(x > 0.2, 0.7 * x, x + 0.31) + xp.maximum(w[1], 0.01 * k) - xp.abs(w[2]) * 0.1
    return x


def of_nothing_before(xp: Any, w: Any) -> Any:
    """Terms that have nothing to do with each other, put together in the end."""
    terms = [xp.exp(-(w[k] ** 2)) * xp.sin(w[k + 1]) for k in range(110)]
    return xp.sum(xp.stack(terms) ** 2)


LOSSES: dict[Loss, int] = {
    pendulum: 2,
    weighted: 4,
    indexed: 200,
    rows_of_a_result: 200,
    two_back: 3,
    listed: 4,
    nested: 3,
    there_and_back: 2,
    letters: 44,
    irregular: 2,
    factored: 4,
    kinked: 3,
    of_nothing_before: 111,
}


def traced(loss: Loss, dtype: type = np.float64) -> tuple[Graph, Any]:
    """The graph of a loss in its canonical form, and a point."""
    w: Any = np.random.default_rng(3).uniform(0.2, 0.8, LOSSES[loss]).astype(dtype)
    return canonical(trace(lambda w: loss(np, w), w).graph), w


@pytest.mark.parametrize("loss", LOSSES)
def test_loops_are_found(loss: Loss) -> None:
    graph, _ = traced(loss)
    found = rerolled(graph)
    assert len(graph.nodes) >= 500
    assert len(found.nodes) < len(graph.nodes) / 2
    assert any(isinstance(node.op, Scan) for node in found.nodes)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("loss", LOSSES)
def test_values_are_those_of_numpy(loss: Loss, dtype: type) -> None:
    graph, w = traced(loss, dtype)
    (value,) = evaluate(rerolled(graph), {"w": w}).values()
    expected = loss(np, w)
    if loss in (letters, rows_of_a_result, listed, factored):  # a library's products may round in another order
        np.testing.assert_allclose(value, expected, rtol=1e-13 if dtype is np.float64 else 1e-5)
    else:
        assert value == expected


@pytest.mark.parametrize("loss", LOSSES)
def test_derivatives_are_those_of_autograd(loss: Loss) -> None:
    _, w = traced(loss)
    v = np.cos(np.arange(float(w.size)))
    gradient = autograd.grad(lambda w: loss(anp, w))
    both = np.stack([w, 1.05 * w])
    expected = np.stack([gradient(row) for row in both])
    product = difference_quotient(lambda at: {"w": gradient(at["w"])}, {"w": w}, {"w": v}, 1e-4)["w"]
    with Client(threads=1) as client:
        function = client.function(lambda w: loss(np, w))
        np.testing.assert_allclose(function.grad(w), expected[0], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(function.hvp(w, tangent=v), product, rtol=1e-8, atol=1e-9 * np.max(np.abs(product)))
        np.testing.assert_allclose(function.grad(both, batch=True), expected, rtol=1e-9, atol=1e-12)


def test_bodies_have_loops_as_well() -> None:
    def loss(w: Any) -> Any:
        x, y = w
        for k in range(10):
            for _ in range(200):
                x = x + 0.01 * np.cos(x * y)
            for _ in range(200):
                y = y - 0.01 * np.sin(x * y) * (1 + k)
        return x * y

    w = np.array([0.3, 0.4])
    graph = canonical(trace(loss, w).graph)
    found = rerolled(graph)
    assert len(graph.nodes) > 10_000
    assert len(found.nodes) < 500
    assert evaluate(found, {"w": w})["result"] == loss(w)


@pytest.mark.parametrize("loss", [indexed, there_and_back, rows_of_a_result])
def test_rows_of_an_array_are_not_put_together_again(loss: Loss) -> None:
    found = rerolled(traced(loss)[0])
    assert all(len(node.operands) < 4 for node in found.nodes if node.op.name == "concatenate")
    assert len(found.nodes) < 100


def summed(count: int, per_step: int) -> Graph:
    """A sum over inputs of one number each, of so many ops each."""
    g = builder()
    total = g.constant(0.0)
    for k in range(count):
        value = g.input(f"x{k}", TensorType(ElementType.FLOAT64))
        for _ in range(per_step - 1):
            value = g.sin(value)
        total = total + value
    return g.build({"result": total})


@pytest.mark.parametrize(("per_step", "looped"), [(1, False), (3, True)])
def test_what_it_takes_to_put_rows_together_is_no_saving(per_step: int, looped: bool) -> None:
    """An input is reshaped to be a row: as many nodes as a sum has, and in a gradient more."""
    found = rerolled(summed(1000, per_step))
    assert any(node.op.name == "scan" for node in found.nodes) is looped
    assert len(found.nodes) <= 1010
    given = {f"x{k}": np.array(np.cos(k)) for k in range(1000)}
    total: Any = 0.0
    for x in given.values():
        for _ in range(per_step - 1):
            x = np.sin(x)
        total = total + x
    assert evaluate(found, given)["result"] == total


def test_small_graphs_stay_as_they_are() -> None:
    graph = canonical(trace(lambda w: sum(np.sin(w[k]) for k in range(30)), np.ones(30)).graph)
    assert rerolled(graph) is graph


def test_rows_do_not_multiply_memory() -> None:
    wide, chosen = RNG.normal(size=(2, 50_000)), RNG.integers(0, 2, 300)

    def windows(w: Any) -> Any:
        return sum(np.sum(np.sin(w[k : k + 40_000])) * (1 + k) for k in range(200))

    def one_of_two(w: Any) -> Any:
        for k in chosen:
            w = np.sin(w + wide[k]) * 0.5
        return np.sum(w)

    for loss in (windows, one_of_two):
        found = rerolled(canonical(trace(loss, np.ones(50_000)).graph))
        assert max(type_.nbytes for type_ in found.value_types) <= 8 * 100_000


def test_irregular_graphs_cost_no_time() -> None:
    turns = RNG.integers(0, 3, 10_000).tolist()

    def loss(w: Any) -> Any:
        for turn in turns:
            w = np.sin(w) if turn == 0 else w * w if turn == 1 else w + 0.1
        return w

    graph = canonical(trace(loss, 0.5).graph)
    assert rerolled(graph) is graph


def test_planted_faults_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_step_late(column: Any, first: int, width: int) -> bodies.Role | None:
        role = bodies_role(column, first, width)
        return bodies.Row(role.values[1:] + role.values[:1]) if isinstance(role, bodies.Row) else role

    bodies_role = bodies._role
    graph, w = traced(weighted)
    monkeypatch.setattr(bodies, "_role", one_step_late)
    assert evaluate(rerolled(graph), {"w": w})["result"] != weighted(np, w)

    monkeypatch.undo()
    monkeypatch.setattr(rewrite, "row_of", lambda g, stack, k: stacks.row_of(g, stack, (k + 1) % stack.shape[0]))
    graph, w = traced(there_and_back)
    assert evaluate(rerolled(graph), {"w": w})["result"] != there_and_back(np, w)
