"""Differential equations within traced functions, against their solutions and derivatives to 60 digits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import integrate

from gradserve.client import functions
from gradserve.client.functions import odes, stepping
from gradserve.ir.errors import NumericalFailure, Untraceable

REFERENCES = json.loads((Path(__file__).parent / "references" / "odes.json").read_text())


def close(found: Any, expected: Any, tolerance: float) -> None:
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def predators(y: Any, t: Any, p: Any) -> Any:
    """Lotka's and Volterra's equations, of a tree."""
    del t
    prey, hunters = y["prey"], y["hunters"]
    return {"prey": p[0] * prey - p[1] * prey * hunters, "hunters": p[3] * prey * hunters - p[2] * hunters}


def reactions(y: Any, t: Any, p: Any) -> Any:
    """Robertson's reactions, with rates from 0.04 to 3e7."""
    del t
    slow, fast, middle = p[0] * y[0], p[1] * y[1] ** 2, p[2] * y[1] * y[2]
    return np.stack([middle - slow, slow - middle - fast, fast])


def numbers(tree: Any) -> np.ndarray:
    return np.array(tree, dtype=np.float64)


class Reference:
    """Numbers to 60 digits, rounded: see references/odes.py."""

    def __init__(self, name: str) -> None:
        found = REFERENCES[name]
        self.start, self.parameters, self.times = (numbers(found[key]) for key in ("start", "parameters", "times"))
        self.states = np.stack([self.start, *numbers(found["states"])])
        """By time and element."""
        moves = numbers(found["derivatives"])
        still = np.concatenate([np.eye(self.start.size), np.zeros((self.start.size, self.parameters.size))], axis=1)
        self.moves = np.stack([still, *moves])
        """By time and element the derivatives in the first state, and in the parameters."""


HUNT, STIFF = Reference("lotka-volterra"), Reference("robertson")
POINT = np.array([0.4, 0.7])
WEIGHTS = np.array([[0.0, 0.0], [1.0, -0.5], [0.7, 0.3]])


def hunted(y: Any, t: Any, p: Any, **options: Any) -> Any:
    """A sum of the states at the times with weights."""
    options = {"rtol": 1e-10, "atol": 1e-12, **options}
    found = functions.odeint(predators, {"prey": y[0], "hunters": y[1]}, t, p, **options).y
    return np.sum(found["prey"] * WEIGHTS[:, 0] + found["hunters"] * WEIGHTS[:, 1])


