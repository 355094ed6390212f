"""The shares of a quadratic form: their sums, and what a graph of them holds before any limit is looked at."""

import numpy as np
import pytest

from gradserve.autodiff import curvature, derive
from gradserve.autodiff.derivation import Curvature
from gradserve.ir.graph import Graph
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder
from tests.running import prepared


def squares(length: int) -> Graph:
    g = builder()
    x = g.input("x", TensorType(ElementType.FLOAT64, (length,)))
    return g.build({"loss": g.reduce_sum(g.mul(x, x), axes=(0,))})


def held(length: int) -> int:
    """The bytes of constants in the derived graph."""
    return sum(c.type.nbytes for c in derive(squares(length), Curvature(("x",))).constants)


@pytest.mark.parametrize("length", [10**7, 10**12])
def test_a_long_input_has_no_long_constants(length):
    assert held(length) < 10 * curvature.PERIOD


def test_long_constants_would_be_seen(monkeypatch):
    monkeypatch.setattr(curvature, "PERIOD", 1 << 40)
    with pytest.raises(AssertionError):
        assert held(10**8) < 1e5


@pytest.mark.parametrize("length", [3, 509, 510, 5000])
def test_shares_are_signed_sums_of_the_products(length, monkeypatch):
    monkeypatch.setattr(curvature, "PERIOD", 4)  # so that signs repeat
    x, v = np.random.default_rng(0).standard_normal((2, length))
    found = prepared(derive(squares(length), Curvature(("x",))))({"x": x, "tangent:x": v})
    np.testing.assert_allclose(found["product:curvature"], 2 * v @ v, rtol=1e-13)
    expected = np.zeros(min(length, curvature.SHARES))
    for k, product in enumerate(2 * v * v):
        row = k // curvature.SHARES
        sign = (1, -1, -1, 1)[row % 4] if length > curvature.SHARES else 1
        expected[k % curvature.SHARES] += sign * product
    np.testing.assert_allclose(found["share:x"], expected, rtol=1e-12, atol=1e-12)
