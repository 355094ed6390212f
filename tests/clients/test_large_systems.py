"""Derivatives of solutions of many unknowns: by products with the Jacobian, as if by the Jacobian itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradserve.client import functions
from gradserve.client.functions import krylov
from gradserve.ir.errors import NumericalFailure

POINT = np.array([0.3, 0.7, 1.1])
MATRIX = np.random.default_rng(4).standard_normal((6, 6)) / 6


def lowest(w: Any) -> Any:
    def height(x: Any) -> Any:
        return np.sum(np.log(np.cosh(x - np.concatenate([w, w])))) + 0.5 * np.sum((MATRIX @ x) ** 2)

    return np.sum(functions.minimize(height, np.zeros(6), method="lbfgs", tol=1e-13).x ** 3)


def unmoved(w: Any) -> Any:
    return np.sum(
        functions.fixed_point(lambda x: np.tanh(MATRIX @ x + np.concatenate([w, w * x[0]])), np.ones(6)).x ** 3
    )


LOSSES = {"symmetric": lowest, "any": unmoved}


def answers(client: Any, name: str) -> list[Any]:
    f = client.function(LOSSES[name], POINT)
    points = np.stack([POINT, POINT * 1.1])
    return [f.grad(POINT), f.jvp(POINT, tangent=points[1])[1], f.hessian(POINT), f.grad(points, batch=True)]


@pytest.mark.parametrize("name", LOSSES)
def test_products_give_what_matrices_give(client, name, monkeypatch):
    dense = answers(client, name)
    monkeypatch.setattr(krylov, "DENSE", 1)
    for found, expected in zip(answers(client, name), dense, strict=True):
        assert np.all(np.abs(expected) > 1e-3)
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


def test_a_transpose_that_is_none_is_seen(embedded, monkeypatch):
    dense = answers(embedded, "any")[0]
    monkeypatch.setattr(krylov, "DENSE", 1)
    monkeypatch.setattr(krylov, "vjp", lambda f, x: (None, lambda v: (functions.jvp(f, (x,), (v,))[1],)))
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(answers(embedded, "any")[0], dense, rtol=1e-8)


def test_systems_without_a_solution_are_refused(embedded, monkeypatch):
    monkeypatch.setattr(krylov, "DENSE", 1)
    f = embedded.function(lambda w: np.sum(functions.fixed_point(lambda x: x + 0.0 * w, np.ones(3)).x), POINT)
    assert f(POINT) == 3.0
    with pytest.raises(NumericalFailure, match="30 steps; not"):
        embedded.function(
            lambda w: np.sum(functions.fixed_point(lambda x: x + w - w[0], np.ones(3)).x), POINT * 0.0
        ).grad(POINT * 0.0)


def test_thousands_of_unknowns_need_no_matrix(embedded):
    """Of 2000 the Hessian would take 32 MB."""
    stiffness = np.linspace(1.0, 50.0, 2000)

    def lowest(w: Any) -> Any:
        def height(x: Any) -> Any:
            return np.sum(stiffness * x * x) / 2 + np.sum(np.sin(x)) * w + np.sum((x[1:] - x[:-1]) ** 4) / 4

        return np.sum(functions.minimize(height, np.ones(2000), method="lbfgs", tol=1e-11).x)

    f = embedded.function(lowest, 0.5)
    np.testing.assert_allclose(f.grad(0.5), (f(0.501) - f(0.499)) / 0.002, rtol=1e-6)
    assert f.explain(0.5, derivation="gradient").peak_bytes < 2_000_000
