"""Operands that NumPy's rules leave as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.value import REAL_NUMBERS


def of_one_type(g: Builder, operands: Sequence[Operand]) -> tuple[Value, ...] | None:
    """What promoting and broadcasting makes of values of one type and of numbers that adapt to them; None of others.

    Most operands are such, and NumPy's rules take longer to go through than all the rest of a node.
    """
    type_ = next((x.type for x in operands if isinstance(x, Value)), None)
    if type_ is None:
        return None
    found = []
    for x in operands:
        if isinstance(x, Value):
            if x.type is not type_ or x.builder is not g:
                return None
            found.append(x)
        elif type_.is_float and x.__class__ in REAL_NUMBERS:
            found.append(g.full(type_, cast(float, x)))
        else:
            return None
    return tuple(found)
