"""What all special functions share, and the error function with its relatives."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import Array
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
    function = "erf"
    flops = TRANSCENDENTAL
    points = ((0.5, -2.0, 0.0, 1e-9),)
    kinks = ((math.inf, -math.inf, 30.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d erf(x) = 2 / sqrt(pi) exp(-x^2) dx."""
        return g.mul(_bell(g, x), dx)


@register
@dataclass(frozen=True)
class Erfc(Special, Unary):
    """1 - erf(x), with all digits where it is small."""

    name = "erfc"
    function = "erfc"
    points = ((0.5, -2.0, 0.0, 3.0),)
    kinks = ((math.inf, -math.inf, 30.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """d erfc(x) = -2 / sqrt(pi) exp(-x^2) dx."""
        return g.mul(g.neg(_bell(g, x)), dx)


def _bell(g: Builder, x: Value) -> Value:
    return g.mul(g.exp(g.neg(g.mul(x, x))), 2.0 / math.sqrt(math.pi))


_FAR = 10.0
"""From here on a series in 1 / x^2 has all digits of the derivative of erfcx."""
_TERMS = 22


@register
@dataclass(frozen=True)
class Erfcx(Special, Unary):
    """exp(x^2) erfc(x), which neither overflows nor vanishes at large x."""

    name = "erfcx"
    function = "erfcx"
    points = ((0.5, -1.0, 0.0, 3.0, 12.0),)
    kinks = ((math.inf, -math.inf, 1e8),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """dy = (2 x y - 2 / sqrt(pi)) dx; at large x, where the two cancel, by the asymptotic series."""
        far = g.ge(x, _FAR)
        near = g.sub(g.mul(g.mul(x, 2.0), y), 2.0 / math.sqrt(math.pi))
        inverse = g.div(1.0, g.select(far, x, _FAR))
        square = g.mul(inverse, inverse)
        # y' = -1 / (x^2 sqrt(pi)) times the sum of (-1)^k (2 k + 1)!! / (2 x^2)^k.
        series = g.full(x.type, 1.0)
        for k in range(_TERMS, 0, -1):
            series = g.sub(1.0, g.mul(g.mul(square, k + 0.5), series))
        slope = g.mul(g.mul(square, series), -1.0 / math.sqrt(math.pi))
        return g.mul(g.select(far, slope, near), dx)


@register
@dataclass(frozen=True)
class Erfinv(Special, Unary):
    """The inverse of the error function, for x in [-1, 1]."""

    name = "erfinv"
    function = "erfinv"
    points = ((0.5, -0.75, 0.0, 0.25),)
    kinks = ((1.0, -1.0, 2.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """dy = sqrt(pi) / 2 exp(y^2) dx."""
        return g.mul(g.mul(g.exp(g.mul(y, y)), math.sqrt(math.pi) / 2.0), dx)


@register
@dataclass(frozen=True)
class Erfcinv(Special, Unary):
    """The inverse of erfc, for x in [0, 2], with all digits where x is small."""

    name = "erfcinv"
    function = "erfcinv"
    points = ((0.5, 1.75, 1.0, 0.25),)
    kinks = ((0.0, 2.0, 3.0, 1e-300),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """dy = -sqrt(pi) / 2 exp(y^2) dx."""
        return g.mul(g.mul(g.exp(g.mul(y, y)), -math.sqrt(math.pi) / 2.0), dx)
