"""scipy.special: functions of Legendre that are no ufuncs, and harmonics on the sphere."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Literal
from gradserve.numpy.arguments import Unsupported, lift, to_real
from gradserve.numpy.harmonics import size_of_legendre, slopes_of_legendre
from gradserve.numpy.special import by_orders
from gradserve.numpy.table import SPECIAL, implements_scipy

_MOST = 120
"""Degrees up to which no factor overflows."""


def _of_pairs(g: Builder, name: str, n: Any, m: Any, x: Value, diff_n: int, at: Callable[[int, int], Value]) -> Value:
    """A function of whole degrees and orders, which are known while tracing, and of x; 0 of orders above degrees."""
    if diff_n:
        raise Unsupported(
            f"scipy.special.{name} with diff_n cannot be traced", "leave it out: derivatives are asked for"
        )
    degrees, orders = (g.literal(each) for each in (lift(g, n), lift(g, m)))
    if not (isinstance(degrees, Literal) and isinstance(orders, Literal)):
        raise Unsupported(f"the degree or order of scipy.special.{name} is traced", "use some known while tracing")
    if degrees.array.size and degrees.array.max() > _MOST:
        raise Unsupported(f"scipy.special.{name} of degrees above {_MOST} cannot be traced", "use lower ones")

    def of(degree: float, order: float) -> Value:
        if degree < 0:
            raise Unsupported(
                f"scipy.special.{name} of degree {degree:.0f} cannot be traced", "use degrees of at least 0"
            )
        return g.zeros(x.type) if abs(order) > degree else at(int(degree), int(order))

    kind = x.type.element_type
    known_n, known_m = (g.constant(each.array, kind) for each in (degrees, orders))
    return by_orders(
        g, name, known_m, [known_n, x], lambda order: by_orders(g, name, known_n, [x], lambda degree: of(degree, order))
    )


def _norm(n: int, m: int) -> float:
    """The factor with which squares have the integral 1 over the sphere, but for that of the azimuth."""
    return math.sqrt((2 * n + 1) / (4 * math.pi) * math.factorial(n - m) / math.factorial(n + m))


def _on_sphere(g: Builder, n: int, m: int, theta: Value) -> Value:
    """The normalised function of the cosine, by the size of the sine: no root of a square is taken."""
    size = size_of_legendre(n, m) * _norm(n, m)
    found = g.mul(slopes_of_legendre(g, n, abs(m), g.cos(theta)), size)
    if not m:
        return found
    sine = g.sin(theta)
    return g.mul(found, g.pow(g.select(g.lt(sine, 0), g.neg(sine), sine), abs(m)))


@implements_scipy("special.sph_legendre_p")
def sph_legendre_p(g: Builder, n: Any, m: Any, theta: Any, *, diff_n: int = 0) -> Value:
    """Legendre's function of the cosine of a polar angle, normalised on the sphere; n and m are known while tracing."""
    return _with_axis(g, _of_sphere(g, n, m, theta, diff_n))


def _of_sphere(g: Builder, n: Any, m: Any, theta: Any, diff_n: int) -> Value:
    x = to_real(g, theta, "sph_legendre_p")
    return _of_pairs(g, "sph_legendre_p", n, m, x, diff_n, lambda degree, order: _on_sphere(g, degree, order, x))


def _with_axis(g: Builder, found: Value) -> Value:
    """SciPy's results have an axis for derivatives in front, even where none are asked for."""
    return g.reshape(found, (1, *found.shape))


@implements_scipy("special.sph_harm_y")
def sph_harm_y(g: Builder, n: Any, m: Any, theta: Any, phi: Any, *, diff_n: int = 0) -> Value:
    """The complex harmonic of a polar angle and an azimuth on the sphere; n and m are known while tracing."""
    polar, azimuth = to_real(g, theta, "sph_harm_y"), to_real(g, phi, "sph_harm_y")
    size = _of_sphere(g, n, m, polar, diff_n)
    turn = g.mul(azimuth, lift(g, m))
    return g.mul(size, g.complex(g.cos(turn), g.sin(turn)))


@implements_scipy("special.legendre_p")
def legendre_p(g: Builder, n: Any, z: Any, *, diff_n: int = 0) -> Value:
    """Legendre's polynomial of a degree known while tracing."""
    x = to_real(g, z, "legendre_p")

    def at(degree: int, _: int) -> Value:
        found: Value = SPECIAL["eval_legendre"](g, g.constant(float(degree)), x)
        return found

    return _with_axis(g, _of_pairs(g, "legendre_p", n, 0, x, diff_n, at))


@implements_scipy("special.assoc_legendre_p")
def assoc_legendre_p(
    g: Builder, n: Any, m: Any, z: Any, *, branch_cut: Any = 2, norm: bool = False, diff_n: int = 0
) -> Value:
    """Legendre's associated function of z in [-1, 1], of a degree and order known while tracing."""
    x = to_real(g, z, "assoc_legendre_p")
    if branch_cut != 2:
        raise Unsupported("scipy.special.assoc_legendre_p with branch_cut cannot be traced", "leave it out")

    def at(degree: int, order: int) -> Value:
        size = math.sqrt(2 * math.pi) * _norm(degree, order) if norm else 1.0
        kind = x.type.element_type
        return g.mul(SPECIAL["lpmv"](g, g.constant(float(order), kind), g.constant(float(degree), kind), x), size)

    return _with_axis(g, _of_pairs(g, "assoc_legendre_p", n, m, x, diff_n, at))
