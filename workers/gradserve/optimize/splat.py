"""What is known about a value: what made it, and whether all its elements are one number, which makes it a splat."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Literal

_SPREADING = frozenset({"broadcast_to", "reshape", "permute", "reverse"})


def producer(g: Builder, value: Value, name: str) -> tuple[Any, tuple[Value, ...]] | None:
    """The op and operands behind a value, if that op is called `name`."""
    made = g.producer(value)
    return (made.op, made.operands) if made is not None and made.op.name == name else None


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
