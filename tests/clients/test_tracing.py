"""Tracing: what a plain NumPy function becomes, and what is refused with the author's line."""

import copy
import functools
import inspect
import math
from typing import Any

import numpy as np
import pytest
import scipy.special

from gradserve.client.numpy_surface import table
from gradserve.client.trace import bind, trace
from gradserve.ir.errors import InvalidGraph, InvalidRequest, Untraceable
from gradserve.ir.types import ElementType, TensorType
from tests.clients.evaluation import assert_same, assert_traces, evaluate, traced_result

X = np.array([[0.5, -1.5, 2.0], [3.0, 0.25, -0.75]])
F = X.astype(np.float32)
K = np.array([[3, -1, 4], [1, 5, -9]])
M = X > 0


def ops(traced):
    return [node.op.name for node in traced.graph.nodes]


# ---- what is traced


def test_a_loss_becomes_a_graph_of_its_parameter():
    data, labels = np.ones((4, 3)), np.zeros(4)

    def loss(w):
        z = data @ w
        return np.mean(np.logaddexp(0.0, z) - labels * z)

    traced = trace(loss, w=np.zeros(3))
    assert str(traced.graph.inputs[0].type) == "f64[3]"
    assert [output.name for output in traced.graph.outputs] == ["result"]
    w = np.array([0.3, -0.2, 0.1])
    assert_same(evaluate(traced, {"w": w}), loss(w))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + 1,
        lambda x: 1 - x,
        lambda x: x * x,
        lambda x: 2 / x,
        lambda x: x // 0.4,
        lambda x: 3 // x,
        lambda x: x % 0.7,
        lambda x: 2 % x,
        lambda x: divmod(x, 2)[0],
        lambda x: x**2,
        lambda x: x**3,
        lambda x: x**-1,
        lambda x: x**0,
        lambda x: abs(x) ** 0.5,
        lambda x: 2**x,
        lambda x: x @ x.T,
        lambda x: np.ones(2) @ x,
        lambda x: -x,
        lambda x: +x,
        lambda x: abs(x),
        lambda x: (x > 0) & (x < 1) | ~(x == 2) ^ (x != 3),
        lambda x: [x >= 1, x <= 1],
        lambda x: X * x,
        lambda x: np.float32(2) * x,
        lambda x: x.T.mT,
        lambda x: x.real + x.imag,
        lambda x: x.shape[0] * x + x.ndim + x.size + x.nbytes + x.itemsize + len(x),
        lambda x: x.sum(axis=0),
        lambda x: x.mean(1, keepdims=True),
        lambda x: x.prod(),
        lambda x: x.max(0) - x.min(axis=0),
        lambda x: x.argmax(axis=1) - x.argmin(1),
        lambda x: x.cumsum(),
        lambda x: x.std(ddof=1) + x.var(axis=1, keepdims=True),
        lambda x: [(x > 0).any(axis=0), (x > 0).all()],
        lambda x: x.dot(np.ones(3)),
        lambda x: x.reshape(3, 2).reshape((6,)).reshape(-1, 1),
        lambda x: x.transpose(1, 0).transpose((1, 0)).transpose(),
        lambda x: x.ravel() + x.flatten(),
        lambda x: x.astype(np.float32),
        lambda x: x.astype(int),
        lambda x: x.astype(bool),
        lambda x: x.clip(-1, 1).round(1),
        lambda x: x[:, :1].squeeze(1) + x.swapaxes(0, 1)[0],
        lambda x: x.copy().conj().repeat(2, axis=0).take([1, 2], axis=1),
        lambda x: x[:, :2].trace() + x.diagonal(),
        lambda x: sum(row @ row for row in x),
        lambda x: sum([*x], start=np.zeros(3))[0],
        lambda x: functools.reduce(np.maximum, x),
        lambda x: [1.0, 2.0, 3.0] * x,
        lambda x: np.add(x, [x[0], x[1]]),
    ],
)
def test_operators_and_methods(function):
    assert_traces(function, X)


