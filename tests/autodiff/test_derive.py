"""What derivations compute, what they refuse, and what they cost."""

import itertools
import sys
from typing import Any

import numpy as np
import pytest

from gradserve.autodiff import derive, names, vmap
from gradserve.autodiff.derivation import Along, Curvature
from gradserve.ir.check import check
from gradserve.ir.errors import InvalidRequest, NotDifferentiable
from gradserve.ir.graph import Graph
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder
from gradserve.optimize import optimize
from gradserve.questions.derivations import Derivation, Evaluate, Gradient, Hvp, Jvp, Vjp
from tests.laws.support import evaluate
from tests.running import prepared, program_of

F64 = TensorType(ElementType.FLOAT64)
RNG = np.random.default_rng(0)
A = RNG.standard_normal((4, 4))
X, V = RNG.standard_normal(4), RNG.standard_normal(4)


def vector(length):
    return TensorType(ElementType.FLOAT64, (length,))


def quadratic() -> Graph:
    """<x, A x>."""
    g = builder()
    x = g.input("x", vector(4))
    ax = g.contract(g.constant(A), x, lhs_contract=(1,), rhs_contract=(0,), lhs_batch=(), rhs_batch=())
    return g.build({"loss": g.reduce_sum(x * ax, axes=(0,))})


def chain(length) -> Graph:
    g = builder()
    x = y = g.input("x", vector(8))
    for _ in range(length // 5):
        y = g.sin(y * 1.1 + 0.1) * x - 0.2
    return g.build({"loss": g.reduce_sum(y, axes=(0,))})


def run(graph, **arguments):
    return evaluate(optimize(graph), arguments)


def test_every_derivation_of_a_quadratic():
    symmetric = A + A.T
    value, gradient = X @ A @ X, symmetric @ X
    graph = quadratic()
    wrt = ("x",)
    cases: dict[Derivation, dict[str, Any]] = {
        Evaluate(): {"value:loss": value},
        Gradient(wrt): {"value:loss": value, "gradient:x": gradient},
        Jvp(wrt): {"value:loss": value, "tangent:loss": gradient @ V},
        Vjp(wrt): {"value:loss": value, "cotangent:x": 2.0 * gradient},
        Hvp(wrt): {"value:loss": value, "gradient:x": gradient, "product:x": symmetric @ V},
        Curvature(wrt): {"product:curvature": V @ symmetric @ V, "share:x": V * (symmetric @ V)},
        Along(wrt): {"value:loss": (X + 0.5 * V) @ A @ (X + 0.5 * V)},
    }
    for derivation, expected in cases.items():
        derived = derive(graph, derivation)
        vectors = {"x": X, "tangent:x": V, "cotangent:loss": np.array(2.0), "direction:x": V, names.STEP: np.array(0.5)}
        found = run(derived, **{name: vectors[name] for name in derived.input_types})
        assert found.keys() == expected.keys()
        for name, wanted in expected.items():
            np.testing.assert_allclose(found[name], wanted, rtol=1e-13)


def faults(graph):
    """What is wrong with a graph beyond the colons that derived names have (G6)."""
    return [violation for violation in check(graph) if violation.constraint != "G6"]


def test_derived_graphs_are_correct_graphs():
    for derivation in (Evaluate(), Gradient(("x",)), Jvp(("x",)), Vjp(("x",)), Hvp(("x",)), Along(("x",))):
        for graph in (derive(quadratic(), derivation), optimize(derive(quadratic(), derivation))):
            assert faults(graph) == []
            assert faults(vmap(graph, ["x"], 3)) == []


def test_an_input_that_does_not_matter_has_gradient_zero():
    g = builder()
    x, y = g.input("x", vector(3)), g.input("y", vector(2))
    graph = g.build({"loss": g.reduce_sum(x * x, axes=(0,))})
    assert y.shape == (2,)
    found = run(derive(graph, Gradient(("x", "y"))), x=np.ones(3), y=np.ones(2))
    np.testing.assert_array_equal(found["gradient:y"], np.zeros(2))


def test_inputs_outside_wrt_get_no_gradient():
    g = builder()
    x, n = g.input("x", F64), g.input("n", TensorType(ElementType.INT64))
    graph = g.build({"loss": x * g.convert(n, ElementType.FLOAT64)})
    assert list(derive(graph, Gradient(("x",))).output_types) == ["value:loss", "gradient:x"]


@pytest.mark.parametrize(
    ("wrt", "words"), [(("z",), "no input 'z'"), (("n",), "not real"), (("x", "x"), "twice"), ((), "no floating-point")]
)
def test_refuses_what_cannot_be_differentiated(wrt, words):
    g = builder()
    x, n = g.input("x", F64), g.input("n", TensorType(ElementType.INT64))
    graph = g.build({"loss": x * g.convert(n, ElementType.FLOAT64)})
    with pytest.raises(InvalidRequest, match=words):
        derive(graph, Gradient(wrt))


@pytest.mark.parametrize("derivation", [Gradient(("x",)), Hvp(("x",)), Curvature(("x",))])
def test_a_loss_is_one_real_scalar(derivation):
    g = builder()
    x = g.input("x", vector(3))
    with pytest.raises(NotDifferentiable, match="floating-point scalar"):
        derive(g.build({"y": x * x}), derivation)
    with pytest.raises(NotDifferentiable, match="y: bool"):
        derive(g.build({"y": g.gt(g.reduce_sum(x, axes=(0,)), 0.0)}), derivation)


def calls_to_derive(length):
    """Calls of Python functions, which no other load on the machine changes."""
    graph, calls = chain(length), itertools.count()
    assert len(graph.nodes) >= length
    before = sys.getprofile()
    sys.setprofile(lambda *_: next(calls))
    try:
        program_of(optimize(derive(graph, Gradient(("x",)))))
    finally:
        sys.setprofile(before)
    return next(calls)


def test_long_chains_derive_quickly():
    calls_to_derive(50)  # what is done once
    assert calls_to_derive(2000) < 6 * calls_to_derive(500), "quadratic, or worse"


def test_long_chains_derive_to_cheap_graphs():
    graph = chain(1000)
    flops = {d: program_of(optimize(derive(graph, d))).flops for d in (Evaluate(), Gradient(("x",)), Hvp(("x",)))}
    loss, gradient, product = flops.values()
    assert gradient <= 4 * loss
    assert product <= 8 * loss


def test_the_batch_is_the_loop():
    derived = optimize(derive(quadratic(), Gradient(("x",))))
    points = RNG.standard_normal((5, 4))
    program = prepared(optimize(vmap(derived, ["x"], 5)))
    found = program({"x": points})
    for k, point in enumerate(points):
        single = evaluate(derived, {"x": point})
        for name in single:
            np.testing.assert_allclose(found[name][k], single[name], rtol=1e-13)
