"""Where a solver of SciPy is refused, the line that the refusal names has SciPy's value and its derivative."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.optimize

from gradserve.client import Untraceable, functions

optimize: Any = scipy.optimize
integrate: Any = scipy.integrate
POINT = np.array([0.4, 1.3])
TIGHT: Any = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15}
TIMES = np.linspace(0.0, 3.0, 4)
SKEW = np.array([[2.0, 0.7, 0.1], [-0.4, 1.5, 0.3], [0.2, -0.6, 1.8]])


def _rates(t, y, p):
    return [-p[0] * y[0], p[0] * y[0] - p[1] * y[1]]


def _residuals(x, p):
    return np.array([x[0] - p[0], x[1] * x[0] - p[1], 0.1 * x[1]])


def _matrix(p):
    return SKEW + p[0] * np.eye(3) + p[1] * SKEW.T


LINES = {
    "brentq": (
        lambda p: optimize.brentq(lambda x: x**3 + p[0] * x - p[1], 0, 2, xtol=1e-14),
        lambda p: functions.root(lambda x: x**3 + p[0] * x - p[1], 1.0).x,
        ".functions.root(function, guess).x",
    ),
    "fsolve": (
        lambda p: np.sum(optimize.fsolve(lambda x: [x[0] ** 2 - p[0], x[1] * x[0] - p[1]], [1.0, 1.0], xtol=1e-13)),
        lambda p: np.sum(functions.root(lambda x: np.array([x[0] ** 2 - p[0], x[1] * x[0] - p[1]]), np.ones(2)).x),
        ".functions.root(function, guess).x",
    ),
    "root": (
        lambda p: np.sum(optimize.root(lambda x: x**3 - p[0] * x - p[1], 1.5, tol=1e-13).x),
        lambda p: functions.root(lambda x: x**3 - p[0] * x - p[1], 1.5).x,
        ".functions.root(function, guess).x",
    ),
    "minimize": (
        lambda p: np.sum(
            optimize.minimize(lambda x: (x[0] - p[0]) ** 4 + p[1] * np.sum(x**2), [0.0, 1.0], tol=1e-13).x
        ),
        lambda p: np.sum(functions.minimize(lambda x: (x[0] - p[0]) ** 4 + p[1] * np.sum(x**2), np.ones(2)).x),
        ".functions.minimize(function, guess).x",
    ),
    "least_squares": (
        lambda p: np.sum(
            optimize.least_squares(_residuals, np.ones(2), args=(p,), xtol=1e-15, ftol=1e-15, gtol=1e-15).x
        ),
        lambda p: np.sum(functions.minimize(lambda x: np.sum(_residuals(x, p) ** 2), np.ones(2)).x),
        ".functions.minimize(lambda x: np.sum(residuals(x) ** 2), guess).x",
    ),
    "solve_ivp": (
        lambda p: np.sum(
            integrate.solve_ivp(_rates, (0, 3), [1.0, 0.0], t_eval=TIMES, args=(p,), rtol=1e-11, atol=1e-12).y[1]
        ),
        lambda p: np.sum(
            functions.odeint(lambda y, t: np.array(_rates(t, y, p)), np.array([1.0, 0.0]), TIMES, rtol=1e-10).y.T[1]
        ),
        ".functions.odeint(lambda y, t: np.array(function(t, y)), y, t_eval).y.T",
    ),
    "quad": (
        lambda p: integrate.quad(lambda x: np.exp(-p[0] * x**2) * np.cos(p[1] * x), 0, 2)[0],
        lambda p: functions.quad(lambda x: np.exp(-p[0] * x**2) * np.cos(p[1] * x), 0.0, 2.0).value,
        ".functions.quad(function, a, b).value",
    ),
}
"""By SciPy's name: the loss as it is refused, as the refusal has it, and the line."""


@pytest.mark.parametrize("name", LINES)
def test_the_line_that_a_refusal_names_works(name, embedded):
    refused, written, line = LINES[name]
    with pytest.raises(Untraceable) as refusal:
        embedded.function(refused).grad(POINT)
    assert line in str(refusal.value)
    value, gradient = embedded.function(written).value_and_grad(POINT)
    assert value == pytest.approx(refused(POINT), rel=1e-6)
    v, h = np.array([0.6, -0.8]), 1e-3
    f = [refused(POINT + k * h * v) for k in (-2, -1, 1, 2)]
    assert gradient @ v == pytest.approx((f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h), rel=1e-4)


def test_compiled_code_of_another_library_is_told_by_its_name(embedded):
    """It has no frame: what it asks of a traced array looks as if the author had asked."""
    torch: Any = ModuleType("torch")
    torch.tensor, torch.as_tensor = len, float
    for loss, called in (
        (lambda w: torch.tensor(w[0]), "torch.tensor"),
        (lambda w: torch.as_tensor(w), "torch.as_tensor"),
    ):
        with pytest.raises(Untraceable) as refusal:
            embedded.function(loss).grad(POINT)
        assert f"{called} is given a traced array, which torch does not know; import it" in str(refusal.value)
        assert str(refusal.value).startswith("test_lines_of_refusals.py:")
    with pytest.raises(Untraceable, match="a scalar has no length"):
        embedded.function(lambda w: len(w[0])).grad(POINT)
