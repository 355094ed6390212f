"""Arguments as NumPy takes them, brought to the one form that the ops take."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import NoReturn, SupportsIndex, TypeAlias

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.errors import InvalidGraph, Violation

Axis: TypeAlias = int | Sequence[int] | None
"""One axis, several, or all; negative ones count from the last."""


def builder_of(*operands: Operand) -> Builder:
    """The builder of the first operand that has one.

    Raises:
        TypeError: none of them is a value of a graph.
    """
    for operand in operands:
        if isinstance(operand, Value):
            return operand.builder
    raise TypeError("at least one operand must be a value of a graph")


def lifted(*operands: Operand) -> tuple[Builder, tuple[Value, ...]]:
    """The builder of the operands, and all of them as its values."""
    g = builder_of(*operands)
    return g, tuple(g.lift(operand) for operand in operands)


def promoted(*operands: Operand) -> tuple[Builder, tuple[Value, ...]]:
    """The builder of the operands, and all of them as its values of one element type."""
    g = builder_of(*operands)
    return g, g.promote(operands)


def refuse(g: Builder, function: str, description: str) -> NoReturn:
    """Refuses what NumPy's function would refuse as well, or what no graph can say.

    Raises:
        InvalidGraph: always.
    """
    violation = Violation("", function, description, str(g.origin or ""))
    raise InvalidGraph("this operation is not possible", [violation])


def one_axis(x: Value, axis: SupportsIndex, function: str, rank: int | None = None) -> int:
    """The axis counted from the first; of an array with `rank` axes if that is given."""
    axes = x.type.rank if rank is None else rank
    number = operator.index(axis)
    if not -axes <= number < axes:
        refuse(x.builder, function, f"axis {number} is out of bounds for {x.type}")
    return number % axes


def all_axes(x: Value, axis: Axis, function: str, rank: int | None = None) -> tuple[int, ...]:
    """The axes counted from the first, in the order given; all of them for None."""
    if axis is None:
        return tuple(range(x.type.rank))
    given = axis if isinstance(axis, Sequence) else (axis,)
    axes = tuple(one_axis(x, number, function, rank) for number in given)
    if len(set(axes)) < len(axes):
        refuse(x.builder, function, f"axes {tuple(given)} name an axis twice")
    return axes


def reduced_axes(x: Value, axis: Axis, function: str) -> tuple[int, ...]:
    """The axes to reduce over, ascending."""
    return tuple(sorted(all_axes(x, axis, function)))


def kept(g: Builder, reduced: Value, x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
    """A reduction of x over `axes`, with these axes back as lengths of 1 if they are to be kept."""
    if not keepdims:
        return reduced
    return g.reshape(reduced, tuple(1 if axis in axes else n for axis, n in enumerate(x.type.shape)))
