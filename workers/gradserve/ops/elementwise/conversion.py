"""Conversion between element types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample, Unknown
from gradserve.ir.pieces import Pieces
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, TensorType
from gradserve.ops.elementwise.parts import real_part
from gradserve.ops.elementwise.pieces import Truncated
from gradserve.ops.family import Elementwise, Linear, only, require
from gradserve.ops.registry import register


@register
@dataclass(frozen=True)
class Convert(Linear, Elementwise):
    """x with elements of another type: reals lose their fraction as integers, and all but zero is true.

    Complex numbers do not lose their imaginary part: `real` says that this is meant.
    """

    element_type: ElementType

    constraints: ClassVar[dict[str, str]] = {**Elementwise.constraints, "C4": "complex numbers do not become real"}
    name = "convert"
    takes_complex = True
    analytic = False

    def accepts(self, element_type: ElementType) -> bool:
        return True

    def result_type(self, operand: TensorType) -> TensorType:
        loses = operand.is_complex and not (self.element_type.is_complex or self.element_type is ElementType.BOOL)
        require(not loses, "C4", f"{operand} would lose its imaginary part; write real, imag or abs of it")
        return operand.with_element_type(self.element_type)

    @property
    def pieces(self) -> Pieces | None:
        """The whole numbers, if it makes such."""
        return Truncated(self.element_type) if self.element_type.is_integer else None

    def impl(self, xp: Any, *arrays: Array) -> Any:
        (x,) = arrays
        if self.element_type is ElementType.BOOL and xp.isdtype(x.dtype, "complex floating"):
            return x != 0  # which the array API has no conversion for
        return xp.astype(x, self.element_type.dtype_in(xp))

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where a whole x becomes an integer, or 0 a truth value: it jumps. There is no derivative in the result."""
        (x,), (y,) = operands, outputs
        if self.element_type.is_float:
            return None
        zero = g.eq(x, 0)
        if self.element_type is ElementType.BOOL:
            return zero
        return g.logical_and(g.eq(x, g.convert(y, x.type.element_type)), g.logical_not(zero))

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The cotangent, or its real part, with the elements that the operand has. Linear between such as are real."""
        ct, element_type = only(cotangents), operands[0].type.element_type
        return (g.convert(ct if element_type.is_complex else real_part(g, ct), element_type),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Reals to reals, integers and truth values, and back."""
        reals = np.array([1.75, -2.25, 0.0])
        yield Sample(cls(ElementType.FLOAT32), (reals,))
        yield Sample(cls(ElementType.FLOAT64), (reals.astype(np.float32),))
        yield Sample(cls(ElementType.FLOAT64), (np.array(1.5),))
        yield Sample(cls(ElementType.FLOAT32), (np.zeros((2, 0)),))
        yield Sample(cls(ElementType.COMPLEX128), (reals,))
        yield Sample(cls(ElementType.COMPLEX64), (reals.astype(np.float32),))
        yield Sample(cls(ElementType.INT64), (reals,), differentiable=False)
        yield Sample(cls(ElementType.INT32), (np.array([7, -3]),), differentiable=False)
        yield Sample(cls(ElementType.BOOL), (reals,), differentiable=False)
        yield Sample(cls(ElementType.FLOAT32), (np.array([True, False]),), differentiable=False)
