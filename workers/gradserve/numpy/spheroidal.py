"""Spheroidal functions: angular ones by the eigenvectors of their recurrence, which move with the parameter."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import Array
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.mathieu import moved, near, only_value, only_vector, whole
from gradserve.numpy.products import dot
from gradserve.numpy.special import by_orders
from gradserve.numpy.table import implements_special
from gradserve.ops.special import spheroidal

_TERMS = 40
_SIGNS = {"pro": 1.0, "obl": -1.0}
_WIDEST = {"pro": spheroidal.MOST, "obl": 10.0}
"""Up to which parameters angular functions, told by what they are in the middle, have ten digits."""
_SAID = {"pro": "prolate", "obl": "oblate"}


def _by_degrees(g: Builder, name: str, m: Value, n: Value, x: list[Value], at: Callable[[int, int], Value]) -> Value:
    """A function of a known order and degree; NaN where there is none."""

    def of_order(order: float) -> Value:
        first = whole(name, order, 0, spheroidal.MOST_ORDER)

        def of_degree(degree: float) -> Value:
            last = whole(name, degree, 0, spheroidal.MOST_ORDER)
            return at(first, last) if first <= last else g.full(g.align(x)[0].type, math.nan)

        return by_orders(g, name, n, x, of_degree)

    return by_orders(g, name, m, [n, *x], of_order)


def _matrix(g: Builder, kind: str, m: int, n: int, c: Value) -> Value:
    degrees, squares = spheroidal.recurrence(m, n, (n - m) // 2 + _TERMS)
    return moved(g, (degrees, _SIGNS[kind] * squares), g.mul(c, c))


def _characteristic(kind: str) -> None:
    name = f"{kind}_cv"

    def apply(g: Builder, m: Value, n: Value, c: Value) -> Value:
        def of(order: int, degree: int) -> Value:
            value = only_value(g, _matrix(g, kind, order, degree, c), (degree - order) // 2)
            return g.convert(near(g, c, spheroidal.MOST, value), c.type.element_type)

        return _by_degrees(g, name, m, n, [c], of)

    apply.__doc__ = (
        f"The characteristic value of {_SAID[kind]} spheroidal functions, of an order and a degree known while "
        "tracing, up to 30; NaN with c beyond 30."
    )
    implements_special(name)(apply)


def _angular(kind: str) -> None:
    name = f"{kind}_ang1"

    def apply(g: Builder, m: Value, n: Value, c: Value, x: Value) -> tuple[Value, Value]:
        def of(slope: bool) -> Value:
            def at(order: int, degree: int) -> Value:
                found = _wave(g, kind, order, degree, c, x, slope)
                return g.convert(near(g, c, _WIDEST[kind], found), x.type.element_type)

            return _by_degrees(g, name, m, n, [c, x], at)

        return of(False), of(True)

    apply.__doc__ = (
        f"The angular {_SAID[kind]} spheroidal function of x in (-1, 1), of an order and a degree known while tracing, "
        f"up to 30, and its derivative in x; NaN with c beyond {_WIDEST[kind]:.0f}."
    )
    implements_special(name)(apply)


def _wave(g: Builder, kind: str, m: int, n: int, c: Value, x: Value, slope: bool) -> Value:
    """sin(t)^m times a sum of cosines of j t, of which x is the cosine of t; or the derivative in x."""
    place, inside = (n - m) // 2, g.lt(g.abs(x), 1.0)
    vector = only_vector(g, _matrix(g, kind, m, n, c), place)
    waves, middle, size = _polynomials(m, n, place + _TERMS)
    last = (vector.type.rank - 1,)
    share = g.reduce_sum(g.mul(vector, middle), axes=last)
    scaled = g.div(vector, g.reshape(share, (*share.type.shape, 1)))
    j = np.arange(waves.shape[0], dtype=np.float64)
    turn = g.acos(g.select(inside, x, 0.0))
    angle = g.mul(g.reshape(turn, (*turn.type.shape, 1)), j)
    weights = dot(scaled, waves.T * size)
    sine = g.sin(turn)

    def summed(wave: Value, of: Array) -> Value:
        terms = g.mul(g.mul(weights, of), wave)
        return g.reduce_sum(terms, axes=(terms.type.rank - 1,))

    cosines = summed(g.cos(angle), np.ones_like(j))
    if not slope:
        found = g.mul(cosines, g.pow(sine, m)) if m else cosines
    else:
        found = g.mul(summed(g.sin(angle), j), g.pow(sine, m - 1))
        if m:
            found = g.sub(found, g.mul(g.mul(cosines, g.cos(turn)), g.mul(g.pow(sine, m - 2), float(m))))
    return g.select(inside, found, math.nan)


def _polynomials(m: int, n: int, terms: int) -> tuple[Array, Array, float]:
    """Of Legendre functions of order m over sin^m, of one parity: their cosines, what they are in the middle, and size.

    In the middle, where x is 0, odd ones are told by their slopes. The size is what brings the function to that of
    Legendre, P, of degree n, there.
    """
    parity = (n - m) % 2
    count = 2 * terms + parity
    x = np.cos(math.pi * (np.arange(count) + 0.5) / count)
    at = np.concatenate([x, [0.0]])
    step = [math.sqrt((k * k - m * m) / (4.0 * k * k - 1.0)) for k in range(m, m + count + 1)]
    values, slopes = [np.ones_like(at)], [np.zeros_like(at)]
    for k in range(1, count):
        value, slope = at * values[-1], values[-1] + at * slopes[-1]
        if k > 1:
            value, slope = value - step[k - 1] * values[-2], slope - step[k - 1] * slopes[-2]
        values.append(value / step[k])
        slopes.append(slope / step[k])
    chosen = np.stack(values[parity::2], 1)
    middle = (slopes if parity else values)[parity::2]
    cosines = np.cos(np.outer(np.arange(count), math.pi * (np.arange(count) + 0.5) / count)) * (2.0 / count)
    cosines[0] *= 0.5
    own = math.prod(range(1, 2 * m, 2))
    size = own * math.sqrt((2 * m + 1) / (2 * n + 1) * math.prod((n + m - k) / (2 * m - k) * 1.0 for k in range(2 * m)))
    between = np.array([each[-1] for each in middle])
    return cosines @ chosen[:-1], between, size * between[(n - m) // 2]


for _kind in _SIGNS:
    _characteristic(_kind)
    _angular(_kind)


def _radial(kind: str) -> None:
    name, first = f"{kind}_rad1", 0 if kind == "pro" else 2

    def apply(g: Builder, m: Value, n: Value, c: Value, x: Value) -> tuple[Value, Value]:
        def of(which: int) -> Value:
            def at(order: int, degree: int) -> Value:
                def with_c(size: float) -> Value:
                    if not 0.0 < size <= spheroidal.MOST:
                        text = f"scipy.special.{name} with c = {size} cannot be traced"
                        raise Unsupported(text, f"write a c up to {spheroidal.MOST:.0f}")
                    return g.emit("spheroidal_radial", x, kind=which, m=order, n=degree, c=size)

                return by_orders(g, name, c, [x], with_c, "parameter c")

            return _by_degrees(g, name, m, n, [c, x], at)

        return of(first), of(first + 1)

    apply.__doc__ = (
        f"The radial {_SAID[kind]} spheroidal function of the first kind, of an order, a degree and a parameter known "
        "while tracing, up to 30, and its derivative; NaN with x beyond 1000."
    )
    implements_special(name)(apply)


for _kind in _SIGNS:
    _radial(_kind)
