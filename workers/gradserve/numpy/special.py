"""Ufuncs of scipy.special."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Literal
from gradserve.numpy.arguments import Unsupported, to_float
from gradserve.numpy.table import UFUNCS, emitting, implements, implements_special
from gradserve.ops.special.plane import KINDS

_OPS = {
    "beta": "beta",
    "betainc": "betainc",
    "betaincinv": "betaincinv",
    "betaln": "betaln",
    "binom": "binom",
    "dawsn": "dawsn",
    "digamma": "digamma",
    "ellipe": "ellipe",
    "ellipeinc": "ellipeinc",
    "ellipk": "ellipk",
    "ellipkinc": "ellipkinc",
    "erf": "erf",
    "erfc": "erfc",
    "erfcinv": "erfcinv",
    "erfi": "erfi",
    "erfinv": "erfinv",
    "exp1": "exp1",
    "expi": "expi",
    "expit": "logistic",
    "expm1": "expm1",
    "gamma": "gamma",
    "gammainc": "gammainc",
    "gammaincc": "gammaincc",
    "gammainccinv": "gammainccinv",
    "gammaincinv": "gammaincinv",
    "gammaln": "gammaln",
    "hyp0f1": "hyp0f1",
    "hyp1f1": "hyp1f1",
    "hyp2f1": "hyp2f1",
    "hyperu": "hyperu",
    "log_wright_bessel": "log_wright_bessel",
    "log1p": "log1p",
    "owens_t": "owens_t",
    "poch": "poch",
    "psi": "digamma",
    "spence": "spence",
    "stdtrit": "stdtrit",
    "wofz": "wofz",
    "wright_bessel": "wright_bessel",
    "wrightomega": "wrightomega",
}
"""Ufuncs that are one op."""
_ALIASES = {"digamma": "psi"}
_OF_ORDER = {
    "iv": "bessel_i",
    "ive": "bessel_ie",
    "jv": "bessel_j",
    "kv": "bessel_k",
    "kve": "bessel_ke",
    "yv": "bessel_y",
}
"""Bessel functions whose order is their first operand."""
_OF_WHOLE_ORDER = {"jn": "bessel_j", "kn": "bessel_k", "yn": "bessel_y"}
_OF_COMPLEX = {"jn": "jv", "kn": "kv", "yn": "yv"}
_FIXED = {
    "i0": "bessel_i",
    "i0e": "bessel_ie",
    "j0": "bessel_j",
    "k0": "bessel_k",
    "k0e": "bessel_ke",
    "y0": "bessel_y",
}
"""Bessel functions of order 0; those of order 1 are named likewise."""


def by_orders(
    g: Builder, name: str, order: Value, x: Sequence[Value], at: Callable[[float], Value], said: str = "order"
) -> Value:
    """A function of known orders, each of which may be another, beside other operands."""
    literal = g.literal(order)
    if not isinstance(literal, Literal):
        raise Unsupported(f"the {said} of scipy.special.{name} is traced", f"use {said}s known while tracing")
    result: Value | None = None
    for each in np.unique(literal.array):
        result = at(float(each)) if result is None else g.select(g.eq(order, float(each)), at(float(each)), result)
    if result is None:
        return g.zeros(g.align([order, *x])[1].type)
    return g.broadcast(result, g.align([order, *x])[0].type.shape)


def _of_order(name: str, op: str) -> Callable[..., Value]:
    def apply(g: Builder, order: Value, x: Value) -> Value:
        if x.type.is_complex:
            kind = _OF_COMPLEX.get(name, name)
            return by_orders(g, name, order, [x], lambda each: g.emit("bessel_of_complex", x, kind=kind, order=each))
        return by_orders(g, name, order, [x], lambda each: g.emit(op, x, order=each))

    apply.__doc__ = f"{_said_of(op)} The order must be known while tracing."
    return apply


def _of_fixed_order(op: str, order: float) -> Callable[..., Value]:
    def apply(g: Builder, x: Value) -> Value:
        return g.emit(op, x, order=order)

    apply.__doc__ = f"{_said_of(op)} Of order {order:.0f}."
    return apply


def _said_of(op: str) -> str:
    return (emitting(op).__doc__ or "").split("\n\n")[0]


def _of_plane(name: str, op: str) -> Callable[..., Value]:
    """One op, and another one of complex numbers if there is one."""
    kind = _ALIASES.get(name, name)

    def apply(g: Builder, *x: Value) -> Value:
        if x[0].type.is_complex:
            return g.emit("special_of_complex", *x, kind=kind)
        return g.emit(op, *x)

    apply.__doc__ = _said_of(op)
    return apply


for _name, _op in _OPS.items():
    implements_special(_name)(_of_plane(_name, _op) if _ALIASES.get(_name, _name) in KINDS else emitting(_op))
for _name, _op in (_OF_ORDER | _OF_WHOLE_ORDER).items():
    implements_special(_name)(_of_order(_name, _op))
for _name, _op in _FIXED.items():
    implements_special(_name)(_of_fixed_order(_op, 0.0))
    implements_special(_name.replace("0", "1"))(_of_fixed_order(_op, 1.0))


@implements(np.i0)
def i0(g: Builder, x: Any) -> Value:
    """The modified Bessel function of the first kind and order 0, of real numbers as float64."""
    return g.emit("bessel_i", to_float(g, x), order=0.0)


implements_special("cbrt")(UFUNCS[np.cbrt])
implements_special("exp2")(UFUNCS[np.exp2])


@implements_special("erfcx")
def erfcx(g: Builder, x: Value) -> Value:
    """exp(x^2) erfc(x), which neither overflows nor vanishes at large x; of complex numbers by Faddeeva's function."""
    return g.emit("wofz", g.mul(x, 1j)) if x.type.is_complex else g.emit("erfcx", x)


