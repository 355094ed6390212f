"""Comparisons and logic: what gives truth values, and what is chosen by them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy.arguments import Unsupported, as_operand, lift, promoted
from gradserve.numpy.reductions import all as all_along
from gradserve.numpy.shaping import ravel
from gradserve.numpy.table import emitting, implements

_OPS: dict[np.ufunc, str] = {
    np.equal: "eq",
    np.not_equal: "ne",
    np.less: "lt",
    np.less_equal: "le",
    np.greater: "gt",
    np.greater_equal: "ge",
    np.logical_and: "logical_and",
    np.logical_or: "logical_or",
    np.logical_xor: "logical_xor",
    np.logical_not: "logical_not",
    np.isfinite: "is_finite",
}
"""Ufuncs that are one op."""

_BITWISE: dict[np.ufunc, tuple[str, str]] = {
    np.bitwise_and: ("logical_and", "bitwise_and"),
    np.bitwise_or: ("logical_or", "bitwise_or"),
    np.bitwise_xor: ("logical_xor", "bitwise_xor"),
}
"""Ufuncs that are one op on truth values, and another on integers."""


def _on_bits(of_truths: str, of_integers: str) -> Callable[..., Value]:
    def apply(g: Builder, x: Value, y: Value) -> Value:
        return g.emit(of_truths if x.type.element_type is ElementType.BOOL else of_integers, x, y)

    apply.__doc__ = f"{emitting(of_integers).__doc__} Of truth values, that of their logic."
    return apply


for _ufunc, _op in _OPS.items():
    implements(_ufunc)(emitting(_op))
for _ufunc, _pair in _BITWISE.items():
    implements(_ufunc)(_on_bits(*_pair))


@implements(np.invert)
def invert(g: Builder, x: Value) -> Value:
    """The bits that an integer has not, or what is not true."""
    return g.logical_not(x) if x.type.element_type is ElementType.BOOL else g.bitwise_xor(x, -1)


@implements(np.left_shift)
def left_shift(g: Builder, x: Value, y: Value) -> Value:
    """x with its bits moved up by y places; 0 beyond all of them."""
    return g.select(_is_inside(g, x, y), g.shift_left(x, _places(g, x, y)), 0)


@implements(np.right_shift)
def right_shift(g: Builder, x: Value, y: Value) -> Value:
    """x with its bits moved down by y places, rounded down; its sign alone beyond all of them."""
    return g.shift_right(x, g.select(_is_inside(g, x, y), y, _bits(x) - 1))


def _bits(x: Value) -> int:
    return 8 * x.type.element_type.itemsize


def _is_inside(g: Builder, x: Value, y: Value) -> Value:
    return g.logical_and(g.ge(y, 0), g.lt(y, _bits(x)))


def _places(g: Builder, x: Value, y: Value) -> Value:
    return g.clip(y, 0, _bits(x) - 1)


@implements(np.isnan)
def isnan(g: Builder, x: Value) -> Value:
    """Whether x is not a number."""
    return g.ne(x, x)


@implements(np.isinf)
def isinf(g: Builder, x: Value) -> Value:
    """Whether x is infinite, of either sign."""
    return g.eq(g.abs(x), math.inf)


@implements(np.isposinf)
def isposinf(g: Builder, x: Any) -> Value:
    """Whether x is plus infinity."""
    return g.eq(lift(g, x), math.inf)


@implements(np.isneginf)
def isneginf(g: Builder, x: Any) -> Value:
    """Whether x is minus infinity."""
    return g.eq(lift(g, x), -math.inf)


@implements(np.isclose)
def isclose(g: Builder, a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Value:
    """Whether a and b differ by at most atol + rtol |b|."""
    x, y = promoted(g, a, b)
    if x.type.element_type is ElementType.BOOL:
        return g.eq(x, y)
    bound = g.add(as_operand(g, atol), g.mul(as_operand(g, rtol), g.abs(y)))
    near = g.logical_and(g.le(g.abs(g.sub(x, y)), bound), g.is_finite(y))
    close = g.logical_or(near, g.eq(x, y))
    if not equal_nan:
        return close
    return g.logical_or(close, g.logical_and(g.ne(x, x), g.ne(y, y)))


@implements(np.allclose)
def allclose(g: Builder, a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Value:
    """Whether all elements of a and b are close."""
    return all_along(isclose(a, b, rtol, atol, equal_nan))


@implements(np.array_equal)
def array_equal(g: Builder, a1: Any, a2: Any) -> Value:
    """Whether a1 and a2 have equal shapes and elements."""
    x, y = lift(g, a1), lift(g, a2)
    if x.type.shape != y.type.shape:
        return g.constant(False)
    return all_along(g.eq(x, y))


@implements(np.array_equiv)
def array_equiv(g: Builder, a1: Any, a2: Any) -> Value:
    """Whether a1 and a2 broadcast to one shape, and have equal elements there."""
    x, y = lift(g, a1), lift(g, a2)
    try:
        np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        return g.constant(False)
    return all_along(g.eq(x, y))


@implements(np.isin)
def isin(g: Builder, element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False) -> Value:
    """Whether each element equals one of the others."""
    x, others = lift(g, element), ravel(lift(g, test_elements))
    found = g.reduce_any(g.eq(g.reshape(x, (*x.type.shape, 1)), others), axes=(x.type.rank,))
    return g.logical_not(found) if invert else found


@implements(np.where)
def where(g: Builder, condition: Any, x: Any = None, y: Any = None) -> Value:
    """x where the condition holds, y elsewhere."""
    if x is None or y is None:
        raise Unsupported(
            "np.where with the condition alone gives positions, whose number depends on numbers",
            "write np.where(condition, x, y)",
        )
    return g.select(as_operand(g, condition), as_operand(g, x), as_operand(g, y))


@implements(np.select)
def select(g: Builder, condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Value:
    """The choice of the first condition that holds."""
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    *choices, result = promoted(g, *choicelist, default)
    for condition, choice in reversed(list(zip(condlist, choices, strict=True))):
        result = g.select(as_operand(g, condition), choice, result)
    return result