def expected_slopes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradient of that sum, in the times by the speeds there; the whole moves back with the first."""
    moved = np.einsum("ti,tij->j", WEIGHTS, HUNT.moves)
    speeds = np.stack([[*predators({"prey": a, "hunters": b}, 0.0, HUNT.parameters).values()] for a, b in HUNT.states])
    in_times = np.sum(WEIGHTS * speeds, axis=1)
    in_times[0] = -np.einsum("ti,tij,j->", WEIGHTS[1:], HUNT.moves[1:, :, :2], speeds[0])
    return moved[:2], in_times, moved[2:]


@pytest.mark.parametrize("adjoint", ["loop", "equation"])
def test_hunters_and_prey_to_the_tolerance(client, adjoint):
    f = client.function(
        lambda y, t, p: hunted(y, t, p, adjoint=adjoint, most=600), HUNT.start, HUNT.times, HUNT.parameters
    )
    given = (HUNT.start, HUNT.times, HUNT.parameters)
    value, gradient = f.value_and_grad(*given)
    close(value, np.sum(WEIGHTS * HUNT.states), 1e-8)
    slopes = dict(zip("ytp", expected_slopes(), strict=True))
    for name, slope in slopes.items():
        close(gradient[name], slope, 1e-7)
    tangent = {"y": np.array([1.0, 2.0]), "t": np.array([0.5, -1.0, 0.25]), "p": np.array([0.1, -0.2, 0.3, 0.4])}
    close(f.jvp(*given, tangent=tangent)[1], sum(slopes[name] @ tangent[name] for name in slopes), 1e-6)


def test_a_lost_term_of_the_adjoint_is_seen(embedded, monkeypatch):
    monkeypatch.setattr(odes._Equations, "_speeds", lambda self, rows, times, known: 0.0 * rows)
    with pytest.raises(AssertionError):
        test_hunters_and_prey_to_the_tolerance(embedded, "equation")


@pytest.mark.parametrize("method", ["dopri5", "radau"])
def test_verification_agrees_with_derivatives_of_steps(embedded, method):
    """Which are exact for what is computed: the lengths of steps move as well."""
    f = embedded.function(
        lambda p: np.sum(functions.odeint(lambda y, t: np.sin(t * y) - p * y, POINT, [0.0, 1.0], method=method).y),
        POINT,
    )
    assert f.verify(POINT).verdict == "agrees"


def test_second_derivatives_are_differences_of_first_ones(embedded):
    f = embedded.function(lambda p: hunted(HUNT.start, HUNT.times, p, rtol=1e-9, most=260), HUNT.parameters)
    v, step = np.array([0.3, -0.2, 0.5, 0.1]), 1e-3
    sides = [f.grad(HUNT.parameters + k * step * v) for k in (-2, -1, 1, 2)]
    close(f.hvp(HUNT.parameters, tangent=v), (8 * (sides[2] - sides[1]) - (sides[3] - sides[0])) / 12 / step, 1e-5)


def test_points_of_a_batch_take_steps_of_their_own(embedded):
    f = embedded.function(lambda p: hunted(HUNT.start, HUNT.times, p, rtol=1e-7, most=150), HUNT.parameters)
    points = np.stack([HUNT.parameters, HUNT.parameters * 1.2])
    gradients = f.grad(points, batch=True)
    for point, gradient in zip(points, gradients, strict=True):
        close(gradient, f.grad(point), 1e-12)


def robbed(y: Any, p: Any, **options: Any) -> Any:
    """The sum of the last states, the second, which is small, a hundred thousand times."""
    options = {"rtol": 1e-7, "atol": np.array([1e-9, 1e-13, 1e-9]), "method": "radau", "most": 200, **options}
    return functions.odeint(reactions, y, STIFF.times, p, **options).y[-1] @ np.array([1.0, 1e5, 2.0])


def test_stiff_reactions_to_the_tolerance(embedded):
    f = embedded.function(robbed, STIFF.start, STIFF.parameters)
    value, gradient = f.value_and_grad(STIFF.start, STIFF.parameters)
    weights = np.array([1.0, 1e5, 2.0])
    slopes = weights @ STIFF.moves[-1]
    close(value, weights @ STIFF.states[-1], 1e-6)
    np.testing.assert_allclose(gradient["y"], slopes[:3], rtol=1e-4)
    np.testing.assert_allclose(gradient["p"], slopes[3:], rtol=1e-4)


def test_stiff_reactions_cannot_be_followed_backwards(embedded):
    f = embedded.function(lambda y, p: robbed(y, p, adjoint="equation", most=90), STIFF.start, STIFF.parameters)
    with pytest.raises(NumericalFailure, match="90 steps; not"):
        f.grad(STIFF.start, STIFF.parameters)


def test_states_that_are_missed_on_the_way_back_are_seen(embedded):
    """y' = -20 y to 2: on the way back an error grows e^40 times."""
    f = embedded.function(
        lambda y: functions.odeint(lambda y, t: -20.0 * y + np.sin(t), y, [0.0, 2.0], adjoint="equation").y[-1], 1.0
    )
    assert np.isnan(f.grad(1.0))
    close(f.jvp(1.0, tangent=1.0)[1], np.exp(-40.0), 1e-8)


def test_explicit_steps_are_too_many_for_stiff_reactions(embedded):
    with pytest.raises(NumericalFailure, match="200 steps; not") as caught:
        embedded.function(lambda y, p: robbed(y, p, method="dopri5"))(STIFF.start, STIFF.parameters)
    assert "test_odes.py" in str(caught.value)


@pytest.mark.parametrize(("method", "theirs"), [("dopri5", "RK45"), ("radau", "Radau")])
def test_steps_are_about_as_many_as_scipys(embedded, method, theirs: Any):
    """A pendulum with friction, driven: the rate depends on the time."""

    def rate(y: Any, t: Any) -> Any:
        return np.stack([y[1], np.cos(2.0 * t) - np.sin(y[0]) - 0.1 * y[1]])

    times = np.array([0.0, 4.0])
    f = embedded.function(lambda y: functions.odeint(rate, y, times, rtol=1e-6, atol=1e-8, method=method), np.ones(2))
    found = f(np.ones(2))
    span: Any = (0.0, 4.0)
    known = integrate.solve_ivp(lambda t, y: rate(y, t), span, [1.0, 1.0], "DOP853", rtol=1e-12)
    close(found.y[-1], known.y[:, -1], 1e-5)
    close(found.y[0], np.ones(2), 0.0)
    other = integrate.solve_ivp(lambda t, y: rate(y, t), span, [1.0, 1.0], theirs, rtol=1e-6, atol=1e-8)
    assert found.steps < 1.3 * len(other.t)


