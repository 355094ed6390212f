"""Special functions of known order."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable

import numpy as np

from gradserve.client.importers.lax.elements import Operand
from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder
from gradserve.ops.control.derivatives import Vjp
from gradserve.ops.movement.shapes import constant_behind
from gradserve.ops.special.tails import gamma_density

MOST_ORDERS = 128
"""The largest order of a special function, and how many of them one array may have."""


def bessel(order: float) -> Callable[..., Value]:
    """exp(-|x|) times the modified Bessel function of the first kind."""
    return lambda g, x: g.emit("bessel_ie", x.value, order=order)


def zeta(g: Builder, exponent: Operand, q: Operand) -> Value:
    """Hurwitz's zeta function of known exponents."""
    return _for_each(g, exponent, q, lambda s, x: g.emit("zeta", x, exponent=float(s)), "the exponent of zeta")


def polygamma(g: Builder, order: Operand, x: Operand) -> Value:
    """The derivative of digamma of known order: (-1)^(m+1) m! zeta(m + 1, x)."""

    def of_order(m: float, value: Value) -> Value:
        if m == 0:
            return g.digamma(value)
        factorial = float(functools.reduce(operator.mul, range(1, int(m) + 1), 1))
        return g.mul((-1.0) ** (m + 1) * factorial, g.emit("zeta", value, exponent=m + 1.0))

    return _for_each(g, order, x, of_order, "the order of polygamma")


def gamma_by_shape(g: Builder, a: Operand, x: Operand) -> Value:
    """The derivative of gammainc in its shape, by name: ops that it is made of are none of clients'."""
    own = Recorder()
    made = own.emit("gammainc", own.input("a", a.value.type), own.input("x", x.value.type))
    slope = Vjp(own.build({"y": made}), (0,), stacked=False)
    return g.apply(slope, [a.value, x.value, g.full(a.value.type, 1.0)])[1]


def gamma_draw_by_shape(g: Builder, a: Operand, x: Operand) -> Value:
    """How a number that is drawn from the gamma distribution moves with the shape, at the probability it has."""
    return g.neg(g.div(gamma_by_shape(g, a, x), gamma_density(g, a.value, x.value)))


def log_gamma_draw_by_shape(g: Builder, a: Operand, log_x: Operand) -> Value:
    """The same of its logarithm; of the least numbers by the first term of the series of gammainc."""
    tiny = g.lt(log_x.value, -600.0 if a.dtype == np.float64 else -80.0)
    x = g.exp(g.select(tiny, 0.0, log_x.value))
    whole = g.div(gamma_draw_by_shape(g, a, Operand(x, a.dtype)), x)
    first = g.div(g.sub(g.digamma(g.add(a.value, 1.0)), log_x.value), a.value)
    return g.select(tiny, first, whole)


def _for_each(g: Builder, order: Operand, x: Operand, of: Callable[[float, Value], Value], what: str) -> Value:
    known = constant_behind(g, order.value)
    if known is None:
        raise Unsupported(f"{what} is computed", "give a number that is known beforehand")
    orders = np.unique(known)
    if len(orders) > MOST_ORDERS or not np.all(np.abs(orders) <= MOST_ORDERS):
        raise Unsupported(
            f"{what} is one of {len(orders)} up to {np.max(np.abs(orders))}", f"stay within {MOST_ORDERS}"
        )
    found: Value | None = None
    for each in orders:
        result = of(float(each), x.value)
        found = result if found is None else g.select(g.eq(order.value, float(each)), result, found)
    return g.zeros(x.value.type) if found is None else found
