"""Arithmetic, comparisons, logic and conversions, element by element."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from gradserve.client.importers.lax import bits, elements
from gradserve.client.importers.lax import elementwise as lax
from gradserve.client.importers.lax.elements import Operand, converted
from gradserve.client.importers.onnx.entries import Entry
from gradserve.client.importers.onnx.table import Node, Result, translates
from gradserve.ir.builder import Value
from gradserve.ir.types import ElementType
from gradserve.numpy import ufuncs

_REAL = {
    **{name: name.lower() for name in ("Exp", "Log", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh")},
    **{name: name.lower() for name in ("Tanh", "Asinh", "Acosh", "Atanh", "Sqrt", "Erf", "Floor", "Ceil", "Round")},
    "Sigmoid": "logistic",
}
_COMPARED = {"Equal": "eq", "Less": "lt", "LessOrEqual": "le", "Greater": "gt", "GreaterOrEqual": "ge"}
_LAX = {"Add": "add", "Sub": "sub", "Mul": "mul", "Neg": "neg", "Abs": "abs", "Sign": "sign", "Div": "div"}
_LOGIC = {"And": "and", "Or": "or", "Xor": "xor", "BitwiseAnd": "and", "BitwiseOr": "or", "BitwiseXor": "xor"}


def _enter(name: str, function: Callable[..., Value]) -> None:
    translates(name, uint64=True)(lambda n, *operands: function(n.g, *operands))


def _real(op: str) -> Callable[..., Value]:
    return lambda g, x: g.emit(op, x.value)


for _name, _op in _REAL.items():
    _enter(_name, _real(_op))
for _name, _op in {**_COMPARED, **_LAX, **_LOGIC, "Not": "not", "BitwiseNot": "not"}.items():
    _enter(_name, lax.ELEMENTWISE[_op])


@translates("Identity", moves=True, sequences=True)
def identity(n: Node, x: Entry) -> Result:
    """x."""
    return x


@translates("Reciprocal")
def reciprocal(n: Node, x: Operand) -> Result:
    """1 / x."""
    return n.g.div(1.0, x.value)


def _folded(name: str) -> Callable[..., Result]:
    function = lax.ELEMENTWISE[name]

    def apply(n: Node, *operands: Operand) -> Result:
        return functools.reduce(lambda a, b: Operand(function(n.g, *_together(n, a, b)), a.dtype), operands)

    return apply


def _together(n: Node, a: Operand, b: Operand) -> tuple[Operand, Operand]:
    left, right = n.g.align([a.value, b.value])
    return Operand(left, a.dtype), Operand(right, b.dtype)


translates("Max", uint64=True)(_folded("max"))
translates("Min", uint64=True)(_folded("min"))
translates("Sum", uint64=True)(_folded("add"))


@translates("Mean")
def mean(n: Node, *operands: Operand) -> Result:
    """The mean of arrays."""
    return n.g.div(functools.reduce(n.g.add, (x.value for x in operands)), float(len(operands)))


@translates("Mod")
def mod(n: Node, x: Operand, y: Operand) -> Result:
    """What division leaves, with the sign of y, or of x if `fmod` is set."""
    a, b = _together(n, x, y)
    return lax.remainder(n.g, a, b) if n.get("fmod", 0) else n.g.remainder(a.value, b.value)


@translates("Pow")
def power(n: Node, x: Operand, y: Operand) -> Result:
    """x to the power of y, with the elements of x."""
    g = n.g
    if x.is_float:
        return ufuncs.power(x.value, g.convert(y.value, x.value.type.element_type))
    if elements.bits_of(x.dtype) > 32:
        exponents = n.array(1)
        assert exponents is not None
        if exponents.size == 1 and float(exponents.reshape(())).is_integer() and 0 <= exponents.reshape(()) <= 64:
            return lax.integer_pow(g, x, int(exponents.reshape(())))
        raise n.refuse("powers of int64 by several exponents may not be exact", "convert the base to double")
    wide = [g.convert(each.value, ElementType.FLOAT64) for each in (x, y)]
    return Operand(g.convert(ufuncs.power(*wide), x.value.type.element_type), x.dtype)


@translates("BitShift", uint64=True)
def bit_shift(n: Node, x: Operand, y: Operand) -> Result:
    """The bits of x moved."""
    right = elements.shifted_right if x.dtype.kind == "u" else elements.shifted_right_signed
    shift = elements.shifted_left if n.get("direction") == "LEFT" else right
    return shift(n.g, x, y.value)


@translates("Where", moves=True)
def where(n: Node, condition: Operand, x: Operand, y: Operand) -> Result:
    """x where the condition holds, y elsewhere."""
    which, a, b = n.g.align([condition.value, x.value, y.value])
    return Operand(n.g.select(which, a, b), x.dtype)


@translates("Clip", moves=True, uint64=False)
def clip(n: Node, x: Operand, low: Operand | None = None, high: Operand | None = None) -> Result:
    """x, but no less than `low` and no more than `high`; in the closed interval the derivative is 1."""
    g, found = n.g, x.value
    least = n.get("min") if low is None else low.value
    most = n.get("max") if high is None else high.value
    if least is not None:
        found = g.select(g.lt(found, least), least, found)
    if most is not None:
        found = g.select(g.gt(found, most), most, found)
    return found


@translates("Cast", "BitCast", uint64=True)
def cast(n: Node, x: Operand) -> Result:
    """x with other elements, or the same bits as other elements."""
    dtype = n.reader.elements.dtype(n.get("to"))
    change = bits.bitcast if n.operation == "BitCast" else converted
    return Operand(change(n.g, x, dtype), dtype)


@translates("CastLike", uint64=True)
def cast_like(n: Node, x: Operand, like: Operand) -> Result:
    """x with the elements of another array."""
    return Operand(converted(n.g, x, like.dtype), like.dtype)


@translates("IsNaN")
def is_nan(n: Node, x: Operand) -> Result:
    """Whether x is not a number."""
    return n.g.ne(x.value, x.value)


@translates("IsInf")
def is_inf(n: Node, x: Operand) -> Result:
    """Whether x is infinite, of the signs that are asked for."""
    g, found = n.g, n.g.zeros(n.g.ne(x.value, x.value).type)
    for asked, infinity in (("detect_positive", math.inf), ("detect_negative", -math.inf)):
        if n.get(asked, 1):
            found = g.logical_or(found, g.eq(x.value, infinity))
    return found


@translates("Dropout", known=(1, 2))
def dropout(n: Node, x: Operand, ratio: Operand | None = None, training: Operand | None = None) -> Result:
    """x itself, as where a network is evaluated."""
    mode, share = n.array(2), n.array(1, "ratio")
    if mode is not None and mode.any() and (share is None or share.any()):
        raise n.refuse("dropout in training mode makes random numbers", "export the model in evaluation mode")
    mask = n.g.full(n.g.ne(x.value, x.value).type, True)
    return [x, Operand(mask, np.dtype(np.bool_))]