def test_orders_of_steps():
    """Half as long a step errs 2^6 times less, and its estimate of the error falls as told."""
    rate = lambda y, t: np.stack([y[1] + 0.1 * t, -y[0]])  # noqa: E731

    def exact(h):
        return integrate.solve_ivp(lambda t, y: rate(y, t), (0, h), [1.0, 0.5], "DOP853", rtol=1e-13, atol=1e-15).y[
            :, -1
        ]

    errors, told = [], []
    for h in (0.4, 0.2):
        new, error = stepping._explicit(rate, np.array([1.0, 0.5]), np.float64(0.0), np.float64(h))
        errors.append(np.linalg.norm(new - exact(h)))
        told.append(np.linalg.norm(error))
    assert 5.5 < np.log2(errors[0] / errors[1]) < 6.7
    assert 4.5 < np.log2(told[0] / told[1]) < 5.5


def test_tolerances_may_be_arguments(embedded):
    f = embedded.function(lambda y, rtol: functions.odeint(lambda y, t: -y, y, [0.0, 1.0], rtol=rtol, most=200))
    assert f(1.0, 1e-4).steps < f(1.0, 1e-9).steps


def test_time_may_run_backwards_and_stand_still(embedded):
    times = np.array([1.0, 0.5, 0.5, -1.0])
    for method in ("dopri5", "radau"):
        f = embedded.function(lambda y: functions.odeint(lambda y, t: -y, y, times, method=method).y, 2.0)  # noqa: B023
        close(f(2.0), 2.0 * np.exp(1.0 - times), 1e-6)
        close(f.jacobian(2.0), np.exp(1.0 - times), 1e-6)


def test_single_precision(embedded):
    y = np.ones(2, np.float32)
    f = embedded.function(lambda y: functions.odeint(lambda y, t: -y, y, [0.0, 1.0], rtol=1e-4, atol=1e-5).y[-1], y)
    assert f(y).dtype == np.float32
    close(f.jacobian(y), np.eye(2) * np.exp(-1.0), 1e-3)


def test_memory_grows_with_states_and_not_with_what_a_step_computes(embedded):
    """Of 100 elements and 400 steps: the states take 320,000 bytes, the stages of all steps fifty times as much."""
    matrix = np.random.default_rng(1).standard_normal((100, 100)) / 10

    def loss(y: Any) -> Any:
        return np.sum(functions.odeint(lambda y, t: np.tanh(matrix @ np.sin(y)), y, [0.0, 1.0], most=400).y[-1])

    f = embedded.function(loss, np.ones(100))
    assert f.explain(np.ones(100), derivation="gradient").peak_bytes < 3_000_000


def test_graphs_do_not_grow_with_the_times(embedded):
    def lines(count: int) -> int:
        times = np.linspace(0.0, 1.0, count)
        f = embedded.function(lambda y: functions.odeint(lambda y, t: {"a": -y["a"]}, {"a": y}, times).y["a"], POINT)
        text: str = f.explain(POINT, derivation="evaluate").text
        return text.count("\n")

    assert lines(5) == lines(50)


def test_what_is_not_reached_is_reported_if_one_wants(embedded):
    """y' = y^2 from 1 is infinite at 1."""

    def found(y: Any, **options: Any) -> Any:
        return functions.odeint(lambda y, t: y * y, y, [0.0, 0.5, 2.0], most=150, **options)

    with pytest.raises(NumericalFailure, match="150 steps"):
        embedded.function(lambda y: found(y).y)(1.0)
    answer = embedded.function(lambda y: found(y, on_most="report"))(1.0)
    assert not answer.converged
    close(answer.y[:2], [1.0, 2.0], 1e-6)
    assert np.isnan(answer.y[2])


MISUSED = {
    "another structure": (lambda w: functions.odeint(lambda y, t: (y,), w, [0.0, 1.0]).y, "returns tuple"),
    "times": (lambda w: functions.odeint(lambda y, t: y, w, 1.0).y, "give a vector"),
    "integers": (lambda w: functions.odeint(lambda y, t: y, 3, [0.0, 1.0]).y, "real numbers"),
    "tolerances": (lambda w: functions.odeint(lambda y, t: y, w, [0.0, 1.0], atol=[1e-3, 1e-4]).y, "give one number"),
}


@pytest.mark.parametrize("name", MISUSED)
def test_other_functions_are_refused(embedded, name):
    function, text = MISUSED[name]
    with pytest.raises(Untraceable, match=text):
        embedded.function(function, np.ones(2))


@pytest.mark.parametrize("option", ["method", "adjoint"])
def test_options_that_are_not_there(embedded, option):
    other: dict[str, Any] = {option: "euler"}
    with pytest.raises(ValueError, match=f"{option}='euler' is none of"):
        embedded.function(lambda w: functions.odeint(lambda y, t: y, w, [0.0, 1.0], **other).y, np.ones(2))
