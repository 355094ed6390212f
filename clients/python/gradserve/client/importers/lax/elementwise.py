"""Functions of XLA element by element: of real numbers, of integers that wrap round, and of truth values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from gradserve.client.importers.lax import bits, elements
from gradserve.client.importers.lax.elements import Operand, bits_of, finished, held, ordered
from gradserve.client.importers.lax.parts import conjugate, part_of
from gradserve.client.importers.lax.special import bessel, polygamma, zeta
from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy import ufuncs
from gradserve.numpy.arguments import Unsupported
from gradserve.ops.elementwise.parts import direction

Function: TypeAlias = Callable[..., Value]

_REAL = {
    **{name: name for name in ("exp", "expm1", "log", "log1p", "sin", "cos", "tan", "asin", "acos", "atan")},
    **{name: name for name in ("sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "sqrt", "cbrt")},
    **{name: name for name in ("erf", "erfc", "digamma", "floor", "ceil", "is_finite", "atan2", "stop_gradient")},
    **{"erf_inv": "erfinv", "lgamma": "gammaln", "igamma": "gammainc", "igammac": "gammaincc"},
    "regularized_incomplete_beta": "betainc",
}
"""Functions of real numbers that are one op."""


def _one_op(name: str) -> Function:
    def apply(g: Builder, *operands: Operand) -> Value:
        return g.emit(name, *(x.value for x in operands))

    return apply


def exp2(g: Builder, x: Operand) -> Value:
    """2 to the power of x."""
    return ufuncs.exp2(x.value)


def rsqrt(g: Builder, x: Operand) -> Value:
    """1 over the square root."""
    return g.div(1.0, g.sqrt(x.value))


def logistic(g: Builder, x: Operand) -> Value:
    """1 / (1 + exp(-x))."""
    return g.div(1.0, g.add(1.0, g.exp(g.neg(x.value)))) if x.is_complex else g.logistic(x.value)


def round_nearest(g: Builder, x: Operand, to_even: bool) -> Value:
    """The nearest whole number; of two equally near the even one, or else the one further from 0."""
    if to_even:
        return g.round(x.value)
    whole = ufuncs.trunc(x.value)
    rest = g.abs(g.sub(x.value, whole))
    return g.select(g.ge(rest, 0.5), g.add(whole, g.sign(x.value)), whole)


def integer_pow(g: Builder, x: Operand, exponent: int) -> Value:
    """x to a whole power: products where these are few."""
    if x.is_complex and exponent < 0:
        return g.div(1.0, _power(g, x.value, -exponent))
    if not x.is_float or 3 <= exponent <= 4:
        return finished(g, _power(g, x.value, exponent), x.dtype)
    return ufuncs.power(x.value, g.constant(float(exponent), x.value.type.element_type))


def _power(g: Builder, x: Value, exponent: int) -> Value:
    if exponent <= 1:
        return x if exponent else g.full(x.type, 1)
    half = _power(g, x, exponent // 2)
    square = g.mul(half, half)
    return g.mul(square, x) if exponent % 2 else square


def sign(g: Builder, x: Operand) -> Value:
    """-1, 0 or 1."""
    if x.dtype.kind == "u":  # whose highest bit is no sign
        return g.convert(g.ne(x.value, 0), x.value.type.element_type)
    return direction(g, x.value)


def power(g: Builder, x: Operand, y: Operand) -> Value:
    """x to the power of y."""
    if x.is_whole:
        raise Unsupported("powers of integers are no op", "convert the base to reals")
    return ufuncs.power(x.value, g.convert(y.value, x.value.type.element_type))


def absolute(g: Builder, x: Operand) -> Value:
    """|x|, which is real of complex numbers as well."""
    return g.abs(x.value) if x.is_complex else wrapping("abs")(g, x)


def wrapping(name: str, on_truths: str = "") -> Function:
    """An op of numbers that XLA's integers wrap round in; on truth values another one."""

    def apply(g: Builder, *operands: Operand) -> Value:
        x = operands[0]
        if x.dtype.kind == "b":
            return g.emit(on_truths or name, *(each.value for each in operands))
        return finished(g, g.emit(name, *(each.value for each in operands)), x.dtype)

    return apply


