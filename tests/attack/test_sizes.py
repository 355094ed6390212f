"""Graphs of many parts, told from what they hold: what walks over them takes work in proportion."""

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from gradserve.autodiff import derive
from gradserve.client import Client
from gradserve.ir import graph as graphs
from gradserve.ir import splat as splats
from gradserve.ir.errors import InvalidGraph, LimitExceeded
from gradserve.ir.graph import Graph
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import OP_SET, builder
from gradserve.ops.control import linearity
from gradserve.ops.control.custom_derivative import CustomDerivative
from gradserve.ops.control.scan import Scan
from gradserve.ops.linalg.sparse_solve import SparseSolve
from gradserve.ops.movement.placement import Pad
from gradserve.ops.special.gammas import Zeta
from gradserve.optimize import optimize, sums
from gradserve.pools.pool import HEAVY_SECONDS
from gradserve.questions.derivations import Gradient
from gradserve.v1 import graph_pb2, tensor_pb2
from gradserve.wire import decode_graph
from tests.attack import shapes
from tests.laws.support import evaluate

F64 = tensor_pb2.ELEMENT_TYPE_FLOAT64
REAL, ROW = TensorType(ElementType.FLOAT64), TensorType(ElementType.FLOAT64, (1,))


# ---- functions that are called often


def row() -> tensor_pb2.TensorType:
    return tensor_pb2.TensorType(element_type=F64, shape=[tensor_pb2.Dimension(size=1)])


def called(times: int, operands: int, constants: int) -> graph_pb2.Graph:
    """A function of few nodes with many operands or constants, and a graph that calls it so often."""
    graph = graph_pb2.Graph(op_set_version=OP_SET.version)
    function = graph.functions.add(inputs=[{"name": "x0", "type": row()}])
    for k in range(constants):
        function.constants.add(element_type=F64, shape=[1], inline=struct.pack("<d", k))
    width = operands + constants
    joined = function.nodes.add(op="concatenate", operands=[*[0] * operands, *range(1, 1 + constants)])
    joined.attributes["axis"].integer = 0
    joined.types.add(element_type=F64).shape.add(size=width)
    first = function.nodes.add(op="slice", operands=[1 + constants], types=[row()])
    for name, number in {"starts": 0, "stops": 1, "strides": 1}.items():
        first.attributes[name].integers.values.append(number)
    function.outputs.add(name="y0", value=2 + constants)
    graph.inputs.add(name="x", type=row())
    for k in range(times):
        graph.nodes.add(op="checkpoint", operands=[k], functions=[0], types=[row()])
    graph.outputs.add(name="y", value=times)
    return graph


@pytest.mark.parametrize(("operands", "constants", "limit"), [(2000, 0, "graph_operands"), (1, 1000, "graph_values")])
def test_what_functions_hold_counts_at_every_call(operands, constants, limit):
    assert decode_graph(called(1, operands, constants), OP_SET).nodes
    with pytest.raises(LimitExceeded) as refused:
        decode_graph(called(1000, operands, constants), OP_SET)
    assert refused.value.limit == limit


# ---- hashes that somebody has made alike


def alike(count: int) -> Iterator[tuple[int, int]]:
    """Pairs of numbers whose tuples have one hash, as CPython makes it of those of their numbers."""
    one, two, five, most = 11400714785074694791, 14029467366897019727, 2870177450012600261, 1 << 64
    back, first = pow(two, -1, most), 0
    while count:
        first += 1
        mixed = (five + first * two) % most
        mixed = (mixed << 31 | mixed >> 33) % most * one
        second = (123456789 - mixed) * back % most
        if 0 < second < 1 << 60:
            count -= 1
            yield first, second


def test_no_numbers_of_clients_have_one_hash():
    pairs = [*alike(200)]
    assert len({hash(pair) for pair in pairs}) == 1  # the planted case: tables of tuples would be walked through
    types = [TensorType(ElementType.FLOAT64, pair) for pair in pairs]
    assert len({hash(type_) for type_ in types}) == len({hash(Pad(pair, (0, 0), (0, 0))) for pair in pairs}) == 200
    assert hash(types[0]) == hash(TensorType(ElementType.FLOAT64, pairs[0]))


