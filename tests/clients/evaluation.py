"""Traced functions evaluated, and compared with what NumPy gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import gradserve.client.entered  # noqa: F401  # as `client.function` does: what names lead to while tracing
from gradserve.client.tracing.trace import bind, trace
from gradserve.client.tracing.traced import Traced, as_array
from gradserve.client.tracing.trees import flatten, unflatten
from tests.running import prepared


def evaluate(traced: Traced, arguments: dict[str, Any]) -> Any:
    """The function's result on arguments by name, computed from its graph."""
    leaves = [leaf for name, tree in arguments.items() for leaf in flatten(tree, name)[0]]
    program = prepared(traced.graph)
    with np.errstate(all="ignore"):
        outputs = program({path: as_array(leaf, path) for path, leaf in leaves})
    return unflatten(traced.output, [np.asarray(outputs[output.name]) for output in traced.graph.outputs])


def traced_result(function: Callable[..., Any], *arguments: Any) -> Any:
    """The function's result on these arguments, computed from its graph."""
    return evaluate(trace(function, *arguments), bind(function, arguments, {}))


def assert_same(actual: Any, expected: Any) -> None:
    """Both have the same structure, types and shapes, and numbers that differ by rounding."""
    if isinstance(expected, tuple | list):
        assert isinstance(actual, tuple | list)
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_same(one, other)
        return
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    tolerance = 2e-5 if expected.dtype in (np.float32, np.complex64) else 1e-11
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def assert_traces(function: Callable[..., Any], *arguments: Any) -> None:
    """Traced, the function gives what NumPy gives: with all arguments traced, and with one and the others captured."""
    with np.errstate(all="ignore"):
        expected = function(*arguments)
    assert_same(traced_result(function, *arguments), expected)
    if len(arguments) < 2:
        return
    for k, argument in enumerate(arguments):

        def one_traced(x: Any, k: int = k) -> Any:
            return function(*arguments[:k], x, *arguments[k + 1 :])

        assert_same(evaluate(trace(one_traced, argument), {"x": argument}), expected)
