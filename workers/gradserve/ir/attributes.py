"""What attributes must fulfil, whatever op declares them, and ops made of such."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradserve.ir.errors import ConstraintError
from gradserve.ir.op import Attribute, Op, attribute_types
from gradserve.ir.shapes import MAX_RANK, shape_faults
from gradserve.ir.types import ElementType, Shape, Symbol

if TYPE_CHECKING:
    from gradserve.ir.graph import Graph


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


@functools.cache
def plain_op(op: type[Op]) -> Op:
    """The op of a class without attributes and functions: one for all its applications.

    Raises:
        ConstraintError: it has some.
    """
    return make_op(op, {})


def make_op(op: type[Op], attributes: Mapping[str, Any], functions: Sequence[Graph] = ()) -> Op:
    """The op with these attributes, each checked against the type that the op declares, and these functions.

    Raises:
        ConstraintError: an attribute is unknown, missing or of the wrong type, or there are too few or many functions.
    """
    named = op.calls_functions
    if len(functions) != len(named):
        raise ConstraintError("A4", f"{op.name} takes {len(named)} functions, not {len(functions)}")
    declared = attribute_types(op)
    for name in attributes:
        if name not in declared:
            raise ConstraintError("A1", f"unknown attribute {name}; {op.name} has {', '.join(declared) or 'none'}")
    values = {}
    for name, kind, within in _declared(op):
        if name not in attributes:
            raise ConstraintError("A2", f"attribute {name} is missing")
        value = attributes[name]
        plain = within is not None and type(value) is tuple and within.issuperset(map(type, value))
        values[name] = value if plain else _typed(name, kind, value)
    return op(**values, **dict(zip(named, functions, strict=True)))


@functools.cache
def _declared(op: type[Op]) -> list[tuple[str, Any, frozenset[type] | None]]:
    """The attributes with their kinds and, of those that are tuples, the types of what they may hold."""
    tuples = {Shape: frozenset({int, Symbol}), tuple[int, ...]: frozenset({int})}
    return [(name, kind, tuples.get(kind)) for name, kind in attribute_types(op).items()]


def _typed(name: str, kind: Any, value: Any) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind in (bool, int, float, str, ElementType):
        matches = type(value) is kind
    elif kind == Shape or kind == tuple[int, ...]:
        allowed = (int, Symbol) if kind == Shape else (int,)
        matches = isinstance(value, tuple) and all(isinstance(v, allowed) and not isinstance(v, bool) for v in value)
    else:
        raise TypeError(f"attribute {name} is declared as {kind}, which no graph can carry")
    if not matches:
        shown = getattr(kind, "__name__", str(kind))
        raise ConstraintError("A3", f"attribute {name} must be {shown}, not {type(value).__name__}")
    return value
