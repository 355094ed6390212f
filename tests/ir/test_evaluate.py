"""What is computed while a graph is made has the numbers that the executor gives, and stops at what is not known."""

import numpy as np
import pytest

from gradserve.ir.evaluate import applied, evaluated
from gradserve.ir.types import type_of
from gradserve.ops import builder
from gradserve.ops.elementwise.powers import Log

X = np.array([0.5, 1.5, 2.0])


def test_what_follows_from_constants_is_known():
    g = builder()
    a, x = g.constant(X), g.input("x", type_of(X))
    known, given_later = g.mul(g.sin(a), 2.0), g.add(g.sin(a), x)
    found, nothing = evaluated(g, [known, given_later])
    np.testing.assert_allclose(np.asarray(found), 2 * np.sin(X))
    assert nothing is None


def test_elements_of_inputs_can_be_given():
    g = builder()
    x, y = g.input("x", type_of(X)), g.input("y", type_of(X))
    product = g.mul(x, y)
    (found,) = evaluated(g, [product], {x.index: X, y.index: X + 1})
    np.testing.assert_allclose(np.asarray(found), X * (X + 1))
    assert evaluated(g, [product], {x.index: X}) == [None]


def test_all_results_of_an_op_are_found():
    g = builder()
    sign, logarithm = evaluated(g, g.emit_all("slogdet", g.constant(np.diag([2.0, -3.0]))))
    assert (sign, logarithm) == pytest.approx((-1.0, np.log(6.0)))


def test_long_chains_are_no_deeper_than_short_ones():
    g = builder()
    value = g.constant(X)
    for _ in range(3000):
        value = g.add(value, 1.0)
    (found,) = evaluated(g, [value])
    np.testing.assert_allclose(np.asarray(found), X + 3000)


def test_only_what_is_needed_is_computed():
    g = builder()
    a = g.constant(np.eye(2) * 0.0)
    g.inv(a)  # would fail
    np.testing.assert_array_equal(evaluated(g, [g.neg(a)])[0], np.zeros((2, 2)))


@pytest.mark.filterwarnings("error")
def test_infinities_raise_no_warnings():
    (found,) = applied(Log(), [np.array(0.0)])
    assert found == -np.inf
