"""Ufuncs of scipy.special that are made of others, or of orders and branches known while tracing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.special import by_orders
from gradserve.numpy.table import SPECIAL, implements_special

Start = Callable[..., Value]
"""Of the builder, x and parameters."""
Step = Callable[..., tuple[Any, Any, Any]]
"""Of the builder, k and parameters: a, b, c with p_(k+1) = (a x + b) p_k - c p_(k-1)."""


def _polynomials(name: str, first: Start, step: Step, said: str) -> None:
    """Enters the polynomials of a recurrence, by their degrees (NIST Digital Library, table 18.9.1)."""

    def apply(g: Builder, n: Value, *operands: Value) -> Value:
        *parameters, x = g.align(operands)

        def of_degree(degree: float) -> Value:
            if not degree.is_integer():
                raise Unsupported(f"scipy.special.{name} of degree {degree} cannot be traced", "write whole degrees")
            if degree < 0:
                return g.zeros(x.type)
            before, last = g.zeros(x.type), g.full(x.type, 1.0)
            for k in range(int(degree)):
                if k == 0:
                    before, last = last, first(g, x, *parameters)
                    continue
                a, b, c = step(g, k, *parameters)
                before, last = last, g.sub(g.mul(g.add(g.mul(x, a), b), last), g.mul(before, c))
            return last

        return by_orders(g, name, n, [x], of_degree)

    apply.__doc__ = f"{said} of a degree known while tracing, by their recurrence."
    implements_special(name)(apply)


def _twice(g: Builder, x: Value, *_: Value) -> Value:
    return g.mul(x, 2.0)


def _x(g: Builder, x: Value, *_: Value) -> Value:
    return x


def _of_laguerre(g: Builder, k: int, alpha: Any = 0.0) -> tuple[Any, Any, Any]:
    share = 1.0 / (k + 1)
    return -share, g.mul(g.add(alpha, 2.0 * k + 1.0), share), g.mul(g.add(alpha, float(k)), share)


def _of_gegenbauer(g: Builder, k: int, alpha: Value) -> tuple[Any, Any, Any]:
    twice, share = g.mul(alpha, 2.0), 1.0 / (k + 1)
    return g.mul(g.add(twice, 2.0 * k), share), 0.0, g.mul(g.add(twice, k - 1.0), share)


def _of_jacobi(g: Builder, k: int, alpha: Value, beta: Value) -> tuple[Any, Any, Any]:
    both = g.add(alpha, beta)
    size = g.add(both, 2.0 * k)
    below = g.mul(g.mul(g.add(both, k + 1.0), size), 2.0 * (k + 1.0))
    a = g.div(g.mul(g.mul(g.add(size, 1.0), size), g.add(size, 2.0)), below)
    b = g.div(g.mul(g.add(size, 1.0), g.mul(both, g.sub(alpha, beta))), below)
    ends = g.mul(g.mul(g.add(alpha, float(k)), g.add(beta, float(k))), 2.0)
    return a, b, g.div(g.mul(ends, g.add(size, 2.0)), below)


def _first_of_jacobi(g: Builder, x: Value, alpha: Value, beta: Value) -> Value:
    slope = g.mul(g.add(g.add(alpha, beta), 2.0), 0.5)
    return g.add(g.add(alpha, 1.0), g.mul(slope, g.sub(x, 1.0)))


_polynomials(
    "eval_legendre", _x, lambda _g, k: ((2 * k + 1) / (k + 1), 0.0, k / (k + 1)), "The polynomials of Legendre"
)
_polynomials("eval_chebyt", _x, lambda _g, _k: (2.0, 0.0, 1.0), "The polynomials of Chebyshev of the first kind")
_polynomials("eval_chebyu", _twice, lambda _g, _k: (2.0, 0.0, 1.0), "The polynomials of Chebyshev of the second kind")
_polynomials("eval_hermite", _twice, lambda _g, k: (2.0, 0.0, 2.0 * k), "The polynomials of Hermite, of physicists,")
_polynomials(
    "eval_hermitenorm", _x, lambda _g, k: (1.0, 0.0, float(k)), "The polynomials of Hermite, of statisticians,"
)
_polynomials("eval_laguerre", lambda g, x: g.sub(1.0, x), _of_laguerre, "The polynomials of Laguerre")
_polynomials(
    "eval_genlaguerre",
    lambda g, x, alpha: g.sub(g.add(alpha, 1.0), x),
    _of_laguerre,
    "The generalised polynomials of Laguerre",
)
_polynomials(
    "eval_gegenbauer",
    lambda g, x, alpha: g.mul(g.mul(alpha, 2.0), x),
    _of_gegenbauer,
    "The polynomials of Gegenbauer",
)
_polynomials("eval_jacobi", _first_of_jacobi, _of_jacobi, "The polynomials of Jacobi")


def _moved(name: str, of: str, said: str, slope: float, offset: float, size: float = 1.0) -> None:
    """Enters the polynomials of a recurrence at slope x + offset, times a number."""

    def apply(g: Builder, n: Value, x: Value) -> Value:
        found: Value = SPECIAL[of](g, n, g.add(g.mul(x, slope), offset))
        return g.mul(found, size)

    apply.__doc__ = f"{said} of a degree known while tracing, by their recurrence."
    implements_special(name)(apply)


_moved("eval_chebyc", "eval_chebyt", "The polynomials of Chebyshev of the first kind on [-2, 2]", 0.5, 0.0, 2.0)
_moved("eval_chebys", "eval_chebyu", "The polynomials of Chebyshev of the second kind on [-2, 2]", 0.5, 0.0)
_moved("eval_sh_chebyt", "eval_chebyt", "The polynomials of Chebyshev of the first kind on [0, 1]", 2.0, -1.0)
_moved("eval_sh_chebyu", "eval_chebyu", "The polynomials of Chebyshev of the second kind on [0, 1]", 2.0, -1.0)
_moved("eval_sh_legendre", "eval_legendre", "The polynomials of Legendre on [0, 1]", 2.0, -1.0)


@implements_special("eval_sh_jacobi")
def eval_sh_jacobi(g: Builder, n: Value, p: Value, q: Value, x: Value) -> Value:
    """The polynomials of Jacobi on [0, 1] of a degree known while tracing, by their recurrence."""
    p, q, x = g.align([p, q, x])
    found = SPECIAL["eval_jacobi"](g, n, g.sub(p, q), g.sub(q, 1.0), g.sub(g.mul(x, 2.0), 1.0))
    return g.div(found, g.emit("binom", *g.align([g.sub(g.add(g.mul(n, 2.0), p), 1.0), n])))


@implements_special("besselpoly")
def besselpoly(g: Builder, a: Value, lmb: Value, nu: Value) -> Value:
    """The integral of x^lmb J(2 a x) over x from 0 to 1, of a power lmb and an order nu known while tracing."""

    def of_power(power: float) -> Value:
        def of_order(order: float) -> Value:
            return g.emit("bessel_integral", a, power=power, order=order)

        return by_orders(g, "besselpoly", nu, [a], of_order)

    return by_orders(g, "besselpoly", lmb, [a, nu], of_power, "power")


@implements_special("expn")
def expn(g: Builder, n: Value, x: Value) -> Value:
    """The exponential integral of an order known while tracing: that of exp(-x t) / t^n over t from 1 to infinity."""
    return by_orders(g, "expn", n, [x], lambda order: g.emit("expn", x, order=int(order)))


@implements_special("sici")
def sici(g: Builder, x: Value) -> tuple[Value, Value]:
    """The integrals of sin(t) / t from 0 to x, and of cos(t) / t from infinity to x."""
    if x.type.is_complex:
        return g.emit("special_of_complex", x, kind="sici 0"), g.emit("special_of_complex", x, kind="sici 1")
    return g.emit("sine_integral", x), g.emit("cosine_integral", x)


@implements_special("fresnel")
def fresnel(g: Builder, x: Value) -> tuple[Value, Value]:
    """The integrals of sin(pi t^2 / 2) and of cos(pi t^2 / 2) from 0 to x."""
    if x.type.is_complex:
        return g.emit("special_of_complex", x, kind="fresnel 0"), g.emit("special_of_complex", x, kind="fresnel 1")
    return g.emit("fresnel_sine", x), g.emit("fresnel_cosine", x)


@implements_special("airy")
def airy(g: Builder, x: Value) -> tuple[Value, ...]:
    """Airy's functions and their derivatives: Ai, Ai', Bi and Bi'."""
    if x.type.is_complex:
        return tuple(g.emit("special_of_complex", x, kind=f"airy {kind}") for kind in range(4))
    return tuple(g.emit("airy", x, kind=kind) for kind in range(4))