def divide(g: Builder, x: Operand, y: Operand) -> Value:
    """x / y; of integers what is nearest to it towards 0, and -1 where y is 0."""
    if not x.is_whole:
        return g.div(x.value, y.value)
    quotient = _quotient(g, x, y)
    return finished(g, g.select(g.eq(y.value, 0), -1, quotient), x.dtype)


def _quotient(g: Builder, x: Operand, y: Operand) -> Value:
    return _unsigned_quotient(g, x, y) if x.dtype == np.uint64 else _truncated(g, x.value, y.value)


def _unsigned_quotient(g: Builder, x: Operand, y: Operand) -> Value:
    """Of 64 bits: twice that of half of x, and one more if what is left over is not below y."""
    half = elements.shifted_right(g, x, g.constant(1, ElementType.INT64))
    found = g.mul(ufuncs.floor_divide(half, y.value), 2)
    left = Operand(g.sub(x.value, g.mul(found, y.value)), x.dtype)
    more = g.ge(ordered(g, left), ordered(g, y))
    apart = g.ge(ordered(g, x), ordered(g, y))
    small = g.add(found, g.convert(more, ElementType.INT64))
    return g.select(g.lt(y.value, 0), g.convert(apart, ElementType.INT64), small)


def _truncated(g: Builder, x: Value, y: Value) -> Value:
    below = ufuncs.floor_divide(x, y)
    left = g.ne(g.sub(x, g.mul(below, y)), 0)
    apart = g.ne(g.lt(x, 0), g.lt(y, 0))
    return g.add(below, g.convert(g.logical_and(left, apart), x.type.element_type))


def remainder(g: Builder, x: Operand, y: Operand) -> Value:
    """What division leaves, with the sign of x; of integers x itself where y is 0."""
    if x.is_float:
        return ufuncs.fmod(x.value, y.value)
    left = g.sub(x.value, g.mul(_quotient(g, x, y), y.value))
    return finished(g, g.select(g.eq(y.value, 0), x.value, left), x.dtype)


def extremum(name: str, on_truths: str) -> Function:
    """The larger or the smaller of two."""

    def apply(g: Builder, x: Operand, y: Operand) -> Value:
        if x.dtype.kind == "b":
            return g.emit(on_truths, x.value, y.value)
        if x.dtype == np.uint64:
            above = g.gt(ordered(g, x), ordered(g, y))
            pair = (x.value, y.value) if name == "maximum" else (y.value, x.value)
            return g.select(above, *pair)
        return g.emit(name, x.value, y.value)

    return apply


def compare(name: str) -> Function:
    """A comparison; false is before true."""

    def apply(g: Builder, x: Operand, y: Operand) -> Value:
        if x.dtype.kind == "b":
            return g.emit(name, *(g.convert(each.value, ElementType.INT32) for each in (x, y)))
        return g.emit(name, ordered(g, x), ordered(g, y))

    return apply


def compare_totally(name: str) -> Function:
    """A comparison in the order of sorting: NaN is equal to itself and behind all numbers; zeros are equal."""

    def apply(g: Builder, x: Operand, y: Operand) -> Value:
        if not x.is_float:
            return compare(name)(g, x, y)
        if name in ("gt", "ge"):
            return compare_totally({"gt": "lt", "ge": "le"}[name])(g, y, x)
        if name in ("le", "ne"):
            return g.logical_not(compare_totally("lt")(g, y, x) if name == "le" else compare_totally("eq")(g, x, y))
        last = (g.ne(x.value, x.value), g.ne(y.value, y.value))
        if name == "eq":
            return g.logical_or(g.eq(x.value, y.value), g.logical_and(*last))
        return g.logical_or(g.lt(x.value, y.value), g.logical_and(g.logical_not(last[0]), last[1]))

    return apply


def logic(on_bits: str, on_truths: str) -> Function:
    """An op on bits, which of truth values is one of logic."""
    return lambda g, x, y: g.emit(on_truths if x.dtype.kind == "b" else on_bits, x.value, y.value)


def complement(g: Builder, x: Operand) -> Value:
    """All bits turned, or the other truth value."""
    return g.logical_not(x.value) if x.dtype.kind == "b" else finished(g, g.bitwise_xor(x.value, -1), x.dtype)


