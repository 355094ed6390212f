"""What is known about a value: what made it, and whether all its elements are one number, which makes it a splat."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Literal
from gradserve.ir.op import Op


def producer(g: Builder, value: Value, kind: type[Op]) -> tuple[Any, tuple[Value, ...]] | None:
    """The op and operands behind a value, if that op is of this class."""
    made = g.producer(value)
    return (made.op, made.operands) if made is not None and type(made.op) is kind else None


def splat(g: Builder, value: Value) -> np.generic | None:
    """The number that fills `value`, or None if it is not known to be filled by one."""
    made = value.producer
    if made is not None and not made.op.fills:
        return None  # as are most values
    found = _filling(g, value)
    literal = None if found is None else g.literal(found)
    if isinstance(literal, Literal) and literal.array.size == 1:
        return cast("np.generic", literal.array.reshape(())[()])
    return None


def _filling(g: Builder, value: Value) -> Value | None:
    """The input or constant whose elements fill the value; None if there is none. What lies between is passed once."""
    passed = []
    found: Value | None = value
    while found is not None and (made := found.producer) is not None:
        if found in g.filling:
            found = g.filling[found]
            break
        passed.append(found)
        found = made.operands[0] if made.op.fills else None
    g.filling.update(dict.fromkeys(passed[:-1], found))
    return found


def is_splat(g: Builder, value: Value, number: float) -> bool:
    """Whether `value` is filled by `number`."""
    found = splat(g, value)
    return found is not None and bool(found == number)
