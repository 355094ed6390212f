"""NumPy's ufuncs on numbers. Operands arrive with the element types of NumPy's own loop, scalars not yet broadcast."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradserve.ir.builder import Builder, Scalar, Value
from gradserve.ir.graph import Literal
from gradserve.numpy.table import emitting, implements
from gradserve.ops.elementwise.arithmetic import Add, Mul
from gradserve.ops.elementwise.parts import conjugate, direction
from gradserve.ops.movement.shapes import constant_behind

_OPS: dict[np.ufunc, str] = {
    np.add: "add",
    np.subtract: "sub",
    np.multiply: "mul",
    np.divide: "div",
    np.negative: "neg",
    np.absolute: "abs",
    np.fabs: "abs",
    np.rint: "round",
    np.maximum: "maximum",
    np.minimum: "minimum",
    np.remainder: "remainder",
    np.cbrt: "cbrt",
    np.hypot: "hypot",
    np.exp: "exp",
    np.expm1: "expm1",
    np.log: "log",
    np.log1p: "log1p",
    np.logaddexp: "logaddexp",
    np.sin: "sin",
    np.cos: "cos",
    np.tan: "tan",
    np.arcsin: "asin",
    np.arccos: "acos",
    np.arctan: "atan",
    np.arctan2: "atan2",
    np.sinh: "sinh",
    np.cosh: "cosh",
    np.tanh: "tanh",
    np.arcsinh: "asinh",
    np.arccosh: "acosh",
    np.arctanh: "atanh",
}
"""Ufuncs that are one op."""


for _ufunc, _op in _OPS.items():
    implements(_ufunc)(emitting(_op))


@implements(np.sqrt)
def sqrt(g: Builder, x: Value) -> Value:
    """The square root; its derivative at 0 is infinite. That of u^2 + c, c a number above 0, is one op of u."""
    made = g.producer(x)
    if made is not None and isinstance(made.op, Add) and x.type.is_real:
        for square, other in (made.operands, made.operands[::-1]):
            factors, offset = g.producer(square), constant_behind(g, other)
            known = offset.item() if offset is not None and offset.size == 1 else 0.0
            is_square = factors is not None and isinstance(factors.op, Mul) and _is_square(factors.operands)
            if factors is not None and is_square and 0 < known < math.inf:
                return g.emit("root_sum_square", factors.operands[0], offset=float(known))
    return g.sqrt(x)


def _is_square(operands: Sequence[Value]) -> bool:
    return operands[0].index == operands[1].index


@implements(np.positive)
def identity(g: Builder, x: Value) -> Value:
    """x."""
    return x


@implements(np.conjugate)
def conj(g: Builder, x: Value) -> Value:
    """The complex conjugate."""
    return conjugate(g, x)


@implements(np.sign)
def sign(g: Builder, x: Value) -> Value:
    """-1, 0 or 1; of a complex x its direction x / |x|, and 0 at 0."""
    return direction(g, x)


@implements(np.square)
def square(g: Builder, x: Value) -> Value:
    """x x."""
    return g.mul(x, x)


@implements(np.reciprocal)
def reciprocal(g: Builder, x: Value) -> Value:
    """1 / x."""
    return g.div(1, x)


@implements(np.power, np.float_power)
def power(g: Builder, x: Value, y: Value) -> Value:
    """x to the power of y; some constant exponents have cheaper forms, the same that NumPy takes."""
    exponent = _known_scalar(g, y)
    if not (x.type.is_float or exponent is None or isinstance(exponent, complex)) and exponent < 0:
        raise ValueError("Integers to negative integer powers are not allowed.")
    if exponent == 0:
        return g.full(x.type, 1)
    if exponent == 1:
        return x
    if exponent == 2:
        return g.mul(x, x)
    if exponent == -1:
        return g.div(1, x)
    if exponent == 0.5:
        return g.sqrt(x)
    return g.pow(x, y)


def _known_scalar(g: Builder, value: Value) -> Scalar | None:
    literal = g.literal(value)
    if value.type.rank or not isinstance(literal, Literal):
        return None
    return literal.array.item()  # type: ignore[no-any-return]


@implements(np.exp2)
def exp2(g: Builder, x: Value) -> Value:
    """2 to the power of x."""
    return g.pow(2, x)


@implements(np.log2)
def log2(g: Builder, x: Value) -> Value:
    """The logarithm to base 2."""
    return g.div(g.log(x), math.log(2))


@implements(np.log10)
def log10(g: Builder, x: Value) -> Value:
    """The logarithm to base 10."""
    return g.div(g.log(x), math.log(10))


@implements(np.logaddexp2)
def logaddexp2(g: Builder, x: Value, y: Value) -> Value:
    """log2(2^x + 2^y)."""
    return g.div(g.logaddexp(g.mul(x, math.log(2)), g.mul(y, math.log(2))), math.log(2))


@implements(np.deg2rad, np.radians)
def radians(g: Builder, x: Value) -> Value:
    """An angle in degrees, in radians."""
    return g.mul(x, math.pi / 180)


@implements(np.rad2deg, np.degrees)
def degrees(g: Builder, x: Value) -> Value:
    """An angle in radians, in degrees."""
    return g.mul(x, 180 / math.pi)


@implements(np.floor)
def floor(g: Builder, x: Value) -> Value:
    """The largest whole number not above x."""
    return g.floor(x) if x.type.is_float else x


@implements(np.ceil)
def ceil(g: Builder, x: Value) -> Value:
    """The smallest whole number not below x."""
    return g.ceil(x) if x.type.is_float else x


@implements(np.trunc)
def trunc(g: Builder, x: Value) -> Value:
    """x without its fraction."""
    return x if not x.type.is_float else g.select(g.lt(x, 0), g.ceil(x), g.floor(x))


@implements(np.modf)
def modf(g: Builder, x: Value) -> tuple[Value, Value]:
    """The fraction of x, and x without it."""
    whole = trunc(x)
    return g.sub(x, whole), whole


@implements(np.floor_divide)
def floor_divide(g: Builder, x: Value, y: Value) -> Value:
    """The whole number of times that y goes into x, rounded down.

    From the exact remainder: floor(x / y) is one too many where the quotient rounds up to a whole number.
    """
    multiple = g.sub(x, g.remainder(x, y))
    if x.type.is_float:
        return g.select(g.eq(y, 0), g.div(x, y), g.round(g.div(multiple, y)))
    divisor = g.select(g.eq(y, 0), 1, y)
    quotient = _nearest_quotient(g, multiple, divisor)
    # Beyond 2^53 the quotient was rounded; what is left over is small, and divides exactly.
    left = g.sub(multiple, g.mul(quotient, divisor))
    return g.select(g.eq(y, 0), 0, g.add(quotient, _nearest_quotient(g, left, divisor)))


def _nearest_quotient(g: Builder, x: Value, y: Value) -> Value:
    return g.convert(g.round(g.div(x, y)), x.type.element_type)


@implements(np.divmod)
def divmod_(g: Builder, x: Value, y: Value) -> tuple[Value, Value]:
    """The whole quotient and the remainder."""
    return floor_divide(x, y), g.remainder(x, y)


@implements(np.fmod)
def fmod(g: Builder, x: Value, y: Value) -> Value:
    """The remainder with the sign of x, from that of its magnitude: no digit of a small negative x is lost."""
    below = g.lt(x, 0)
    remainder = g.remainder(g.select(below, g.neg(x), x), g.abs(y))
    return g.select(below, g.neg(remainder), remainder)


@implements(np.fmax)
def fmax(g: Builder, x: Value, y: Value) -> Value:
    """The larger of the two; the other one where one is NaN."""
    return _without_nan(g, x, y, "maximum")


@implements(np.fmin)
def fmin(g: Builder, x: Value, y: Value) -> Value:
    """The smaller of the two; the other one where one is NaN."""
    return _without_nan(g, x, y, "minimum")


def _without_nan(g: Builder, x: Value, y: Value, op: str) -> Value:
    return g.select(g.ne(x, x), y, g.select(g.ne(y, y), x, g.emit(op, x, y)))


@implements(np.heaviside)
def heaviside(g: Builder, x: Value, y: Value) -> Value:
    """0 at negative x, 1 at positive x, y at 0."""
    return g.select(g.eq(x, 0), y, g.mul(g.add(g.sign(x), 1), 0.5))
