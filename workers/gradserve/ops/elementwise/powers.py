"""Roots and powers, exponentials and logarithms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.records import dataclass
from gradserve.ir.splat import splat
from gradserve.ir.types import Array, TensorType
from gradserve.ops.elementwise.slopes import LogisticSlope
from gradserve.ops.family import DIVISION, TRANSCENDENTAL, Binary, RealElementwise, Unary
from gradserve.ops.movement.shapes import constant_behind
from gradserve.ops.registry import register
from gradserve.ops.routines import routine


@register
@dataclass(frozen=True)
class Sqrt(Unary):
    """The square root; its derivative at 0 is infinite."""

    name = "sqrt"
    takes_complex = True
    analytic = True
    spectral_function = "sqrt"
    function = "sqrt"
    flops = DIVISION
    points = ((0.25, 2.0, 9.0),)
    kinks = ((0.0, np.inf, -1.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d sqrt(x) = dx / (2 sqrt(x))."""
        return g.mul(g.div(0.5, y), dx)

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where x is at an end of the domain. The derivative is infinite there."""
        return g.eq(operands[0], 0)


@register
@dataclass(frozen=True)
class Cbrt(Unary):
    """The cube root, of negative numbers as well.

    A primitive for a numerical reason: a third is rounded, and as an exponent it costs log(x) digits.
    """

    name = "cbrt"
    function = "cbrt"
    flops = TRANSCENDENTAL
    points = ((0.25, -2.0, 27.0),)
    kinks = ((0.0, np.inf, -np.inf),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return routine(xp, self.function)(*arrays)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d cbrt(x) = dx / (3 y^2)."""
        return g.mul(g.div(1.0, g.mul(g.mul(y, y), 3.0)), dx)


