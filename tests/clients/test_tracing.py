"""Tracing: what a plain NumPy function becomes."""

import functools
import math

import numpy as np
import pytest

from gradserve.client.tracing.trace import bind, trace
from gradserve.ir.errors import InvalidRequest, Untraceable
from gradserve.ir.types import ElementType, TensorType
from gradserve.numpy import table
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
    with pytest.raises(InvalidRequest, match=r"argument model\.0: no element type for dtype uint64"):
        trace(lambda model: model[0], [np.uint64(1)])


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
    wrong = table.NumpyFunction(
        lambda g, a, axis=None: g.convert(entry.call(g, a, axis), ElementType.FLOAT64), entry.view
    )
    monkeypatch.setitem(table.FUNCTIONS, np.mean, wrong)
    with pytest.raises(AssertionError):
        assert_traces(np.mean, F)


def test_types_of_inputs_are_those_of_the_examples():
    assert trace(lambda x: x, F).graph.input_types == {"x": TensorType(ElementType.FLOAT32, (2, 3))}
    assert traced_result(lambda x: x, 2.5) == 2.5
