"""Operands that adapt to each other quickly are what NumPy's rules make of them; equal numbers are one constant."""

import math

import numpy as np
import pytest

from gradserve.ir.errors import InvalidGraph
from gradserve.ir.types import ElementType, TensorType, type_of
from gradserve.ops import builder
from gradserve.ops.coercion import of_one_type
from gradserve.ops.elementwise.arithmetic import Add
from tests.laws.support import evaluate

ARRAYS = [
    np.array([1.5, -2.0, 0.25]),
    np.array([1.5, -2.0, 0.25], np.float32),
    np.array([1.5 + 2j, -2.0, 0.25j], np.complex64),
    np.array([7, -3, 2]),
    np.array([True, False, True]),
    np.array(0.75),
]
NUMBERS = [True, 3, 2**40, -0.0, 0.1, 1e300, math.nan, 0.5j, np.float32(0.1), np.int64(3)]


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
@pytest.mark.parametrize("k", range(len(ARRAYS)))
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_number_beside_an_array_is_what_numpy_makes_of_it(k, number):
    array = ARRAYS[k]
    g = builder()
    x = g.input("x", type_of(array))
    first, second = Add().coerce(g, [x, number])
    found = evaluate(g.build({"first": first, "second": second}), {"x": array})
    for told, expected in zip(("first", "second"), np.broadcast_arrays(array, number), strict=True):
        wanted = expected.astype(np.result_type(array, number))
        assert found[told].dtype == wanted.dtype
        np.testing.assert_array_equal(found[told], wanted)
        np.testing.assert_array_equal(np.signbit(found[told].real), np.signbit(wanted.real))


@pytest.mark.parametrize("operands", [(0, 1.5), (1.5, 0), (0, 0), (0, 0.5, True)])
def test_what_is_quick_is_what_the_rules_say(operands):
    g = builder()
    x = g.input("x", TensorType(ElementType.FLOAT32, (2, 3)))
    given = [x if operand == 0 else operand for operand in operands]
    quick = of_one_type(g, given)
    assert quick is not None
    assert quick == g.align(g.promote(given))


def test_values_of_another_graph_are_refused_beside_numbers():
    other = builder().input("x", TensorType(ElementType.FLOAT64))
    with pytest.raises(InvalidGraph, match="belongs to another graph"):
        builder().betaln(other, 0.5)


def test_equal_numbers_are_one_constant_and_others_are_not():
    g = builder()
    alike = [g.constant(x, ElementType.FLOAT64) for x in (1, 1.0, True, np.float32(1), np.array(1), np.array(1.0))]
    assert len(set(alike)) == 1
    others = [g.constant(x, ElementType.FLOAT64) for x in (0.0, -0.0, math.nan, math.inf, 1.0 + 2**-52)]
    others += [g.constant(x) for x in (1, True, 1j, np.float32(1), complex(0.0, -0.0), 0j)]
    assert len({*others, *alike}) == len(others) + 1
    assert g.constant(-math.nan) is g.constant(math.nan, ElementType.FLOAT64)
