"""Complex numbers and their parts.

The real part, the imaginary part and the conjugate are linear over the real numbers alone. Their transposes keep
Re <u, J v> = Re <J^T u, v>, where <u, v> is the sum of all products u v and nothing is conjugated: so the gradient of a
real loss f in z = x + iy is df/dx - i df/dy, as in JAX, and that of a function with a complex derivative is this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.op import Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, TensorType
from gradserve.ops.family import Elementwise, Linear, only, total
from gradserve.ops.registry import register
from gradserve.ops.routines import routine

SAMPLE = np.array([1.5 - 0.5j, -2.0 + 0.25j, 0.75 + 1.0j])


class OfComplex(Linear, Elementwise):
    """A function of a complex number that is linear over the real ones."""

    takes_complex = True
    analytic = False

    def accepts(self, element_type: ElementType) -> bool:
        """Only complex numbers: of a real one, each of these functions is known."""
        return element_type.is_complex

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """A vector, a matrix, a number, nothing; what is not finite."""
        yield Sample(cls(), (SAMPLE,))
        yield Sample(cls(), (np.outer(SAMPLE, SAMPLE[:2]),))
        yield Sample(cls(), (SAMPLE[0],))
        yield Sample(cls(), (np.zeros((2, 0), np.complex128),))
        yield Sample(cls(), (np.array([complex(np.inf, -0.0), complex(np.nan, -np.inf)]),), differentiable=False)


class Part(OfComplex):
    """One of the two parts of a complex number."""

    def result_type(self, operand: TensorType) -> TensorType:
        return operand.part

    def impl(self, xp: Any, *arrays: Array) -> Any:
        """A copy, as NumPy's own is a view."""
        return xp.asarray(getattr(xp, self.function)(arrays[0]), copy=True)

    def reached(self, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> tuple[Value, ...]:
        """That of the operand, which is a real number."""
        assert reach[0] is not None
        return (g.real(reach[0]),)


@register
@dataclass(frozen=True)
class Real(Part):
    """The real part of a complex number."""

    name = "real"
    function = "real"

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """u + 0i."""
        ct = only(cotangents)
        return (g.complex(ct, g.zeros(ct.type)),)


@register
@dataclass(frozen=True)
class Imag(Part):
    """The imaginary part of a complex number."""

    name = "imag"
    function = "imag"

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """0 - u i."""
        ct = only(cotangents)
        return (g.complex(g.zeros(ct.type), g.neg(ct)),)


@register
@dataclass(frozen=True)
class Conj(OfComplex):
    """The complex conjugate."""

    name = "conj"
    function = "conj"

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The conjugate."""
        return (g.conj(only(cotangents)),)


@register
@dataclass(frozen=True)
class Complex(Linear, Elementwise):
    """x + iy of two real numbers."""

    name = "complex"
    analytic = False
    arity = 2

    def coerce(self, g: Builder, operands: Sequence[Operand]) -> tuple[Value, ...]:
        """The operands promoted to one real type and broadcast to one shape."""
        values = g.promote(operands)
        return g.align([x if x.type.is_float else g.convert(x, ElementType.FLOAT64) for x in values])

    def accepts(self, element_type: ElementType) -> bool:
        """Only real numbers."""
        return element_type.is_real

    def result_type(self, operand: TensorType) -> TensorType:
        return operand.with_element_type(operand.element_type.with_parts)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        """By a routine of the namespace: as x + y 1j, an infinite y would leave NaN in the real part."""
        return routine(xp, "from_parts")(*arrays)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """dx + i dy."""
        if tangents[0] is None and tangents[1] is None:
            return (None,)
        return super().jvp(g, outputs, primals, tangents)

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The real part for x, less the imaginary part for y."""
        ct = only(cotangents)
        x, y = operands
        return (
            g.real(ct) if isinstance(x, Unknown) else None,
            g.neg(g.imag(ct)) if isinstance(y, Unknown) else None,
        )

    def reached(self, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> tuple[Value, ...]:
        """The sum of both, as a complex number."""
        found = total(g, reach)
        assert found is not None
        return (g.complex(found, g.zeros(found.type)),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Vectors, matrices, numbers, nothing; what is not finite."""
        yield Sample(cls(), (SAMPLE.real.copy(), SAMPLE.imag.copy()))
        yield Sample(cls(), (np.outer(SAMPLE.real, SAMPLE.imag), np.outer(SAMPLE.imag, SAMPLE.imag)))
        yield Sample(cls(), (np.array(1.5), np.array(-0.5)))
        yield Sample(cls(), (np.zeros((2, 0)), np.zeros((2, 0))))
        yield Sample(cls(), (np.array([1.0, np.nan, -0.0]), np.array([-np.inf, 1.0, -0.0])), differentiable=False)


def real_part(g: Builder, x: Value) -> Value:
    """The real part; x itself if it is real."""
    return g.real(x) if x.type.is_complex else x


def conjugate(g: Builder, x: Value) -> Value:
    """The complex conjugate; x itself if it is real."""
    return g.conj(x) if x.type.is_complex else x


def squared_size(g: Builder, x: Value) -> Value:
    """|x|^2, real; of a real x its square."""
    if not x.type.is_complex:
        return g.mul(x, x)
    re, im = g.real(x), g.imag(x)
    return g.add(g.mul(re, re), g.mul(im, im))


def direction(g: Builder, x: Value) -> Value:
    """x / |x|, and 0 at 0."""
    if not x.type.is_complex:
        return g.sign(x)
    size = g.abs(x)
    return g.div(x, g.convert(g.select(g.eq(size, 0.0), 1.0, size), x.type.element_type))
