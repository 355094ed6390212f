"""Real numbers as their bits, and back: sign, exponent and fraction, every step of it exact."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradserve.client.importers.lax.elements import Operand, bits_of, finished, held, unsigned
from gradserve.ir.builder import Builder, Value
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType
from gradserve.numpy import ufuncs
from gradserve.numpy.arguments import Unsupported


def bitcast(g: Builder, x: Operand, dtype: np.dtype[Any]) -> Value:
    """The same bits as other elements of the same width.

    Raises:
        Unsupported: the width differs, or they are truth values.
    """
    if dtype == x.dtype:
        return x.value
    if dtype.itemsize != x.dtype.itemsize or dtype.kind not in "iuf" or x.dtype.kind not in "iuf":
        raise Unsupported(
            f"the bits of {x.dtype} as {dtype} are no arithmetic of graphs",
            "compute with numbers; those of one width may become others of the same",
        )
    if x.is_float:
        ordinal = _ordinal(g, x, Format.of(x.dtype))
        return finished(g, _signed_bits(g, ordinal, _is_negative(g, x.value), bits_of(x.dtype)), dtype)
    return _real_of_bits(g, x, dtype) if dtype.kind == "f" else finished(g, x.value, dtype)


def nextafter(g: Builder, x: Operand, y: Operand) -> Value:
    """The number after x on the way to y."""
    magnitude = _ordinal(g, x, Format.of(x.dtype))
    ordinal = g.select(_is_negative(g, x.value), g.neg(magnitude), magnitude)
    step = g.sub(
        g.convert(g.gt(y.value, x.value), ElementType.INT64), g.convert(g.lt(y.value, x.value), ElementType.INT64)
    )
    moved = g.add(ordinal, step)
    width = bits_of(x.dtype)
    bits = Operand(_signed_bits(g, g.abs(moved), g.lt(moved, 0), width), np.dtype(f"uint{width}"))
    found = _real_of_bits(g, bits, x.dtype)
    return g.select(g.eq(x.value, y.value), y.value, g.select(g.eq(step, 0), math.nan, found))


def frexp(g: Builder, x: Value) -> tuple[Value, Value]:
    """A number from a half to before 1, and the power of 2 that x is it times; both real.

    The power stands still: the derivative of the number is that of the power.
    """
    inside = g.logical_and(g.is_finite(x), g.ne(x, 0))
    magnitude = g.stop_gradient(g.select(inside, g.abs(x), 1.0))
    rough = g.add(g.floor(ufuncs.log2(magnitude)), 1.0)
    share = _divided(g, magnitude, rough)
    over, under = g.ge(share, 1.0), g.lt(share, 0.5)
    exponent = g.select(over, g.add(rough, 1.0), g.select(under, g.sub(rough, 1.0), rough))
    return g.select(inside, _divided(g, x, exponent), x), g.select(inside, exponent, 0.0)


def _divided(g: Builder, x: Value, exponent: Value) -> Value:
    """x by a power of 2, in two steps: the largest and the least numbers are by powers that are no numbers."""
    half = g.floor(g.mul(exponent, 0.5))
    return g.div(g.div(x, ufuncs.exp2(half)), ufuncs.exp2(g.sub(exponent, half)))


def rounded(g: Builder, x: Operand, exponent_bits: int, fraction_bits: int) -> Value:
    """x as a number with so many bits of exponent and fraction, of two equally near the even one; derivative 1.

    As XLA has it, what is too large is infinite, and what would be below the least normal number is 0.
    """
    if exponent_bits < 1:
        raise Unsupported("it leaves no bits of the exponent", "leave the rounding away")
    form = Format.of(x.dtype)
    bits = _ordinal(g, x, form)
    places = form.fraction - fraction_bits
    if places > 0:
        last = g.bitwise_and(g.shift_right(bits, places), 1)
        half = g.add(bits, g.add(last, (1 << (places - 1)) - 1))
        bits = g.mul(g.shift_right(half, places), 1 << places)
    bias = (1 << (exponent_bits - 1)) - 1
    if bias < form.bias:
        exponent = g.shift_right(bits, form.fraction)
        bits = g.select(g.gt(exponent, form.bias + bias), form.highest << form.fraction, bits)
        bits = g.select(g.le(exponent, form.bias - bias), 0, bits)
    signed = _signed_bits(g, bits, _is_negative(g, x.value), bits_of(x.dtype))
    found = _real_of_bits(g, Operand(signed, np.dtype(f"uint{bits_of(x.dtype)}")), x.dtype)
    moved = g.add(x.value, g.stop_gradient(g.sub(found, x.value)))  # exactly `found`, as both have the same digits
    return g.select(g.is_finite(x.value), moved, x.value)


@dataclass(frozen=True)
class Format:
    """How many bits the fraction of a real number has, and what its exponents are."""

    fraction: int
    bias: int

    @property
    def highest(self) -> int:
        """The exponent of what is not finite."""
        return 2 * self.bias + 1

    @staticmethod
    def of(dtype: np.dtype[Any]) -> Format:
        """That of float64 or of float32."""
        return Format(52, 1023) if dtype == np.float64 else Format(23, 127)


def _is_negative(g: Builder, x: Value) -> Value:
    """Whether the sign is set: at zero the sign of 1 / x."""
    return g.logical_or(g.lt(x, 0), g.logical_and(g.eq(x, 0), g.lt(g.div(1.0, x), 0)))


def _signed_bits(g: Builder, magnitude: Value, negative: Value, width: int) -> Value:
    sign = g.select(negative, g.constant(-(1 << 63) if width == 64 else 1 << (width - 1), ElementType.INT64), 0)
    return g.bitwise_or(magnitude, sign)


def _ordinal(g: Builder, x: Operand, form: Format) -> Value:
    """The bits of |x|: exponent and fraction."""
    size = g.abs(g.convert(x.value, ElementType.FLOAT64))
    finite = g.select(g.is_finite(size), size, 0.0)
    powers = np.array([math.ldexp(1.0, e - form.bias) for e in range(1, form.highest)])
    exponent = g.emit("searchsorted", powers, finite, right=True)
    scales = np.array([1.0, *(math.ldexp(1.0, form.bias - e) for e in range(1, form.highest))])
    fraction = g.sub(g.mul(finite, g.emit("gather", scales, exponent, axis=0)), 1.0)
    least = form.bias - 1 + form.fraction
    small = g.mul(g.mul(finite, math.ldexp(1.0, least // 2)), math.ldexp(1.0, least - least // 2))
    rest = g.select(g.gt(exponent, 0), g.mul(fraction, math.ldexp(1.0, form.fraction)), small)
    bits = g.add(g.mul(exponent, 1 << form.fraction), g.convert(rest, ElementType.INT64))
    infinite = form.highest << form.fraction
    special = g.select(g.eq(size, size), infinite, infinite + (1 << (form.fraction - 1)))
    return g.select(g.is_finite(size), bits, special)


def _real_of_bits(g: Builder, x: Operand, dtype: np.dtype[Any]) -> Value:
    """Sign, exponent and fraction put together."""
    form, bits = Format.of(dtype), unsigned(g, x)
    below = g.bitwise_and(g.shift_right(bits, bits_of(x.dtype) - 1), 1)
    exponent = g.bitwise_and(g.shift_right(bits, form.fraction), form.highest)
    rest = g.bitwise_and(bits, (1 << form.fraction) - 1)
    places = (max(e, 1) - form.bias - form.fraction for e in range(form.highest))
    scales = np.array([*(math.ldexp(1.0, place) for place in places), math.inf])
    whole = g.add(rest, g.select(g.gt(exponent, 0), 1 << form.fraction, 0))
    size = g.mul(g.convert(whole, ElementType.FLOAT64), g.emit("gather", scales, exponent, axis=0))
    special = g.select(g.eq(rest, 0), math.inf, math.nan)
    size = g.select(g.eq(exponent, form.highest), special, size)
    return g.convert(g.select(g.eq(below, 1), g.neg(size), size), held(dtype))
