"""Solvers of SciPy in losses as their authors write them: values and derivatives are those of the solution."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
from scipy import special

from gradserve.client import NumericalFailure, Untraceable
from gradserve.client.scipy import optimize as mirror
from gradserve.client.scipy.solvers import roots
from gradserve.client.scipy.solvers.table import SOLVERS
from gradserve.numpy.mirrored import OF_CLIENT

integrate: Any = scipy.integrate
optimize: Any = scipy.optimize
# As authors have them who import these alone.
quad: Any = scipy.integrate.quad
solve_ivp: Any = scipy.integrate.solve_ivp
curve_fit: Any = scipy.optimize.curve_fit
leastsq: Any = scipy.optimize.leastsq
nnls: Any = scipy.optimize.nnls
minimize_scalar: Any = scipy.optimize.minimize_scalar
POINT = np.array([1.3, 0.7])
TIMES = np.linspace(0.0, 3.0, 7)
X = np.linspace(0.0, 4.0, 30)
FOUR = np.array([[1.0, 0.2, 0.3], [0.1, 1.0, -0.2], [0.3, 0.1, 1.0], [0.5, -0.4, 0.2]])
TIGHT: Any = {"rtol": 1e-10, "atol": 1e-12}


def _decay(t, y, p):
    return [-p[0] * y[0], p[0] * y[0] - p[1] * y[1]]


def _decayed(t, p):
    """The second of two substances, of which the first decays into it."""
    return p[0] / (p[1] - p[0]) * (np.exp(-p[0] * t) - np.exp(-p[1] * t))


def _doses(p):
    """What is left of three doses, each taken when the last is integrated."""
    state = np.zeros(1)
    for _ in range(3):
        state = solve_ivp(lambda t, y: -p[0] * y, (0.0, 2.0), state + p[1], **TIGHT).y[:, -1]
    return state[0]


def _two_roots(x, p):
    return [x[0] + x[1] - p[0], x[0] * x[1] - p[1] / 4]


LOSSES: dict[str, tuple[Any, Any]] = {
    "odeint": (
        lambda p: np.sum(integrate.odeint(_decay, [1.0, 0.0], TIMES, args=(p,), tfirst=True, **TIGHT)[:, 1]),
        lambda p: np.sum(_decayed(TIMES, p)),
    ),
    "odeint, of a scalar": (
        lambda p: integrate.odeint(lambda y, t, k: -k * y, p[1], TIMES, (p[0],), **TIGHT)[-1, 0],
        lambda p: p[1] * np.exp(-3.0 * p[0]),
    ),
    "solve_ivp, at times": (
        lambda p: np.sum(integrate.solve_ivp(_decay, (0, 3), [1.0, 0.0], t_eval=TIMES, args=(p,), **TIGHT).y[1] ** 2),
        lambda p: np.sum(_decayed(TIMES, p) ** 2),
    ),
    "solve_ivp, the last step": (
        lambda p: (sol := solve_ivp(lambda t, y: [p[0] * np.cos(t)], [0.0, p[1]], [0.0], **TIGHT)).y[0, -1] + sol.t[-1],
        lambda p: p[0] * np.sin(p[1]) + p[1],
    ),
    "solve_ivp, rows of steps": (
        lambda p: [y[-1] for y in solve_ivp(_decay, (0, 3), [1.0, 0.0], "Radau", args=(p,), **TIGHT).y][1],
        lambda p: _decayed(3.0, p),
    ),
    "solve_ivp, anywhere": (
        lambda p: np.sum(
            solve_ivp(lambda t, y: -p[0] * y, (3, 0), [p[1]], "LSODA", dense_output=True, **TIGHT).sol([0.5, 2.0, 1.0])
        ),
        lambda p: np.sum(p[1] * np.exp(-p[0] * (np.array([0.5, 2.0, 1.0]) - 3.0))),
    ),
    "solve_ivp, again and again": (_doses, lambda p: p[1] * sum(np.exp(-2.0 * k * p[0]) for k in (1, 2, 3))),
    "quad, to infinity": (
        lambda p: quad(lambda x: np.exp(-p[0] * x * x), -np.inf, np.inf)[0],
        lambda p: np.sqrt(np.pi / p[0]),
    ),
    "quad, arguments and limits": (
        lambda p: quad(lambda x, a, b: a * x**b, 0, p[1], args=(p[0], 2.0), epsabs=1e-12)[0],
        lambda p: p[0] * p[1] ** 3 / 3,
    ),
    "quad, between points": (
        lambda p: integrate.quad(lambda x: np.abs(x - 0.3) * p[0], 0, p[1], points=[0.3])[0],
        lambda p: p[0] * (0.045 + (p[1] - 0.3) ** 2 / 2),
    ),
    "quad_vec": (
        lambda p: np.sum(integrate.quad_vec(lambda x: np.exp(-x * p), 0, 1)[0]),
        lambda p: np.sum((1 - np.exp(-p)) / p),
    ),
    "fixed_quad": (
        lambda p: integrate.fixed_quad(lambda x: p[0] * x**7, 0, p[1], n=4)[0],
        lambda p: p[0] * p[1] ** 8 / 8,
    ),
    "dblquad": (
        lambda p: integrate.dblquad(lambda y, x: p[0] * x * y, 0, p[1], lambda x: 0.0, lambda x: x)[0],
        lambda p: p[0] * p[1] ** 4 / 8,
    ),
    "tplquad": (
        lambda p: integrate.tplquad(lambda z, y, x: p[0] * z, 0, 1, 0, p[1], 0, lambda x, y: x + y)[0],
        lambda p: p[0] * (p[1] / 6 + p[1] ** 2 / 4 + p[1] ** 3 / 6),
    ),
    "nquad": (
        lambda p: integrate.nquad(lambda x, y, a: a * x + y, [lambda y, a: (0, y), (0, p[1])], args=(p[0],))[0],
        lambda p: (p[0] / 2 + 1) * p[1] ** 3 / 3,
    ),
    "brentq": (lambda p: optimize.brentq(lambda x: x**3 - p[0], 0, 5), lambda p: p[0] ** (1 / 3)),
    "bisect, to a traced end": (
        lambda p: optimize.bisect(lambda x, a: np.cos(x) - a, p[0] - 1, 3, args=(p[1],)),
        lambda p: np.arccos(p[1]),
    ),
    "toms748, with a report": (
        lambda p: optimize.toms748(lambda x: np.log(x) - p[0], 1, 9, full_output=True)[1].root,
        lambda p: np.exp(p[0]),
    ),
    "newton": (lambda p: optimize.newton(lambda x: x**2 - p[0] / p[1], 1.0), lambda p: np.sqrt(p[0] / p[1])),
    "root_scalar": (
        lambda p: optimize.root_scalar(lambda x: (np.exp(x) - p[0], np.exp(x)), fprime=True, x0=1.0).root,
        lambda p: np.log(p[0]),
    ),
    "root_scalar, in a bracket": (
        lambda p: optimize.root_scalar(lambda x: x * np.exp(x) - p[0], bracket=[0, 2], method="brentq").root,
        lambda p: special.lambertw(p[0]).real,
    ),
    "fsolve": (
        lambda p: optimize.fsolve(_two_roots, [1.5, 0.0], args=(p,))[0],
        lambda p: (p[0] + np.sqrt(p[0] ** 2 - p[1])) / 2,
    ),
    "root": (
        lambda p: (sol := optimize.root(_two_roots, [1.5, 0.0], args=(p,), method="lm")).x[1] + np.sum(sol["fun"]),
        lambda p: (p[0] - np.sqrt(p[0] ** 2 - p[1])) / 2,
    ),
    "fixed_point": (
        lambda p: optimize.fixed_point(lambda x: p[0] * np.exp(-x), 0.5),
        lambda p: special.lambertw(p[0]).real,
    ),
    "minimize": (
        lambda p: (sol := optimize.minimize(lambda x: np.sum((x - p) ** 2) + x[0] ** 2, np.zeros(2))).x @ p + sol.fun,
        lambda p: p[0] ** 2 + p[1] ** 2,
    ),
    "minimize, with its gradient": (
        lambda p: optimize.minimize(lambda x: (np.cosh(x[0] - p[0]), 0.0), [0.0], jac=True, method="BFGS").x[0],
        lambda p: p[0],
    ),
    "minimize_scalar": (
        lambda p: optimize.minimize_scalar(lambda x: np.exp(x) - p[0] * x, bracket=(0, 1)).fun,
        lambda p: p[0] - p[0] * np.log(p[0]),
    ),
    "minimize_scalar, between bounds": (
        lambda p: minimize_scalar(lambda x: (x - p[0]) ** 2 / p[1], bounds=(0, 4), method="bounded").x,
        lambda p: p[0],
    ),
    "minimize_scalar, at a bound": (
        lambda p: minimize_scalar(lambda x: (x - 5) ** 2, bounds=(0, p[0])).x,
        lambda p: p[0],
    ),
    "least_squares": (
        lambda p: optimize.least_squares(lambda x: [x[0] - p[0], x[0] * x[1] - p[1]], [1.0, 1.0]).x[1],
        lambda p: p[1] / p[0],
    ),
    "leastsq": (
        lambda p: leastsq(lambda x: X * x[0] - p[0] * X**2, [1.0])[0][0],
        lambda p: p[0] * X**3 @ X**0 / (X @ X),
    ),
    "nnls": (
        lambda p: optimize.nnls(FOUR * p[1], FOUR @ [1.0, -2.0, p[0]])[0] @ np.arange(1.0, 4.0),
        lambda p: _bounded(p, [0, 2]) @ np.arange(1.0, 4.0),
    ),
    "nnls, what is left": (
        lambda p: nnls(FOUR * p[1], FOUR @ [1.0, -2.0, p[0]])[1] ** 2,
        lambda p: np.sum((FOUR @ (p[1] * _bounded(p, [0, 2]) - [1.0, -2.0, p[0]])) ** 2),
    ),
    "lsq_linear": (
        lambda p: optimize.lsq_linear(FOUR * p[1], FOUR @ np.array([1.0, -2.0, p[0]]), (-0.5 * p[0], np.inf)).x[2],
        lambda p: _bounded(p, [0, 2], -0.5 * p[0])[2],
    ),
    "lsq_linear, all free": (
        lambda p: optimize.lsq_linear(FOUR * p[1], FOUR @ np.array([1.0, -2.0, p[0]])).x.sum(),
        lambda p: (p[0] - 1.0) / p[1],
    ),
    "curve_fit": (
        lambda p: curve_fit(lambda x, a, b: a * np.exp(-b * x), X, p[0] * np.exp(-p[1] * X))[0] @ np.array([1.0, 2.0]),
        lambda p: p[0] + 2.0 * p[1],
    ),
    "curve_fit, its covariance": (
        lambda p: optimize.curve_fit(lambda x, a: a * x, X, X * p[0] + 1, sigma=X + p[1])[1][0, 0],
        lambda p: (
            np.sum(((X * p[0] + 1 - X * _slope(p)) / (X + p[1])) ** 2) / np.sum((X / (X + p[1])) ** 2) / (X.size - 1)
        ),
    ),
}
"""By what of SciPy they hold: losses, and what they are in closed form."""


def _bounded(p, free, bound=0.0):
    """The best unknowns with the second at its bound, by a factorisation of the others' columns."""
    x = np.full(3, bound)
    x[free] = np.linalg.lstsq(FOUR[:, free] * p[1], FOUR @ [1.0, -2.0, p[0]] - FOUR[:, 1] * p[1] * bound, rcond=None)[0]
    return x


