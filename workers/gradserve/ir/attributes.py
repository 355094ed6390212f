"""What attributes must fulfil, whatever op declares them."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

from gradserve.ir.op import Attribute, Op, attribute_types
from gradserve.ir.shapes import MAX_RANK, shape_faults
from gradserve.ir.types import Shape, Symbol


@functools.cache
def shape_attributes(op: type[Op]) -> tuple[str, ...]:
    """The names of the attributes that are shapes: the ones that may hold symbols."""
    return tuple(name for name, kind in attribute_types(op).items() if kind == Shape)


def has_symbols(op: Op) -> bool:
    """Whether an attribute holds a length that is still a symbol."""
    names = shape_attributes(type(op))
    return bool(names) and any(isinstance(v, Symbol) for name in names for v in getattr(op, name))


def attribute_faults(op: Op) -> Iterator[tuple[str, str]]:
    """The attributes that no graph can carry, with descriptions."""
    if not attribute_types(type(op)):
        return
    shapes = shape_attributes(type(op))
    for name, value in op.attributes().items():
        if name in shapes and isinstance(value, tuple):
            for _, description in shape_faults(value):
                yield name, description
        else:
            description = _fault(value)
            if description:
                yield name, description


def _fault(value: Attribute) -> str:
    if isinstance(value, tuple) and len(value) > MAX_RANK:
        return f"{len(value)} entries are more than {MAX_RANK}, the largest number of axes"
    numbers = value if isinstance(value, tuple) else (value,)
    if any(isinstance(n, int) and not -(2**63) <= n < 2**63 for n in numbers):
        return "an integer does not fit 64 bits"
    # An op that is not equal to itself could not be found again in a table.
    if isinstance(value, float) and math.isnan(value):
        return "the number is NaN"
    return ""