@pytest.mark.parametrize("x", [K, F, K.astype(np.int32)])
def test_operators_keep_numpys_element_types(x):
    assert_traces(lambda x: [x + 1, x * 2.5, x / 2, x // 2, x % 2, x**2, -x, abs(x), x > 1, x @ x.T, x + M], x)


def test_integers_and_truth_values_are_parameters_too():
    assert_traces(lambda x, k, m: np.where(m, x * k, k), X, K, M)
    assert [i.type.element_type.value for i in trace(lambda k, m: k, 3, True).graph.inputs] == ["i64", "bool"]


def test_defaults_starred_and_keyword_parameters():
    def function(a, *rest, scale=2.0, **named):
        return scale * a + sum(rest) + named["b"]

    traced = trace(function, 1.0, 2.0, 3.0, b=X)
    assert [i.name for i in traced.graph.inputs] == ["a", "rest.0", "rest.1", "b"]
    assert_same(evaluate(traced, {"a": 1.0, "rest": (2.0, 3.0), "b": X}), function(1.0, 2.0, 3.0, b=X))
    assert trace(function, **bind(function, (1.0, 2.0, 3.0), {"b": X})).graph.digest == traced.graph.digest
    assert trace(np.sin, **bind(np.sin, (X,), {})).graph.digest == trace(np.sin, X).graph.digest
    assert_traces(functools.partial(lambda k, x: k * x, 3.0), X)


def test_a_ufunc_itself_can_be_traced():
    assert_traces(np.sin, X)
    assert_traces(np.hypot, X, 2 * X)


def test_results_keep_their_structure_and_constants_are_results_too():
    traced = trace(lambda x: {"twice": 2 * x, "rest": (x[0], 7.0, None)}, X)
    result = evaluate(traced, {"x": X})
    assert_same(result["twice"], 2 * X)
    assert_same(result["rest"][:2], (X[0], 7.0))
    assert result["rest"][2] is None
    assert [o.name for o in traced.graph.outputs] == ["result.twice", "result.rest.0", "result.rest.1"]


def test_equal_computations_are_one_node_and_unused_ones_none():
    def function(x):
        np.cos(x)
        return np.sin(x) + np.sin(x)

    assert ops(trace(function, X)) == ["sin", "add"]


def test_powers_with_cheaper_forms():
    assert ops(trace(lambda x: x**2, X)) == ["mul"]
    assert ops(trace(lambda x: x**0.5, X)) == ["sqrt"]
    assert "pow" not in ops(trace(lambda x: x**0 + x**1 + x**-1, X))


# ---- element types


@pytest.mark.parametrize("number", [1, 1.0, True, math.pi])
def test_python_numbers_adapt_to_the_array(number):
    for function in (np.add, np.multiply, np.maximum, lambda x, y: np.where(x > 0, x, y), np.power, np.less):
        assert_traces(lambda x, f=function: f(x, number), F)
        assert_traces(lambda x, f=function: f(x, number), K.astype(np.int32))


@pytest.mark.parametrize("number", [np.float64(2.5), np.float32(2.5), np.int64(3), np.array(2.5), np.bool_(True)])
def test_numpys_scalars_do_not(number):
    assert_traces(lambda x: [x * number, number + x], F)
    assert_traces(lambda x: [x * number, number - x.astype(np.int64)], K.astype(np.int32))


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float16])
def test_captured_arrays_of_other_types_take_part_where_the_result_has_one(kind):
    small = np.array([1, 2, 3], kind)
    assert_traces(lambda x: [x * small, small @ x.T, small - x[0]], X)
    with pytest.raises(Untraceable, match="no element type for dtype"):
        trace(lambda x: np.where(x, small, small), True)


def test_arguments_of_other_types_are_refused_by_name():
    with pytest.raises(InvalidRequest, match=r"argument model\.0: no element type for dtype complex128"):
        trace(lambda model: model[0], [1j])


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


def test_another_name_of_an_array_changed_in_place_is_refused():
    def function(x):
        y = x
        y += 1
        return x * y

    def view(x):
        y = x.T
        x *= 2
        return x.sum() + y.sum()

    for changed in (function, view):
        line = changed.__code__.co_firstlineno + 2
        with pytest.raises(Untraceable, match=f"changed in place at test_tracing.py:{line}; write y = y \\+ x"):
            trace(changed, X)


def test_copies_are_not_changed_in_place():
    def function(x):
        y, z = x.copy(), 2 * x
        x += 1
        return x + y + z

    assert_traces(lambda x: function(x.copy()), X)


# ---- what is refused


def if_(x):
    if x.sum() > 0:
        return x
    return -x


def while_(x):
    while x[0, 0] < 3:
        x = x + 1
    return x


