"""gather, scatter_add and iota: NumPy's values, fixed order, refused indices, batches of either operand."""

import numpy as np
import pytest

from gradserve.autodiff import vmap
from gradserve.execution.numpy.kernels.table import made
from gradserve.ir.errors import NumericalFailure
from gradserve.ir.types import ElementType, Symbol, type_of
from gradserve.ops.indexing.gather import Gather, Iota, ScatterAdd
from tests.ops.support import check_batches, evaluate, f64, gradients, i64, infer, named, normal, refusal, run, trace

INDICES = [np.array([2, 0, 2, 1]), np.array([[1, 1], [0, 2]]), np.array(1), np.zeros((0, 2), np.int64)]


def gather(axis):
    return lambda x, i: x.builder.gather(x, i, axis=axis)


def scatter_add(axis, length):
    return lambda u, i: u.builder.scatter_add(u, i, axis=axis, length=length)


def added(updates, indices, axis, length):
    shape = (*updates.shape[:axis], length, *updates.shape[axis + indices.ndim :])
    result = np.zeros(shape, updates.dtype)
    np.add.at(result, (*(slice(None),) * axis, indices), updates)
    return result


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("indices", INDICES, ids=lambda i: str(i.shape))
def test_gather(axis, indices):
    x = normal(3, 3, 3)
    np.testing.assert_array_equal(evaluate(gather(axis), x, indices), np.take(x, indices, axis))
    check_batches(gather(axis), x, indices)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("indices", INDICES, ids=lambda i: str(i.shape))
def test_scatter_add(axis, indices):
    updates = normal(*(2, 3)[:axis], *indices.shape, 2)
    result = evaluate(scatter_add(axis, 4), updates, indices)
    np.testing.assert_allclose(result, added(updates, indices, axis, 4), atol=1e-15)
    check_batches(scatter_add(axis, 4), updates, indices)


@pytest.mark.parametrize("axis", [0, 1])
def test_each_is_the_transpose_of_the_other(axis):
    x, indices = normal(3, 4), np.array([[0, 2, 2], [1, 0, 1]])
    u = normal(*x.shape[:axis], 2, 3, *x.shape[axis + 1 :], seed=1)
    (ct,) = gradients(gather(axis), x, indices, cotangent=u)
    np.testing.assert_allclose(ct, added(u, indices, axis, x.shape[axis]))
    (ct,) = gradients(scatter_add(axis, x.shape[axis]), u, indices, cotangent=x)
    np.testing.assert_allclose(ct, np.take(x, indices, axis))


def kernel_of(op, *operands):
    return made(op, [type_of(x) for x in operands])(*operands)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.int32])
@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("count", [50, 5000])
def test_sums_have_the_bits_of_additions_in_order(dtype, width, count):
    generator = np.random.default_rng(0)
    updates = (generator.normal(size=(count, width)) * 1000).astype(dtype)
    indices = generator.integers(0, 7, count)
    expected = np.zeros((7, width), dtype)
    for row, index in zip(updates, indices, strict=True):
        expected[index] += row
    np.testing.assert_array_equal(kernel_of(ScatterAdd(0, 7), updates, indices), expected)


def test_sums_are_the_same_without_scipy(monkeypatch):
    updates, indices = normal(3000, 4), np.arange(3000) % 11
    expected = kernel_of(ScatterAdd(0, 11), updates, indices)
    monkeypatch.setattr("gradserve.execution.numpy.kernels.indexing._sparse", lambda: None)
    np.testing.assert_array_equal(kernel_of(ScatterAdd(0, 11), updates, indices), expected)


@pytest.mark.parametrize("index", [-1, 3])
@pytest.mark.parametrize("function", [gather(0), scatter_add(0, 3)])
def test_an_index_outside_is_refused(function, index):
    with pytest.raises(NumericalFailure, match="an index lies outside"):
        evaluate(function, normal(3), np.array([0, index, 1]))


@pytest.mark.parametrize("index", [-1, 3])
@pytest.mark.parametrize("function", [gather(0), scatter_add(0, 3)])
def test_an_index_outside_its_own_example_is_refused(function, index):
    # In a batch the examples lie end to end: such an index must not read or write its neighbour.
    x, indices = normal(2, 3), np.array([[0, 1, 2], [0, 1, 2]])
    indices[0, 1] = index
    graph = vmap(trace(function, x[0], indices[0]), ["x0", "x1"], 2)
    with pytest.raises(NumericalFailure, match="an index lies outside"):
        run(graph, named([x, indices]))


def test_indices_of_32_bits():
    x, indices = normal(4), np.array([3, 1], np.int32)
    np.testing.assert_array_equal(evaluate(gather(0), x, indices), x[[3, 1]])
    check_batches(gather(0), x, indices)


@pytest.mark.parametrize("element_type", [ElementType.INT32, ElementType.INT64, ElementType.FLOAT64])
def test_iota(element_type):
    result = Iota(4, element_type).impl(np)
    assert result.dtype == element_type.dtype
    np.testing.assert_array_equal(result, [0, 1, 2, 3])


def test_symbols_pass_through():
    n = Symbol("n")
    assert infer(Gather(0), f64(n, 2), i64(3)) == (3, 2)
    assert infer(Gather(1), f64(n, 2), i64(3)) == (n, 3)
    assert infer(ScatterAdd(0, 4), f64(n, 2), i64(n)) == (4, 2)


@pytest.mark.parametrize(
    ("op", "types", "message"),
    [
        (Gather(0), [f64(3)], "C0: gather takes 2 operands, not 1"),
        (Gather(1), [f64(3), i64(2)], "C1: f64[3] has no axis 1"),
        (Gather(0), [f64(3), f64(2)], "C2: indices must be integers, not f64[2]"),
        (ScatterAdd(0, 4), [f64(3), i64(2)], "C1: f64[3] does not have the lengths of i64[2] from axis 0 on"),
        (ScatterAdd(1, 4), [f64(3), i64(3)], "C1: f64[3] does not have the lengths of i64[3] from axis 1 on"),
        (ScatterAdd(2, 4), [f64(3), i64()], "C1: f64[3] does not have the lengths of i64[] from axis 2 on"),
        (ScatterAdd(0, 4), [f64(3), f64(3)], "C2: indices must be integers, not f64[3]"),
        (ScatterAdd(0, -1), [f64(3), i64(3)], "C3: length -1 is negative"),
        (Iota(-1, ElementType.INT64), [], "C1: length -1 is negative"),
        (Iota(2, ElementType.BOOL), [], "C2: truth values cannot be counted"),
    ],
)
def test_refusals(op, types, message):
    assert refusal(op, *types) == message