@implements_special("log_expit")
def log_expit(g: Builder, x: Value) -> Value:
    """The logarithm of expit, without underflow."""
    return g.neg(g.logaddexp(0, g.neg(x)))


@implements_special("logit")
def logit(g: Builder, x: Value) -> Value:
    """The inverse of expit."""
    return g.sub(g.log(x), g.log1p(g.neg(x)))


@implements_special("exp10")
def exp10(g: Builder, x: Value) -> Value:
    """10 to the power of x."""
    return g.pow(10, x)


@implements_special("xlogy")
def xlogy(g: Builder, x: Value, y: Value) -> Value:
    """x log(y), and 0 at x = 0 with any number y; its derivatives at x = y = 0 are taken as 0."""
    if x.type.is_complex or y.type.is_complex:
        return g.mul(x, g.log(g.select(g.logical_and(g.eq(x, 0), g.eq(y, 0)), 1, y)))
    vanishes = g.logical_and(g.eq(x, 0), g.le(y, 0))
    return g.mul(x, g.log(g.select(vanishes, 1, y)))


@implements_special("xlog1py")
def xlog1py(g: Builder, x: Value, y: Value) -> Value:
    """x log(1 + y), and 0 at x = 0 with any number y; its derivatives at x = 0, y = -1 are taken as 0."""
    vanishes = g.logical_and(g.eq(x, 0), g.le(y, -1))
    return g.mul(x, g.log1p(g.select(vanishes, 0, y)))


@implements_special("huber")
def huber(g: Builder, delta: Value, r: Value) -> Value:
    """r^2 / 2 up to |r| = delta, and linear beyond; inf at negative delta."""
    near = g.clip(r, g.neg(delta), delta)
    loss = g.mul(near, g.sub(r, g.mul(near, 0.5)))
    return g.select(g.lt(delta, 0), math.inf, loss)


@implements_special("pseudo_huber")
def pseudo_huber(g: Builder, delta: Value, r: Value) -> Value:
    """delta^2 (sqrt(1 + (r / delta)^2) - 1): smooth, and near the Huber loss; 0 at r = 0, inf at negative delta."""
    known = g.gt(delta, 0)
    scale = g.select(known, delta, 1)
    loss = g.mul(scale, g.emit("hypot_excess", r, scale))
    return g.select(known, loss, g.select(g.lt(delta, 0), math.inf, g.mul(g.mul(delta, 0), r)))


@implements_special("boxcox")
def boxcox(g: Builder, x: Value, power: Value) -> Value:
    """(x^power - 1) / power, and log(x) at power 0."""
    return _box(g, g.log(x), power, g.sub(g.pow(_from_zero(g, x), power), 1))


@implements_special("boxcox1p")
def boxcox1p(g: Builder, x: Value, power: Value) -> Value:
    """((1 + x)^power - 1) / power, and log(1 + x) at power 0."""
    return _box(g, g.log1p(x), power, g.sub(g.pow(_from_zero(g, g.add(x, 1)), power), 1))


def _from_zero(g: Builder, x: Value) -> Value:
    """NaN where x is negative, as SciPy has it for whole powers too."""
    return g.select(g.lt(x, 0), np.nan, x)


def _box(g: Builder, logarithm: Value, power: Value, excess: Value) -> Value:
    """The excess of a power over 1, divided by the exponent; near power 0 by the power series of exp(power logarithm).

    So derivatives of every order are right there as well.
    """
    exponent = g.mul(power, logarithm)
    near = g.logical_or(g.eq(power, 0), g.lt(g.abs(exponent), 0.5))
    t = g.mul(power, g.select(g.logical_and(near, g.is_finite(logarithm)), logarithm, 0))
    series: Value | float = 0.0
    for k in range(16, 0, -1):
        series = g.add(g.mul(t, series), 1 / math.factorial(k))
    far = g.div(excess, g.select(near, 1, power))
    return g.select(near, g.mul(logarithm, series), far)


@implements_special("betaincc")
def betaincc(g: Builder, a: Value, b: Value, x: Value) -> Value:
    """1 - betainc(a, b, x), with all digits where it is small."""
    return g.emit("betainc", b, a, g.sub(1.0, x))


@implements_special("exprel")
def exprel(g: Builder, x: Value) -> Value:
    """(exp(x) - 1) / x, and 1 at 0; near 0 by its power series."""
    near = g.lt(g.abs(x), 0.5)
    t = g.select(near, x, 0.0)
    series: Any = 0.0
    for k in range(17, 0, -1):
        series = g.add(g.mul(t, series), 1 / math.factorial(k))
    far = g.select(g.logical_or(near, g.eq(x, math.inf)), 1.0, x)
    return g.select(near, series, g.select(g.eq(x, math.inf), math.inf, g.div(g.expm1(far), far)))


@implements_special("cosm1")
def cosm1(g: Builder, x: Value) -> Value:
    """cos(x) - 1, with all digits near 0."""
    sine = g.sin(g.mul(x, 0.5))
    return g.mul(g.mul(sine, sine), -2.0)


@implements_special("powm1")
def powm1(g: Builder, x: Value, y: Value) -> Value:
    """x to the power of y, less 1, with all digits where it is small."""
    positive = g.gt(x, 0)
    small = g.expm1(g.mul(y, g.log(g.select(positive, x, 1.0))))
    return g.select(positive, small, g.sub(g.pow(x, y), 1.0))
