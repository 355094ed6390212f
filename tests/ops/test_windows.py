"""Windows and their sums: each other's transpose, with strides and dilations; what convolutions cost."""

import itertools

import numpy as np
import pytest

from gradserve import numpy as functions
from gradserve.autodiff import derive
from gradserve.ops.windows.windows import OverlapAdd, Windows
from gradserve.optimize import optimize
from gradserve.questions.derivations import Gradient
from tests.ops.support import evaluate, f64, infer, normal, refusal, trace
from tests.running import prepared, program_of

SHAPE = (2, 7, 6)


@pytest.mark.parametrize("sizes", [(1, 1), (3, 2), (2, 3)])
@pytest.mark.parametrize("strides", [(1, 1), (2, 3)])
@pytest.mark.parametrize("dilations", [(1, 1), (3, 2)])
def test_windows_hold_what_they_lie_on(sizes, strides, dilations):
    x = normal(*SHAPE)
    attributes = {"axes": (1, 2), "sizes": sizes, "strides": strides, "dilations": dilations}
    found = evaluate(lambda v: v.builder.emit("windows", v, **attributes), x)
    for i, j in itertools.product(range(found.shape[1]), range(found.shape[2])):
        for k, m in itertools.product(*map(range, sizes)):
            row, column = i * strides[0] + k * dilations[0], j * strides[1] + m * dilations[1]
            np.testing.assert_array_equal(found[:, i, j, k, m], x[:, row, column])
    counted = evaluate(lambda v: v.builder.emit("overlap_add", v, **attributes, lengths=SHAPE[1:]), np.ones_like(found))
    added = np.zeros(SHAPE)
    for i, j in itertools.product(range(found.shape[1]), range(found.shape[2])):
        for k, m in itertools.product(*map(range, sizes)):
            added[:, i * strides[0] + k * dilations[0], j * strides[1] + m * dilations[1]] += 1
    np.testing.assert_array_equal(counted, added)


@pytest.mark.parametrize("huge", [1 << 40, 1 << 62])
def test_a_stride_that_is_never_gone_may_be_any_number(huge):
    x = normal(3, 4)
    attributes = {"axes": (0, 1), "sizes": (3, 1), "strides": (huge, 1), "dilations": (1, huge)}
    graph = trace(lambda v: v.builder.emit("windows", v, **attributes), x)
    for found in (prepared(graph)({"x0": x})["y0"], evaluate(lambda v: v.builder.emit("windows", v, **attributes), x)):
        np.testing.assert_array_equal(found[0, :, :, 0], x.T)


def test_windows_of_what_lies_in_another_order():
    x = normal(4, 5)

    def function(v):
        return v.builder.emit("windows", functions.transpose(v), axes=(0,), sizes=(2,), strides=(1,), dilations=(1,))

    expected = np.lib.stride_tricks.sliding_window_view(x.T, 2, axis=0)
    np.testing.assert_array_equal(evaluate(function, x), expected)


def test_shapes():
    assert infer(Windows((1,), (3,), (2,), (2,)), f64(2, 10, 4)) == (2, 3, 4, 3)
    assert infer(OverlapAdd((1,), (3,), (2,), (2,), (10,)), f64(2, 3, 4, 3)) == (2, 10, 4)


@pytest.mark.parametrize(
    ("op", "operand", "said"),
    [
        (Windows((2,), (1,), (1,), (1,)), f64(2, 3), "C1: axes (2,) are not ascending axes of f64[2,3]"),
        (Windows((0,), (1, 2), (1,), (1,)), f64(2, 3), "C1: sizes, strides or dilations have too many or too few"),
        (Windows((0,), (1,), (0,), (1,)), f64(2, 3), "C2: (1, 0, 1) must all be at least 1"),
        (Windows((0,), (2,), (1,), (2,)), f64(2, 3), "C3: a window of (2,) does not fit into [2]"),
        (OverlapAdd((0,), (2,), (1,), (1,), (4,)), f64(2, 2), "C4: f64[2,2] does not hold (3,) windows of (2,)"),
        (OverlapAdd((0,), (2,), (1,), (1,), ()), f64(2, 2), "C4: f64[2,2] holds no windows along (0,)"),
    ],
)
def test_refusals(op, operand, said):
    assert refusal(op, operand).startswith(said)


def test_a_convolution_and_its_gradient_cost_what_the_products_cost():
    x, kernel = normal(8, 3, 16, 16), normal(5, 3, 3, 3)
    graph = trace(lambda x, w: functions.sum(functions.convolution(x, w, padding="same")), x, kernel)
    products = 2.0 * 8 * 5 * 16 * 16 * 3 * 9
    value, gradient = (program_of(optimize(g)).flops for g in (graph, derive(graph, Gradient(("x0", "x1")))))
    assert products < value < 1.2 * products
    assert gradient < 3.5 * products