def and_(x):
    return np.where(x > 0 and x < 1, x, 0)


def max_(x):
    return max(x[0, 0], x[0, 1])


def math_(x):
    return math.sin(x[0, 0])


def float_(x):
    return float(x[0, 0])


def int_(x):
    return int(x[0, 0])


def round_(x):
    return round(x[0, 0])


def format_(x):
    return f"{x[0, 0]:.3f}"


def range_(x):
    return range(x.argmax())


def item_(x):
    return x[0, 0].item()


def tolist_(x):
    return x.tolist()


def assign_(x):
    x[0] = 1.0
    return x


def assign_into_captured(x):
    result = np.zeros(3)
    result[0] = x[0, 0]
    return result


def slice_into_captured(x):
    result = np.zeros(3)
    result[:] = x[0]
    return result


def add_to_captured(x):
    result = np.zeros(3)
    result += x[0]
    return result


def array_(x):
    return np.array([x[0, 0], x[1, 1]])


def asarray_(x):
    return np.asarray(x)


def sum_of_list(x):
    return np.sum([x[0], x[1]])


def index_into_captured(x):
    return X[np.argmax(x)]


def out_(x):
    return np.add(x, 1, out=x)


def where_(x):
    return np.sqrt(x, where=x > 0)


def sum_where(x):
    return np.sum(x, where=x > 0)


def initial_(x):
    return np.max(x, initial=0.0)


def sort_(x):
    return np.sort(x)


def sort_method(x):
    return x.sort()


def svd_(x):
    return np.linalg.svd(x)


def unknown_ufunc(x):
    return np.spacing(x)


def gamma_(x):
    return scipy.special.gammaln(x)


def erfc_(x):
    return scipy.special.erfc(x)


def nonzero_(x):
    return np.nonzero(x)


def where_alone(x):
    return np.where(x > 0)


def reduceat_(x):
    return np.add.reduceat(x, [0, 1])


def traced_shape(x):
    return np.zeros_like(x, shape=x.argmax())


def fortran(x):
    return x.reshape(-1, order="F")


def integer_and(x):
    return x.astype(int) & 1


def complex_(x):
    return x * 1j


def half(x):
    return np.exp(x > 0)


REFUSED = [
    (if_, 1, "np.where(condition, x, y) instead of if"),
    (while_, 1, "np.where(condition, x, y)"),
    (and_, 1, "&, | and ~ instead of and, or and not"),
    (max_, 1, "np.maximum"),
    (math_, 1, "np.sin instead of math.sin"),
    (float_, 1, "float() needs a number"),
    (int_, 1, "x.astype(np.int64)"),
    (round_, 1, "np.round(x)"),
    (format_, 1, "print after the call"),
    (range_, 1, "use plain numbers"),
    (item_, 1, "use the traced array itself"),
    (tolist_, 1, "iterate over the traced array"),
    (assign_, 1, "np.where(mask, new, x)"),
    (assign_into_captured, 2, "np.sin instead of math.sin"),
    (slice_into_captured, 2, "instead of assigning elements"),
    (add_to_captured, 2, "y = y + x"),
    (array_, 1, "np.stack([...]) instead of np.array([...])"),
    (asarray_, 1, "the traced array itself instead of np.asarray(x)"),
    (sum_of_list, 1, "np.stack([...])"),
    (index_into_captured, 1, "an array with traced indices must be an argument"),
    (out_, 1, "np.add with out= cannot be traced; a traced array cannot be written into"),
    (where_, 1, "np.where(condition, ..., ...)"),
    (sum_where, 1, "np.sum with where= cannot be traced"),
    (initial_, 1, "np.max with initial= cannot be traced; combine"),
    (sort_, 1, "np.sort cannot be traced"),
    (sort_method, 1, "no graph sorts"),
    (svd_, 1, "np.linalg.svd cannot be traced; near it are"),
    (unknown_ufunc, 1, "np.spacing cannot be traced"),
    (gamma_, 1, "scipy.special.gammaln cannot be traced"),
    (erfc_, 1, "near it are scipy.special.erf"),
    (nonzero_, 1, "np.where(condition, x, y)"),
    (where_alone, 1, "write np.where(condition, x, y)"),
    (reduceat_, 1, "np.add.reduceat cannot be traced"),
    (traced_shape, 1, "a shape depends on a traced array"),
    (fortran, 1, "order='F' cannot be traced"),
    (integer_and, 1, "truth values"),
    (complex_, 1, "in complex128, and no graph has such elements"),
    (half, 1, "in float16, and no graph has such elements"),
]


