"""Circular and hyperbolic functions and their inverses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.records import dataclass
from gradserve.ops.elementwise.slopes import OneMinusSquare, TanhSlope
from gradserve.ops.family import TRANSCENDENTAL, Binary, RealElementwise, Unary
from gradserve.ops.registry import register


@register
@dataclass(frozen=True)
class Sin(Unary):
    """The sine of x radians."""

    name = "sin"
    takes_complex = True
    analytic = True
    parity = "odd"
    spectral_function = "sin"
    function = "sin"
    flops = TRANSCENDENTAL
    points = ((0.5, -2.0, 0.0, 30.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d sin(x) = cos(x) dx."""
        return g.mul(g.cos(x), dx)


@register
@dataclass(frozen=True)
class Cos(Unary):
    """The cosine of x radians."""

    name = "cos"
    takes_complex = True
    analytic = True
    parity = "even"
    spectral_function = "cos"
    function = "cos"
    flops = TRANSCENDENTAL
    points = ((0.5, -2.0, 0.0, 30.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d cos(x) = -sin(x) dx."""
        return g.mul(g.neg(g.sin(x)), dx)


@register
@dataclass(frozen=True)
class Tan(Unary):
    """The tangent of x radians."""

    name = "tan"
    takes_complex = True
    analytic = True
    parity = "odd"
    function = "tan"
    flops = TRANSCENDENTAL
    points = ((0.5, -1.0, 0.0, 3.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d tan(x) = (1 + tan(x)^2) dx."""
        return g.mul(g.add(1.0, g.mul(y, y)), dx)


@register
@dataclass(frozen=True)
class Asin(Unary):
    """The angle in [-pi/2, pi/2] whose sine is x."""

    name = "asin"
    takes_complex = True
    analytic = True
    parity = "odd"
    function = "asin"
    flops = TRANSCENDENTAL
    points = ((0.5, -0.75, 0.0),)
    kinks = ((1.0, -1.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d asin(x) = dx / sqrt(1 - x^2)."""
        return g.div(dx, g.sqrt(g.apply(OneMinusSquare(), [x])[0]))

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where x is at an end of the domain. The derivative is infinite there."""
        return _is_unit(g, operands[0])


@register
@dataclass(frozen=True)
class Acos(Unary):
    """The angle in [0, pi] whose cosine is x."""

    name = "acos"
    takes_complex = True
    analytic = True
    function = "acos"
    flops = TRANSCENDENTAL
    points = ((0.5, -0.75, 0.0),)
    kinks = ((1.0, -1.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d acos(x) = -dx / sqrt(1 - x^2)."""
        return g.div(dx, g.neg(g.sqrt(g.apply(OneMinusSquare(), [x])[0])))

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where x is at an end of the domain. The derivative is infinite there."""
        return _is_unit(g, operands[0])


@register
@dataclass(frozen=True)
class Atan(Unary):
    """The angle in [-pi/2, pi/2] whose tangent is x."""

    name = "atan"
    takes_complex = True
    analytic = True
    parity = "odd"
    function = "atan"
    flops = TRANSCENDENTAL
    points = ((0.5, -2.0, 0.0),)
    kinks = ((np.inf, -np.inf),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d atan(x) = dx / (1 + x^2)."""
        return g.div(dx, g.add(1.0, g.mul(x, x)))


@register
@dataclass(frozen=True)
class Atan2(RealElementwise, Binary):
    """The angle in [-pi, pi] of the point with ordinate x and abscissa y."""

    name = "atan2"
    function = "atan2"
    flops = 2 * TRANSCENDENTAL
    points = ((0.5, 2.0, -1.0, -2.0, 0.0), (1.0, -1.0, -0.5, 0.25, 1.0))
    kinks = ((0.0, -0.0, 0.0), (-1.0, -1.0, 0.0))

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """(y dx - x dy) / (x^2 + y^2), scaled by the larger operand, lest squares overflow or vanish."""
        ordinate, abscissa = operands
        scale = g.maximum(g.abs(ordinate), g.abs(abscissa))
        sine, cosine = g.div(ordinate, scale), g.div(abscissa, scale)
        radius = g.add(g.mul(sine, ordinate), g.mul(cosine, abscissa))
        return g.mul(g.div(cosine if k == 0 else g.neg(sine), radius), dx)

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where both operands are 0: the angle is any. The derivative is NaN."""
        return g.logical_and(g.eq(operands[0], 0), g.eq(operands[1], 0))


@register
@dataclass(frozen=True)
class Sinh(Unary):
    """The hyperbolic sine."""

    name = "sinh"
    takes_complex = True
    analytic = True
    parity = "odd"
    spectral_function = "sinh"
    function = "sinh"
    flops = TRANSCENDENTAL
    points = ((0.5, -2.0, 0.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d sinh(x) = cosh(x) dx."""
        return g.mul(g.cosh(x), dx)


@register
@dataclass(frozen=True)
class Cosh(Unary):
    """The hyperbolic cosine."""

    name = "cosh"
    takes_complex = True
    analytic = True
    parity = "even"
    spectral_function = "cosh"
    function = "cosh"
    flops = TRANSCENDENTAL
    points = ((0.5, -2.0, 0.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d cosh(x) = sinh(x) dx."""
        return g.mul(g.sinh(x), dx)


@register
@dataclass(frozen=True)
class Tanh(Unary):
    """The hyperbolic tangent."""

    name = "tanh"
    takes_complex = True
    analytic = True
    parity = "odd"
    spectral_function = "tanh"
    function = "tanh"
    flops = TRANSCENDENTAL
    points = ((0.5, -2.0, 0.0),)
    kinks = ((np.inf, -np.inf, 800.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d tanh(x) = dx / cosh(x)^2, bounded, so that no order of derivative overflows."""
        slope = OneMinusSquare() if x.type.is_complex else TanhSlope()
        return g.mul(g.apply(slope, [y] if x.type.is_complex else [x, y])[0], dx)


@register
@dataclass(frozen=True)
class Asinh(Unary):
    """The inverse of the hyperbolic sine."""

    name = "asinh"
    takes_complex = True
    analytic = True
    parity = "odd"
    function = "asinh"
    flops = TRANSCENDENTAL
    points = ((0.5, -2.0, 0.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d asinh(x) = dx / sqrt(1 + x^2), without the square that overflows."""
        root = g.sqrt(g.add(g.mul(x, x), 1.0)) if x.type.is_complex else g.emit("hypot", x, 1.0)
        return g.div(dx, root)


@register
@dataclass(frozen=True)
class Acosh(Unary):
    """The inverse of the hyperbolic cosine, for x of at least 1."""

    name = "acosh"
    takes_complex = True
    analytic = True
    function = "acosh"
    flops = TRANSCENDENTAL
    points = ((1.5, 2.0, 10.0),)
    kinks = ((1.0, 0.5),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d acosh(x) = dx / sqrt(x^2 - 1), factored: right near 1, finite at large x, NaN below 1."""
        return g.div(dx, g.mul(g.sqrt(g.sub(x, 1.0)), g.sqrt(g.add(x, 1.0))))

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where x is at an end of the domain. The derivative is infinite there."""
        return g.eq(operands[0], 1)


@register
@dataclass(frozen=True)
class Atanh(Unary):
    """The inverse of the hyperbolic tangent, for x in [-1, 1]."""

    name = "atanh"
    takes_complex = True
    analytic = True
    parity = "odd"
    function = "atanh"
    flops = TRANSCENDENTAL
    points = ((0.5, -0.75, 0.0),)
    kinks = ((1.0, -1.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d atanh(x) = dx / (1 - x^2)."""
        return g.div(dx, g.apply(OneMinusSquare(), [x])[0])


def _is_unit(g: Builder, x: Value) -> Value:
    """Where x is 1 or -1."""
    return g.logical_or(g.eq(x, 1.0), g.eq(x, -1.0))