@register
@dataclass(frozen=True)
class Exp(Unary):
    """e to the power of x."""

    name = "exp"
    takes_complex = True
    analytic = True
    spectral_function = "exp"
    function = "exp"
    flops = TRANSCENDENTAL
    points = ((0.5, -2.0, 0.0, 3.0),)
    kinks = ((np.inf, -np.inf, 800.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d exp(x) = exp(x) dx."""
        return g.mul(y, dx)


@register
@dataclass(frozen=True)
class Expm1(Unary):
    """e to the power of x, less 1; exact to rounding near 0."""

    name = "expm1"
    takes_complex = True
    analytic = True
    spectral_function = "expm1"
    function = "expm1"
    flops = TRANSCENDENTAL
    points = ((0.5, -2.0, 1e-9, 3.0),)
    kinks = ((np.inf, -np.inf, -50.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d expm1(x) = exp(x) dx; 1 + y would lose all digits at large negative x."""
        return g.mul(g.exp(x), dx)


@register
@dataclass(frozen=True)
class Log(Unary):
    """The natural logarithm."""

    name = "log"
    takes_complex = True
    analytic = True
    spectral_function = "log"
    function = "log"
    flops = TRANSCENDENTAL
    points = ((0.5, 2.0, 10.0),)
    kinks = ((0.0, np.inf, -1.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d log(x) = dx / x."""
        return g.div(dx, x)


@register
@dataclass(frozen=True)
class Log1p(Unary):
    """The natural logarithm of 1 + x; exact to rounding near 0."""

    name = "log1p"
    takes_complex = True
    analytic = True
    spectral_function = "log1p"
    function = "log1p"
    flops = TRANSCENDENTAL
    points = ((0.5, 2.0, 1e-9, -0.75),)
    kinks = ((-1.0, np.inf, -2.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d log1p(x) = dx / (1 + x)."""
        return g.div(dx, g.add(x, 1.0))


@register
@dataclass(frozen=True)
class Logistic(Unary):
    """1 / (1 + exp(-x)).

    A primitive for a numerical reason: differentiated as a quotient, its second derivative is 0 times infinity as soon
    as exp(-x) overflows, below x = -709.
    """

    name = "logistic"
    analytic = True
    spectral_function = "logistic"
    flops = TRANSCENDENTAL
    points = ((0.5, -2.0, 0.0, 6.0),)
    kinks = ((np.inf, -np.inf, 800.0, -800.0),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return 1.0 / (1.0 + xp.exp(-arrays[0]))

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """dy = y (1 - y) dx, which would lose all digits at large x."""
        return g.mul(g.apply(LogisticSlope(), [x])[0], dx)


@register
@dataclass(frozen=True)
class Pow(Binary):
    """x to the power of y, with x^0 = 1 for every x; a negative x needs a whole y.

    The differential is dz = y x^(y-1) dx + z log(x) dy, but for the products of zero and infinity in it that stand for
    a limit. Integers must not have negative exponents.
    """

    name = "pow"
    takes_complex = True
    analytic = True
    function = "pow"
    flops = 2 * TRANSCENDENTAL
    points = ((1.5, 2.0, 0.25, 3.0), (2.0, -1.5, 0.5, 0.0))
    kinks = ((0.0, 0.0, 0.0, 0.0, -2.0, -2.0), (0.0, 1.0, 0.5, -1.0, 3.0, 0.5))
    integers = ((7, -3, 0, 2), (2, 3, 0, 10))

    def is_total(self, *types: TensorType) -> bool:
        """Not of integers, which have no negative powers."""
        return types[0].is_float

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """The part along the base or along the exponent."""
        base, exponent = operands
        if base.type.is_complex:
            return g.mul(_complex_slope(g, k, base, exponent, y), dx)
        slope = self._slope_in_base(g, base, exponent, y) if k == 0 else self._slope_in_exponent(g, base, y)
        return g.mul(slope, dx)

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where x is 0 and y no whole number from 0 on. A derivative is infinite there, the first or a further one."""
        x, y = operands
        exponent = splat(g, y)
        if exponent is None and y.type.is_complex:
            return g.eq(x, 0)
        if exponent is None:
            smooth = g.logical_and(g.ge(y, 0), g.eq(y, g.floor(y)))
            return g.logical_and(g.eq(x, 0), g.logical_not(smooth))
        whole = not exponent.imag and float(exponent.real).is_integer()
        return None if whole and exponent.real >= 0 else g.eq(x, 0)

    @staticmethod
    def _slope_in_base(g: Builder, x: Value, y: Value, z: Value) -> Value:
        """y x^(y-1), and 0 at x = y = 0, where the lowered exponent is 0 and not -1, in further derivatives as well.

        Below 1/2, y - 1 is rounded, which as an exponent costs log(x) digits: there it is y z / x where z is finite.
        """
        known = constant_behind(g, y)
        if known is not None and known.size == 1 and known.item() != 0 and known.item() - 1 + 1 == known.item():
            return g.mul(y, g.pow(x, known.item() - 1))
        if known is None or not np.all(known - 1 + 1 == known):
            exact = g.logical_or(g.ge(y, 0.5), g.eq(y, 0.0))
            direct = g.logical_not(g.logical_or(exact, g.logical_or(g.eq(z, 0.0), g.logical_not(g.is_finite(z)))))
            over = g.div(z, g.select(direct, x, 1.0))
            return g.select(direct, g.mul(y, over), Pow._lowered(g, g.select(direct, 1.0, x), y))
        return Pow._lowered(g, x, y)

    @staticmethod
    def _lowered(g: Builder, x: Value, y: Value) -> Value:
        lowered = g.select(g.eq(y, 0.0), g.neg(g.convert(g.ne(x, 0.0), y.type.element_type)), g.sub(y, 1.0))
        return g.mul(y, g.pow(x, lowered))

    @staticmethod
    def _slope_in_exponent(g: Builder, x: Value, z: Value) -> Value:
        """z log(x), and 0 where z is: powers vanish faster than logarithms grow. NaN at negative x."""
        vanished = g.logical_and(g.eq(z, 0.0), g.ge(x, 0.0))
        return g.mul(z, g.log(g.select(vanished, 1.0, x)))


def _complex_slope(g: Builder, k: int, x: Value, y: Value, z: Value) -> Value:
    """y x^(y-1) in the base, z log(x) in the exponent, of complex numbers; 0 at x = y = 0, and where z is."""
    if k == 1:
        vanished = g.eq(z, 0)
        return g.mul(z, g.log(g.select(vanished, 1.0, x)))
    both = g.logical_and(g.eq(x, 0), g.eq(y, 0))
    return g.mul(y, g.pow(g.select(both, 1.0, x), g.sub(y, 1.0)))


@register
@dataclass(frozen=True)
class LogAddExp(RealElementwise, Binary):
    """log(exp(x) + exp(y)), without overflow; the greater of the two where one is infinite."""

    name = "logaddexp"
    function = "logaddexp"
    flops = 2 * TRANSCENDENTAL
    points = ((0.5, -2.0, 0.0, 800.0), (0.25, 3.0, 0.0, -800.0))
    kinks = ((np.inf, np.inf, -np.inf, -np.inf, np.inf), (1.0, np.inf, 1.0, -np.inf, -np.inf))

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """logistic(x - y) dx for x, and likewise for y: 1/2 each at a tie, of infinities as well.

        Infinities are clipped to the largest number, so that the gap between two equal ones is 0.
        """
        largest = float(np.finfo(dx.type.element_type.dtype).max)
        own, other = (g.clip(operands[j], -largest, largest) for j in (k, 1 - k))
        return g.mul(g.logistic(g.sub(own, other)), dx)
