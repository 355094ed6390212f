"""Ops that move elements: their values are NumPy's, their transposes move elements back."""

import numpy as np
import pytest

from gradserve.execution.numpy.kernels.table import made
from gradserve.ir.op import Op
from gradserve.ir.types import Symbol
from gradserve.ops.movement.placement import Concatenate, Pad, Reverse, Slice
from gradserve.ops.movement.shapes import BroadcastTo, Permute, Reshape
from tests.ops.support import evaluate, f64, gradients, i64, infer, normal, refusal

n = Symbol("n")


def numpy_kernel(op: Op, types):
    return made(op, types)


def same(actual, expected):
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(("shape", "to"), [((2, 3), (3, 2)), ((4,), (2, 1, 2)), ((), (1,)), ((0, 3), (5, 0))])
def test_reshape(shape, to):
    x = normal(*shape)
    same(evaluate(lambda v: v.builder.reshape(v, to), x), x.reshape(to))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_permute(order):
    x = normal(2, 3, 4)
    same(evaluate(lambda v: v.builder.permute(v, order=order), x), x.transpose(order))


@pytest.mark.parametrize(
    ("shape", "to"), [((), (2, 3)), ((3,), (2, 3)), ((2, 1), (4, 2, 3)), ((1, 1), (0, 2)), ((2, 0), (3, 2, 0))]
)
def test_broadcast_to(shape, to):
    x = normal(*shape)
    same(evaluate(lambda v: v.builder.broadcast_to(v, shape=to), x), np.broadcast_to(x, to))


def test_broadcast_of_a_view_that_is_not_row_major():
    x = normal(3, 2)

    def columns(v):
        return v.builder.broadcast_to(v.builder.permute(v, order=(1, 0)), shape=(4, 2, 3))

    same(evaluate(columns, x), np.broadcast_to(x.T, (4, 2, 3)))


def test_the_transpose_of_a_broadcast_sums_over_repeated_elements():
    u = normal(4, 2, 3)
    (ct,) = gradients(lambda v: v.builder.broadcast_to(v, shape=(4, 2, 3)), normal(2, 1), cotangent=u)
    np.testing.assert_allclose(ct, u.sum(axis=(0, 2), keepdims=True)[0])


def test_a_broadcast_is_read_only():
    result = numpy_kernel(BroadcastTo((2, 2)), [f64(2)])(np.zeros(2))
    assert not result.flags.writeable


@pytest.mark.parametrize(
    ("starts", "stops", "strides"), [((0, 0), (5, 4), (1, 1)), ((1, 2), (5, 4), (2, 1)), ((5, 0), (5, 4), (3, 3))]
)
def test_slice(starts, stops, strides):
    x = normal(5, 4)
    key = tuple(map(slice, starts, stops, strides))
    same(evaluate(lambda v: v.builder.slice(v, starts=starts, stops=stops, strides=strides), x), x[key])


def test_the_transpose_of_a_slice_lays_zeros_around():
    u = normal(2, 2)
    (ct,) = gradients(
        lambda v: v.builder.slice(v, starts=(1, 0), stops=(6, 4), strides=(3, 2)), normal(6, 5), cotangent=u
    )
    expected = np.zeros((6, 5))
    expected[1:6:3, 0:4:2] = u
    same(ct, expected)


@pytest.mark.parametrize(
    ("low", "high", "interior"), [((0, 0), (0, 0), (0, 0)), ((1, 0), (0, 2), (0, 0)), ((0, 1), (1, 0), (2, 1))]
)
@pytest.mark.parametrize("shape", [(3, 2), (1, 2), (0, 2)])
def test_pad(shape, low, high, interior):
    x = normal(*shape)
    spread = [n + max(n - 1, 0) * gap for n, gap in zip(shape, interior, strict=True)]
    expected = np.zeros([a + n + b for a, n, b in zip(low, spread, high, strict=True)])
    expected[tuple(slice(a, a + n, gap + 1) for a, n, gap in zip(low, spread, interior, strict=True))] = x
    op = Pad(low, high, interior)
    same(op.impl(np, x), expected)
    same(evaluate(lambda v: v.builder.apply(op, [v]), x), expected)


def test_pad_of_integers_and_truth_values():
    same(evaluate(lambda v: v.builder.pad(v, low=(1,), high=(0,), interior=(0,)), np.array([2, 3])), [0, 2, 3])
    same(evaluate(lambda v: v.builder.pad(v, low=(0,), high=(1,), interior=(0,)), np.array([True])), [True, False])


