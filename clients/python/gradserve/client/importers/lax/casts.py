"""Numbers as other elements as XLA has it, which differs from NumPy where they do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.client.importers.lax.elements import Operand, converted, held
from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType

_SIGN = -(1 << 63)


def cast(g: Builder, x: Operand, dtype: np.dtype[Any]) -> Value:
    """x with other elements: reals lose their fraction, and the last integer there is stands for those beyond it.

    NaN becomes 0 as an integer. Of complex numbers the real part alone counts, also for truth.
    """
    if x.is_complex and dtype.kind != "c":
        return cast(g, Operand(g.real(x.value), np.dtype(x.value.type.element_type.part.dtype)), dtype)
    if not x.is_float or dtype.kind not in "iu":
        return converted(g, x, dtype)
    real = g.select(g.ne(x.value, x.value), 0.0, x.value)
    return _long(g, real) if dtype == np.uint64 else _limited(g, real, dtype)


def _limited(g: Builder, real: Value, dtype: np.dtype[Any]) -> Value:
    """Real numbers as integers that their elements hold."""
    limits, kind = np.iinfo(dtype), real.type.element_type.dtype
    most = kind.type(limits.max)
    if int(most) > limits.max:  # it was rounded up, and the real number below it is the largest that fits
        most = np.nextafter(most, kind.type(0))
    whole = g.convert(g.clip(real, float(limits.min), float(most)), held(dtype))
    return whole if int(most) == limits.max else g.select(g.gt(real, float(most)), limits.max, whole)


def _long(g: Builder, real: Value) -> Value:
    """Real numbers as uint64, in int64 of the same bits."""
    positive = g.maximum(real, 0.0)
    beyond = g.sub(positive, float(1 << 63))
    signed = np.dtype(np.int64)
    # From 2^64 on all bits are set: the rest is then as large as it can be.
    high = g.bitwise_xor(_limited(g, beyond, signed), g.constant(_SIGN, ElementType.INT64))
    return g.select(g.ge(beyond, 0.0), high, _limited(g, positive, signed))
