"""Differential equations whose rates jump or have kinks, by the state, the time or parameters, against closed forms."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
import scipy.integrate

from gradserve.client import GradserveError, Untraceable, functions
from gradserve.client.functions import crossings
from tests import compiled

jax.config.update("jax_enable_x64", True)
jnp: Any = jax.numpy
solve_ivp: Any = scipy.integrate.solve_ivp
odeint: Any = scipy.integrate.odeint
POINT = np.array([1.3, 0.7])
TIGHT: Any = {"rtol": 1e-10, "atol": 1e-12}
TIMES = np.array([0.0, 0.5, 1.0, 1.5, 2.5])


def _last(rate: Any, end: float = 3.0, start: float = 0.0, **named: Any) -> Any:
    return solve_ivp(rate, (0.0, end), [start], **(TIGHT | named)).y[0, -1]


def _by_answers(p: Any) -> Any:
    def rate(t, y):
        if y[0] < p[0]:
            return [1.0]
        if y[0] < 2 * p[0]:
            return [p[1]]
        return [0.5 * p[1]]

    return _last(rate, 5.0)


def _after_answers(p: Any) -> Any:
    return 2 * p[0] + 0.5 * p[1] * (5.0 - p[0] - p[0] / p[1])


def _decayed(p: Any, start: Any, since: Any) -> Any:
    """What begins at a time and decays at the rate p[1] up to 3."""
    return start * jnp.exp(-p[1] * (3.0 - since))


def _pulses(p: Any) -> Any:
    """Infusions of length p[0] every 1.5, each decaying at the rate p[1], until 3.6."""
    whole = (1 - jnp.exp(-p[1] * p[0])) / p[1]
    return (
        sum(whole * jnp.exp(-p[1] * (3.6 - since - p[0])) for since in (0.0, 1.5)) + (1 - jnp.exp(-0.6 * p[1])) / p[1]
    )


def _levels(p: Any) -> Any:
    """Where y' = 1 + p[1] floor(y / p[0]) leads from 0 within 2: over one level."""
    return p[0] + (1 + p[1]) * (2.0 - p[0])


CASES: dict[str, tuple[Any, Any]] = {
    "by the state": (
        lambda p: _last(lambda t, y: np.where(y < p[0], 1.0, p[1])),
        lambda p: p[0] + p[1] * (3.0 - p[0]),
    ),
    "by the time": (
        lambda p: _last(lambda t, y: np.where(t < p[0], 1.0, 0.0) - p[1] * y),
        lambda p: _decayed(p, (1 - jnp.exp(-p[1] * p[0])) / p[1], p[0]),
    ),
    "by the time, at times": (
        lambda p: np.sum(odeint(lambda y, t: (t > p[1]) * p[0], [0.0], TIMES, **TIGHT)[:, 0] ** 2),
        lambda p: jnp.sum((jnp.maximum(TIMES - p[1], 0.0) * p[0]) ** 2),
    ),
    "by answers": (_by_answers, _after_answers),
    "implicit steps": (
        lambda p: _last(lambda t, y: np.where(y < p[0], 1.0, p[1] * y), method="Radau"),
        lambda p: p[0] * jnp.exp(p[1] * (3.0 - p[0])),
    ),
    "again and again": (
        lambda p: _last(lambda t, y: np.where(t % 1.5 < p[0] - 0.5, 1.0, 0.0) - p[1] * y, 3.6),
        lambda p: _pulses(jnp.stack([p[0] - 0.5, p[1]])),
    ),
    "by levels": (lambda p: _last(lambda t, y: 1 + p[1] * np.floor(y / p[0]), 2.0), _levels),
    "by a sign": (
        lambda p: _last(lambda t, y: 2.0 + np.sign(y - p[0]) * p[1], 2.0),
        lambda p: p[0] + (2.0 + p[1]) * (2.0 - p[0] / (2.0 - p[1])),
    ),
    "a kink": (
        lambda p: _last(lambda t, y: np.maximum(1.0, y / p[0])),
        lambda p: p[0] * jnp.exp((3.0 - p[0]) / p[0]),
    ),
    "a size": (
        lambda p: _last(lambda t, y: np.abs(t - p[0]) * p[1]),
        lambda p: p[1] * (p[0] ** 2 + (3.0 - p[0]) ** 2) / 2,
    ),
    "between bounds": (
        lambda p: _last(lambda t, y: np.clip(y, p[1], p[0]), start=0.5),
        lambda p: p[0] + p[0] * (3.0 - (p[1] - 0.5) / p[1] - jnp.log(p[0] / p[1])),
    ),
    "backwards": (
        lambda p: solve_ivp(lambda t, y: np.where(t > p[0], p[1], 1.0), (3.0, 0.0), [0.0], **TIGHT).y[0, -1],
        lambda p: -p[1] * (3.0 - p[0]) - p[0],
    ),
    "by a choice": (
        lambda p: _last(lambda t, y: np.where(np.where(t < p[1], 0.0, 2.0) > p[0], p[1], 1.0)),
        lambda p: p[1] + p[1] * (3.0 - p[1]),
    ),
    "a step with a value in its place": (
        lambda p: _last(lambda t, y: np.heaviside(t - p[0], 0.5) - p[1] * y),
        lambda p: (1 - jnp.exp(-p[1] * (3.0 - p[0]))) / p[1],
    ),
    "by places in a table": (
        lambda p: _last(lambda t, y: np.take(np.array([1.0, 0.3, 2.0]), np.searchsorted([0.5 * p[0], 2 * p[0]], y[0]))),
        lambda p: 0.5 * p[0] + 0.3 * (3.0 - 0.5 * p[0]),
    ),
    "by the largest": (
        lambda p: _last(lambda t, y: np.take(np.array([1.0, 2.0]), np.argmax(np.stack([p[0], p[1] + y[0]])))),
        lambda p: (p[0] - p[1]) + 2.0 * (3.0 - (p[0] - p[1])),
    ),
    "by whole numbers": (
        lambda p: _last(lambda t, y: np.take(np.array([1.0, 0.3, 2.0]), (t / p[0]).astype(np.int64)) + 0.0 * y),
        lambda p: p[0] + 0.3 * p[0] + 2.0 * (3.0 - 2 * p[0]),
    ),
    "two at once": (
        lambda p: _last(lambda t, y: np.where(t < p[0], 1.0, 0.0) + np.where(2 * t < 2 * p[0], p[1], 0.0)),
        lambda p: p[0] * (1.0 + p[1]),
    ),
}
"""By what makes a rate jump: where it leads, and that in closed form."""


