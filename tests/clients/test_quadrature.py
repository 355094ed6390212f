"""Integrals within traced functions: closed forms, QUADPACK's values, Leibniz' rule, and refusals."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy import integrate, special

from gradserve.client import functions
from gradserve.client.functions import kronrod, quadrature
from gradserve.ir.errors import NumericalFailure, Untraceable

POINT = np.array([0.3, 0.7, 1.1])


def close(found: Any, expected: Any, tolerance: float = 1e-10) -> None:
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("weights", "degree"), [(kronrod.WEIGHTS, 22), (kronrod.GAUSS, 13)])
def test_rules_are_exact_for_polynomials(weights, degree):
    for power in range(0, degree + 1, 2):
        assert weights @ kronrod.NODES**power == pytest.approx(float(Fraction(2, power + 1)), rel=4e-15)
    assert abs(weights @ kronrod.NODES ** (degree + 3 - degree % 2) - 2 / (degree + 4 - degree % 2)) > 1e-12


def test_an_integral_moves_with_limits_arguments_and_what_is_captured(client):
    """Of a exp(-b x) from c to d: all four move, two of them as limits."""

    def loss(w: Any, c: Any, d: Any) -> Any:
        return functions.quad(lambda x, a: a * np.exp(-w[1] * x), c, d, w[0]).value

    def plain(a: Any, b: Any, c: Any, d: Any) -> Any:
        return a * (np.exp(-b * c) - np.exp(-b * d)) / b

    a, b, c, d = 1.5, 0.8, 0.2, 2.5
    f = client.function(loss, np.array([a, b]), c, d)
    close(f(np.array([a, b]), c, d), plain(a, b, c, d))
    gradient = f.grad(np.array([a, b]), c, d)
    e, g = np.exp(-b * c), np.exp(-b * d)
    slope = a * ((d * g - c * e) / b - (e - g) / b**2)
    close(gradient["w"], [plain(1.0, b, c, d), slope])
    close([gradient["c"], gradient["d"]], [-a * e, a * g])
    assert f.verify(np.array([a, b]), c, d).verdict == "agrees"
    hessian = f.hessian(np.array([a, b]), c, d)
    close(hessian["c"]["c"], a * b * e)
    close(hessian["d"]["w"], [g, -a * d * g])
    close(hessian["w"]["w"][0], [0.0, slope / a])
    close(f.jvp(np.array([a, b]), c, d, tangent={"w": np.zeros(2), "c": 1.0, "d": 2.0})[1], -a * e + 2.0 * a * g)


def test_a_lost_limit_is_seen(client, monkeypatch):
    monkeypatch.setattr(quadrature._Integrand, "value", lambda self, x, *known: 0.0 * x)
    with pytest.raises(AssertionError):
        close(client.function(lambda d: functions.quad(np.cos, 0.0, d).value).grad(0.4), np.cos(0.4))


INFINITE = {
    "both": (lambda p: functions.quad(lambda x: np.exp(-p * x * x), -np.inf, np.inf), lambda p: np.sqrt(np.pi / p)),
    "last": (lambda p: functions.quad(lambda x: np.exp(-p * x), p, np.inf), lambda p: np.exp(-p * p) / p),
    "first": (lambda p: functions.quad(lambda x: np.exp(p * x), -np.inf, p), lambda p: np.exp(p * p) / p),
    "backwards": (lambda p: functions.quad(lambda x: np.exp(-p * x), np.inf, p), lambda p: -np.exp(-p * p) / p),
    "finite and backwards": (lambda p: functions.quad(lambda x: x * x, p, 0.0), lambda p: -(p**3) / 3),
    "slow": (lambda p: functions.quad(lambda x: 1.0 / (x * x + p), 0, np.inf), lambda p: np.pi / 2 / np.sqrt(p)),
}


@pytest.mark.parametrize("name", INFINITE)
def test_infinite_limits(embedded, name):
    ours, plain = INFINITE[name]
    f = embedded.function(lambda p: ours(p).value)
    close(f(1.3), plain(1.3))
    step = 1e-3
    quotient = (
        (8 * (plain(1.3 + step) - plain(1.3 - step)) - (plain(1.3 + 2 * step) - plain(1.3 - 2 * step))) / 12 / step
    )
    close(f.grad(1.3), quotient, 1e-9)


SAMPLES = {
    "a peak": (lambda x: 1.0 / (1e-4 + (x - 0.3) ** 2), 0.0, 1.0),
    "waves": (lambda x: np.sin(40.0 * x) * x, 0.0, 2.0),
    "a root": (lambda x: np.sqrt(x), 0.0, 1.0),
    "a kink": (lambda x: np.abs(x - 1.0 / 3.0), 0.0, 1.0),
    "a logarithm": (lambda x: np.log(x), 0.0, 1.0),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_errors_are_what_they_say_and_intervals_no_more_than_scipys(embedded, name):
    function, a, b = SAMPLES[name]
    found = embedded.function(lambda w: functions.quad(lambda x: function(x) * w, a, b, rtol=1e-9))(1.0)
    expected, _ = integrate.quad(function, a, b, epsrel=1e-11, epsabs=0, limit=200)
    *_, told = integrate.quad_vec(function, a, b, 1e-12, 1e-9, quadrature="gk15", full_output=True)
    assert abs(found.value - expected) <= max(found.error, 1e-11 * abs(expected))
    assert found.error <= 1e-9 * abs(found.value)
    assert found.intervals <= len(told.intervals)


def test_arrays_and_batches(client):
    f = client.function(lambda w: np.sum(functions.quad(lambda x: np.sin(x * w), 0.0, 10.0).value), POINT)
    points = np.stack([POINT, POINT * 1.5])
    values, gradients = f.value_and_grad(points, batch=True)
    close(values, np.sum((1.0 - np.cos(10.0 * points)) / points, axis=1))
    close(gradients, 10.0 * np.sin(10.0 * points) / points - (1.0 - np.cos(10.0 * points)) / points**2)


def test_integrals_of_integrals(embedded):
    """Over the triangle of x y^p below the diagonal: 1 / ((p + 1) (p + 3))."""

    def loss(p: Any) -> Any:
        return functions.quad(lambda x: x * functions.quad(lambda y: y**p, 0.0, x).value, 0.0, 1.0, rtol=1e-8).value

    f = embedded.function(loss)
    close(f(2.0), 1.0 / 15.0, 1e-8)
    close(f.grad(2.0), -(2.0 * 2.0 + 4.0) / 15.0**2, 1e-8)


def test_a_minimum_over_an_integral_over_roots(embedded):
    """Of (w^2 p / 2 - 1)^2 over p, the integral up to w of the root of z^3 = (p x)^3: at 2 / w^2."""

    def found(w: Any) -> Any:
        def area(p: Any) -> Any:
            return functions.quad(lambda x: functions.root(lambda z: z**3 - (p * x) ** 3, 1.0).x, 0.0, w).value

        return functions.minimize(lambda p: (area(p) - 1.0) ** 2, 0.6).x

    f = embedded.function(found)
    close(f(1.3), 2.0 / 1.3**2, 1e-8)
    close(f.grad(1.3), -4.0 / 1.3**3, 1e-7)


def test_incomplete_gamma_has_the_derivative_that_no_op_has(embedded):
    """In its first argument, where special.gammainc is refused: against differences of SciPy's."""

    def loss(a: Any) -> Any:
        return functions.quad(lambda t: t ** (a - 1.0) * np.exp(-t), 0.0, 2.0).value / special.gamma(a)

    step = 1e-3
    sides = [special.gammainc(2.5 + k * step, 2.0) for k in (-2, -1, 1, 2)]
    close(embedded.function(loss).grad(2.5), (8 * (sides[2] - sides[1]) - (sides[3] - sides[0])) / 12 / step, 1e-9)


