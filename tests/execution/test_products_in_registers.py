"""Products whose sums grow in vector registers: sums of exact products, wherever the operands lie."""

from itertools import product

import numpy as np
import pytest

from gradserve.client import Client, functions
from gradserve.execution.fused import products, stacks
from gradserve.execution.fused.native import Native
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder

SIZES = [(4, 1000, 5), (9, 3, 25), (33, 8, 49), (40, 20, 20), (7, 64, 4), (32, 2, 31)]
"""Rows, inner lengths and columns: blocks and panels that are whole, and that are not."""
KINDS = [ElementType.FLOAT32, ElementType.FLOAT64]


def of_stacks(kind, sizes, turned):
    """Three pairs of matrices multiplied, each operand with its axes as they are, or in another order."""
    rows, inner, columns = sizes
    g = builder()
    shapes = [
        (inner, rows, 3) if turned[0] else (3, rows, inner),
        (3, columns, inner) if turned[1] else (3, inner, columns),
    ]
    x, y = (g.input(name, TensorType(kind, shape)) for name, shape in zip("xy", shapes, strict=True))
    axes = {"lhs_batch": (2 if turned[0] else 0,), "lhs_contract": (0 if turned[0] else 2,)}
    axes |= {"rhs_batch": (0,), "rhs_contract": (2 if turned[1] else 1,)}
    return g.build({"z": g.emit("contract", x, y, **axes)})


def errors(kind, sizes, turned):
    """By how much elements are off, in units of the precision times the sums of the terms' magnitudes."""
    graph, rng = of_stacks(kind, sizes, turned), np.random.default_rng(0)
    x, y = (rng.standard_normal(i.type.lengths).astype(kind.dtype) for i in graph.inputs)
    found = Native(graph, 1e-3)(lambda: None, [x, y])
    assert found is not None
    a = (x.transpose(2, 1, 0) if turned[0] else x).astype(np.longdouble)
    b = (y.transpose(0, 2, 1) if turned[1] else y).astype(np.longdouble)
    return np.abs(found[0] - a @ b) / (np.finfo(kind.dtype).eps * (np.abs(a) @ np.abs(b)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", SIZES)
def test_products_are_exact_but_for_rounding(sizes, kind):
    rows, inner, columns = sizes
    assert products.is_narrow(kind, rows, inner, columns)
    for turned in product((False, True), repeat=2):
        assert np.max(errors(kind, sizes, turned)) < inner  # one rounding for each term at most


def test_the_planted_fault_of_rows_that_are_left_out_is_found(monkeypatch):
    whole = products._blocks
    monkeypatch.setattr(products, "_blocks", lambda rows, down: whole(rows - rows % down, down))
    assert not np.all(errors(ElementType.FLOAT64, (9, 3, 25), (False, False)) < 3)


def test_a_matrix_that_loops_read_is_turned_once(monkeypatch):
    copies, copied = [], stacks._Side.copied

    def counted(side, machine, memory):
        copies.append(memory)
        return copied(side, machine, memory)

    monkeypatch.setattr(stacks._Side, "copied", counted)
    weights, start = np.random.default_rng(1).standard_normal((2, 40, 40)) / 8

    def loss(x, weights):
        return np.sum(functions.scan(lambda y, _: (np.tanh(y @ weights.T), None), x, length=5)[0])

    with Client() as client:
        f = client.function(loss, start, weights)
        f.executor = "fused"
        found = f(start, weights)
    expected = start
    for _ in range(5):
        expected = np.tanh(expected @ weights.T)
    assert abs(found - np.sum(expected)) < 1e-11
    assert len(copies) == 1
