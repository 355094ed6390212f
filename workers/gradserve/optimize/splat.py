"""Splats: values all of whose elements are one known number."""

from __future__ import annotations

from typing import cast

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Literal

_SPREADING = frozenset({"broadcast_to", "reshape", "permute", "reverse"})


def splat(g: Builder, value: Value) -> np.generic | None:
    """The number that fills `value`, or None if it is not known to be filled by one."""
    made = g.producer(value)
    while made is not None:
        if made.op.name not in _SPREADING:
            return None
        value = made.operands[0]
        made = g.producer(value)
    literal = g.literal(value)
    if isinstance(literal, Literal) and literal.array.size == 1:
        return cast("np.generic", literal.array.reshape(())[()])
    return None


def is_splat(g: Builder, value: Value, number: float) -> bool:
    """Whether `value` is filled by `number`."""
    found = splat(g, value)
    return found is not None and bool(found == number)