@pytest.mark.parametrize("name", CASES)
def test_derivatives_know_of_jumps(name, embedded):
    loss, closed = CASES[name]
    f = embedded.function(loss, POINT)
    value, gradient = f.value_and_grad(POINT)
    assert value == pytest.approx(float(closed(jnp.asarray(POINT))), rel=1e-8)
    np.testing.assert_allclose(gradient, compiled.grad(closed)(POINT), rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(f.hessian(POINT), compiled.hessian(closed)(POINT), rtol=1e-5, atol=1e-6)


def test_a_planted_end_that_does_not_move_is_seen(embedded, monkeypatch):
    own = crossings._root
    monkeypatch.setattr(crossings, "_root", lambda *given: functions.stop_gradient(own(*given)))
    with pytest.raises(AssertionError):
        test_derivatives_know_of_jumps("by the state", embedded)


def test_rows_of_a_batch_jump_each_for_itself(embedded, client):
    loss, closed = CASES["by the state"]
    points = POINT + np.array([[0.0, 0.0], [0.4, -0.2], [9.0, 0.0]])
    for each in (embedded, client):
        _, gradients = each.function(loss, POINT).value_and_grad(points, batch=True)
        expected = [compiled.grad(closed)(p) for p in points[:2]]
        np.testing.assert_allclose(gradients, [*expected, [0.0, 0.0]], rtol=1e-7, atol=1e-9)


def test_where_a_rate_leads_back_there_is_no_derivative(embedded):
    f = embedded.function(
        lambda p: np.sum(solve_ivp(lambda t, y: -p[0] * np.sign(y), (0.0, 0.6), [p[1]], rtol=1e-2, atol=1e-2).y[0, -1]),
        POINT,
    )
    assert abs(f(POINT)) < 0.02
    with pytest.raises(GradserveError, match="led back from both sides"):
        f.grad(POINT)


def test_equations_of_tangents_are_refused_where_they_would_not_know(embedded):
    def loss(p: Any, by: Any) -> Any:
        rate = lambda y, t: np.where(by(y, t, p), 1.0, p[1])  # noqa: E731
        return functions.odeint(rate, 0.0, [0.0, 3.0], adjoint="equation").y[-1]

    with pytest.raises(Untraceable, match="leave out adjoint='equation'"):
        embedded.function(lambda p: loss(p, lambda y, t, p: y < p[0]), POINT)
    f = embedded.function(lambda p: loss(p, lambda y, t, p: t < 1.25), POINT)
    np.testing.assert_allclose(f.grad(POINT), [0.0, 1.75], rtol=1e-6)


def test_scipy_is_not_asked_for_each_answer(embedded):
    calls = []

    def loss(p: Any) -> Any:
        calls.append(1)
        return _by_answers(p)

    embedded.function(loss, POINT)
    assert len(calls) < 10
