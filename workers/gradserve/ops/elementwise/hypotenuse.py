"""The hypotenuse of two sides, how much longer than a side it is, and the cosine between the two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.family import DIVISION, Binary, RealElementwise, Unary, require
from gradserve.ops.registry import register


@dataclass(frozen=True)
class OfSides(RealElementwise, Binary):
    """A function of the sides x and y of a right triangle.

    A primitive for a numerical reason: no square overflows, and no derivative is a difference of near numbers.
    """

    flops = 4 * DIVISION
    points = ((0.5, 2.0, -1.0, -2.0), (1.0, -1.0, -0.5, 0.25))
    kinks = ((0.0, -0.0, float("inf"), 1.0), (0.0, 0.0, 1.0, float("-inf")))


@register
@dataclass(frozen=True)
class Hypot(OfSides):
    """The root of x^2 + y^2; at the origin its derivative is 0, as that of a norm."""

    name = "hypot"
    commutative = True
    function = "hypot"

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """The cosine of the angle with the side that moves."""
        return g.mul(cosine(g, operands[k], operands[1 - k]), dx)


@register
@dataclass(frozen=True)
class HypotExcess(OfSides):
    """The root of x^2 + y^2, less |y|; with all digits where x is small."""

    name = "hypot_excess"

    def impl(self, xp: Any, *arrays: Array) -> Any:
        x, y = arrays
        total = xp.hypot(x, y) + xp.abs(y)
        nothing = total == 0.0
        return xp.abs(x) * (xp.abs(x) / xp.where(nothing, xp.ones_like(total), total))

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """The cosine in x; in y it is less by one than that, the excess over the hypotenuse."""
        x, other = operands
        if k == 0:
            return g.mul(cosine(g, x, other), dx)
        long = g.emit("hypot", x, other)
        share = g.div(y, g.select(g.eq(long, 0.0), 1.0, long))
        return g.mul(g.mul(g.neg(g.sign(other)), share), dx)


@register
@dataclass(frozen=True)
class Cosine(OfSides):
    """x over the root of x^2 + y^2, and 0 at the origin."""

    name = "cosine"
    internal = True

    def impl(self, xp: Any, *arrays: Array) -> Any:
        x, y = arrays
        long = xp.hypot(x, y)
        return x / xp.where(long == 0.0, xp.ones_like(long), long)

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """dc = s (s dx - c dy) / h for the sine s and the hypotenuse h."""
        long = g.emit("hypot", *operands)
        sine = cosine(g, operands[1], operands[0])
        other = sine if k == 0 else g.neg(y)
        return g.mul(g.mul(sine, g.div(other, g.select(g.eq(long, 0.0), 1.0, long))), dx)


@register
@dataclass(frozen=True)
class RootSumSquare(Unary):
    """sqrt(x^2 + offset) as it is written, for an offset above 0.

    A primitive for a numerical reason: by the chain rule its second derivative, offset / (x^2 + offset)^(3/2), is a
    difference of near numbers at large x, and the first is infinity over infinity where x^2 overflows.
    """

    offset: float

    name = "root_sum_square"
    flops = 2 * DIVISION
    points = ((0.5, 2.0, -1.0, 0.0),)
    kinks = ((float("inf"), float("-inf")),)
    constraints: ClassVar[dict[str, str]] = {**Unary.constraints, "C4": "the offset is a number above 0"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require(0.0 < self.offset < float("inf"), "C4", f"{self.offset} is not above 0")
        return super().infer(*types)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        (x,) = arrays
        return xp.sqrt(x * x + self.offset)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """The cosine of the angle between the sides x and sqrt(offset)."""
        side = g.full(x.type, self.offset**0.5)
        return g.mul(cosine(g, x, side), dx)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """A small offset and a large one; a scalar, nothing, infinity."""
        (points,), (kinks,) = cls.points, cls.kinks
        for offset in (0.25, 4.0):
            yield Sample(cls(offset), (np.array(points),))
        yield Sample(cls(1.0), (np.array(points[0]),))
        yield Sample(cls(1.0), (np.zeros((2, 0)),))
        yield Sample(cls(1.0), (np.array(kinks),), differentiable=False)


def cosine(g: Builder, x: Value, y: Value) -> Value:
    """x over the root of x^2 + y^2."""
    return g.apply(Cosine(), [x, y])[0]
