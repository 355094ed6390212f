"""Comparisons, logic, bits and choices, element by element."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradserve.client.importers.aten.table import Given, Node, Result, translates
from gradserve.client.importers.lax import elementwise as lax
from gradserve.client.importers.lax.elements import Operand
from gradserve.ir.builder import Value
from gradserve.numpy import logic

_TESTS: dict[str, Callable[[Value], Value]] = {
    **{"isnan": logic.isnan, "isinf": logic.isinf},
    **{"isposinf": logic.isposinf, "isneginf": logic.isneginf},
}
_COMPARED = {"eq": "eq", "ne": "ne", "lt": "lt", "le": "le", "gt": "gt", "ge": "ge"}


@translates(*_COMPARED)
def _compare(n: Node, x: Given, y: Given) -> Result:
    """A comparison; false is before true."""
    return lax.compare(n.name)(n.g, *n.together(x, y))


@translates("logical_and", "logical_or", "logical_xor")
def _logical(n: Node, x: Given, y: Given) -> Result:
    """Logic; all but zero is true."""
    return n.g.emit(n.name, *(n.of(each, np.dtype(np.bool_)) for each in (x, y)))


@translates("logical_not")
def _logical_not(n: Node, x: Operand) -> Result:
    """Whether x is zero."""
    return n.g.logical_not(n.of(x, np.dtype(np.bool_)))


@translates("bitwise_and", "bitwise_or", "bitwise_xor")
def _bitwise(n: Node, x: Given, y: Given) -> Result:
    """Logic of all bits."""
    return lax.ELEMENTWISE[n.name.removeprefix("bitwise_")](n.g, n.operand(x), n.operand(y))


@translates("bitwise_not")
def _bitwise_not(n: Node, x: Operand) -> Result:
    """All bits turned."""
    return lax.complement(n.g, x)


@translates("bitwise_left_shift", "__lshift__", "bitwise_right_shift", "__rshift__")
def _shift(n: Node, x: Given, y: Given) -> Result:
    """The bits of x moved."""
    left = n.name in ("bitwise_left_shift", "__lshift__")
    return lax.ELEMENTWISE["shift_left" if left else "shift_right_arithmetic"](n.g, n.operand(x), n.operand(y))


@translates("isnan", "isinf", "isposinf", "isneginf")
def _is(n: Node, x: Operand) -> Result:
    """Whether x is not a number, or infinite."""
    if x.is_whole:
        return n.g.zeros(n.g.ne(x.value, x.value).type)
    return _TESTS[n.name](x.value)


@translates("where")
def _where(n: Node, condition: Operand, x: Given, y: Given) -> Result:
    """x where the condition holds, y elsewhere."""
    truth = n.of(condition, np.dtype(np.bool_))
    return n.g.select(*n.g.align([truth, n.of(x), n.of(y)]))


@translates("clamp", "clamp_min", "clamp_max", "hardtanh")
def _clamp(n: Node, x: Operand, low: Given | None = None, high: Given | None = None, **named: Given | None) -> Result:
    """x, but no less than `low` and no more than `high`; in the closed interval the derivative is 1."""
    g, found = n.g, n.of(x)
    low, high = named.get("min", low), named.get("max", high)
    if n.name == "clamp_max":
        low, high = high, low
    if n.name == "hardtanh":
        low, high = -1.0 if low is None else low, 1.0 if high is None else high
        least, most = n.of(low), n.of(high)  # whose derivative at its ends is 0
        return g.select(g.le(found, least), least, g.select(g.ge(found, most), most, found))
    if low is not None:
        least, found = g.align([n.of(low), found])
        found = g.select(g.lt(found, least), least, found)
    if high is not None:
        most, found = g.align([n.of(high), found])
        found = g.select(g.gt(found, most), most, found)
    return found
