"""Wright's generalised Bessel function: its derivatives in the argument are those of further parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import ConstraintError
from gradserve.ir.records import dataclass
from gradserve.ops.family import RealElementwise
from gradserve.ops.registry import register
from gradserve.ops.special.rare import OfScipy


class Wright(OfScipy, RealElementwise):
    """A function of parameters a and b, in which there is no derivative, and of an argument, all at least 0."""

    arity = 3
    refuses = (0, 1)
    points = ((0.5, 1.0, 2.5), (1.5, 0.25, 0.7), (0.5, 3.0, 1.5))
    kinks = ((1.0, 0.0, -1.0), (0.0, 0.0, 1.0), (2.0, math.inf, 1.0))

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The function with b raised by a."""
        if any(tangent is not None for tangent in tangents[:2]):
            raise ConstraintError("D1", f"{self.name} has no derivative in its parameters; only in its argument")
        a, b, x = primals
        dx = tangents[-1]
        if dx is None:
            return (None,)
        (found,) = g.apply(self, [a, g.add(a, b), x])
        return (g.mul(self.slope(g, found, outputs[0]), dx),)

    def slope(self, g: Builder, raised: Value, y: Value) -> Value:
        """The derivative, from the function with b raised by a and its own result."""
        raise NotImplementedError


@register
@dataclass(frozen=True)
class WrightBessel(Wright):
    """The sum of x^k / (k! Gamma(a k + b)): no derivative in a and b."""

    name = "wright_bessel"
    function = "wright_bessel"

    def slope(self, g: Builder, raised: Value, y: Value) -> Value:
        """The raised function."""
        return raised


@register
@dataclass(frozen=True)
class LogWrightBessel(Wright):
    """The logarithm of the sum of x^k / (k! Gamma(a k + b)), which does not overflow: no derivative in a and b."""

    name = "log_wright_bessel"
    function = "log_wright_bessel"

    def slope(self, g: Builder, raised: Value, y: Value) -> Value:
        """exp of the raised logarithm less its own."""
        return g.exp(g.sub(raised, y))