@implements_special("ellipj")
def ellipj(g: Builder, u: Value, m: Value) -> tuple[Value, ...]:
    """Jacobi's elliptic functions of u, sn, cn, dn, and the amplitude: no derivative in the parameter m."""
    return tuple(g.emit("jacobi", u, m, kind=kind) for kind in range(4))


@implements_special("loggamma")
def loggamma(g: Builder, x: Value) -> Value:
    """The logarithm of the gamma function; of real numbers NaN below 0, where it is complex."""
    if x.type.is_complex:
        return g.emit("special_of_complex", x, kind="loggamma")
    positive = g.gt(x, 0)
    return g.select(positive, g.gammaln(g.select(positive, x, 1.0)), g.select(g.eq(x, 0), math.inf, np.nan))


@implements_special("voigt_profile")
def voigt_profile(g: Builder, x: Value, sigma: Value, gamma: Value) -> Value:
    """The density of a normal number and one of Cauchy's distribution together, by Faddeeva's function."""
    x, sigma, gamma = g.align([x, sigma, gamma])
    wide, broad = g.ne(sigma, 0), g.ne(gamma, 0)
    scale = g.select(wide, sigma, 1.0)
    z = g.complex(g.div(x, g.mul(scale, math.sqrt(2.0))), g.div(gamma, g.mul(scale, math.sqrt(2.0))))
    both = g.div(g.real(g.emit("wofz", z)), g.mul(scale, math.sqrt(2.0 * math.pi)))
    size = g.add(g.mul(x, x), g.mul(gamma, gamma))
    alone = g.div(gamma, g.mul(g.select(broad, size, 1.0), math.pi))
    point = g.select(g.eq(x, 0), math.inf, g.select(g.eq(x, x), 0.0, x))
    return g.select(wide, both, g.select(broad, alone, point))


@implements_special("inv_boxcox")
def inv_boxcox(g: Builder, y: Value, power: Value) -> Value:
    """The x with boxcox(x, power) = y: (1 + power y)^(1 / power), and exp(y) at power 0."""
    return g.exp(unboxed(g, y, power))


@implements_special("inv_boxcox1p")
def inv_boxcox1p(g: Builder, y: Value, power: Value) -> Value:
    """The x with boxcox1p(x, power) = y: inv_boxcox(y, power) - 1, with all digits where it is small."""
    return g.expm1(unboxed(g, y, power))


def unboxed(g: Builder, y: Value, power: Value) -> Value:
    """log(1 + power y) / power; near power y = 0 by its series, so that derivatives of every order are right there."""
    u = g.mul(power, y)
    near = g.logical_or(g.eq(power, 0), g.lt(g.abs(u), 0.1))
    t, series = g.select(near, u, 0.0), g.zeros(u.type)
    for k in range(20, 0, -1):
        series = g.sub(1.0 / k, g.mul(t, series))
    return g.select(near, g.mul(y, series), g.div(g.log1p(g.select(near, 0.0, u)), g.select(near, 1.0, power)))
