"""Ufuncs of scipy.special that are made of others: Legendre's functions, means, integrals, and angles in degrees."""

from __future__ import annotations

import math
from collections.abc import Callable

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.special import by_orders
from gradserve.numpy.table import SPECIAL, implements_special


@implements_special("lpmv")
def lpmv(g: Builder, m: Value, v: Value, x: Value) -> Value:
    """The associated Legendre function of a whole order m and degree v, which are known while tracing."""
    return by_orders(
        g, "lpmv", m, [v, x], lambda order: by_orders(g, "lpmv", v, [x], lambda degree: _legendre(g, order, degree, x))
    )


def _legendre(g: Builder, order: float, degree: float, x: Value) -> Value:
    """The function of a whole degree, or of the one that stands for a negative degree; 0 or NaN where there is none."""
    if not (order.is_integer() and degree.is_integer()):
        text = f"scipy.special.lpmv of order {order} and degree {degree} cannot be traced"
        raise Unsupported(text, "write whole numbers")
    n = int(-degree - 1.0 if degree < 0 else degree)
    if abs(order) > n:
        return g.full(x.type, math.nan if order < 0 else 0.0)
    m = int(abs(order))
    bend = g.mul(g.sub(1.0, x), g.add(x, 1.0))
    factor = g.pow(bend, m // 2) if m % 2 == 0 else g.mul(g.pow(bend, m // 2), g.sqrt(bend))
    return g.mul(g.mul(slopes_of_legendre(g, n, m, x), factor), size_of_legendre(n, int(order)))


def slopes_of_legendre(g: Builder, n: int, m: int, x: Value) -> Value:
    """The derivative of order m of Legendre's polynomial over (2m - 1)!!: a polynomial of Gegenbauer."""
    kind = x.type.element_type
    found: Value = SPECIAL["eval_gegenbauer"](g, g.constant(float(n - m), kind), g.constant(m + 0.5, kind), x)
    return found


def size_of_legendre(n: int, m: int) -> float:
    """(-1)^m (2m - 1)!!, by what it is multiplied; for negative m times (-1)^m (n - m)! / (n + m)! of their sizes."""
    k = abs(m)
    size = (-1.0) ** k * math.prod(range(1, 2 * k, 2))
    return size if m >= 0 else size * (-1.0) ** k / math.prod(range(n - k + 1, n + k + 1))


@implements_special("agm")
def agm(g: Builder, a: Value, b: Value) -> Value:
    """The arithmetic-geometric mean of numbers of one sign, by the complete elliptic integral; NaN of two signs."""
    a, b = g.align([a, b])
    positive = g.gt(g.mul(a, b), 0)
    one, other = g.select(positive, a, 1.0), g.select(positive, b, 1.0)
    whole = g.add(one, other)
    ratio = g.div(g.sub(one, other), whole)
    mean = g.div(g.mul(whole, math.pi / 4), g.emit("ellipk", g.mul(ratio, ratio)))
    mean = g.select(g.is_finite(whole), mean, whole)
    return g.select(positive, mean, g.select(g.ge(g.mul(a, b), 0), 0.0, math.nan))


def _jve(name: str, of: str) -> None:
    def apply(g: Builder, v: Value, z: Value) -> Value:
        if z.type.is_complex:
            raise Unsupported(f"scipy.special.{name} of complex numbers has no derivative", f"write scipy.special.{of}")
        found: Value = SPECIAL[of](g, v, z)
        return found

    apply.__doc__ = f"{of} of real numbers: the factor exp(-|Im z|) is 1."
    implements_special(name)(apply)


_jve("jve", "jv")
_jve("yve", "yv")


@implements_special("round")
def round_(g: Builder, x: Value) -> Value:
    """The nearest whole number, the even one of two."""
    return g.round(x)


def _in_degrees(name: str, function: Callable[[Builder, Value, Value], Value], said: str) -> None:
    def apply(g: Builder, x: Value) -> Value:
        # Turns are taken away before the product with pi, which would round them.
        angle = g.mul(g.sub(x, g.mul(g.round(g.div(x, 360.0)), 360.0)), math.pi / 180)
        return g.select(g.eq(g.abs(x), math.inf), 0.0, function(g, g.sin(angle), g.cos(angle)))

    apply.__doc__ = f"The {said} of an angle in degrees."
    implements_special(name)(apply)


_in_degrees("sindg", lambda _g, sine, _c: sine, "sine")
_in_degrees("cosdg", lambda _g, _s, cosine: cosine, "cosine")
_in_degrees("tandg", lambda g, sine, cosine: g.div(sine, cosine), "tangent")
_in_degrees("cotdg", lambda g, sine, cosine: g.div(cosine, sine), "cotangent")


@implements_special("radian")
def radian(g: Builder, d: Value, m: Value, s: Value) -> Value:
    """An angle of degrees, minutes and seconds in radians."""
    degrees = g.add(d, g.add(g.div(m, 60.0), g.div(s, 3600.0)))
    return g.mul(degrees, math.pi / 180)


@implements_special("stdtr")
def stdtr(g: Builder, df: Value, t: Value) -> Value:
    """The probability that a number of Student's distribution with df degrees of freedom is below t."""
    df, t = g.align([df, t])
    square = g.mul(t, t)
    tail = g.mul(g.emit("betainc", g.mul(df, 0.5), 0.5, g.div(df, g.add(df, square))), 0.5)
    inner = g.mul(g.emit("betainc", 0.5, g.mul(df, 0.5), g.div(square, g.add(df, square))), 0.5)
    found = g.select(g.eq(df, math.inf), g.emit("ndtr", t), g.select(g.lt(t, 0), tail, g.add(inner, 0.5)))
    return g.select(g.gt(df, 0), found, math.nan)
