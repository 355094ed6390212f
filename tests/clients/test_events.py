"""Events of differential equations: when they happen, and in which states, with derivatives, against closed forms."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
import scipy.integrate

from gradserve.client import NumericalFailure, Untraceable
from tests import compiled

jax.config.update("jax_enable_x64", True)
jnp: Any = jax.numpy
solve_ivp: Any = scipy.integrate.solve_ivp
POINT = np.array([1.3, 0.7])
G = 9.81
TIGHT: Any = {"rtol": 1e-10, "atol": 1e-12}


def _hits(t: Any, y: Any) -> Any:
    return y[0]


_hits.terminal = True  # type: ignore[attr-defined]
_hits.direction = -1  # type: ignore[attr-defined]


def _turns(t: Any, y: Any) -> Any:
    return y[1]


def _falls(t: Any, y: Any) -> Any:
    return [y[1], -G]


def _thrown(p: Any, **more: Any) -> Any:
    """What is thrown up from the height p[0] with the speed p[1]."""
    return solve_ivp(_falls, (0.0, 10.0), [p[0], p[1]], **(TIGHT | {"events": [_hits, _turns]} | more))


def _falling_time(p: Any) -> Any:
    return (p[1] + jnp.sqrt(p[1] ** 2 + 2 * G * p[0])) / G


def _bounced(p: Any) -> Any:
    """The time of the third bounce, each of which leaves the part p[1] of the speed."""
    t, y = 0.0, [p[0], 0.0]
    for _ in range(3):
        sol = solve_ivp(_falls, (t, t + 10.0), y, events=_hits, **TIGHT)
        t, y = sol.t[-1], [0.0, -p[1] * sol.y[1, -1]]
    return t


def _below(level: Any, **attributes: Any) -> Any:
    def event(t: Any, y: Any, *_: Any) -> Any:
        return y[0] - level

    vars(event).update(attributes)
    return event


def _decays(p: Any, events: Any, **more: Any) -> Any:
    return solve_ivp(lambda t, y: -p[0] * y, (0.0, 4.0), [1.0], events=events, **(TIGHT | more))


def _swings(p: Any, **event: Any) -> Any:
    passes = lambda t, y: y[0]  # noqa: E731
    vars(passes).update(event)
    return solve_ivp(lambda t, y: [y[1], -(p[0] ** 2) * y[0]], (0.0, 12.0), [1.0, 0.0], events=[passes], **TIGHT)


def _either(p: Any, level: Any) -> Any:
    sol = _decays(p, _below(level, terminal=True))
    return sol.t[-1] if sol.status == 1 else p[1] * sol.y[0, -1]


def _dense(p: Any) -> Any:
    sol = _thrown(p, dense_output=True)
    return np.sum(sol.sol(sol.t[-1] * np.array([0.25, 0.5]))[0])


def _height(p: Any, t: Any) -> Any:
    return p[0] + p[1] * t - G * t**2 / 2


CASES: dict[str, tuple[Any, Any]] = {
    "the time of an end": (lambda p: _thrown(p).t[-1], _falling_time),
    "the state at an end": (lambda p: _thrown(p).y[1, -1] ** 2, lambda p: p[1] ** 2 + 2 * G * p[0]),
    "as an event": (lambda p: _thrown(p).t_events[0][0], _falling_time),
    "one on the way": (
        lambda p: (sol := _thrown(p)).t_events[1][0] + sol.y_events[1][0, 0] + sol.y_events[1][-1][0],
        lambda p: p[1] / G + 2 * (p[0] + p[1] ** 2 / (2 * G)),
    ),
    "again and again": (_bounced, lambda p: jnp.sqrt(2 * p[0] / G) * (1 + 2 * p[1] + 2 * p[1] ** 2)),
    "by what a rate does not know": (
        lambda p: solve_ivp(lambda t, y: -y, (0, 9), [1.0], events=[_below(0.2 * p[1])], **TIGHT).t_events[0][0] * p[0],
        lambda p: -p[0] * jnp.log(0.2 * p[1]),
    ),
    "stiff or not": (
        lambda p: _decays(p, _below(0.2 * p[1], terminal=True), method="LSODA").t[-1],
        lambda p: -jnp.log(0.2 * p[1]) / p[0],
    ),
    "implicit steps, further arguments": (
        lambda p: solve_ivp(
            lambda t, y, k: -k * y, (0, 4), [1.0], "Radau", events=_below(0.2 * p[1]), args=(p[0],), rtol=1e-8
        ).t_events[0][0],
        lambda p: -jnp.log(0.2 * p[1]) / p[0],
    ),
    "an end that is reached": (lambda p: _either(p, 0.3), lambda p: -jnp.log(0.3) / p[0]),
    "an end that is not": (lambda p: _either(p, -0.3), lambda p: p[1] * jnp.exp(-4 * p[0])),
    "how often": (
        lambda p: p[1] * (sol := _swings(p)).t_events[0].size + sol.t_events[0][-1] + sol.t_events[0][1],
        lambda p: 5.0 * p[1] + (4.5 + 1.5) * jnp.pi / p[0],
    ),
    "upwards alone": (
        lambda p: p[1] * (sol := _swings(p, direction=1)).t_events[0].size + sol.t_events[0][1],
        lambda p: 2.0 * p[1] + 3.5 * jnp.pi / p[0],
    ),
    "the third time ends": (
        lambda p: (sol := _swings(p, terminal=3)).t[-1] + p[1] * sol.status,
        lambda p: 2.5 * jnp.pi / p[0] + p[1],
    ),
    "anywhere before the end": (
        _dense,
        lambda p: _height(p, _falling_time(p) / 4) + _height(p, _falling_time(p) / 2),
    ),
    "at times, on the way": (
        lambda p: np.sum(
            (sol := _decays(p, _below(0.3), t_eval=[0.5, 2.0])).y[0]
        ) + sol.t_events[0][0],
        lambda p: jnp.exp(-p[0] / 2) + jnp.exp(-2 * p[0]) - jnp.log(0.3) / p[0],
    ),
    "a complex state": (
        lambda p: solve_ivp(
            lambda t, y: (1j * p[0] - 0.1) * y, (0, 4), [1.0 + 0j], events=lambda t, y: np.real(y[0]), **TIGHT
        ).t_events[0][0],
        lambda p: jnp.pi / (2 * p[0]),
    ),
    "where a rate jumps": (
        lambda p: solve_ivp(
            lambda t, y: np.where(y < p[1], 1.0, p[0]), (0, 9), [0.0], events=_below(2.0, terminal=True), **TIGHT
        ).t[-1],
        lambda p: p[1] + (2.0 - p[1]) / p[0],
    ),
}  # fmt: skip
"""By what is asked: it of an equation, and in closed form."""


@pytest.mark.parametrize("name", CASES)
def test_events_move_with_what_decides(name, embedded):
    loss, closed = CASES[name]
    f = embedded.function(loss, POINT)
    value, gradient = f.value_and_grad(POINT)
    loose = "implicit" in name
    assert value == pytest.approx(float(closed(jnp.asarray(POINT))), rel=1e-6 if loose else 1e-8)
    np.testing.assert_allclose(gradient, compiled.grad(closed)(POINT), rtol=1e-5 if loose else 1e-7, atol=1e-8)
    tangent = np.array([1.0, -0.5])
    expected = compiled.hessian(closed)(POINT) @ tangent
    np.testing.assert_allclose(f.hvp(POINT, tangent=tangent), expected, rtol=1e-4 if loose else 1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["the time of an end", "one on the way", "how often", "at times, on the way"])
def test_values_are_scipys(name, embedded):
    loss, _ = CASES[name]
    assert embedded.function(loss, POINT)(POINT) == pytest.approx(loss(POINT), rel=1e-8)


def test_what_has_not_happened_is_refused_by_the_call(embedded):
    f = embedded.function(lambda p: _decays(p, _below(-1.0)).t_events[0][0], POINT)
    with pytest.raises(NumericalFailure, match=r"ask \.size beforehand"):
        f.grad(POINT)


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (lambda p: _decays(p, _below(0.3, terminal=True), t_eval=[0.5, 2.0]).y[0, 0], "dense_output=True"),
        (lambda p: np.sum(_decays(p, _below(0.3)).t_events[0]), "t_events[0][0]"),
        (lambda p: p[0] * len(_decays(p, _below(0.3)).t_events[0]), ".size for how many"),
    ],
)
def test_what_depends_on_how_often_is_refused_with_a_way_round(loss, text, embedded):
    with pytest.raises(Untraceable) as refusal:
        embedded.function(loss, POINT)
    assert text in str(refusal.value)
    assert str(refusal.value).startswith("test_events.py:")
