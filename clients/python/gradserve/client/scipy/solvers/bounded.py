"""scipy.optimize's linear least squares with bounds, of traced arrays: nnls and lsq_linear."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gradserve.client.functions.control import while_loop
from gradserve.client.functions.custom import stop_gradient
from gradserve.client.scipy.solvers.given import Found, floats, refuse, vector


def nnls(A: Any, b: Any) -> tuple[Any, Any]:
    """What of 0 and more fits best, and the norm of what is left."""
    matrix, right = floats(A), vector(b)
    x, _ = _least(matrix, right, np.zeros(matrix.shape[1]), np.full(matrix.shape[1], np.inf))
    return x, np.linalg.norm(matrix @ x - right)


def lsq_linear(A: Any, b: Any, bounds: Any = (-np.inf, np.inf)) -> Found:
    """What between bounds fits best, half the sum of squares of what is left, and that."""
    matrix, right = floats(A), vector(b)
    if hasattr(bounds, "lb"):
        bounds = bounds.lb, bounds.ub
    low, high = (np.broadcast_to(floats(bound), matrix.shape[1:]) for bound in bounds)
    x, held = _least(matrix, right, low, high)
    left = matrix @ x - right
    return Found(x=x, fun=left, cost=np.sum(left * left) / 2, active_mask=held, success=True, status=1, message="")


class _State(NamedTuple):
    """How far the search has come."""

    x: Any
    held: Any
    """-1 where an unknown is held at its lower bound, 1 at its upper one, 0 where it is free."""
    ended: Any


def _least(matrix: Any, right: Any, low: Any, high: Any) -> tuple[Any, Any]:
    """The unknowns, and which of them are held at bounds: these are found by numbers, and do not move with them."""
    if matrix.dtype.kind == "c":
        refuse("least squares of complex numbers with bounds", "write real and imaginary parts as rows of their own")
    held = stop_gradient(_held(*(stop_gradient(x) for x in (matrix, right, low, high))))
    return _with_held(matrix, right, low, high, held), held


def _with_held(matrix: Any, right: Any, low: Any, high: Any, held: Any) -> Any:
    """What fits best where some unknowns are held at bounds."""
    bounds = np.where(held < 0, low, np.where(held > 0, high, 0.0))
    free = held == 0
    squares = np.where(free[:, None] & free[None, :], matrix.T @ matrix, np.eye(free.size))
    return np.linalg.solve(squares, np.where(free, matrix.T @ (right - matrix @ bounds), bounds))


def _held(matrix: Any, right: Any, low: Any, high: Any) -> Any:
    """Which unknowns are held, by Stark's and Parker's algorithm (Bounded-variable least-squares, 1995).

    All begin at a bound. One by one those are set free whose bound the squares pull away from; where a free one would
    pass a bound, the way there is cut off, and it is held.
    """
    count = matrix.shape[1]
    held = np.where(np.isfinite(low), -1, np.where(np.isfinite(high), 1, 0))
    start = np.where(held < 0, low, np.where(held > 0, high, 0.0))
    small = 10 * max(matrix.shape) * np.finfo(np.float64).eps * np.max(np.sum(np.abs(matrix), axis=0))
    pulled = small * np.maximum(1.0, np.max(np.abs(right)))

    def step(state: _State) -> _State:
        x, held, _ = state
        found = _with_held(matrix, right, low, high, held)
        under, over = (held == 0) & (found < low), (held == 0) & (found > high)
        past = under | over
        bound = np.where(under, low, np.where(over, high, 0.0))
        parts = np.where(past, (bound - x) / np.where(past, found - x, 1.0), np.inf)
        part = np.minimum(np.min(parts), 1.0)
        stopped = np.where(past & (parts <= part), np.where(under, -1, 1), held)
        slope = matrix.T @ (right - matrix @ found)
        gain = np.where(held < 0, slope, np.where(held > 0, -slope, -np.inf))
        frees = np.max(gain) > pulled
        freed = np.where((np.arange(count) == np.argmax(gain)) & frees, 0, held)
        passes = np.any(past)
        return _State(
            np.where(passes, x + part * (found - x), found),
            np.where(passes, stopped, freed),
            np.logical_not(passes | frees),
        )

    state, _ = while_loop(
        lambda s: np.logical_not(s.ended), step, _State(start, held, np.bool_(False)), 30 * count + 30
    )
    return state.held
