"""Elliptic integrals and functions, by the parameter m = k^2."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import ConstraintError
from gradserve.ir.formulas import formula
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ops.family import Binary, RealElementwise, Unary
from gradserve.ops.registry import register
from gradserve.ops.special.rare import OfKind, OfScipy

_NEAR = 0.05
_TERMS = 13


@formula
def _ratio(g: Builder, m: Value, k: Value, e: Value) -> Value:
    """(K - E) / m; near m = 0 by its series pi/4 (1 + 3/8 m + ...), in which a term has (1/2)_j (3/2)_j / (2)_j j!."""
    near = g.lt(g.abs(m), _NEAR)
    t, series = g.select(near, m, 0.0), g.zeros(m.type)
    for j in range(_TERMS, 0, -1):
        series = g.mul(g.mul(t, (j - 0.5) * (j + 0.5) / ((j + 1.0) * j)), g.add(series, 1.0))
    return g.select(near, g.mul(g.add(series, 1.0), math.pi / 4), g.div(g.sub(k, e), g.select(near, 1.0, m)))


@register
@dataclass(frozen=True)
class Ellipk(OfScipy, Unary):
    """The complete elliptic integral of the first kind, K(m), for m below 1."""

    name = "ellipk"
    function = "ellipk"
    points = ((0.5, -2.0, 0.0, 0.05, 0.9),)
    kinks = ((1.0, 1.5, -math.inf),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """dK = (K - (K - E) / m) / (2 (1 - m)) dm."""
        rest = g.sub(y, _ratio(g, x, y, g.emit("ellipe", x)))
        return g.mul(g.div(rest, g.mul(g.sub(1.0, x), 2.0)), dx)


@register
@dataclass(frozen=True)
class Ellipe(OfScipy, Unary):
    """The complete elliptic integral of the second kind, E(m), for m up to 1."""

    name = "ellipe"
    function = "ellipe"
    points = ((0.5, -2.0, 0.0, 0.05, 0.9),)
    kinks = ((1.0, 1.5, -math.inf),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """dE = -(K - E) / m / 2 dm."""
        return g.mul(g.mul(_ratio(g, x, g.emit("ellipk", x), y), -0.5), dx)


class Incomplete(OfScipy, RealElementwise, Binary):
    """An integral from 0 to an angle phi, with the parameter m."""

    points = ((0.5, -1.0, 2.0, 0.3), (0.5, -2.0, 0.3, 0.0))
    kinks = ((0.0, 1.5, 0.5), (1.0, 1.0, 2.0))


@formula
def _root(g: Builder, phi: Value, m: Value) -> Value:
    sine = g.sin(phi)
    return g.sqrt(g.sub(1.0, g.mul(m, g.mul(sine, sine))))


@formula
def _even_powers(g: Builder, phi: Value) -> tuple[Value, ...]:
    """The integrals of sin^2, sin^4, ... from 0 to phi: each follows from the one before."""
    sine, cosine = g.sin(phi), g.cos(phi)
    square, power, integral, found = g.mul(sine, sine), g.mul(sine, cosine), phi, []
    for j in range(_TERMS):
        integral = g.div(g.sub(g.mul(integral, 2 * j + 1.0), power), 2 * j + 2.0)
        power = g.mul(power, square)
        found.append(integral)
    return tuple(found)


@formula
def _binomials(g: Builder, t: Value) -> tuple[Value, ...]:
    """The terms of 1 / sqrt(1 - t s) beside powers of s."""
    factor, found = g.full(t.type, 1.0), []
    for j in range(_TERMS):
        found.append(factor)
        factor = g.mul(factor, g.mul(t, (j + 0.5) / (j + 1.0)))
    return tuple(found)


@formula
def _incomplete_ratio(g: Builder, phi: Value, m: Value) -> Value:
    """(F - E) / m: the integral of sin^2 / sqrt(1 - m sin^2).

    Near m = 0 by the binomial series.
    """
    near = g.lt(g.abs(m), _NEAR)
    far = g.select(near, 0.5, m)
    quotient = g.div(g.sub(g.emit("ellipkinc", phi, far), g.emit("ellipeinc", phi, far)), far)
    series = g.zeros(m.type)
    for factor, integral in zip(_binomials(g, g.select(near, m, 0.0)), _even_powers(g, phi), strict=True):
        series = g.add(series, g.mul(factor, integral))
    return g.select(near, series, quotient)


@register
@dataclass(frozen=True)
class Ellipkinc(Incomplete):
    """The elliptic integral of the first kind, F(phi, m): of 1 / sqrt(1 - m sin^2) from 0 to phi."""

    name = "ellipkinc"
    function = "ellipkinc"

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """What is integrated, dphi; and (F - (F - E) / m - sin cos / sqrt(1 - m sin^2)) / (2 (1 - m)) dm."""
        phi, m = operands
        root = _root(g, phi, m)
        if k == 0:
            return g.div(dx, root)
        rest = g.sub(g.sub(y, _incomplete_ratio(g, phi, m)), g.div(g.mul(g.sin(phi), g.cos(phi)), root))
        return g.mul(g.div(rest, g.mul(g.sub(1.0, m), 2.0)), dx)


@register
@dataclass(frozen=True)
class Ellipeinc(Incomplete):
    """The elliptic integral of the second kind, E(phi, m): of sqrt(1 - m sin^2) from 0 to phi."""

    name = "ellipeinc"
    function = "ellipeinc"

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """What is integrated, dphi; and -(F - E) / (2 m) dm."""
        phi, m = operands
        if k == 0:
            return g.mul(_root(g, phi, m), dx)
        return g.mul(g.mul(_incomplete_ratio(g, phi, m), -0.5), dx)


@register
@dataclass(frozen=True)
class Jacobi(OfKind, RealElementwise, Binary):
    """Jacobi's elliptic functions of u with the parameter m: sn, cn, dn and the amplitude for the kinds 0 to 3.

    There is no derivative in m.
    """

    name = "jacobi"
    function = "ellipj"
    refuses = (1,)
    points = ((0.5, -1.0, 2.0, 0.0), (0.5, 0.2, 0.9, 0.3))

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """dsn = cn dn du, dcn = -sn dn du, ddn = -m sn cn du, and dn du of the amplitude."""
        if k == 1:
            raise ConstraintError("D1", f"{self.name} has no derivative in its parameter; only in its argument")
        u, m = operands
        sn, cn, dn = (g.emit("jacobi", u, m, kind=kind) for kind in range(3))
        slope = (g.mul(cn, dn), g.neg(g.mul(sn, dn)), g.neg(g.mul(m, g.mul(sn, cn))), dn)[self.kind]
        return g.mul(slope, dx)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """All kinds, scalars, nothing."""
        u, m = (np.array(column) for column in cls.points)
        for kind in range(4):
            yield Sample(cls(kind), (u, m))
        yield Sample(cls(0), (u[0], m[0]))
        yield Sample(cls(2), (np.zeros((2, 0)), np.zeros((2, 0))))
