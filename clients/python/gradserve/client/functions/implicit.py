"""Solutions of equations within a graph: solvers in loops, and derivatives by the implicit function theorem.

A solution x(p) of F(x, p) = 0 moves with p by dx = -(dF/dx)^-1 (dF/dp) dp, whatever has found it: no derivative goes
through a solver's steps (Krantz and Parks, The Implicit Function Theorem, 2002; Blondel and others, Efficient and
Modular Implicit Differentiation, 2022). Where dF/dx is singular there is none: the call is refused, or gives NaN if the
matrix is singular but for rounding. This rule is traced code, so it is differentiated in turn, to any order. It holds
the Jacobian of up to 200 unknowns as a matrix, and takes products with it, by Krylov's methods, for more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gradserve.client.functions.custom import custom_derivative, stop_gradient
from gradserve.client.functions.derivatives import jacobian, jvp
from gradserve.client.functions.krylov import solved
from gradserve.client.functions.lifted import Field, OfVector
from gradserve.client.functions.parts import has_complex, in_parts
from gradserve.client.functions.until import OnMost, until

Solver: TypeAlias = Callable[..., tuple[Any, Any, Any]]
"""From a first guess and what is known to a solution, the number of steps, and whether it has converged."""

SUFFICIENT = 1e-4
"""The share of the predicted decrease that a step has to bring (Nocedal and Wright, 2006, section 3.1)."""
HALVINGS = 40
"""How often a step is halved at most."""


class Solution(NamedTuple):
    """What solves equations."""

    x: Any
    """The solution, a tree like the guess."""
    residual: Any
    """The largest element of what should be 0 there, in size; its derivative is taken to be 0."""
    steps: Any
    """How many steps were done."""
    converged: Any
    """Whether the last step was small enough; always, unless `on_most="report"` lets others pass."""


def root(
    function: Callable[..., Any],
    guess: Any,
    *arguments: Any,
    tol: Any = None,
    most: int = 50,
    on_most: OnMost = "refuse",
) -> Solution:
    """The x at which `function(x, *arguments)` is 0, by Newton's method with steps halved until the residual falls.

    It has derivatives of any order in the arguments and in all that the function captures, by the implicit function
    theorem; of the guess it is no function. Steps take the Jacobian as a matrix. It has converged when Newton's step is
    at most tol (1 + max |x|), which does not depend on the scale of the equations; the step is then made.

    Args:
        function: returns a tree of the structure and types of x: as many equations as unknowns.
        guess: where to begin, a tree of arrays; of complex ones, real and imaginary parts are unknowns.
        arguments: trees of arrays.
        tol: a number or a traced scalar; by default the 2/3rd power of the rounding unit, 4e-11 for float64.
        most: the largest number of steps.
        on_most: `refuse` the call if it has not converged by then, or `report` so; then derivatives are NaN.

    Raises:
        NumericalFailure: the call does, if the solver does not converge or meets a singular Jacobian.
        Untraceable: nothing is being traced, or the function returns another tree.
    """
    if has_complex([guess]):
        parts, start, real = in_parts(function, guess)
        found_in_parts = root(real, start, *arguments, tol=tol, most=most, on_most=on_most)
        return found_in_parts._replace(x=parts.together([found_in_parts.x])[0])
    residual = Field("a root", function, guess, *arguments)
    goal = tolerance(residual, tol)

    def found(start: Any, *known: Any) -> tuple[Any, Any, Any]:
        def at(x: Any) -> tuple[Any, Any, Any]:
            found = residual(x, *known)
            return x, found, np.linalg.solve(jacobian(residual)(x, *known), found)

        def step(state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            x, found, direction = state
            height = np.sum(found * found)

            def is_lower(size: Any, y: Any) -> Any:
                other = residual(y, *known)
                return np.sum(other * other) <= (1 - SUFFICIENT * size) * height

            return at(shortened(x, direction, is_lower))

        (x, _, direction), steps, converged = until(
            lambda s: is_small(s[2], s[0], goal), step, at(start), most, on_most
        )
        return x - direction, steps, converged

    return _solution(residual, found)


def fixed_point(
    function: Callable[..., Any],
    guess: Any,
    *arguments: Any,
    tol: Any = None,
    most: int = 1000,
    on_most: OnMost = "refuse",
) -> Solution:
    """The x that is `function(x, *arguments)`, by doing that again and again, as long as it moves x.

    It has converged when that moves x by at most tol (1 + max |x|). Derivatives, arguments and refusals are those of
    `root`, of x - function(x, *arguments).
    """
    if has_complex([guess]):
        parts, start, real = in_parts(function, guess)
        found_in_parts = fixed_point(real, start, *arguments, tol=tol, most=most, on_most=on_most)
        return found_in_parts._replace(x=parts.together([found_in_parts.x])[0])
    image = Field("a fixed point", function, guess, *arguments)
    goal = tolerance(image, tol)

    def found(start: Any, *known: Any) -> tuple[Any, Any, Any]:
        def at(x: Any) -> tuple[Any, Any]:
            return x, image(x, *known)

        (_, x), steps, converged = until(
            lambda s: is_small(s[1] - s[0], s[1], goal), lambda s: at(s[1]), at(start), most, on_most
        )
        return x, steps, converged

    return _solution(image, found, lambda x, *known: x - image(x, *known))


def _solution(field: Field, solver: Solver, residual: Callable[..., Any] | None = None) -> Solution:
    residual = residual or field
    x, steps, converged = implicit(residual, solver, field)
    left = np.max(np.abs(residual(x, *field.known)))
    return Solution(field.tree(x), stop_gradient(left), steps, converged)


def implicit(
    residual: Callable[..., Any], solver: Solver, of: OfVector, symmetric: bool = False
) -> tuple[Any, Any, Any]:
    """What the solver finds, x first, with the derivative of the x at which the residual is 0.

    `symmetric` says that its Jacobian is that of a gradient, at a minimum.
    """

    def rule(primals: Any, result: Any, tangents: Any) -> tuple[Any, Any, Any]:
        (_, *known), (x, steps, converged), (_, *moved) = primals, result, tangents
        if all(tangent is None for tangent in moved):
            return np.zeros_like(x), steps, converged
        _, along = jvp(residual, (x, *known), (None, *moved))
        trusted = np.where(converged, -1.0, np.nan).astype(x.dtype)
        return solved(residual, x, known, along, symmetric) * trusted, steps, converged

    found: tuple[Any, Any, Any] = custom_derivative(solver, rule)(of.start, *of.known)
    return found


def shortened(x: Any, direction: Any, is_lower: Callable[[Any, Any], Any]) -> Any:
    """x without so much of the direction, halved until `is_lower(size, there)`."""
    first = np.ones((), x.dtype), x - direction
    half = until(lambda s: is_lower(*s), lambda s: (s[0] * 0.5, x - s[0] * 0.5 * direction), first, HALVINGS, "report")
    return half[0][1]


def is_small(step: Any, x: Any, goal: Any) -> Any:
    """Whether a step is small beside x, or beside 1 where that is smaller."""
    return np.max(np.abs(step)) <= goal * (1.0 + np.max(np.abs(x)))


def tolerance(of: OfVector, tol: Any, power: float = 2 / 3) -> Any:
    """The tolerance: by default a power of the rounding unit of the coarsest array."""
    if tol is not None:
        return stop_gradient(tol)
    return max(float(np.finfo(t.element_type.dtype).eps) for t in of.layout.types) ** power
