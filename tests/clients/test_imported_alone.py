"""Functions that were imported alone, and those of math: they see traced arrays wherever authors keep them."""

from __future__ import annotations

import math
from functools import partial
from math import dist, erf, exp, fsum, hypot, lgamma, log
from typing import Any

import numpy as np
import pytest
import scipy.interpolate
from numpy import array, stack
from numpy import sum as total
from numpy.linalg import solve as solve_full
from scipy.interpolate import CubicSpline, interp1d
from scipy.linalg import cho_factor, cho_solve, expm, solve
from scipy.signal import convolve
from scipy.sparse import eye_array
from scipy.sparse.linalg import factorized, splu, spsolve
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from gradserve.client import Untraceable
from gradserve.client.tracing.trace import trace
from tests.clients.evaluation import traced_result

W = np.array([0.3, 0.7])
A = np.array([[3.0, 1.0], [1.0, 2.0]])
SPARSE: Any = 2.0 * eye_array(300, format="csc")
ONES = np.ones(300)
TABLE = {"solve": solve}
KEPT = [logsumexp]
WITH_A = partial(solve, A)


class Model:
    def __init__(self) -> None:
        self.link = exp
        self.factors: Any = splu(SPARSE)

    def loss(self, w: Any) -> Any:
        return self.link(w[0]) * np.sum(self.factors.solve(ONES * w[1]))


MODEL = Model()
LOSSES: dict[str, Any] = {
    "of math": lambda w: math.exp(w[0]) + math.log(w[1], 2) + math.pow(w[0], 2) + math.atan2(w[1], w[0]) + math.pi,
    "of math, alone": lambda w: exp(w[0]) * lgamma(w[1]) + hypot(*w) + hypot(w[0], 1.0, w[1]) + log(w[1]) * erf(w[0]),
    "of math, of lists": lambda w: dist(w, [1.0, 2.0]) + fsum(w[0] * k for k in range(4)) + math.prod([w[0], w[1], 3]),
    "whole numbers of math": lambda w: (math.floor(7 * w[0]) + math.ceil(w[1]) + math.trunc(9 * w[1])) * w[0],
    "special of math": lambda w: math.gamma(w[0]) + math.erfc(w[1]) + math.expm1(w[0]) + math.cbrt(w[1]),
    "NumPy's": lambda w: total(stack([w, array([w[1], 2 * w[0]])]) ** 2) + total(solve_full(A, w)),
    "solve": lambda w: np.sum(solve(A, w) ** 2),
    "factors": lambda w: np.sum(cho_solve(cho_factor(A + np.outer(w, w)), w)),
    "expm": lambda w: np.sum(expm(np.outer(w, w))),
    "spsolve": lambda w: np.sum(spsolve(SPARSE, ONES * w[0]) ** 2),
    "splu": lambda w: np.sum(splu(SPARSE).solve(ONES * w[0]) * factorized(SPARSE)(ONES * w[1])),
    "a density": lambda w: multivariate_normal.logpdf(w, mean=np.zeros(2), cov=A) + multivariate_normal(w, A).logpdf(W),
    "logsumexp": lambda w: logsumexp(w, b=np.array([1.0, 2.0])) + KEPT[0](w),
    "distances": lambda w: np.sum(cdist(w[:, None], A[:, :1])),
    "curves": lambda w: (
        CubicSpline([0.0, 1.0, 2.0, 3.0], np.concatenate([w, w**2]))(1.5) + interp1d([0.0, 1.0], w)(0.3)
    ),
    "convolve": lambda w: np.sum(convolve(w, w) ** 2),
    "in a dict": lambda w: np.sum(TABLE["solve"](A, w)),
    "in an object": MODEL.loss,
}


@pytest.mark.parametrize("name", LOSSES)
def test_values_and_derivatives_are_those_of_the_function(name, embedded):
    loss = LOSSES[name]
    value, gradient = embedded.function(loss).value_and_grad(W)
    np.testing.assert_allclose(value, loss(W), rtol=1e-12)
    steps = 1e-4 * np.eye(2)
    slopes = [(8 * (loss(W + h) - loss(W - h)) - (loss(W + 2 * h) - loss(W - 2 * h))) / 1.2e-3 for h in steps]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-7, atol=1e-9)


def test_names_are_given_back():
    traced_result(LOSSES["in an object"], W)
    traced_result(LOSSES["curves"], W)
    assert math.exp is exp
    assert MODEL.link is exp
    assert type(MODEL.factors).__name__ == "SuperLU"
    assert TABLE["solve"] is solve
    assert isinstance(scipy.interpolate.CubicSpline, type)
    assert scipy.interpolate.CubicSpline is CubicSpline


def test_a_class_of_curves_stays_a_class_while_tracing():
    known = CubicSpline([0.0, 1.0, 2.0, 3.0], np.arange(4.0))

    def loss(w: Any) -> Any:
        assert isinstance(known, scipy.interpolate.CubicSpline)
        assert issubclass(CubicSpline, scipy.interpolate.CubicSpline)
        assert scipy.interpolate.CubicSpline([0.0, 1.0, 2.0], [1.0, 2.0, 4.0]).c.shape == (4, 2)
        assert callable(scipy.interpolate.CubicSpline.derivative)
        return np.sum(array([w[0], w[1]]) * known(1.0))

    np.testing.assert_allclose(traced_result(loss, W), 1.0)


def test_factors_are_still_what_they_are_while_tracing():
    def loss(w: Any) -> Any:
        factors = splu(SPARSE)
        assert factors.shape == (300, 300)
        assert np.array_equal(factors.solve(ONES), ONES / 2)
        return np.sum(factors.solve(ONES * w[0]))

    np.testing.assert_allclose(traced_result(loss, W), 45.0)


@pytest.mark.parametrize(
    ("function", "instead"),
    [
        (lambda w: math.exp(w), "np.sin instead of math.sin"),
        (lambda w, f=exp: f(w[0]), "np.sin instead of math.sin"),
        (lambda w, f=WITH_A: f(w), "from gradserve.client.scipy.linalg import solve`"),
        (lambda w: math.factorial(w[0]), "np.floor(x)"),
    ],
)
def test_what_cannot_be_found_is_refused_with_the_line_to_write(function, instead):
    with pytest.raises(Untraceable) as refusal:
        trace(function, W)
    assert instead in str(refusal.value)
