"""Functions of Mathieu: by the eigenvectors of their recurrence, which move with the parameter."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import Array, ElementType
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.special import by_orders
from gradserve.numpy.table import implements_special
from gradserve.ops.special import mathieu
from gradserve.ops.spectral.eigen import Eigh, Eigvalsh

MOST_ORDER = 100
_TERMS = 40
_MOST_Q = 1000.0


def whole(name: str, order: float, least: int, most: int) -> int:
    """The whole number that an order is, between others."""
    if not (order.is_integer() and least <= order <= most):
        raise Unsupported(f"scipy.special.{name} of order {order} cannot be traced", f"write {least} to {most}")
    return int(order)


def moved(g: Builder, parts: tuple[Array, Array], size: Value) -> Value:
    """D + size Q, for each size."""
    fixed, moving = parts
    column = g.reshape(g.convert(size, ElementType.FLOAT64), (*size.type.shape, 1, 1))
    return g.add(g.mul(column, moving), fixed)


def only_value(g: Builder, matrix: Value, place: int) -> Value:
    """The eigenvalue at a place in rising order."""
    return g.reshape(g.apply(Eigvalsh(place, place + 1, free=False), [matrix])[0], matrix.type.shape[:-2])


def only_vector(g: Builder, matrix: Value, place: int) -> Value:
    """The eigenvector of that, of either sign."""
    return g.reshape(g.apply(Eigh(place, place + 1), [matrix])[1], matrix.type.shape[:-1])


def near(g: Builder, size: Value, most: float, found: Value) -> Value:
    """NaN where the recurrence is cut off too early."""
    return g.select(g.le(g.abs(size), most), found, math.nan)


def _characteristic(name: str, odd: bool) -> None:
    def apply(g: Builder, m: Value, q: Value) -> Value:
        def of(order: float) -> Value:
            of_order = whole(name, order, int(odd), MOST_ORDER)
            place = mathieu.position(of_order, odd)
            values = only_value(g, moved(g, mathieu.recurrence(of_order, odd, place + _TERMS), q), place)
            return g.convert(near(g, q, _MOST_Q, values), q.type.element_type)

        return by_orders(g, name, m, [q], of)

    apply.__doc__ = (
        f"The characteristic value of Mathieu's {'odd' if odd else 'even'} function of an order known while tracing, "
        "up to 100; NaN with q beyond 1000."
    )
    implements_special(name)(apply)


_characteristic("mathieu_a", odd=False)
_characteristic("mathieu_b", odd=True)


def _angular(name: str, odd: bool) -> None:
    def apply(g: Builder, m: Value, q: Value, x: Value) -> tuple[Value, Value]:
        def of(slope: bool) -> Callable[[float], Value]:
            return lambda order: g.convert(
                _wave(g, whole(name, order, int(odd), MOST_ORDER), odd, q, x, slope), x.type.element_type
            )

        return by_orders(g, name, m, [q, x], of(False)), by_orders(g, name, m, [q, x], of(True))

    apply.__doc__ = (
        f"Mathieu's {'odd' if odd else 'even'} function of an angle in degrees, of an order known while tracing, up to "
        "100, and its derivative by the angle in radians; NaN with q beyond 1000."
    )
    implements_special(name)(apply)


def _wave(g: Builder, order: int, odd: bool, q: Value, x: Value, slope: bool) -> Value:
    """The sum of coefficients times cosines, or sines, or its derivative."""
    place = mathieu.position(order, odd)
    terms = place + _TERMS
    first = order % 2 if not odd or order % 2 else 2
    k = first + 2.0 * np.arange(terms)
    vector = only_vector(g, moved(g, mathieu.recurrence(order, odd, terms), q), place)
    weights = np.ones(terms)
    if first == 0:
        weights[0] = math.sqrt(0.5)
    coefficients = g.mul(vector, weights)
    column = g.reshape(q, (*q.type.shape, 1))
    side = g.select(g.ge(column, 0.0), *_sides(k, place, odd))
    direction = g.sign(g.reduce_sum(g.mul(coefficients, side), axes=(q.type.rank,)))
    angle = g.mul(g.reshape(x, (*x.type.shape, 1)), k * (math.pi / 180.0))
    wave = g.sin(angle) if odd != slope else g.cos(angle)
    if slope:
        wave = g.mul(wave, k if odd else -k)
    terms_ = g.mul(coefficients, wave)
    found = g.reduce_sum(terms_, axes=(terms_.type.rank - 1,))
    return near(g, q, _MOST_Q, g.mul(found, direction))


def _sides(k: Array, place: int, odd: bool) -> tuple[Array, Array]:
    """What shows the sign of the function, that with q = 0: at 90 degrees of positive q, at 0 of negative q."""
    turns = np.round(np.cos(k * math.pi / 2)), np.round(np.sin(k * math.pi / 2))
    even_order = k[0] % 2 == 0
    if odd:
        far, near = (k * turns[0] if even_order else turns[1]), k
    else:
        far, near = (turns[0] if even_order else -k * turns[1]), np.ones_like(k)
    return far * np.sign(far[place]), near


_angular("mathieu_cem", odd=False)
_angular("mathieu_sem", odd=True)


def _modified(name: str, kind: int, said: str) -> None:
    def apply(g: Builder, m: Value, q: Value, x: Value) -> tuple[Value, Value]:
        def of(which: int) -> Value:
            def at(order: float) -> Value:
                of_order = whole(name, order, int(kind >= 4), MOST_ORDER)

                def with_q(size: float) -> Value:
                    if not mathieu.known(of_order, size):
                        raise Unsupported(
                            f"scipy.special.{name} of order {of_order} with q = {size} cannot be traced: SciPy's sums "
                            "cancel there",
                            "write 0.01 <= q <= 500, of at least m**3 / 40 where m is above 3",
                        )
                    return g.emit("modified_mathieu", x, kind=which, order=of_order, q=size)

                return by_orders(g, name, q, [x], with_q, "parameter q")

            return by_orders(g, name, m, [q, x], at)

        return of(kind), of(kind + 1)

    apply.__doc__ = f"Mathieu's {said} kind, of an order and a parameter q known while tracing, and its derivative."
    implements_special(name)(apply)


_modified("mathieu_modcem1", 0, "even modified function of the first")
_modified("mathieu_modcem2", 2, "even modified function of the second")
_modified("mathieu_modsem1", 4, "odd modified function of the first")
_modified("mathieu_modsem2", 6, "odd modified function of the second")
