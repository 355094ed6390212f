"""Minima within a graph, by Newton's method or L-BFGS; derivatives by the implicit function theorem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from gradserve.client.functions.control import scan
from gradserve.client.functions.custom import stop_gradient
from gradserve.client.functions.derivatives import grad, hessian, value_and_grad
from gradserve.client.functions.implicit import SUFFICIENT, Solver, implicit, is_small, shortened, tolerance
from gradserve.client.functions.lifted import Objective
from gradserve.client.functions.parts import Parts, has_complex
from gradserve.client.functions.until import OnMost, until

PAIRS = 10
"""How many pairs of steps and changes of the gradient L-BFGS remembers."""
CURVATURE = 0.9
"""The share of the slope that a step of L-BFGS may leave (Nocedal and Wright, 2006, section 3.1)."""
BISECTIONS = 60
"""How many lengths of a step L-BFGS tries at most."""

MOST = {"newton": 50, "lbfgs": 500}


class Minimum(NamedTuple):
    """Where a function is smallest, at least near by."""

    x: Any
    """The minimiser, a tree like the guess."""
    value: Any
    """The function there."""
    residual: Any
    """The largest element of the gradient there, in size; its derivative is taken to be 0."""
    steps: Any
    """How many steps were done."""
    converged: Any
    """Whether the method has ended by itself; always, unless `on_most="report"` lets others pass."""


def minimize(
    function: Callable[..., Any],
    guess: Any,
    *arguments: Any,
    method: Literal["newton", "lbfgs"] = "newton",
    tol: Any = None,
    most: int | None = None,
    on_most: OnMost = "refuse",
) -> Minimum:
    """A local minimum of `function(x, *arguments)`, a real scalar, over x.

    Minimiser and value have derivatives of any order in the arguments and in all that the function captures. Newton's
    method turns directions of negative curvature round, halves steps until the function falls, and ends as that of
    `root` does, where the Hessian is positive definite: at a minimum where it is not there is no derivative, and the
    call is refused. L-BFGS needs no Hessian (Liu and Nocedal, 1989; steps by bisection: Lewis and Overton, 2013), and
    ends when no element of the gradient is larger than tol. Derivatives solve with the Hessian, by products with it for
    more than 200 unknowns.

    Args:
        function: of a tree of real arrays, and others.
        guess: where to begin.
        arguments: trees of arrays.
        method: `newton`, for up to some hundreds of unknowns, or `lbfgs`.
        tol: a number or a traced scalar; by default the rounding unit to the power 2/3 for Newton, 1/2 for L-BFGS.
        most: the largest number of steps, by default 50 for Newton and 500 for L-BFGS.
        on_most: `refuse` the call if it has not ended by then, or `report` so; then derivatives of x are NaN.

    Raises:
        NumericalFailure: the call does, if the method does not end.
        Untraceable: nothing is being traced, or the function returns no real scalar.
        ValueError: there is no such method.
    """
    if method not in ("newton", "lbfgs"):
        raise ValueError(f"method={method!r} is none of 'newton', 'lbfgs'")
    if has_complex([guess]):
        parts = Parts([guess])
        found = minimize(
            lambda leaves, *others: function(*parts.together([leaves]), *others),
            *(parts.apart([guess])[0], *arguments),
            **{"method": method, "tol": tol, "most": most, "on_most": on_most},
        )
        return found._replace(x=parts.together([found.x])[0])
    objective = Objective("a minimum", function, guess, *arguments)
    goal = tolerance(objective, tol, 2 / 3 if method == "newton" else 1 / 2)
    solver = _newton if method == "newton" else _lbfgs
    slope = grad(objective)
    x, steps, converged = implicit(
        slope, solver(objective, goal, most or MOST[method], on_most), objective, symmetric=True
    )
    residual = np.max(np.abs(slope(x, *objective.known)))
    value = objective(x, *objective.known)
    return Minimum(objective.tree(x), value, stop_gradient(residual), steps, converged)


def _newton(objective: Objective, goal: Any, most: int, on_most: OnMost) -> Solver:
    """Newton's method for minima."""

    def solved(start: Any, *known: Any) -> tuple[Any, Any, Any]:
        def at(x: Any) -> tuple[Any, Any, Any, Any, Any]:
            value, slope = value_and_grad(objective)(x, *known)
            return x, value, slope, *downhill(hessian(objective)(x, *known), slope)

        def step(state: tuple[Any, Any, Any, Any, Any]) -> tuple[Any, Any, Any, Any, Any]:
            x, value, slope, direction, _ = state
            noise = 4 * np.finfo(x.dtype).eps * np.abs(value)
            fall = SUFFICIENT * (slope @ direction)
            return at(shortened(x, direction, lambda size, y: objective(y, *known) <= value - size * fall + noise))

        def ended(state: tuple[Any, Any, Any, Any, Any]) -> Any:
            x, _, _, direction, bent = state
            return np.logical_and(is_small(direction, x, goal), bent)

        (x, _, _, direction, _), steps, converged = until(ended, step, at(start), most, on_most)
        return x - direction, steps, converged

    return solved


