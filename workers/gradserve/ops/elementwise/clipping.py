"""Numbers kept between bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradserve.ir.builder import Builder, Value
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.ops.elementwise.pieces import Between
from gradserve.ops.family import Elementwise, total
from gradserve.ops.registry import register


@register
@dataclass(frozen=True)
class Clip(Elementwise):
    """min(max(x, low), high). The derivative in x is 1 in the closed interval, in a bound where the bound applies."""

    name = "clip"
    pieces = Between()
    arity = 3
    flops = 2.0
    points = ((0.5, -2.0, 3.0), (-1.0, -1.0, -1.5), (1.0, 1.5, 1.0))
    kinks = ((-1.0, 1.0, 0.0), (-1.0, -1.0, 1.0), (1.0, 1.0, -1.0))
    integers = ((7, -3, 0, 2), (-1, -1, -1, 4), (1, 1, 1, 3))

    def impl(self, xp: Any, *arrays: Array) -> Any:
        x, low, high = arrays
        return xp.minimum(xp.maximum(x, low), high)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The tangent of the operand that determines the result; of x where it equals a bound."""
        x, low, high = primals
        determines = (
            g.logical_and(g.le(low, x), g.le(x, high)),
            g.logical_and(g.lt(x, low), g.le(low, high)),
            g.logical_or(g.gt(x, high), g.gt(low, high)),
        )
        terms = [
            None if dx is None else g.select(where, dx, g.zeros(dx.type))
            for where, dx in zip(determines, tangents, strict=True)
        ]
        return (total(g, terms),)

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where x equals a bound. The derivative is that of x, as inside."""
        x, low, high = operands
        return g.logical_or(g.eq(x, low), g.eq(x, high))

    def margin(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """The distance of x from the nearer bound."""
        return g.minimum(*(g.abs(g.sub(operands[0], bound)) for bound in operands[1:]))
