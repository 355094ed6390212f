"""Derived functions that multiply, cut and lay out arrays: NumPy's values for NumPy's arguments."""

from typing import Any

import numpy as np
import pytest

from gradserve import numpy as functions
from gradserve.ir.errors import InvalidGraph
from gradserve.numpy import products
from tests.ops.support import agree, evaluate, normal, trace

numpy: Any = np
X = normal(2, 3, 4)
M = normal(3, 4, seed=1)
S = normal(4, 4, seed=2) + 2 * np.eye(4)
V = normal(4, seed=3)
W = normal(4, seed=4)


@pytest.mark.parametrize("name", ["dot", "inner", "outer", "vdot"])
@pytest.mark.parametrize(("x", "y"), [(V, W), (S, S), (X, S), (np.float64(2), X), (X, V), (V, S)])
def test_products(name, x, y):
    try:
        getattr(np, name)(x, y)
    except ValueError:
        with pytest.raises(InvalidGraph):
            evaluate(getattr(functions, name), x, y)
    else:
        agree(getattr(functions, name), getattr(np, name), x, y)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 3)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((5, 2, 3), (3,)),
        ((2, 3), (5, 3, 4)), ((3,), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((1, 2, 3), (5, 3, 4)), ((5, 2, 3), (1, 3, 4)),
        ((6, 1, 2, 3), (5, 3, 4)), ((6, 5, 2, 3), (5, 3, 4)), ((5, 2, 3), (6, 1, 3, 4)), ((1, 2, 3), (1, 3, 4)),
        ((6, 1, 2, 3), (1, 5, 3, 1)), ((5, 2, 0), (0, 4)), ((0, 2, 3), (3, 4)), ((7, 1, 5, 2, 3), (6, 5, 3, 2)),
    ],
)  # fmt: skip
def test_matmul(x, y):
    agree(functions.matmul, np.matmul, normal(*x), normal(*y, seed=1))


@pytest.mark.parametrize(("x", "y"), [((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((6, 1, 2, 3), (5, 3, 4))])
def test_matmul_repeats_no_operand(x, y):
    names = [node.op.name for node in trace(functions.matmul, normal(*x), normal(*y)).nodes]
    assert names.count("contract") == 1
    assert "broadcast_to" not in names


@pytest.mark.parametrize("axes", [0, 1, 2, ([0, 1], [1, 0]), (1, 0), ((-1,), (-2,)), ([], [])], ids=str)
def test_tensordot(axes):
    agree(lambda x, y: functions.tensordot(x, y, axes), lambda x, y: np.tensordot(x, y, axes), S, S + 1)


@pytest.mark.parametrize("axis", [0, -1])
def test_vecdot(axis):
    agree(lambda x, y: products.vecdot(x, y, axis), lambda x, y: numpy.vecdot(x, y, axis=axis), S, S + 1)
    agree(functions.vecdot, numpy.vecdot, X, V)


@pytest.mark.parametrize(("x", "y"), [(M, S), (V, W), (M, V), (X, M)])
def test_kron(x, y):
    agree(functions.kron, np.kron, x, y)


@pytest.mark.parametrize("offset", [-5, -2, 0, 1, 4])
def test_diagonals(offset):
    for x in (M, M.T, S):
        agree(lambda x: functions.diagonal(x, offset), lambda x: np.diagonal(x, offset), x)
        agree(lambda x: functions.trace(x, offset), lambda x: np.trace(x, offset), x)
        agree(lambda x: functions.tril(x, offset), lambda x: np.tril(x, offset), x)
        agree(lambda x: functions.triu(x, offset), lambda x: np.triu(x, offset), x)
    for x in (V, M, V[:0]):
        agree(lambda x: functions.diag(x, offset), lambda x: np.diag(x, offset), x)
    agree(lambda x: functions.diagonal(x, offset, 2, 0), lambda x: np.diagonal(x, offset, 2, 0), X)
    agree(lambda x: functions.trace(x, 0, 1, 2), lambda x: np.trace(x, 0, 1, 2), X)


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda f, x: f.reshape(x, (-1, 2)), (2, 3, 4)),
        (lambda f, x: f.reshape(x, 24), (2, 3, 4)),
        (lambda f, x: f.ravel(x), (2, 3, 4)),
        (lambda f, x: f.ravel(x), (0, 3)),
        (lambda f, x: f.transpose(x), (2, 3, 4)),
        (lambda f, x: f.transpose(x, (1, -1, 0)), (2, 3, 4)),
        (lambda f, x: f.swapaxes(x, 0, -1), (2, 3, 4)),
        (lambda f, x: f.moveaxis(x, 0, -1), (2, 3, 4)),
        (lambda f, x: f.moveaxis(x, (0, 2), (1, 0)), (2, 3, 4)),
        (lambda f, x: f.rollaxis(x, 2), (2, 3, 4)),
        (lambda f, x: f.rollaxis(x, 0, 3), (2, 3, 4)),
        (lambda f, x: f.expand_dims(x, 1), (2, 3)),
        (lambda f, x: f.expand_dims(x, (0, -1)), (2, 3)),
        (lambda f, x: f.squeeze(x), (2, 1, 3, 1)),
        (lambda f, x: f.squeeze(x, -1), (2, 1, 3, 1)),
        (lambda f, x: f.squeeze(x, (1, 3)), (2, 1, 3, 1)),
        (lambda f, x: f.broadcast_to(x, (5, 2, 3)), (2, 1)),
        (lambda f, x: f.stack([x, x], -1), (2, 3)),
        (lambda f, x: f.stack([x]), (2, 3)),
        (lambda f, x: f.concatenate([x, x], 1), (2, 3)),
        (lambda f, x: f.concatenate([x, x], None), (2, 3)),
        (lambda f, x: f.flip(x), (2, 3)),
        (lambda f, x: f.flip(x, -1), (2, 3)),
        (lambda f, x: f.roll(x, 2), (2, 3)),
        (lambda f, x: f.roll(x, -7, 1), (2, 3)),
        (lambda f, x: f.roll(x, (1, 2), (0, 1)), (2, 3)),
        (lambda f, x: f.roll(x, 0, 0), (2, 3)),
        (lambda f, x: f.roll(x, 1, 0), (0, 3)),
        (lambda f, x: f.tile(x, 2), (2, 3)),
        (lambda f, x: f.tile(x, (2, 1, 3)), (2, 3)),
        (lambda f, x: f.repeat(x, 3), (2, 3)),
        (lambda f, x: f.repeat(x, 2, -1), (2, 3)),
        (lambda f, x: f.split(x, 3, 1)[1], (2, 6)),
        (lambda f, x: f.split(x, [1, 4], 1)[1], (2, 6)),
        (lambda f, x: f.split(x, [1, 4], 1)[2], (2, 6)),
        (lambda f, x: f.where(x > 0 if f is np else x.builder.gt(x, 0), x, 1.0), (2, 3)),
    ],
)  # fmt: skip
def test_shapes(function, shape):
    agree(lambda x: function(functions, x), lambda x: function(np, x), normal(*shape))
