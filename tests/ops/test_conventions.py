"""What each op takes for its derivative where it has none: the conventions that docs/NUMPY.md lists, one by one."""

from typing import Any

import numpy as np
import pytest

from gradserve.ir.op import Op
from gradserve.ir.types import ElementType
from gradserve.ops import OP_SET
from gradserve.ops.elementwise.arithmetic import Abs
from gradserve.ops.family import Discrete
from tests.ops.differentiation import slopes

TIED = np.array([2.0, -1.0, 2.0, 2.0])
WEIGHTS = np.array([1.0, 10.0, 100.0, 1000.0])
NEAR_ONE, ONES = np.array([0.0, 1.0, 2.0]), np.ones(3)


def truth(g, x):
    return g.convert(g.convert(x, ElementType.BOOL), ElementType.FLOAT64)


CONVENTIONS: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "abs": (lambda g, x: g.abs(x), {"x": np.array([-0.0, 0.0])}, {"x": [0, 0]}),
    "acos": (lambda g, x: g.acos(x), {"x": np.array([-1.0, 1.0])}, {"x": [-np.inf, -np.inf]}),
    "acosh": (lambda g, x: g.acosh(x), {"x": np.ones(1)}, {"x": [np.inf]}),
    "asin": (lambda g, x: g.asin(x), {"x": np.array([-1.0, 1.0])}, {"x": [np.inf, np.inf]}),
    "atan2": (lambda g, x, y: g.atan2(x, y), {"x": np.zeros(1), "y": np.zeros(1)}, {"x": [np.nan], "y": [np.nan]}),
    "bessel_ie": (lambda g, x: g.bessel_ie(x, order=0.0), {"x": np.zeros(1)}, {"x": [0]}),
    "clip": (
        lambda g, x, low, high: g.clip(x, low, high),
        {"x": np.array([0.0, 1.0]), "low": np.zeros(2), "high": np.ones(2)},
        {"x": [1, 1], "low": [0, 0], "high": [0, 0]},
    ),
    "convert": (lambda g, x: truth(g, x) * x, {"x": np.zeros(1)}, {"x": [0]}),
    "maximum": (
        lambda g, x, y: g.maximum(x, y),
        {"x": NEAR_ONE, "y": ONES},
        {"x": [0, 0.5, 1], "y": [1, 0.5, 0]},
    ),
    "minimum": (
        lambda g, x, y: g.minimum(x, y),
        {"x": NEAR_ONE, "y": ONES},
        {"x": [1, 0.5, 0], "y": [0, 0.5, 1]},
    ),
    "pow": (lambda g, x: g.pow(x, 0.25), {"x": np.zeros(1)}, {"x": [np.inf]}),
    "reduce_max": (lambda g, x: g.reduce_max(x, axes=(0,)), {"x": TIED}, {"x": [1 / 3, 0, 1 / 3, 1 / 3]}),
    "reduce_min": (lambda g, x: g.reduce_min(x, axes=(0,)), {"x": -TIED}, {"x": [1 / 3, 0, 1 / 3, 1 / 3]}),
    "remainder": (
        lambda g, x, y: g.remainder(x, y),
        {"x": np.array([6.0]), "y": np.array([2.0])},
        {"x": [1], "y": [-3]},
    ),
    "sqrt": (lambda g, x: g.sqrt(x), {"x": np.zeros(1)}, {"x": [np.inf]}),
    "svdvals": (lambda g, x: g.svdvals(x, start=0, stop=2, free=True), {"x": np.ones((2, 2))}, {"x": 0.5}),
    "unitary_svdvals": (
        lambda g, x: g.unitary_svdvals(x, start=0, stop=2, free=True),
        {"x": np.ones((2, 2), np.complex128)},
        {"x": 0.5},
    ),
    "sort": (lambda g, x: g.sort(x, axis=0) * WEIGHTS, {"x": TIED}, {"x": [10, 1, 100, 1000]}),
}
"""By op: a function, a point on its kinks, and the derivatives taken there."""

WITH_KINKS = {op.name: op for op in OP_SET if op.kink is not Op.kink}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_the_derivative_on_a_kink_is_the_convention(name):
    function, point, expected = CONVENTIONS[name]
    found = slopes(function, **point)
    for operand, slope in expected.items():
        np.testing.assert_allclose(found[operand], slope, rtol=1e-15, err_msg=operand)


@pytest.mark.parametrize("name", ["sign", "floor", "ceil", "round"])
def test_what_jumps_has_derivative_zero_also_where_it_does(name):
    x = np.array([-3.0, 0.0, 2.0, 0.5])
    np.testing.assert_array_equal(slopes(lambda g, x: g.emit(name, x) * x, x=x)["x"], getattr(np, name)(x))


@pytest.mark.parametrize(("name", "expected"), [("gt", 5), ("ge", 3), ("lt", 5), ("le", 3), ("eq", 3), ("ne", 5)])
def test_what_a_comparison_chooses_has_its_own_derivative(name, expected):
    found = slopes(lambda g, x: g.select(g.emit(name, x, 0.0), 3.0 * x, 5.0 * x), x=np.zeros(1))
    np.testing.assert_array_equal(found["x"], expected)


def test_every_op_that_bends_has_a_convention():
    assert set(CONVENTIONS) == {name for name, op in WITH_KINKS.items() if op.jvp is not Discrete.jvp}


def test_another_convention_would_be_seen(monkeypatch):
    """The planted fault: the slope of |x| on the right."""

    def on_the_right(self, g, outputs, primals, tangents):
        return (g.mul(g.select(g.ge(primals[0], 0.0), 1.0, -1.0), tangents[0]),)

    monkeypatch.setattr(Abs, "jvp", on_the_right)
    with pytest.raises(AssertionError):
        test_the_derivative_on_a_kink_is_the_convention("abs")