def _slope(p):
    weights = 1 / (X + p[1]) ** 2
    return p[0] + np.sum(weights * X) / np.sum(weights * X * X)


def _gradient(closed):
    h = 1e-3
    return [
        (8 * (closed(POINT + h * e) - closed(POINT - h * e)) - (closed(POINT + 2 * h * e) - closed(POINT - 2 * h * e)))
        / (12 * h)
        for e in np.eye(2)
    ]


@pytest.mark.parametrize("name", LOSSES)
def test_values_and_gradients_are_those_of_the_solution(name, embedded):
    loss, closed = LOSSES[name]
    value, gradient = embedded.function(loss).value_and_grad(POINT)
    assert value == pytest.approx(closed(POINT), rel=1e-7, abs=1e-9)
    np.testing.assert_allclose(gradient, _gradient(closed), rtol=1e-6, atol=1e-7)


def test_a_planted_solver_without_its_derivative_is_seen(embedded, monkeypatch):
    of_roots: Any = roots
    own, still = of_roots.functions.root, of_roots.functions.stop_gradient
    monkeypatch.setattr(of_roots.functions, "root", lambda *args: still(own(*args)))
    with pytest.raises(AssertionError):
        test_values_and_gradients_are_those_of_the_solution("brentq", embedded)


def test_stiff_equations_are_followed_by_implicit_steps(embedded):
    def loss(p):
        rates = lambda y, t: [-1e5 * p[0] * (y[0] - np.cos(t)), y[0] - p[1] * y[1]]  # noqa: E731
        return integrate.odeint(rates, [1.0, 0.0], [0.0, 1.0, 4.0])[-1, 1]

    known = [(p[1] * np.cos(4) + np.sin(4) - p[1] * np.exp(-4 * p[1])) / (1 + p[1] ** 2) for p in (POINT,)]
    value, gradient = embedded.function(loss).value_and_grad(POINT)
    assert value == pytest.approx(known[0], rel=1e-5)
    assert abs(gradient[0]) < 1e-4


