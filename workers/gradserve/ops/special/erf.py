"""What all special functions share, and the error function with its relatives."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gradserve.ir.builder import Builder, Value
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.ops.elementwise.slopes import Bell
from gradserve.ops.family import TRANSCENDENTAL, Elementwise, Unary
from gradserve.ops.registry import register
from gradserve.ops.routines import routine


class Special(Elementwise):
    """A function of scipy.special; other array namespaces have some of them."""

    flops = 4 * TRANSCENDENTAL

    def chosen(self, xp: Any) -> Callable[..., Any]:
        """The function of the operands."""
        return routine(xp, self.function)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return self.chosen(xp)(*arrays)


@register
@dataclass(frozen=True)
class Erf(Special, Unary):
    """The error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""

    name = "erf"
    analytic = True
    function = "erf"
    flops = TRANSCENDENTAL
    points = ((0.5, -2.0, 0.0, 1e-9),)
    kinks = ((math.inf, -math.inf, 30.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d erf(x) = 2 / sqrt(pi) exp(-x^2) dx."""
        return g.mul(_bell(g, x, 1.0, 2.0 / math.sqrt(math.pi)), dx)


@register
@dataclass(frozen=True)
class Erfc(Special, Unary):
    """1 - erf(x), with all digits where it is small."""

    name = "erfc"
    analytic = True
    function = "erfc"
    points = ((0.5, -2.0, 0.0, 3.0),)
    kinks = ((math.inf, -math.inf, 30.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d erfc(x) = -2 / sqrt(pi) exp(-x^2) dx."""
        return g.mul(_bell(g, x, 1.0, -2.0 / math.sqrt(math.pi)), dx)


@register
@dataclass(frozen=True)
class Ndtr(Special, Unary):
    """The probability that a standard normal variable is below x.

    A primitive for a numerical reason: by erfc, the rounding of x / sqrt(2) would cost the density x^2 of its digits.
    """

    name = "ndtr"
    function = "ndtr"
    points = ((0.5, -2.0, 0.0, 3.0),)
    kinks = ((math.inf, -math.inf, 50.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """The density exp(-x^2 / 2) / sqrt(2 pi) dx."""
        return g.mul(_bell(g, x, 2.0, 1.0 / math.sqrt(2.0 * math.pi)), dx)


def _bell(g: Builder, x: Value, scale: float, height: float) -> Value:
    return g.mul(g.apply(Bell(scale), [x])[0], height)


_FAR = 2.4375
"""From here on a continued fraction has all digits of the derivative of erfcx."""
_TERMS = 24


@register
@dataclass(frozen=True)
class Erfcx(Special, Unary):
    """exp(x^2) erfc(x), which neither overflows nor vanishes at large x."""

    name = "erfcx"
    function = "erfcx"
    points = ((0.5, -1.0, 0.0, 3.0, 12.0),)
    kinks = ((math.inf, -math.inf, 1e8),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """dy = (2 x y - 2 / sqrt(pi)) dx; at large x, where the two cancel, by a continued fraction."""
        far = g.ge(x, _FAR)
        near = g.sub(g.mul(g.mul(x, 2.0), y), 2.0 / math.sqrt(math.pi))
        # y = 1 / (sqrt(pi) (x + (1/2) / (x + (2/2) / (x + ...)))): what is after the first x is half over the rest.
        t = g.select(far, x, _FAR)
        rest = t
        for k in range(_TERMS, 1, -1):
            rest = g.add(t, g.div(k / 2, rest))
        half = g.div(0.5, rest)
        slope = g.mul(g.div(half, g.add(t, half)), -2.0 / math.sqrt(math.pi))
        return g.mul(g.select(far, slope, near), dx)


_MIDDLE = 0.4375


@register
@dataclass(frozen=True)
class Erfinv(Special, Unary):
    """The inverse of the error function, for x in [-1, 1]."""

    name = "erfinv"
    function = "erfinv"
    points = ((0.5, -0.75, 0.0, 0.25),)
    kinks = ((1.0, -1.0, 2.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """dy = sqrt(pi) / 2 exp(y^2) dx; from 1 - |x| = exp(-y^2) erfcx(|y|) where y^2 would cost digits."""
        side = g.select(g.lt(x, 0.0), -1.0, g.full(x.type, 1.0))
        far = g.gt(g.mul(x, side), _MIDDLE)
        tail = g.div(g.erfcx(g.select(far, g.mul(y, side), 0.0)), g.sub(1.0, g.select(far, g.mul(x, side), 0.0)))
        near = g.select(far, 0.0, y)
        return g.mul(g.mul(g.select(far, tail, g.exp(g.mul(near, near))), math.sqrt(math.pi) / 2.0), dx)


@register
@dataclass(frozen=True)
class Erfcinv(Special, Unary):
    """The inverse of erfc, for x in [0, 2], with all digits where x is small."""

    name = "erfcinv"
    function = "erfcinv"
    points = ((0.5, 1.75, 1.0, 0.25),)
    kinks = ((0.0, 2.0, 3.0, 1e-300),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """dy = -sqrt(pi) / 2 exp(y^2) dx, and x = exp(-y^2) erfcx(y): y^2 would cost digits."""
        above = g.gt(x, 1.0 + _MIDDLE)
        side = g.select(above, -1.0, g.full(x.type, 1.0))
        power = g.div(g.erfcx(g.mul(y, side)), g.select(above, g.sub(2.0, x), x))
        return g.mul(g.mul(power, -math.sqrt(math.pi) / 2.0), dx)