def downhill(matrix: Any, slope: Any) -> tuple[Any, Any]:
    """Newton's step back, negative curvatures turned round, and whether all are positive."""
    curvatures, axes = np.linalg.eigh(matrix)
    sizes = np.abs(curvatures)
    # Where nothing is bent at all, steps as long as 1 lead to where something is.
    flat = np.where(np.max(sizes) > 0, 0, np.sqrt(slope @ slope))
    least = np.max(sizes) * np.finfo(slope.dtype).eps + flat + np.finfo(slope.dtype).tiny
    return axes @ ((axes.T @ slope) / np.maximum(sizes, least)), curvatures[0] > slope.size * least


def _lbfgs(objective: Objective, goal: Any, most: int, on_most: OnMost) -> Solver:
    """L-BFGS: the state is x, value and slope there, and the last pairs of steps and changes of the slope."""

    def solved(start: Any, *known: Any) -> tuple[Any, Any, Any]:
        def measured(x: Any) -> tuple[Any, Any]:
            found: tuple[Any, Any] = value_and_grad(objective)(x, *known)
            return found

        def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
            x, value, slope, *pairs = state
            moved, lower, turned = _searched(measured, x, value, slope, _direction(slope, *pairs))
            return moved, lower, turned, *_remembered(pairs, moved - x, turned - slope)

        nothing = np.zeros((PAIRS, *start.shape), start.dtype)
        init = (start, *measured(start), nothing, nothing, np.zeros(PAIRS, start.dtype))
        (x, *_), steps, converged = until(lambda s: np.max(np.abs(s[2])) <= goal, step, init, most, on_most)
        return x, steps, converged

    return solved


def _direction(slope: Any, moves: Any, turns: Any, weights: Any) -> Any:
    """The two loops of L-BFGS: the inverse Hessian of the pairs times the slope. Pairs of weight 0 are none."""

    def down(q: Any, pair: Any) -> tuple[Any, Any]:
        move, turn, weight = pair
        share = weight * (move @ q)
        return q - share * turn, share

    def up(r: Any, pair: Any) -> tuple[Any, None]:
        move, turn, weight, share = pair
        return r + (share - weight * (turn @ r)) * move, None

    left, shares = scan(down, slope, (moves, turns, weights), reverse=True)
    square = turns[-1] @ turns[-1]
    first = 1.0 / np.maximum(1.0, np.sqrt(slope @ slope))
    scale = np.where(weights[-1] > 0, 1.0 / np.where(weights[-1] > 0, weights[-1] * square, 1.0), first)
    return scan(up, scale * left, (moves, turns, weights, shares)).carry


def _remembered(pairs: Sequence[Any], move: Any, turn: Any) -> tuple[Any, Any, Any]:
    """The pairs with one more, in the place of the oldest; without it if it tells of no positive curvature."""
    moves, turns, weights = pairs
    bend = move @ turn
    tells = bend > np.finfo(move.dtype).eps * np.sqrt((move @ move) * (turn @ turn))
    weight = 1.0 / np.where(tells, bend, 1.0)

    def shifted(rows: Any, row: Any) -> Any:
        return np.where(tells, np.concatenate([rows[1:], np.reshape(row, (1, *np.shape(row)))]), rows)

    return shifted(moves, move), shifted(turns, turn), shifted(weights, weight)


def _searched(measured: Any, x: Any, value: Any, slope: Any, direction: Any) -> tuple[Any, Any, Any]:
    """A point against the direction where the function has fallen and its slope is less, with value and slope there.

    The length of the step is doubled until it is too long, and bisected then.
    """
    along = slope @ direction
    noise = 4 * np.finfo(x.dtype).eps * np.abs(value)

    def tried(size: Any) -> tuple[Any, Any, Any]:
        there = x - size * direction
        return there, *measured(there)

    def is_flat(state: tuple[Any, ...]) -> Any:
        _, _, _, _, _, turned = state
        return turned @ direction <= CURVATURE * along

    def is_low(state: tuple[Any, ...]) -> Any:
        _, _, size, _, lower, _ = state
        return lower <= value - SUFFICIENT * size * along + noise

    def bisect(state: tuple[Any, ...]) -> tuple[Any, ...]:
        low, high, size, *_ = state
        low_enough = is_low(state)
        low, high = np.where(low_enough, size, low), np.where(low_enough, high, size)
        size = np.where(np.isfinite(high), 0.5 * (low + high), 2.0 * size)
        return low, high, size, *tried(size)

    one = np.ones((), x.dtype)
    init = (0.0 * one, np.inf * one, one, *tried(one))
    (*_, there, lower, turned), *_ = until(
        lambda s: np.logical_and(is_low(s), is_flat(s)), bisect, init, BISECTIONS, "report"
    )
    return there, lower, turned
