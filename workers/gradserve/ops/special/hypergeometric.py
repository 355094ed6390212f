"""Hypergeometric functions: derivatives in the argument are those with all parameters raised by 1.

SciPy's sums need not end at numbers that are huge: where one is beyond a bound the result is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import ConstraintError
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.ops.family import RealElementwise
from gradserve.ops.registry import register
from gradserve.ops.special.rare import OfScipy


class Hypergeometric(OfScipy, RealElementwise):
    """A function of parameters, in which there is no derivative, and of an argument after them."""

    powers: ClassVar[tuple[int, ...]]
    """Whether each parameter is a factor of the derivative, 1, or divides it, -1, or neither, 0."""
    sign: ClassVar[float] = 1.0
    widest: ClassVar[float] = 1e4
    most: ClassVar[float] = math.inf
    """Up to which parameters, and up to which argument, SciPy's sum is known to end."""

    def impl(self, xp: Any, *arrays: Array) -> Any:
        """SciPy's function; NaN where a parameter or the argument is too large."""
        *parameters, x = arrays
        far = xp.abs(x) > self.most
        for parameter in parameters:
            far = far | (xp.abs(parameter) > self.widest)
        near = [xp.where(far, xp.ones_like(each), each) for each in parameters]
        found = super().impl(xp, *near, xp.where(far, xp.zeros_like(x), x))
        return xp.where(far, xp.nan * xp.ones_like(x), found)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The function with all parameters raised by 1, times some of them and divided by others."""
        *parameters, _ = tangents
        if any(tangent is not None for tangent in parameters):
            raise ConstraintError("D1", f"{self.name} has no derivative in its parameters; only in its argument")
        *known, x = primals
        dx = tangents[-1]
        if dx is None:
            return (None,)
        (found,) = g.apply(self, [*(g.add(p, 1.0) for p in known), x])
        for p, power in zip(known, self.powers, strict=True):
            found = (found, g.mul(found, p), g.div(found, p))[power]
        return (g.mul(g.mul(found, self.sign), dx),)


@register
@dataclass(frozen=True)
class Hyp0f1(Hypergeometric):
    """The sum of x^k / ((v)_k k!): no derivative in v."""

    name = "hyp0f1"
    function = "hyp0f1"
    widest = math.inf
    arity = 2
    refuses = (0,)
    powers = (-1,)
    points = ((0.5, 3.0, 2.5), (0.5, -1.0, 2.0))


@register
@dataclass(frozen=True)
class Hyp1f1(Hypergeometric):
    """Kummer's function M(a, b, x), the sum of (a)_k x^k / ((b)_k k!): no derivative in a and b.

    NaN where a or b is beyond 10,000 in size, or x beyond a million.
    """

    name = "hyp1f1"
    function = "hyp1f1"
    most = 1e6
    arity = 3
    refuses = (0, 1)
    powers = (1, -1)
    points = ((0.5, 3.0, 2.5), (1.5, 2.0, 0.7), (0.5, -1.0, 2.0))


@register
@dataclass(frozen=True)
class Hyp2f1(Hypergeometric):
    """Gauss's function, the sum of (a)_k (b)_k x^k / ((c)_k k!): no derivative in a, b and c.

    NaN where a, b or c is beyond 10,000 in size.
    """

    name = "hyp2f1"
    function = "hyp2f1"
    arity = 4
    refuses = (0, 1, 2)
    powers = (1, 1, -1)
    points = ((0.5, 3.0, 2.5), (1.5, 2.0, 0.7), (2.5, 1.5, 3.0), (0.5, -1.0, 0.25))


@register
@dataclass(frozen=True)
class Hyperu(Hypergeometric):
    """Tricomi's function U(a, b, x), for x of at least 0: no derivative in a and b.

    NaN where a or b is beyond 10,000 in size.
    """

    name = "hyperu"
    function = "hyperu"
    arity = 3
    refuses = (0, 1)
    powers = (1, 0)
    sign = -1.0
    points = ((0.5, 1.5, 2.5), (1.5, 0.25, 0.7), (0.5, 1.0, 2.0))
    kinks = ((0.5, 1.0), (1.5, 1.0), (math.inf, -1.0))
