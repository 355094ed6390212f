"""Blocks of rows as machine code: the numbers of NumPy, whatever the rows and the blocks."""

from __future__ import annotations

import numpy as np
import pytest

from gradserve.client import Client
from gradserve.execution.fused import blocks
from gradserve.execution.fused.rows import by_rows
from gradserve.execution.fused.table import lowerable
from gradserve.ir.types import Array
from tests.running import prepared, program_of

ROWS = 37
CLOSE = 1e-12


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Everything pays, and blocks are of a few rows."""
    monkeypatch.setattr(blocks, "_LARGE", 1)
    monkeypatch.setattr(blocks, "CACHED_BYTES", 1)
    monkeypatch.setattr(blocks, "_FEWEST", 2)
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 300)


def nearest(xp, x, y):
    return xp.min(xp.sum(y * y, axis=1) - 2.0 * xp.dot(x, y.T), axis=1)


def softmax_of_products(xp, x, y):
    scores = xp.exp(xp.dot(x, y.T) - xp.max(xp.dot(x, y.T), axis=1, keepdims=True))
    return scores / xp.sum(scores, axis=1, keepdims=True)


def of_all_rows_between(xp, x, y):
    centred = xp.dot(x, y.T) - xp.mean(xp.dot(x, y.T), axis=0)
    return xp.max(xp.dot(centred, y), axis=1)


def moved(xp, x, y):
    products = xp.dot(x, y.T)
    turned = xp.concatenate([products[:, 1:], x, xp.cumsum(products, axis=1)], axis=1)
    return xp.max(xp.reshape(turned[:, ::-1], (ROWS, -1, 1)), axis=1) + xp.argmin(products, axis=1)[:, None]


def products_of_rows(xp, x, y):
    each = xp.einsum("ni,nj->nij", x, xp.dot(x, y.T))
    return xp.max(xp.einsum("nij,ni->nj", each, x), axis=1)


def outer_rows_of_whole(xp, x, y):
    weights = xp.dot(x, y.T)
    return xp.dot(weights.T, xp.max(xp.dot(weights, y), axis=1))


def slope(xp, x, y):
    """Of a logistic loss: the matrix is read by rows, and summed over them."""
    return xp.einsum("ni,n->i", x, 1.0 / (1.0 + xp.exp(-xp.dot(x, y[0]))))


def curved(xp, x, y):
    """Two sums over rows, the second of which needs the first whole."""
    weights = xp.tanh(xp.dot(x, y[0]))
    return xp.einsum("ni,n->i", x, weights * xp.dot(x, xp.einsum("ni,n->i", x, weights)))


def squares(xp, x, y):
    """As many columns as rows: a sum over rows has a length of rows, and none of them."""
    square = xp.tanh(xp.dot(x, xp.einsum("ni,nj->ij", x, xp.eye(ROWS))))
    total = xp.einsum("ni,n->i", square, xp.cos(xp.dot(square, x[:, 0])))
    return xp.dot(square, xp.sin(total))[:, None] * x


def beside(xp, x, y):
    """Rows that are kept beside a sum over them."""
    scores = xp.exp(-xp.dot(x, y[0]))
    return xp.concatenate([xp.einsum("ni,n->i", x, scores), scores])


FUNCTIONS = [nearest, softmax_of_products, of_all_rows_between, moved, products_of_rows, outer_rows_of_whole]
SUMS = [slope, curved, squares, beside]


def points() -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((ROWS, 3)), rng.standard_normal((5, 3))


def blocks_in(graph) -> list[blocks.Blocks]:
    return [node.op for node in graph.nodes if isinstance(node.op, blocks.Blocks)]


def found_and_expected(function) -> tuple[Array, Array]:
    x, y = points()
    with Client(threads=1) as client:
        graph = client.function(lambda x, y: function(np, x, y), x, y).graph
    (name,) = graph.output_types
    return prepared(graph, "fused")({"x": x, "y": y})[name], function(np, x, y)


@pytest.mark.parametrize("function", [*FUNCTIONS, *SUMS], ids=lambda f: f.__name__)
def test_functions_of_rows(function):
    found, expected = found_and_expected(function)
    np.testing.assert_allclose(found, expected, rtol=CLOSE, atol=CLOSE)


@pytest.mark.parametrize("function", [*FUNCTIONS, *SUMS], ids=lambda f: f.__name__)
def test_what_is_written_with_blocks_is_a_graph_of_the_same_types(function):
    x, y = points()
    with Client(threads=1) as client:
        graph = program_of(client.function(lambda x, y: function(np, x, y), x, y).graph).graph
    cut = blocks.in_blocks(graph, lowerable)
    assert blocks_in(cut)
    assert cut.output_types == graph.output_types
    for node in cut.nodes:
        assert node.op.infer(*(cut.value_types[k] for k in node.operands)) == node.types
    for op in blocks_in(cut):
        assert ROWS == op.rows > op.block
        assert (op.calls, op.left) == divmod(ROWS, op.block)


@pytest.mark.parametrize("function", SUMS, ids=lambda f: f.__name__)
def test_sums_over_rows_end_blocks(function):
    x, y = points()
    with Client(threads=1) as client:
        graph = program_of(client.function(lambda x, y: function(np, x, y), x, y).graph).graph
    assert any(op.sums for op in blocks_in(blocks.in_blocks(graph, lowerable)))


def test_rows_that_are_left_out_are_found(monkeypatch):
    monkeypatch.setattr(blocks.Blocks, "left", property(lambda op: 0))
    found, expected = found_and_expected(slope)
    assert np.max(abs(found - expected)) > 0.1


def test_rows_that_are_mixed_are_found(monkeypatch):
    def running(xp, x, y):
        return xp.max(xp.cumsum(xp.dot(x, y.T), axis=0), axis=1)

    monkeypatch.setattr(blocks, "by_rows", lambda op, *types: by_rows(op, *types) or (True,) * len(types[0]))
    found, expected = found_and_expected(running)
    assert np.max(abs(found - expected)) > 0.1


def test_nothing_small_is_cut(monkeypatch):
    monkeypatch.setattr(blocks, "_LARGE", 1 << 20)
    x, y = points()
    with Client(threads=1) as client:
        graph = program_of(client.function(lambda x, y: nearest(np, x, y), x, y).graph).graph
    assert blocks.in_blocks(graph, lowerable) is graph
