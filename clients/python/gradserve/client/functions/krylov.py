"""Linear systems within a graph: by the matrix if it is small, and by products with it if it is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradserve.client.functions.custom import linear_solve
from gradserve.client.functions.derivatives import jacobian, jvp, vjp
from gradserve.client.functions.until import until

DENSE = 200
"""So many unknowns at most have a matrix."""
PRODUCTS = 10
"""How many products are taken at most, times the number of unknowns."""


def solved(residual: Callable[..., Any], x: Any, known: Sequence[Any], right: Any, symmetric: bool) -> Any:
    """The vector v for which the Jacobian of `residual(x, *known)` in x, times v, is `right`.

    For more than 200 unknowns it is found by products: by conjugate gradients if the Jacobian is symmetric and positive
    definite, and else by BiCGSTAB (van der Vorst, 1992). A system that takes too many is refused, and one that is
    singular but for rounding has NaN for a solution.
    """
    if x.size <= DENSE:
        matrix = jacobian(residual)(x, *known)
        return np.linalg.solve(matrix, right) * np.where(_is_regular(matrix), 1.0, np.nan).astype(right.dtype)

    def product(vector: Any, given: Sequence[Any]) -> Any:
        x, *known = given
        return jvp(residual, (x, *known), (vector, *[None] * len(known)))[1]

    def turned(vector: Any, given: Sequence[Any]) -> Any:
        x, *known = given
        return vjp(lambda x: residual(x, *known), x)[1](vector)[0]

    def by(product: Callable[..., Any]) -> Callable[..., Any]:
        method = conjugate_gradients if symmetric else stabilised
        return lambda right, given: method(lambda vector: product(vector, given), right)

    return linear_solve(product, (by(product), by(product if symmetric else turned)), right, [x, *known])


def _is_regular(matrix: Any) -> Any:
    """Whether a matrix has an inverse that rounding leaves digits of: by its condition number in the norm of sums."""
    sizes = [np.max(np.sum(np.abs(each), axis=0)) for each in (matrix, np.linalg.inv(matrix))]
    return sizes[0] * sizes[1] * matrix.shape[0] * np.finfo(matrix.dtype).eps < 1.0


def conjugate_gradients(product: Callable[[Any], Any], right: Any) -> Any:
    """The solution of a system whose matrix is symmetric and positive definite (Hestenes and Stiefel, 1952)."""

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        x, rest, direction, square = state
        image = product(direction)
        length = square / (direction @ image)
        rest = rest - length * image
        new = rest @ rest
        return x + length * direction, rest, rest + new / square * direction, new

    init = (np.zeros_like(right), right, right, right @ right)
    return until(lambda s: s[3] <= _goal(right), step, init, PRODUCTS * right.size, "refuse")[0][0]


def stabilised(product: Callable[[Any], Any], right: Any) -> Any:
    """The solution of any system whose matrix has an inverse, unless it breaks down."""

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        x, rest, direction, share = state
        image = product(direction)
        length = share / (right @ image)
        half = rest - length * image
        turned = product(half)
        bend = (turned @ half) / np.maximum(turned @ turned, np.finfo(right.dtype).tiny)
        rest = half - bend * turned
        new = right @ rest
        ahead = new / share * length / bend
        return x + length * direction + bend * half, rest, rest + ahead * (direction - bend * image), new

    init = (np.zeros_like(right), right, right, right @ right)
    return until(lambda s: s[1] @ s[1] <= _goal(right), step, init, PRODUCTS * right.size, "refuse")[0][0]


def _goal(right: Any) -> Any:
    """The square that what is left of the right-hand side may have."""
    return np.finfo(right.dtype).eps ** 1.5 * (right @ right)