def test_what_does_not_converge_is_refused_or_reported(embedded):
    def found(p: Any, **options: Any) -> Any:
        return functions.quad(lambda x: 1.0 / np.abs(x - p), 0.0, 1.0, **options)

    with pytest.raises(NumericalFailure, match="49 steps; not") as caught:
        embedded.function(lambda p: found(p).value)(0.4)
    assert "test_quadrature.py" in str(caught.value)
    answer = embedded.function(lambda p: found(p, on_most="report", most=20))(0.4)
    assert not answer.converged
    assert answer.intervals == 20
    assert answer.error > 1.0


MISUSED = {
    "integers": (lambda w: functions.quad(lambda x: np.argmax(w), 0.0, 1.0).value, "real numbers"),
    "several arrays": (lambda w: functions.quad(lambda x: (x, x), 0.0, 1.0).value, "returns 2 arrays"),
    "limits of arrays": (lambda w: functions.quad(np.sin, 0.0, w).value, r"shape \(3,\)"),
}


@pytest.mark.parametrize("name", MISUSED)
def test_other_functions_are_refused(embedded, name):
    function, text = MISUSED[name]
    with pytest.raises(Untraceable, match=text):
        embedded.function(function, POINT)


def test_an_integral_over_nothing(embedded):
    with pytest.raises(ValueError, match="over nothing"):
        embedded.function(lambda w: functions.quad(lambda x: x * w, np.inf, np.inf).value, 1.0)
