"""Arrays that a traced function captures become constants; arrays that it changes in place keep NumPy's meaning."""

import numpy as np
import pytest

from gradserve.client.tracing.trace import trace
from gradserve.ir.errors import Untraceable
from tests.clients.evaluation import assert_same, assert_traces, evaluate

X = np.array([[0.5, -1.5, 2.0], [3.0, 0.25, -0.75]])
F = X.astype(np.float32)


def ops(traced):
    return [node.op.name for node in traced.graph.nodes]


# ---- captured arrays


def test_an_array_captured_twice_is_one_constant():
    data = np.arange(6.0).reshape(2, 3)
    traced = trace(lambda x: x * data + data @ data.T @ x + np.dot(data, x[0])[0], X)
    assert sum(constant.type.rank > 0 for constant in traced.graph.constants if constant.type.shape == (2, 3)) == 1


def test_equal_arrays_are_one_constant_and_conversions_leave_no_other():
    one, other = np.arange(3), np.arange(3)
    traced = trace(lambda x: x * one + other, X)
    assert [str(constant.type) for constant in traced.graph.constants] == ["f64[3]"]
    assert "convert" not in ops(traced)


def test_a_captured_array_that_the_function_changes_is_captured_anew():
    def function(x):
        buffer = np.zeros(3)
        total = 0.0 * x[0]
        for k in range(3):
            buffer[:] = k
            total = total + buffer * x[0]
        return total

    assert_traces(function, X)


def test_the_graph_does_not_see_later_changes_of_a_captured_array():
    data = np.ones(3)
    traced = trace(lambda x: x * data, X)
    data[:] = 0
    assert_same(evaluate(traced, {"x": X}), X)


# ---- changes in place


@pytest.mark.parametrize(
    "function",
    [
        lambda y: y.__iadd__(1),
        lambda y: y.__isub__(X),
        lambda y: y.__imul__(y[0]),
        lambda y: y.__itruediv__(2),
        lambda y: y.__ifloordiv__(2),
        lambda y: y.__imod__(2),
        lambda y: y.__ipow__(2),
    ],
)
def test_in_place_operators(function):
    assert_traces(lambda x: function(np.copy(x)), X)


def test_in_place_operators_keep_the_element_type_of_the_array():
    def function(x):
        y = 1 * x
        y += X
        m = x > 0
        m &= x < 2
        m |= x < -1
        m ^= x == 0
        return y, m

    assert_traces(function, F)


def test_a_number_added_to_is_another_number():
    def function(x):
        total = first = x[0, 0]
        for number in x[1]:
            total += number
        return total, first

    assert_traces(function, X)


def test_another_name_or_a_part_of_an_array_sees_its_changes():
    def function(x):
        y = x
        y += 1
        return x * y

    def same_type(x):
        y = x.astype(np.float64, copy=False)
        y += 1
        return x * y

    def part(x):
        y = x[1:]
        y += 1
        return x, y

    for changed in (function, same_type, part):
        assert_traces(lambda x, changed=changed: changed(x.copy()), X)


def test_another_view_of_an_array_changed_in_place_is_refused():
    def view(x):
        y = x.T
        x *= 2
        return x.sum() + y.sum()

    def flat(x):
        y = x.ravel()
        y += 1
        return x.sum()

    for changed in (view, flat):
        line = changed.__code__.co_firstlineno + 2
        with pytest.raises(Untraceable, match=f"changed in place at test_captured_arrays.py:{line}; write y = y \\+ x"):
            trace(changed, X)


def test_copies_are_not_changed_in_place():
    def function(x):
        y, z, flat = x.copy(), 2 * x, x.flatten()
        x += 1
        return x + y + z + flat.reshape(2, 3)

    assert_traces(lambda x: function(x.copy()), X)


def test_a_view_of_one_of_several_arrays_cannot_be_changed_in_place():
    def function(x, y):
        _, view = np.atleast_1d(x, y)
        view += 1
        return y

    with pytest.raises(Untraceable, match="may share memory"):
        trace(function, X[0], X[1])