@pytest.mark.parametrize("full", SOLVERS)
def test_arguments_stand_in_the_order_of_scipys(full):
    module, _, name = full.rpartition(".")
    own = inspect.signature(getattr(importlib.import_module(module), name)).parameters.values()
    kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    positions = [each.name for each in own if each.kind is kinds[0]]
    solver = SOLVERS[full]
    assert solver.positions[: len(positions)] == positions
    assert {each.name for each in own if each.kind is kinds[1]} <= solver.known


def test_every_solver_is_described():
    of_solvers = ("scipy.integrate.", "scipy.optimize.")
    assert set(SOLVERS) == {name for name in OF_CLIENT if name.startswith(of_solvers)}


def test_numbers_are_left_to_scipy(embedded):
    def loss(p):
        found = optimize.brentq(lambda x: x**3 - 2, 0, 5, full_output=True)
        assert found[1].iterations > 0
        return p[0] * found[0] + solve_ivp(lambda t, y: -y, (0, 1), [1.0]).y.shape[1]

    steps = solve_ivp(lambda t, y: -y, (0, 1), [1.0]).y.shape[1]
    assert embedded.function(loss)(POINT) == 1.3 * optimize.brentq(lambda x: x**3 - 2, 0, 5) + steps


def test_names_of_the_mirror_solve_without_scipy():
    code = """
import sys
sys.modules["scipy"] = None
from gradserve.client.scipy import integrate, optimize
from gradserve.client.tracing.trace import trace
traced = trace(lambda p: optimize.brentq(lambda x: x**2 - p, 0, 3) + integrate.quad(lambda x: p * x, 0, 2)[0], 4.0)
print(*(node.op.name for node in traced.graph.nodes))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "scan" in done.stdout
    assert not done.stderr


def test_minpack_prints_nothing(embedded, capfd):
    for name in ("leastsq", "fsolve", "curve_fit"):
        embedded.function(LOSSES[name][0]).grad(POINT)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (lambda p: np.sum(solve_ivp(lambda t, y: -p[0] * y, (0, 1), [1.0]).y), "give t_eval"),
        (lambda p: solve_ivp(lambda t, y: -p[0] * y, (0, 1), [1.0]).y[0, 3], "give t_eval"),
        (lambda p: solve_ivp(lambda t, y: -p[0] * y, (0, 1), p, method="Euler").y[0, -1], "RK23"),
        (lambda p: quad(lambda x: p[0] * x, 0, 1, weight="cos", wvar=1.0)[0], "multiply what the function returns"),
        (
            lambda p: optimize.minimize(lambda x: np.sum((x - p) ** 2), p, constraints={"type": "eq", "fun": sum}).fun,
            "functions.root",
        ),
        (lambda p: optimize.least_squares(lambda x: x - p, p, loss="arctan").cost, "soft_l1"),
    ],
)
def test_what_solvers_cannot_do_is_refused_with_a_way_round(loss, text, embedded):
    with pytest.raises(Untraceable) as refusal:
        embedded.function(loss).grad(POINT)
    assert text in str(refusal.value)
    assert str(refusal.value).startswith("test_scipy_solvers.py:")


def test_no_bounds_are_no_bounds(embedded):
    free = optimize.Bounds(-np.inf, np.inf), [(None, None)] * 2, None
    for bounds in free:
        f = embedded.function(
            lambda p, b=bounds: optimize.minimize(lambda x: np.sum((x - p) ** 4 + x), p, bounds=b).fun
        )
        assert f(POINT) == pytest.approx(np.sum(POINT) - 2 * 0.75 * 0.25 ** (1 / 3))


def test_a_bracket_without_a_root_is_refused_by_the_call(embedded):
    with pytest.raises(NumericalFailure):
        embedded.function(lambda p: optimize.brentq(lambda x: x**2 + p[0], -1, 2)).grad(POINT)


def test_unknown_arguments_are_refused_as_scipy_does(embedded):
    with pytest.raises(TypeError, match="has no place for the argument step"):
        embedded.function(lambda p: mirror.brentq(lambda x: x - p[0], p[1] - 2, 2, step=1)).grad(POINT)
