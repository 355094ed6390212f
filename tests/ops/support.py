"""What the tests of ops share: a function of values as a graph, run on NumPy; its derivatives; the refusals."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import pytest

from gradserve.autodiff import derive, vmap
from gradserve.ir.errors import ConstraintError
from gradserve.ir.graph import Graph
from gradserve.ir.op import Op
from gradserve.ir.types import Array, ElementType, Shape, TensorType, type_of
from gradserve.ops import builder
from gradserve.questions.derivations import Hvp, Jvp, Vjp
from tests.running import prepared


def f64(*shape: Any) -> TensorType:
    return TensorType(ElementType.FLOAT64, shape)


def i64(*shape: Any) -> TensorType:
    return TensorType(ElementType.INT64, shape)


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def trace(function: Callable[..., Any], *operands: Array) -> Graph:
    """The graph of `function`, its inputs x0, x1, ..., its outputs y0, y1, ..."""
    g = builder()
    results = function(*(g.input(f"x{k}", type_of(x)) for k, x in enumerate(operands)))
    listed = results if isinstance(results, tuple | list) else (results,)
    return g.build({f"y{k}": y for k, y in enumerate(listed)})


def named(operands: Sequence[Array], prefix: str = "x") -> dict[str, Array]:
    return {f"{prefix}{k}": x for k, x in enumerate(operands)}


def run(graph: Graph, given: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs, run as the executor runs them, of the types that the graph declares."""
    outputs = prepared(graph)(given)
    assert {name: type_of(y) for name, y in outputs.items()} == graph.output_types
    return outputs


def evaluate(function: Callable[..., Any], *operands: Any) -> Any:
    """The function of arrays: one array, or a tuple of them."""
    arrays = [np.asarray(x) for x in operands]
    outputs = tuple(run(trace(function, *arrays), named(arrays)).values())
    return outputs[0] if len(outputs) == 1 else outputs


def agree(function: Callable[..., Any], reference: Callable[..., Any], *operands: Any) -> None:
    """Values, element types and shapes are those of the reference."""
    found, expected = evaluate(function, *operands), np.asarray(reference(*operands))
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12, strict=True)


def infer(op: Op, *types: TensorType) -> Shape:
    """The shape of the only result."""
    (result,) = op.infer(*types)
    return result.shape


def refusal(op: Op, *types: TensorType) -> str:
    """The constraint that the operands break, and its description."""
    with pytest.raises(ConstraintError) as caught:
        op.infer(*types)
    assert caught.value.constraint in op.constraints
    return str(caught.value)


def gradients(function: Callable[..., Any], *operands: Array, cotangent: Array | None = None) -> list[Array]:
    """The cotangent of each real operand."""
    graph = trace(function, *operands)
    names = tuple(name for name, x in named(operands).items() if x.dtype.kind == "f")
    u = np.ones(graph.output_types["y0"].lengths) if cotangent is None else cotangent
    derived = run(derive(graph, Vjp(names)), named(operands) | {"cotangent:y0": u})
    return [derived[f"cotangent:{name}"] for name in names]


def check_derivatives(
    function: Callable[..., Any], reference: Callable[..., Any], *operands: Array, tolerance: float = 1e-9
) -> None:
    """The value, jvp, vjp, hvp of a loss and a batch of each operand agree with JAX's of `reference`."""
    graph, given = trace(function, *operands), named(operands)
    tangents = [normal(*x.shape, seed=k + 1) for k, x in enumerate(operands)]
    wrt = tuple(given)
    u = normal(*graph.output_types["y0"].lengths, seed=99)
    with jax.enable_x64(True):
        value, pushed, pulled, product = jax.jit(functools.partial(_by_jax, reference))(operands, tangents, u)

    def close(actual: Array, expected: Any) -> None:
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)

    directions = named(tangents, "tangent:x")
    forward = run(derive(graph, Jvp(wrt)), given | directions)
    close(forward["value:y0"], value)
    close(forward["tangent:y0"], pushed)
    backward = run(derive(graph, Vjp(wrt)), given | {"cotangent:y0": u})
    second = run(derive(_loss(function, operands, u), Hvp(wrt)), given | directions)
    for k, name in enumerate(wrt):
        close(backward[f"cotangent:{name}"], pulled[k])
        close(second[f"product:{name}"], product[k])
    check_batches(function, *operands)


def _by_jax(reference: Callable[..., Any], operands: Any, tangents: Any, u: Any) -> tuple[Any, ...]:
    """The value, J v, J^T u, and the Hessian of the loss below times v: forward over reverse."""

    def loss(*x: Any) -> Any:
        y = reference(*x)
        return (u * y + y * y / 2).sum()

    value, pushed = jax.jvp(reference, operands, tuple(tangents))
    gradient = jax.grad(loss, range(len(operands)))
    return value, pushed, jax.vjp(reference, *operands)[1](u), jax.jvp(gradient, operands, tuple(tangents))[1]


def _loss(function: Callable[..., Any], operands: Sequence[Array], u: Array) -> Graph:
    def loss(*values: Any) -> Any:
        y = function(*values)
        g = y.builder
        return g.reduce_sum(y * g.constant(u) + y * y * 0.5, axes=tuple(range(y.type.rank)))

    return trace(loss, *operands)


def check_batches(function: Callable[..., Any], *operands: Array, size: int = 3) -> None:
    """A batch of each operand, and of all, gives what a loop over the examples gives."""
    graph, given = trace(function, *operands), named(operands)
    for batched in [{name} for name in given] + [set(given)]:
        stacked = dict(given)
        for name in batched:
            stacked[name] = np.stack([_moved(given[name], k) for k in range(size)])
        together = run(vmap(graph, batched, size), stacked)
        for k in range(size):
            one = run(graph, {name: x[k] if name in batched else x for name, x in stacked.items()})
            for name, y in one.items():
                np.testing.assert_allclose(together[name][k], y, rtol=1e-9, atol=1e-9)


def _moved(x: Array, k: int) -> Array:
    """The k-th example near x; indices are only put into another order."""
    return x + 0.01 * k * normal(*x.shape, seed=k) if x.dtype.kind == "f" else np.roll(x, k)