def function_of(exponent: float, number: float) -> Graph:
    g = builder()
    x = g.input("x0", REAL)
    return g.build({"y0": g.mul(g.apply(Zeta(exponent), [x])[0], number)})


def test_functions_that_differ_in_little_have_hashes_of_their_own():
    functions = [function_of(2.0 + k, 1.0) for k in range(50)] + [function_of(2.0, 2.0 + k) for k in range(50)]
    assert len({hash(function) for function in functions}) == 100
    assert hash(functions[0]) == hash(function_of(2.0, 1.0))


def test_functions_in_functions_are_compared_once_not_for_each_way_to_them(monkeypatch):
    """Equal ones that are not the same, each of which calls the next twice."""
    compared: list[Graph] = []
    alike = graphs._alike

    def noted(one: Graph, other: Graph) -> bool:
        compared.append(one)
        return alike(one, other)

    monkeypatch.setattr(graphs, "_alike", noted)
    for depth, most in ((4, 30), (9, 70)):
        one, other = (shapes.of_shape(shapes.SHAPES["nested"], depth) for _ in range(2))
        assert one == other
        assert 0 < len(compared) < most
        assert one != shapes.of_shape(shapes.SHAPES["nested"], depth - 1)
        compared.clear()


# ---- chains of views


class Walked(dict[Any, Any]):
    """A table of what is known that counts how often it is asked."""

    asked = 0

    def __contains__(self, key):
        self.asked += 1
        return super().__contains__(key)


class Forgetful(Walked):
    """One that knows nothing."""

    def update(self, *_: Any, **__: Any) -> None:
        pass