def population_count(g: Builder, x: Operand) -> Value:
    """How many bits are set."""
    whole = elements.unsigned(g, x)
    set_ = [g.bitwise_and(g.shift_right(whole, k), 1) for k in range(bits_of(x.dtype))]
    return finished(g, _summed(g, set_), x.dtype)


def leading_zeros(g: Builder, x: Operand) -> Value:
    """How many bits are not set above the highest one that is."""
    width = bits_of(x.dtype)
    places = (g.constant(k, ElementType.INT64) for k in range(width))
    left = [g.convert(g.ne(elements.shifted_right(g, x, k), 0), ElementType.INT64) for k in places]
    return finished(g, g.sub(width, _summed(g, left)), x.dtype)


def _summed(g: Builder, terms: Sequence[Value]) -> Value:
    return functools.reduce(g.add, terms)


def select_n(g: Builder, which: Operand, *cases: Operand) -> Value:
    """The case of that number: for a truth value the first where it is false."""
    if len(cases) == 1:
        return cases[0].value
    if which.dtype.kind == "b":
        return g.select(which.value, cases[1].value, cases[0].value)
    found = cases[-1].value
    for number, case in reversed(list(enumerate(cases[:-1]))):
        found = g.select(g.le(which.value, number), case.value, found)
    return found


def clamp(g: Builder, low: Operand, x: Operand, high: Operand) -> Value:
    """x, but no less than `low` and no more than `high`."""
    if x.dtype == np.uint64:
        return extremum("minimum", "")(g, Operand(extremum("maximum", "")(g, x, low), x.dtype), high)
    return g.clip(x.value, low.value, high.value)


def reduce_precision(g: Builder, x: Operand, exponent_bits: int, mantissa_bits: int) -> Value:
    """x rounded to reals with fewer bits, too large ones to infinity and too small ones to 0; the derivative is 1."""
    own = (8, 23) if x.dtype == np.float32 else (11, 52)
    if exponent_bits >= own[0] and mantissa_bits >= own[1]:
        return x.value
    if (exponent_bits, mantissa_bits) != (8, 23):
        return bits.rounded(g, x, exponent_bits, mantissa_bits)
    narrow = g.convert(g.convert(x.value, ElementType.FLOAT32), held(x.dtype))
    return g.select(g.lt(g.abs(narrow), float(np.finfo(np.float32).smallest_normal)), g.mul(narrow, 0.0), narrow)


ELEMENTWISE: dict[str, Function] = {
    **{name: _one_op(op) for name, op in _REAL.items()},
    "exp2": exp2,
    "rsqrt": rsqrt,
    "logistic": logistic,
    "bessel_i0e": bessel(0.0),
    "bessel_i1e": bessel(1.0),
    "zeta": zeta,
    "polygamma": polygamma,
    "pow": power,
    "add": wrapping("add"),
    "add_any": wrapping("add"),
    "sub": wrapping("sub"),
    "mul": wrapping("mul"),
    "neg": wrapping("neg"),
    "abs": absolute,
    "real": part_of("real"),
    "imag": part_of("imag"),
    "conj": conjugate,
    "complex": lambda g, x, y: g.complex(x.value, y.value),
    "sign": sign,
    "square": lambda g, x: wrapping("mul")(g, x, x),
    "div": divide,
    "rem": remainder,
    "max": extremum("maximum", "logical_or"),
    "min": extremum("minimum", "logical_and"),
    **{name: compare(name) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    **{f"{name}_to": compare_totally(name) for name in ("eq", "lt", "le")},
    "and": logic("bitwise_and", "logical_and"),
    "or": logic("bitwise_or", "logical_or"),
    "xor": logic("bitwise_xor", "logical_xor"),
    "not": complement,
    "shift_left": lambda g, x, y: elements.shifted_left(g, x, y.value),
    "shift_right_logical": lambda g, x, y: elements.shifted_right(g, x, y.value),
    "shift_right_arithmetic": lambda g, x, y: elements.shifted_right_signed(g, x, y.value),
    "population_count": population_count,
    "clz": leading_zeros,
    "select_n": select_n,
    "clamp": clamp,
}
"""By the names of JAX's primitives, those without attributes."""