def test_reverse():
    x = normal(2, 3)
    same(evaluate(lambda v: v.builder.reverse(v, axes=(1,)), x), x[:, ::-1])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_concatenate(axis):
    x, y = normal(2, 3, 4), normal(2, 3, 4, seed=1)
    result = evaluate(lambda a, b: a.builder.concatenate(a, b, a, axis=axis), x, y)
    same(result, np.concatenate([x, y, x], axis))


def test_concatenate_is_row_major_whatever_its_operands_are():
    x = np.asfortranarray(normal(3, 4))
    result = numpy_kernel(Concatenate(0), [f64(3, 4), f64(3, 4)])(x, x)
    assert result.flags.c_contiguous


def test_concatenate_promotes():
    assert (
        evaluate(lambda a, b: a.builder.concatenate(a, b, axis=0), np.array([1]), np.array([0.5])).dtype == np.float64
    )


def test_the_transpose_of_concatenate_cuts():
    u = normal(5)
    parts = gradients(lambda a, b: a.builder.concatenate(a, b, axis=0), normal(2), normal(3), cotangent=u)
    same(np.concatenate(parts), u)


def test_symbols_pass_through():
    assert infer(Reshape((n, 1, 2)), f64(2, n)) == (n, 1, 2)
    assert infer(Permute((1, 0)), f64(2, n)) == (n, 2)
    assert infer(BroadcastTo((n, 3)), f64(1, 3)) == (n, 3)
    assert infer(Pad((0, 1), (0, 0), (0, 0)), f64(n, 2)) == (n, 3)
    assert infer(Concatenate(1), f64(n, 2), f64(n, 1)) == (n, 3)


@pytest.mark.parametrize(
    ("op", "types", "message"),
    [
        (Reshape((4,)), [f64(3)], "C1: f64[3] and f64[4] differ in size"),
        (Reshape((n,)), [f64(2, n)], "C1: f64[2,n] and f64[n] differ in size"),
        (Reshape((-1, -3)), [f64(3)], "C2: a length of f64[-1,-3] is negative"),
        (Reshape(()), [f64(), f64()], "C0: reshape takes 1 operand, not 2"),
        (Permute((0, 0)), [f64(2, 3)], "C1: order (0, 0) does not name every axis of f64[2,3] once"),
        (BroadcastTo((2, 3)), [f64(2)], "C1: f64[2] does not broadcast to f64[2,3]"),
        (BroadcastTo((3,)), [f64(1, 3)], "C1: f64[1,3] does not broadcast to f64[3]"),
        (BroadcastTo((n,)), [f64(2)], "C1: f64[2] does not broadcast to f64[n]"),
        (Slice((0,), (1,), (1,)), [f64(2, 2)], "C1: starts has 1 numbers for the axes of f64[2,2]"),
        (Slice((2,), (1,), (1,)), [f64(3)], "C2: 2:1 does not lie inside axis 0 of f64[3]"),
        (Slice((0,), (4,), (1,)), [f64(3)], "C2: 0:4 does not lie inside axis 0 of f64[3]"),
        (Slice((0,), (1,), (1,)), [f64(n)], "C2: length n must be a number here; bind it first"),
        (Slice((0,), (1,), (0,)), [f64(3)], "C3: strides (0,) must be at least 1"),
        (Pad((0,), (0,), ()), [f64(3)], "C1: interior has 0 numbers for the axes of f64[3]"),
        (Pad((-1,), (0,), (0,)), [f64(3)], "C2: zeros cannot be taken away: [-1]; use slice"),
        (Pad((1,), (0,), (0,)), [f64(n)], "C3: length n must be a number here; bind it first"),
        (Reverse((1, 0)), [f64(2, 2)], "C1: axes (1, 0) are not ascending axes of f64[2,2]"),
        (Concatenate(0), [], "C0: concatenate takes at least one operand"),
        (Concatenate(1), [f64(2)], "C1: f64[2] has no axis 1"),
        (Concatenate(0), [f64(2), i64(2)], "C2: element types differ: f64[2] and i64[2]"),
        (Concatenate(0), [f64(2, 3), f64(2, 4)], "C3: f64[2,3] and f64[2,4] differ elsewhere than along axis 0"),
        (Concatenate(0), [f64(n), f64(2)], "C4: length n must be a number here; bind it first"),
    ],
)
def test_refusals(op, types, message):
    assert refusal(op, *types) == message
