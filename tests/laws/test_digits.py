"""Derivatives keep their digits: relative errors of at most 16 units in the last place, over the range of the type.

docs/DIGITS.md lists where they do not, and why.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest

from gradserve.autodiff import derive
from gradserve.client import Client
from gradserve.client.tracing.trace import trace
from gradserve.ir.types import Array
from gradserve.optimize import optimize
from gradserve.questions.derivations import Gradient, Hvp
from tests.laws.functions_of_one_variable import CASES
from tests.running import prepared

ULPS = 16
NEAR, FAR = 1e-9, 40.0
"""Between these, difference quotients of slopes in 80 digits have as many as are needed."""
STEP = mp.mpf(10) ** -26


EXECUTORS = ("numpy", "fused")


def run(function: Callable[[Any], Any], x: Array, derivation: Any, executor: str, **tangents: Array) -> Array:
    """The one array that a derivation of the function gives beside its value."""

    def loss(x: Any) -> Any:
        return np.sum(function(x))

    graph = optimize(derive(trace(loss, x).graph, derivation))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = prepared(graph, executor)({"x": x, **tangents})
    return found.get("product:x", found.get("gradient:x", x))


def ulps(found: Array, wanted: list[Any], dtype: Any) -> Array:
    """The errors where what is wanted is a normal number, well inside the range of the type."""
    info = np.finfo(dtype)
    low, high = 4 * float(info.tiny), float(info.max) / 4
    return np.array(
        [
            float(abs(mp.mpf(float(y)) / w - 1) / float(info.eps)) if np.isfinite(y) else np.inf
            for y, w in zip(found, wanted, strict=True)
            if w is not None and low < abs(w) < high
        ]
    )


def slope(of: Callable[[Any], Any], x: float) -> Any:
    step = mp.mpf(x) * STEP
    return (of(x + step) - of(x - step)) / (2 * step) if NEAR < abs(x) < FAR else None


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CASES)
def test_first_and_second_derivatives(name, dtype):
    case = CASES[name]
    x = np.unique(case.points(np.finfo(dtype)).astype(dtype))
    first = [case.slope(mp.mpf(float(v))) for v in x]
    second = [slope(case.slope, float(v)) for v in x] if case.second else []
    for executor in EXECUTORS:
        errors = ulps(run(case.function, x, Gradient(("x",)), executor), first, dtype)
        assert len(errors) > 5
        assert errors.max() <= ULPS, executor
        if case.second:
            products = run(case.function, x, Hvp(("x",)), executor, **{"tangent:x": np.ones_like(x)})
            assert ulps(products, second, dtype).max(initial=0.0) <= ULPS, executor


def test_a_rule_that_loses_digits_is_found():
    def careless(x: Any) -> Any:
        y = np.tanh(x)
        return 1 - y * y

    x = np.array([0.5, 1.0, 15.0])
    wanted = [1 / mp.cosh(mp.mpf(float(v))) ** 2 for v in x]
    errors = ulps(careless(x), wanted, np.float64)
    assert errors[0] < ULPS < errors[2]


@pytest.mark.parametrize("x", [0.0, 3.0, 30.0, 800.0, np.inf])
def test_no_order_of_derivatives_of_tanh_overflows(x):
    with Client() as client:
        model = client.function(lambda x: np.tanh(x), x=0.0).taylor_along(x, direction=1.0, order=10)
    wanted = mp.taylor(mp.tanh, x, 10) if x < 100 else [1.0, *[0.0] * 10]
    np.testing.assert_allclose(model.coefficients, np.array(wanted, float), rtol=1e-12, atol=1e-30)
