"""scipy.integrate: integrals of what is known at points."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy import differences
from gradserve.numpy.accumulations import cumsum
from gradserve.numpy.arguments import Unsupported, axis_of, lift, promoted, to_float
from gradserve.numpy.indexing import getitem
from gradserve.numpy.joining import concatenate
from gradserve.numpy.products import matmul
from gradserve.numpy.shaping import flip, moveaxis, part
from gradserve.numpy.table import implements_scipy


@implements_scipy("integrate.trapezoid")
def trapezoid(g: Builder, y: Any, x: Any = None, dx: Any = 1.0, axis: Any = -1) -> Value:
    """The integral of the piecewise linear function through y, over x or with spacing dx."""
    if x is None:
        return differences.trapezoid(to_float(g, y), dx=dx, axis=axis)
    rows, points = promoted(g, y, x)
    return differences.trapezoid(rows, points, axis=axis)


@implements_scipy("integrate.cumulative_trapezoid")
def cumulative_trapezoid(
    g: Builder, y: Any, x: Any = None, dx: Any = 1.0, axis: Any = -1, initial: Any = None
) -> Value:
    """The integrals up to each point; after a 0 if that is asked for."""
    if initial not in (None, 0):
        raise ValueError("`initial` must be `None` or `0`.")
    value = to_float(g, y)
    along = axis_of(value, axis, "cumulative_trapezoid")
    rows = moveaxis(value, along, -1)
    n = rows.shape[-1]
    means = g.mul(g.add(part(rows, -1 % rows.type.rank, 1, n), part(rows, -1 % rows.type.rank, 0, n - 1)), 0.5)
    found = cumsum(g.mul(means, _steps(g, x, dx)), -1)
    if initial is not None:
        found = concatenate([g.zeros(found.type.with_shape((*found.shape[:-1], 1))), found], -1)
    return moveaxis(found, -1, along)


def _steps(g: Builder, x: Any, dx: Any) -> Any:
    if x is None:
        return dx
    points = to_float(g, x)
    if points.type.rank != 1:
        raise Unsupported("points along several axes cannot be traced here", "give the vector x of points")
    n = points.type.size
    return g.sub(part(points, 0, 1, n), part(points, 0, 0, n - 1))


@implements_scipy("integrate.simpson")
def simpson(g: Builder, y: Any, x: Any = None, *, dx: Any = 1.0, axis: Any = -1) -> Value:
    """The integral by parabolas, with weights known while tracing; points must be captured."""
    value = to_float(g, y)
    along = axis_of(value, axis, "simpson")
    if isinstance(x, Value) or isinstance(dx, Value):
        raise Unsupported("the points of scipy.integrate.simpson are traced", "capture them, or use trapezoid")
    n = value.shape[along]
    weights = _weights(n, np.arange(n) * float(dx) if x is None else np.asarray(x, float))
    return matmul(moveaxis(value, along, -1), g.constant(weights.astype(value.type.element_type.dtype)))


def _weights(n: int, x: Any) -> Any:
    """What Simpson's rule multiplies each value by.

    After an even number of values the last interval is by Cartwright's correction, as SciPy has it: the parabola
    through the last three points.
    """
    if n < 3:
        return np.array([[], [0.0], [0.5, 0.5]][n]) * (x[-1] - x[0] if n == 2 else 1.0)
    weights = np.zeros(n)
    for k in range(0, n - 2, 2):
        weights[k : k + 3] += _parabola(x[k : k + 3], x[k], x[k + 2])
    if n % 2 == 0:
        weights[n - 3 :] += _parabola(x[n - 3 :], x[n - 2], x[n - 1])
    return weights


def _parabola(x: Any, start: float, stop: float) -> Any:
    """The weights of three values in the integral of the parabola through them."""
    centred, middle = x - x[1], x[1]
    powers = np.vander(centred, increasing=True)
    k = np.arange(1, 4)
    return np.linalg.solve(powers.T, ((stop - middle) ** k - (start - middle) ** k) / k)


@implements_scipy("integrate.romb")
def romb(g: Builder, y: Any, dx: Any = 1.0, axis: Any = -1) -> Value:
    """The integral of 2^k + 1 values at equal distances by Romberg's rule."""
    value = to_float(g, y)
    along = axis_of(value, axis, "romb")
    weights = _rombergs(value.shape[along])
    found = matmul(moveaxis(value, along, -1), g.constant(weights.astype(value.type.element_type.dtype)))
    return g.mul(found, to_float(g, dx)) if isinstance(dx, Value) else g.mul(found, float(dx))


def _rombergs(n: int) -> Any:
    """What Romberg's rule multiplies each value by: trapezoids of halved widths, and what follows for no width."""
    halvings = (n - 1).bit_length() - 1
    if n < 2 or n != 2**halvings + 1:
        raise ValueError("Number of samples must be one plus a non-negative power of 2.")
    rules = np.zeros((halvings + 1, n))
    for k, rule in enumerate(rules):
        step = 2 ** (halvings - k)
        rule[::step] = step
        rule[[0, -1]] = step / 2
    for power in range(1, halvings + 1):
        rules = rules[1:] + (rules[1:] - rules[:-1]) / (4.0**power - 1)
    return rules[0]


@implements_scipy("integrate.cumulative_simpson")
def cumulative_simpson(
    g: Builder, y: Any, *, x: Any = None, dx: Any = 1.0, axis: Any = -1, initial: Any = None
) -> Value:
    """The integrals up to each point by parabolas, after an initial one and with it added if there is one."""
    value = to_float(g, y)
    along = axis_of(value, axis, "cumulative_simpson")
    rows = moveaxis(value, along, -1)
    n = rows.shape[-1]
    if n < 3:
        found = cumulative_trapezoid(rows, x, dx)
    else:
        steps = g.broadcast(lift(g, _steps(g, x, dx)), (n - 1,))
        ahead = _first_halves(g, rows, steps)
        behind = flip(_first_halves(g, flip(rows, -1), flip(steps, -1)), -1)
        # Parabolas go through every second point; the last interval is the second half of the last parabola.
        chosen = [k if k % 2 == 0 and k < n - 2 else n - 2 + k - 1 for k in range(n - 1)]
        found = cumsum(getitem(g, concatenate([ahead, behind], -1), (..., np.array(chosen))), -1)
    if initial is not None:
        first = g.broadcast(lift(g, initial), found.type.with_shape((*found.shape[:-1], 1)).shape)
        found = concatenate([first, g.add(found, first)], -1)
    return moveaxis(found, -1, along)


def _first_halves(g: Builder, rows: Value, steps: Value) -> Value:
    """The integral over each interval but the last of the parabola through its ends and the next point."""
    n, last = rows.shape[-1], rows.type.rank - 1
    first, second, third = (part(rows, last, k, n - 2 + k) for k in range(3))
    near, far = part(steps, 0, 0, n - 2), part(steps, 0, 1, n - 1)
    of_both = g.div(near, g.add(near, far))
    curved = g.mul(of_both, g.div(near, far))
    weights = (g.sub(3.0, of_both), g.add(g.add(3.0, curved), of_both), g.neg(curved))
    terms = [g.mul(v, w) for v, w in zip((first, second, third), weights, strict=True)]
    return g.mul(g.add(g.add(terms[0], terms[1]), terms[2]), g.div(near, 6.0))
