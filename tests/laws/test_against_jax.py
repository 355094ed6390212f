"""Values and derivatives of every differentiable op agree with JAX's, wherever both are smooth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradserve.autodiff import derive
from gradserve.ops.manifest import entry
from gradserve.questions.derivations import Vjp
from tests.laws.jax_functions import ABSENT, FUNCTIONS, jax_has
from tests.laws.support import (
    OPS,
    arguments,
    cotangents,
    evaluate,
    graph_of,
    has_derivative,
    is_single,
    prefixed,
    real_inputs,
    results_of,
)

DIFFERENTIABLE = [op for op in OPS if entry(op)["differentiable"] and op.name not in ABSENT]


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("op", DIFFERENTIABLE, ids=lambda op: op.name)
def test_pullback_agrees(op):
    for sample in op.samples():
        filled = all(x.size for x in sample.operands)
        if filled and sample.differentiable and has_derivative(sample) and jax_has(sample.op):
            check_pullback(sample)


def check_pullback(sample):
    graph, given, names = graph_of(sample), arguments(sample), real_inputs(sample)
    u = cotangents(graph)
    found = evaluate(derive(graph, Vjp(names)), given | prefixed("cotangent", u))
    tolerance = 1e-5 if is_single([*given.values(), *u.values()]) else 1e-10
    for name, expected in pulled_back(sample, given, u, names).items():
        np.testing.assert_allclose(found[name], expected, rtol=tolerance, atol=tolerance, err_msg=name)


def pulled_back(sample, given, u, names):
    """JAX's values and cotangents, under our names; integer operands are indices and stay constants."""

    def function(real):
        results = FUNCTIONS[sample.op.name](sample.op, *(given | real).values())
        return {f"y{k}": y for k, y in enumerate(results if isinstance(results, tuple) else (results,))}

    @jax.jit
    def values_and_cotangents(real, u):
        values, pullback = jax.vjp(function, real)
        return values, pullback(u)[0]

    values, pulled = values_and_cotangents({name: given[name] for name in names}, u)
    return prefixed("value", values) | prefixed("cotangent", pulled)


@pytest.mark.parametrize("op", [op for op in OPS if op.name not in ABSENT], ids=lambda op: op.name)
def test_impl_runs_in_the_namespace_of_jax(op):
    filled = [s for s in op.samples() if jax_has(s.op) and all(x.size for x in s.operands)]
    for sample in filled[:2]:  # each one costs JAX a compilation
        results = sample.op.impl(jnp, *map(jnp.asarray, sample.operands))
        expected = results_of(sample.op, sample.operands)
        for found, right in zip(results if isinstance(results, tuple) else (results,), expected, strict=True):
            assert found.dtype == right.dtype
            np.testing.assert_allclose(found, right, rtol=1e-6 if is_single([right]) else 1e-12, atol=1e-12)


def test_every_differentiable_op_is_compared():
    assert set(FUNCTIONS) == {op.name for op in DIFFERENTIABLE}
