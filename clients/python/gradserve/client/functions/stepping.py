"""Steps of ordinary differential equations, with estimates of their errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gradserve.client.functions.custom import checkpoint, stop_gradient
from gradserve.client.functions.derivatives import jacobian
from gradserve.client.functions.implicit import root
from gradserve.client.functions.phases import SLIDES, Phases
from gradserve.client.functions.refusing import derivable
from gradserve.client.functions.until import OnMost, until

Rate: TypeAlias = Callable[[Any, Any], Any]
"""From a state and a time to how fast the state moves."""
Step: TypeAlias = Callable[[Rate, Any, Any, Any], tuple[Any, Any]]
"""From a rate, a state, a time and a length to the state after a step, and an estimate of its error, infinite if the
step is impossible."""


class Method(NamedTuple):
    """A way to make steps."""

    step: Step
    power: float
    """An error that is r times too large asks for steps r^-power times as long."""


# Dormand and Prince, A family of embedded Runge-Kutta formulae, 1980.
_TIMES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0)
_STAGES = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
)
_FIFTH = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)
_ERRORS = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


def _explicit(rate: Rate, y: Any, t: Any, h: Any) -> tuple[Any, Any]:
    """The pair of Dormand and Prince."""
    slopes: list[Any] = []
    length = h.astype(y.dtype)
    for time, stage in zip(_TIMES, _STAGES, strict=True):
        slopes.append(rate(y + length * _weighted(stage, slopes) if stage else y, t + time * h))
    new = y + length * _weighted(_FIFTH, slopes)
    return new, length * _weighted(_ERRORS, [*slopes, rate(new, t + h)])


def _weighted(weights: tuple[float, ...], slopes: list[Any]) -> Any:
    """The sum of slopes with these weights."""
    return sum(weight * slope for weight, slope in zip(weights, slopes, strict=True) if weight)


# Hairer and Wanner, Solving Ordinary Differential Equations II, 1996, section IV.8.
_ROOT = 6**0.5
_NODES = np.array([(4 - _ROOT) / 10, (4 + _ROOT) / 10, 1.0])
_RADAU = np.array(
    [
        [(88 - 7 * _ROOT) / 360, (296 - 169 * _ROOT) / 1800, (-2 + 3 * _ROOT) / 225],
        [(296 + 169 * _ROOT) / 1800, (88 + 7 * _ROOT) / 360, (-2 - 3 * _ROOT) / 225],
        [(16 - _ROOT) / 36, (16 + _ROOT) / 36, 1 / 9],
    ]
)
_REAL = 3 + 3 ** (2 / 3) - 3 ** (1 / 3)
"""The real eigenvalue of the inverse of that matrix."""
_FILTERED = np.array([-13 - 7 * _ROOT, -13 + 7 * _ROOT, -1.0]) / 3
_STAGE_STEPS = 10


def _implicit(rate: Rate, y: Any, t: Any, h: Any) -> tuple[Any, Any]:
    """Radau IIA of three stages; these are roots, so that derivatives are those of exact stages."""
    length = h.astype(y.dtype)
    radau, filtered = _RADAU.astype(y.dtype), _FILTERED.astype(y.dtype)

    def stages(z: Any) -> Any:
        slopes = np.stack([rate(y + z[k], t + _NODES[k] * h) for k in range(3)])
        return z - length * (radau @ slopes)

    found = root(stages, np.zeros((3, *y.shape), y.dtype), most=_STAGE_STEPS, on_most="report")
    z = found.x
    # The estimate times the step: where that is 0 there is no error.
    matrix = np.eye(y.size, dtype=y.dtype) * y.dtype.type(_REAL) - length * jacobian(rate)(y, t)
    error = np.linalg.solve(matrix, length * rate(y, t) + filtered @ z)
    return y + z[2], np.where(found.converged, error, np.inf)


METHODS: Mapping[str, Method] = {"dopri5": Method(_explicit, 1 / 5), "radau": Method(_implicit, 1 / 4)}

SAFETY, LEAST, LARGEST = 0.9, 0.2, 5.0
"""How much shorter a step is than the estimate allows, and by how much it may shrink and grow at once."""


class _State(NamedTuple):
    """Where the integration stands."""

    y: Any
    t: Any
    size: Any
    """The length that the next step is to have, not negative."""
    row: Any
    """The first of the times that is not reached."""
    rows: Any
    """The states at those that are; NaN for the others."""
    phase: Any
    """The phase, if there are such."""


class Walked(NamedTuple):
    """A way that was gone."""

    rows: Any
    """The states at the times; NaN at those that are not reached."""
    steps: Any
    """How many steps were tried."""
    converged: Any
    """Whether it has come to its end."""
    y: Any
    t: Any
    """The last state, and its time."""
    phase: Any
    """The last phase, if there are such."""


def stepped(
    rate: Rate, start: Any, times: Any, method: Method, goals: Any, most: int, on_most: OnMost,
    phases: Phases | None = None,
) -> Walked:  # fmt: skip
    """What begins at the first of the times and goes on to the last, or to where an event ends it.

    The rate is that of `phases`, if they are given.
    """
    rtol, atol = goals
    numbers = np.arange(times.size)

    def tried(y: Any, t: Any, h: Any, phase: Any) -> tuple[Any, Any]:
        """The state after a step, and by how much it misses the tolerance, squared."""
        new, error = method.step(rate if phases is None else phases.rate(phase), y, t, h)
        return new, np.mean((error / (atol + rtol * np.maximum(np.abs(y), np.abs(new)))) ** 2)

    def step(state: _State) -> _State:
        y, t, size, row, rows, phase = state
        # Of lengths that move, derivatives would be those of how errors are estimated: wherever a rate jumps at a
        # time, as that of a dose does, they have nothing to do with those of the solution.
        size = stop_gradient(size)
        goal = np.sum(np.where(numbers == row, times, 0.0))
        left = goal - t
        arrives = np.abs(left) <= size
        h = np.where(arrives, left, np.where(left < 0, -size, size))
        new, miss = checkpoint(tried)(y, t, h, phase)
        good = miss <= 1.0
        tells = np.logical_and(miss > 0, np.isfinite(miss))
        factor = SAFETY * np.where(tells, miss, 1.0) ** (-method.power / 2)
        factor = np.where(tells, np.clip(factor, LEAST, LARGEST), np.where(good, LARGEST, LEAST))
        wanted = np.where(arrives, np.where(left < 0, -left, left), size) * factor
        if phases is not None:
            ends, h, new, phase = phases.after(lambda *given: method.step(*given)[0], phase, y, t, h, new, good)
            arrives = np.logical_and(arrives, np.logical_not(ends))
        done = np.logical_and(good, arrives)
        reached = np.reshape(np.logical_and(numbers == row, done), (times.size, 1))
        return _State(
            np.where(good, new, y),
            np.where(done, goal, np.where(good, t + h, t)),
            np.where(done, np.maximum(wanted, size), wanted),
            row + done,
            np.where(reached, new, rows),
            phase,
        )

    def ended(state: _State) -> Any:
        arrived = state.row >= times.size
        return arrived if phases is None else np.logical_or(arrived, state.phase.ended)

    first = np.reshape(numbers == 0, (times.size, 1))
    size = _first(rate, start, times, goals)
    phase = None if phases is None else phases.start(start, times[0])
    init = _State(start, times[0], size, np.int64(1), np.where(first, start, np.nan), phase)
    state, steps, converged = until(ended, step, init, most, on_most)
    if phases is None:
        return Walked(state.rows, steps, converged, state.y, state.t, None)
    moved = [state.rows, state.y, state.t, state.phase.times, state.phase.states]
    rows, y, t, happened, states = derivable(moved, np.logical_not(phases.slides(state.phase)), SLIDES)
    return Walked(rows, steps, converged, y, t, state.phase._replace(times=happened, states=states))


def _first(rate: Rate, start: Any, times: Any, goals: Any) -> Any:
    """The length of the first step: that of Hairer, Norsett and Wanner (1993, section II.4) without its trial."""
    rtol, atol = goals
    scale = atol + rtol * np.abs(start)
    height, speed = (np.mean((x / scale) ** 2) for x in (start, rate(start, times[0])))
    known = np.logical_and(height > 1e-10, speed > 1e-10)
    size = 0.01 * np.sqrt(np.where(known, height, 1.0) / np.where(known, speed, 1.0))
    return np.where(known, size, 1e-6).astype(np.float64)
