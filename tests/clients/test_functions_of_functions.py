"""NumPy's functions of functions, and its polynomials in all bases: values are NumPy's, derivatives those of values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.polynomial import Chebyshev, HermiteE, Polynomial

from gradserve.client.functions import polynomials
from gradserve.ir.errors import Untraceable
from tests.clients.evaluation import assert_same, traced_result

X = np.array([[0.5, -1.5, 2.0], [3.0, 0.25, -0.75]])
NP: Any = np
C = np.array([0.3, -0.7, 1.1])
D = np.array([1.5, 0.2])
BASES = ("polynomial", "chebyshev", "legendre", "hermite", "hermite_e", "laguerre")
PREFIXES = ("poly", "cheb", "leg", "herm", "herme", "lag")
LARGE = C > 0


def of_basis(module: Any, prefix: str, name: str) -> Any:
    return getattr(module, f"{prefix}{name}")


def functions_of(module: Any, prefix: str) -> Any:
    """All that a basis has, of traced coefficients and points."""

    def function(c, x):
        val, vander, der, integral, add, sub, mul, power = (
            of_basis(module, prefix, name) for name in ("val", "vander", "der", "int", "add", "sub", "mul", "pow")
        )
        grids = [val(x, c), val(x, X), val(x[0, 0], c), val(x[0], np.outer(c, D)), val(c, X, tensor=False)]
        slopes = [
            der(c),
            der(c, 2, 3.0),
            der(np.outer(c, D), axis=0),
            integral(c),
            integral(c, 2, [c[0], 1.0], lbnd=0.3),
        ]
        algebra = [add(c, D), sub(D, c), mul(c, D), power(c, 3), vander(x, 3), vander(c[:1], 0)]
        return grids + slopes + algebra

    return function


@pytest.mark.parametrize(("basis", "prefix"), [*zip(BASES, PREFIXES, strict=True)])
def test_polynomials_of_all_bases(basis, prefix, embedded):
    function = functions_of(getattr(np.polynomial, basis), prefix)
    expected = function(C, X)
    assert_same(traced_result(function, C, X), expected)

    def loss(c, x):
        return sum(np.sum(np.tanh(part / 50)) for part in function(c, x))

    slope = embedded.function(loss).jvp(C, X, tangent={"c": D[0] * np.ones(3), "x": np.cos(X)})[1]
    h = 1e-4
    f = [loss(C + k * h * D[0], X + k * h * np.cos(X)) for k in (-2, -1, 1, 2)]
    np.testing.assert_allclose(slope, (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h), rtol=1e-6)


def test_fits(embedded):
    def function(y):
        return [
            np.polynomial.polynomial.polyfit(X[0], y, 1),
            np.polynomial.legendre.legfit(X[0], y, 2, w=[1.0, 2.0, 0.5]),
            Polynomial.fit(X[0], y, 1)(0.3),
            np.polynomial.chebyshev.chebfit(X[0], np.stack([y, y**2], axis=1), 1),
        ]

    assert_same(traced_result(function, C), function(C))


def test_classes():
    def function(c):
        p, q = Polynomial(c), Polynomial([1.0, 2.0])
        t = Chebyshev(c, domain=[0, 2])
        values = [(p * q)(0.5), (p + q)(0.3), (2 * p - q)(X), (p**2)(0.1), p.deriv()(X[0]), p.integ(k=1.0)(0.5)]
        return [*values, t(0.7), t.deriv(2)(0.2), (t * 3)(0.4), HermiteE(c)(X), t.coef]

    assert_same(traced_result(function, C), function(C))


def test_another_table_of_products_is_seen(monkeypatch):
    """The comparison above can fail: with products of another basis it does."""
    basis = polynomials._Basis(np.polynomial.polynomial, "poly")
    known = polynomials._Basis(np.polynomial.legendre, "leg")
    monkeypatch.setattr(known, "_own", {**known._own, "mul": basis._own["mul"]})
    assert not np.allclose(known.mul(C, D), np.polynomial.legendre.legmul(C, D))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.apply_along_axis(np.sum, 1, x),
        lambda x: np.apply_along_axis(lambda v: np.convolve(v, [0.5, 0.5], mode="same"), 0, x),
        lambda x: np.apply_along_axis(lambda v, k: np.outer(v, v) * k, 1, x, 2.0),
        lambda x: np.apply_along_axis(lambda v: v[0] * np.stack([v, v]), 0, np.multiply.outer(x, [1.0, 2.0])),
        lambda x: np.apply_along_axis(sum, 0, x[0]),
        lambda x: np.apply_over_axes(np.sum, x, [0, 1]),
        lambda x: np.fromiter((v**2 for v in x[0]), float),
        lambda x: NP.piecewise(x[0], [LARGE, C < -0.5], [lambda v: v**2 - v.sum(), 3.0, lambda v, k=2: k * v]),
        lambda x: NP.piecewise(x[0], [LARGE], [lambda v, k: v * k, lambda v, k: np.exp(v)], 3.0),
        lambda x: NP.piecewise(C, [LARGE, ~LARGE], [lambda v: v * x[0, 0], np.sin]),
    ],
)
def test_functions_of_functions(function):
    assert_same(traced_result(function, X), function(X))


def test_pieces_by_traced_conditions_are_refused():
    with pytest.raises(Untraceable, match=r"write np\.select"):
        traced_result(lambda x: NP.piecewise(x, [x > 0], [np.sin, np.cos]), X)