@pytest.mark.parametrize(("function", "offset", "advice"), REFUSED, ids=[case[0].__name__ for case in REFUSED])
def test_what_no_graph_can_say_is_refused_with_line_and_advice(function, offset, advice):
    with pytest.raises(Untraceable) as refusal:
        trace(function, X)
    message = str(refusal.value)
    line = function.__code__.co_firstlineno + offset
    assert message.startswith(f"test_tracing.py:{line}: ")
    assert advice in message
    assert message.endswith(inspect.getsource(function).splitlines()[offset].strip())


def test_refusals_are_type_errors_and_hold_no_folder():
    with pytest.raises(TypeError) as refusal:
        trace(if_, X)
    assert "/" not in str(refusal.value)


def test_shapes_that_do_not_fit_are_refused_with_line():
    def function(x):
        return x + np.zeros(2)

    with pytest.raises(
        InvalidGraph, match=rf"np.add \(C1\).*\[2,3\] and \[2\].*test_tracing.py:{function.__code__.co_firstlineno + 1}"
    ):
        trace(function, X)


def test_a_result_that_is_no_array_is_refused():
    with pytest.raises(Untraceable, match="result is a str"):
        trace(lambda x: "text", X)


def test_a_traced_array_of_another_call_is_refused():
    kept: list[Any] = []

    def keeping(x):
        kept.append(x)
        return x

    trace(keeping, X)
    with pytest.raises(Untraceable, match="another call"):
        trace(lambda x: x + kept[0], X)
    with pytest.raises(Untraceable, match="another call"):
        trace(lambda x: kept[0], X)


def test_traced_arrays_have_no_attributes_that_arrays_do_not_have():
    def function(x):
        assert not hasattr(x, "todense")
        assert not hasattr(x, "__cuda_array_interface__")
        return copy.copy(x)

    assert_traces(function, X)
    with pytest.raises(TypeError, match="unhashable"):
        trace(lambda x: {x: 1}, X)


def test_errors_of_the_author_pass():
    def function(x):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        trace(function, X)


def test_a_ufunc_that_only_shares_its_name_is_refused():
    own = np.frompyfunc(lambda x: x, 1, 1)
    with pytest.raises(Untraceable, match="cannot be traced"):
        trace(lambda x: own(x), X)


# ---- origins


def helper(x):
    return np.linalg.norm(x, axis=1)


def test_nodes_know_the_line_that_made_them():
    def function(x):
        y = np.sin(x)
        return helper(y).sum()

    first = function.__code__.co_firstlineno
    origins = {node.op.name: str(node.origin) for node in trace(function, X).graph.nodes}
    assert origins["sin"] == f"test_tracing.py:{first + 1}"
    assert origins["sqrt"] == f"test_tracing.py:{helper.__code__.co_firstlineno + 1}"
    assert [str(node.origin) for node in trace(function, X).graph.nodes][-1] == f"test_tracing.py:{first + 2}"


def test_the_digest_does_not_depend_on_lines():
    one = trace(lambda x: x + 1, X).graph
    other = trace(lambda x: x + 1, X).graph
    assert one.digest == other.digest
    assert one.nodes[0].origin != other.nodes[0].origin


# ---- the law can fail


def test_a_wrong_implementation_is_noticed(monkeypatch):
    monkeypatch.setitem(table.UFUNCS, np.sin, lambda g, x: g.mul(g.sin(x), 1.01))
    with pytest.raises(AssertionError):
        assert_traces(np.sin, X)


def test_a_wrong_element_type_is_noticed(monkeypatch):
    entry = table.FUNCTIONS[np.mean]
    wrong = table.Entry(lambda g, a, axis=None: g.convert(entry.call(g, a, axis), ElementType.FLOAT64), entry.view)
    monkeypatch.setitem(table.FUNCTIONS, np.mean, wrong)
    with pytest.raises(AssertionError):
        assert_traces(np.mean, F)


def test_types_of_inputs_are_those_of_the_examples():
    assert trace(lambda x: x, F).graph.input_types == {"x": TensorType(ElementType.FLOAT32, (2, 3))}
    assert traced_result(lambda x: x, 2.5) == 2.5