@pytest.mark.parametrize(("table", "least", "most"), [(Walked, 0, 3 * 300), (Forgetful, 300 * 300 // 4, 300 * 300)])
def test_a_chain_of_views_is_walked_over_once(table, least, most):
    g, known = builder(), table()
    g.filling = known
    x = g.full(TensorType(ElementType.FLOAT64, (2, 2)), 2.5)
    for _ in range(300):
        x = g.emit("permute", x, order=(1, 0))
        assert splats.splat(g, x) == 2.5
    assert least <= known.asked <= most


# ---- sums of many products


def summed(terms: int) -> Graph:
    g = builder()
    x, y = (g.input(name, TensorType(ElementType.FLOAT64, (2, 2))) for name in "xy")
    parts = {"lhs_contract": (1,), "rhs_contract": (0,), "lhs_batch": (), "rhs_batch": ()}
    total = g.emit("contract", x, y, **parts)
    for _ in range(terms):
        x = g.sin(x)
        total = g.add(total, g.emit("contract", x, y, **parts))
    rows = g.tanh(g.reduce_sum(total, axes=(0,)))
    return g.build({"loss": g.reduce_sum(rows, axes=(0,))})


def test_sums_of_hundreds_of_products_are_optimised():
    graph = summed(400)
    given = {"x": np.array([[0.5, -1.0], [2.0, 0.25]]), "y": np.array([[0.01, 0.02], [-0.03, 0.01]])}
    x, total = given["x"], given["x"] @ given["y"]
    for _ in range(400):
        x = np.sin(x)
        total = total + x @ given["y"]
    found = evaluate(optimize(derive(graph, Gradient(("x",)))), given)["value:loss"]
    np.testing.assert_allclose(found, np.tanh(total.sum(axis=0)).sum(), rtol=1e-12)


def test_planted_sums_without_an_end_would_be_seen(monkeypatch):
    monkeypatch.setattr(sums, "MOST_TERMS", 10**9)
    with pytest.raises(RecursionError):
        optimize(summed(800))


# ---- loops that hand on what they carry


def handed_on(carries: int) -> Graph:
    """A loop in which each carry becomes the one before it, and the first 0."""
    g = builder()
    own = [g.input(f"x{k}", REAL) for k in range(carries)]
    return g.build({f"y{k}": x for k, x in enumerate([*own[1:], g.constant(0.0)])})


def rule(carries: int) -> Graph:
    """The last of a tangent's values after all steps."""
    g = builder()
    _, tangent, _ = (g.input(f"x{k}", REAL) for k in range(3))
    scan = Scan(handed_on(carries), length=carries, carries=carries, scanned=0, reverse=False, stops=False)
    zero = g.constant(0.0)
    return g.build({"y0": g.apply(scan, [g.constant(carries), *[zero] * (carries - 1), tangent])[0]})


def with_a_rule(carries: int) -> None:
    g = builder()
    x = g.input("x", REAL)
    inner = builder()
    function = inner.build({"y0": inner.sin(inner.input("x0", REAL))})
    g.apply(CustomDerivative(function, rule(carries), (0,)), [x])


def test_whether_a_loop_is_linear_is_soon_known_or_not_asked():
    with_a_rule(8)
    with pytest.raises(InvalidGraph, match="cannot be seen soon"):
        with_a_rule(1000)


def test_planted_looks_without_an_end_go_on(monkeypatch):
    monkeypatch.setattr(linearity, "MOST_LOOKS", 10**9)
    with_a_rule(200)
    monkeypatch.setattr(linearity, "MOST_LOOKS", 200 * 100)
    with pytest.raises(InvalidGraph, match="cannot be seen soon"):
        with_a_rule(201)


def test_whether_it_is_soon_known_does_not_depend_on_what_others_have_asked(monkeypatch):
    """The steps of a loop are looked at anew for whoever sends it."""
    inner, outer = handed_on(30), builder()
    values = [outer.input(f"x{k}", REAL) for k in range(30)]
    scan = Scan(inner, length=30, carries=30, scanned=0, reverse=False, stops=False)
    function = outer.build({"y0": outer.apply(scan, [outer.constant(30), *values])[0]})
    given = (linearity.LINEAR,) * 30
    monkeypatch.setattr(linearity, "MOST_LOOKS", len(inner.value_types) + len(function.value_types) - 1)
    assert linearity._seen(function, given) is None
    linearity._seen.cache_clear()
    assert linearity._seen(inner, given) is not None
    assert linearity._seen(function, given) is None


# ---- what clients tell of factors


def systems(n: int, fill: int) -> tuple[SparseSolve, list[TensorType]]:
    whole = TensorType(ElementType.INT64, (n,))
    right = TensorType(ElementType.FLOAT64, (n, 1))
    return SparseSolve(fill, False), [TensorType(ElementType.FLOAT64, (n,)), whole, whole, right]


@pytest.mark.parametrize("fill", [2**63 - 1, 13, -1])
def test_factors_have_no_more_elements_than_two_triangles(fill):
    op, types = systems(3, fill)
    g = builder()
    with pytest.raises(InvalidGraph, match="elements of factors are expected of 3 rows"):
        g.apply(op, [g.input(f"x{k}", type_) for k, type_ in enumerate(types)])


@pytest.mark.parametrize(("n", "heavy"), [(5000, True), (50, False)])
def test_factors_of_which_nothing_is_told_are_made_where_they_can_be_ended(n, heavy):
    op, types = systems(n, 0)
    seconds = op.cost(types, [types[-1]]).flops / 2e10
    assert (seconds >= HEAVY_SECONDS) is heavy


# ---- as many axes as a graph may have


@pytest.mark.parametrize("rank", [31, 32])
def test_derivatives_in_arrays_of_many_axes(rank):
    """NumPy broadcasts up to 32 axes by itself, and a batch of vectors has one more."""
    w = np.array([0.5, -1.5]).reshape(2, *[1] * (rank - 1))

    def loss(w):
        return np.sum(np.sin(w) * w + np.sort(w, axis=0)[::-1] * 0.5 * np.sum(w))

    with Client() as client:
        f = client.function(loss, w=w)
        expected = np.diag(2 * np.cos(w.ravel()) - w.ravel() * np.sin(w.ravel())) + 1.0
        for v in np.eye(2):
            np.testing.assert_allclose(f.hvp(w, tangent=v.reshape(w.shape)).ravel(), expected @ v, rtol=1e-12)
        trace = f.hessian_trace(w, max_probes=8)
        np.testing.assert_allclose(trace.value, np.trace(expected), rtol=1e-9)
        values, gradients = f.value_and_grad(np.stack([w, -w]), batch=True)
        np.testing.assert_allclose(values, [loss(w), loss(-w)], rtol=1e-12)
        assert gradients.shape == (2, *w.shape)
