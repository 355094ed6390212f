"""Sums, products and quotients; magnitudes and the larger of two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Absorbed, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops.absorption import absorbed
from gradserve.ops.elementwise.parts import conjugate, direction, real_part
from gradserve.ops.elementwise.pieces import Larger, Size
from gradserve.ops.family import (
    DIVISION,
    Binary,
    Elementwise,
    Linear,
    Multilinear,
    RealElementwise,
    only,
    total,
)
from gradserve.ops.registry import register


@register
@dataclass(frozen=True)
class Add(Linear, Binary):
    """x + y; of truth values, whether one is true."""

    name = "add"
    takes_complex = True
    commutative = True
    function = "add"
    points = ((1.5, -2.0, 0.0), (0.25, 3.0, -0.0))

    def accepts(self, element_type: ElementType) -> bool:
        return True

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """dx + dy, without zeros."""
        return (total(g, tangents),)

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The cotangent, for either operand."""
        return tuple(cotangents[0] if isinstance(x, Unknown) else None for x in operands)


@register
@dataclass(frozen=True)
class Sub(Linear, Binary):
    """x - y."""

    name = "sub"
    takes_complex = True
    function = "subtract"
    points = ((1.5, -2.0, 0.0), (0.25, 3.0, -0.0))

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """dx - dy, without zeros."""
        dx, dy = tangents
        if dy is None:
            return (dx,)
        return (g.neg(dy) if dx is None else g.sub(dx, dy),)

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The cotangent for x, its negative for y."""
        ct = only(cotangents)
        x, y = operands
        return (ct if isinstance(x, Unknown) else None, g.neg(ct) if isinstance(y, Unknown) else None)

    def reached(self, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> tuple[Value, ...]:
        """That of a sum."""
        return Add().reached(g, operands, reach)


@register
@dataclass(frozen=True)
class Mul(Multilinear, Binary):
    """x y, element by element; of truth values, whether both are true."""

    name = "mul"
    takes_complex = True
    commutative = True
    function = "multiply"
    linear_in = (0, 1)
    points = ((1.5, -2.0, 0.0), (0.25, 3.0, 1.0))

    def accepts(self, element_type: ElementType) -> bool:
        return True

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The cotangent times the other operand."""
        ct = only(cotangents)
        x, y = operands
        return (g.mul(ct, y) if isinstance(x, Unknown) else None, g.mul(ct, x) if isinstance(y, Unknown) else None)

    def absorbing(self, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> Absorbed:
        """0 where a factor is."""
        x, y = operands
        zero = g.logical_or(g.eq(x, 0), g.eq(y, 0))
        return absorbed(g, zero, g.mul(x, y), *self.reached(g, operands, reach))


@register
@dataclass(frozen=True)
class Div(RealElementwise, Binary):
    """x / y."""

    name = "div"
    takes_complex = True
    analytic = True
    function = "divide"
    flops = DIVISION
    linear_in = (0,)
    points = ((1.5, -2.0, 0.0), (0.25, 3.0, -4.0))
    kinks = ((1.0, 0.0, np.inf), (0.0, 0.0, 2.0))

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """For z = x / y: dz = dx / y - (z / y) dy."""
        divisor = operands[1]
        return g.div(dx, divisor) if k == 0 else g.mul(g.neg(g.div(y, divisor)), dx)

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The cotangent over the divisor."""
        return (g.div(only(cotangents), operands[1]), None)

    def absorbing(self, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> Absorbed:
        """0 where x is, and where the reciprocal of y is."""
        x, y = operands
        assert reach[0] is not None
        zero = g.logical_or(g.eq(x, 0), g.eq(g.abs(y), np.inf))
        return absorbed(g, zero, g.div(x, y), reach[0])


@register
@dataclass(frozen=True)
class Neg(Linear, Elementwise):
    """-x."""

    name = "neg"
    takes_complex = True
    parity = "odd"
    function = "negative"
    points = ((1.5, -2.0, 0.0),)

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The negative of the cotangent."""
        return (g.neg(only(cotangents)),)

    def reached(self, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> tuple[Value, ...]:
        """That of the operand."""
        assert reach[0] is not None
        return (reach[0],)


@register
@dataclass(frozen=True)
class Abs(Elementwise):
    """|x|, with derivative 0 at 0; real, of complex numbers as well."""

    name = "abs"
    pieces = Size()
    takes_complex = True
    parity = "even"
    spectral_function = "abs"
    function = "abs"
    points = ((1.5, -2.0, 0.125),)
    kinks = ((0.0, -0.0),)

    def accepts(self, element_type: ElementType) -> bool:
        return True

    def result_type(self, operand: TensorType) -> TensorType:
        return operand.part

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """sign(x) dx; of a complex x the real part of conj(x) dx / |x|."""
        (x,), (dx,) = primals, tangents
        return (None if dx is None else real_part(g, g.mul(conjugate(g, direction(g, x)), dx)),)

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where x is 0. The derivative is 0, the middle of its subgradients."""
        return g.eq(operands[0], 0)

    def margin(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """The size of x."""
        return g.abs(operands[0])


class Extremum(Binary):
    """The operand that comes first in one of the two orders."""

    flops = 1.0
    pieces = Larger()
    wins: ClassVar[str]
    """The comparison that holds where an operand alone determines the result."""
    points = ((1.5, -2.0, 0.0), (0.25, 3.0, -1.0))
    kinks = ((1.5, 0.0, -np.inf), (1.5, -0.0, -np.inf))

    def accepts(self, element_type: ElementType) -> bool:
        return True

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """The tangent times 1 where the operand wins, 1/2 at a tie, 0 elsewhere."""
        own, other = operands[k], operands[1 - k]
        won = g.convert(g.emit(self.wins, own, other), dx.type.element_type)
        return g.mul(g.select(g.eq(own, other), 0.5, won), dx)

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where x and y are equal. Each has half of the derivative: so max(x, 0) has 1/2 at 0."""
        return g.eq(*operands)

    def margin(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """The distance between the operands."""
        return g.abs(g.sub(*operands))


@register
@dataclass(frozen=True)
class Maximum(Extremum):
    """The larger of x and y; NaN if either is."""

    name = "maximum"
    commutative = True
    function = "maximum"
    wins = "gt"


@register
@dataclass(frozen=True)
class Minimum(Extremum):
    """The smaller of x and y; NaN if either is."""

    name = "minimum"
    commutative = True
    function = "minimum"
    wins = "lt"
