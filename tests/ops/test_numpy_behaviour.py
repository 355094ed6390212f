"""On integers and truth values, and on operands of different types and shapes, the builder does what NumPy does."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from gradserve.ir.errors import InvalidGraph
from gradserve.ir.types import type_of
from gradserve.ops import builder
from tests.laws.support import evaluate
from tests.rows import in_one

INTEGERS = np.array([[7, -3, 0], [2, 5, -4]])
TRUTHS = np.array([[True, False, True], [False, False, True]])
REALS = np.array([[1.5, -2.0, 0.25], [0.5, 3.0, -1.0]])
SINGLE = REALS.astype(np.float32)

BINARY: Mapping[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "remainder": np.remainder,
    "logaddexp": np.logaddexp,
    "atan2": np.arctan2,
    "eq": np.equal,
    "lt": np.less,
    "logical_and": np.logical_and,
}
UNARY: Mapping[str, Callable[..., Any]] = {
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "round": np.round,
    "sqrt": np.sqrt,
    "exp": np.exp,
}
REDUCTIONS: Mapping[str, Callable[..., Any]] = {
    "reduce_sum": np.sum,
    "reduce_prod": np.prod,
    "reduce_max": np.max,
    "reduce_min": np.min,
    "reduce_any": np.any,
    "reduce_all": np.all,
}


def computed(name, *operands, **attributes):
    """The result of the op as the builder emits it; arrays become inputs, Python numbers stay as they are."""
    g = builder()
    given = {f"x{k}": x for k, x in enumerate(operands) if isinstance(x, np.ndarray)}
    values = [g.input(f"x{k}", type_of(x)) if f"x{k}" in given else x for k, x in enumerate(operands)]
    return evaluate(g.build({"y": g.emit(name, *values, **attributes)}), given)["y"]


def assert_same(found, expected):
    expected = np.asarray(expected)
    assert found.dtype == expected.dtype
    assert_array_equal(found, expected)


@in_one
@pytest.mark.parametrize("right", [REALS, INTEGERS + 0, INTEGERS[:, :1], REALS[0], 2, 0.5], ids=str)
@pytest.mark.parametrize("left", [REALS, INTEGERS], ids=["real", "integer"])
@pytest.mark.parametrize("name", BINARY)
def test_binary(name, left, right):
    with np.errstate(all="ignore"):
        assert_same(computed(name, left, right), BINARY[name](left, right))


@pytest.mark.parametrize("name", ["add", "mul", "maximum", "minimum", "eq", "lt", "logical_and"])
def test_binary_of_truth_values(name):
    assert_same(computed(name, TRUTHS, TRUTHS[::-1].copy()), BINARY[name](TRUTHS, TRUTHS[::-1]))


@pytest.mark.parametrize("name", ["sub", "neg", "sign"])
def test_what_numpy_refuses_of_truth_values_is_refused(name):
    operands = (TRUTHS, TRUTHS) if name == "sub" else (TRUTHS,)
    with pytest.raises(InvalidGraph, match=rf"{name} \(C3\)"):
        computed(name, *operands)


@pytest.mark.parametrize("x", [REALS, INTEGERS], ids=["real", "integer"])
@pytest.mark.parametrize("name", UNARY)
def test_unary(name, x):
    with np.errstate(all="ignore"):
        assert_same(computed(name, x), UNARY[name](x))


@pytest.mark.parametrize("name", ["add", "div", "pow", "logaddexp", "maximum"])
def test_python_numbers_adapt_to_single_precision(name):
    assert computed(name, SINGLE, 2.0).dtype == np.float32
    assert computed(name, SINGLE, REALS).dtype == np.float64


def test_integer_powers_stay_integers():
    assert_same(computed("pow", INTEGERS, 3), INTEGERS**3)


@in_one
@pytest.mark.parametrize("x", [REALS, INTEGERS, INTEGERS.astype(np.int32), TRUTHS], ids=["f64", "i64", "i32", "bool"])
@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1), ()], ids=str)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction(name, axes, x):
    assert_same(computed(name, x, axes=axes), REDUCTIONS[name](x, axis=axes))


@pytest.mark.parametrize("x", [REALS, INTEGERS.astype(np.int32), TRUTHS], ids=["f64", "i32", "bool"])
def test_ops_along_an_axis(x):
    assert_same(computed("cumsum", x, axis=1), np.cumsum(x, axis=1))
    assert_same(computed("argmax", x, axis=0), np.argmax(x, axis=0))
    assert_same(computed("argmin", x, axis=1), np.argmin(x, axis=1))


@pytest.mark.parametrize("x", [REALS, INTEGERS], ids=["real", "integer"])
def test_clip_and_select(x):
    assert_same(computed("clip", x, -1, 2), np.clip(x, -1, 2))
    assert_same(computed("select", INTEGERS, x, 0), np.where(INTEGERS, x, 0))


def test_extreme_of_nothing_is_refused():
    with pytest.raises(InvalidGraph, match=r"reduce_max \(C3\)"):
        computed("reduce_max", np.zeros((0, 2)), axes=(0,))
    with pytest.raises(InvalidGraph, match=r"argmin \(C2\)"):
        computed("argmin", np.zeros((0, 2)), axis=0)
