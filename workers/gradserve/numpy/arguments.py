"""Arguments as NumPy takes them, brought to the one form that the ops take: values, axes, counts and shapes."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.errors import InvalidGraph, Untraceable, Violation
from gradserve.ir.types import ElementType
from gradserve.ops import family

_OPERANDS = (Value, np.ndarray, np.generic, bool, int, float, complex)


class Unsupported(Untraceable):
    """NumPy can do it and no graph can say it. Who knows the author's code adds the line where it stands."""

    def __init__(self, problem: str, instead: str) -> None:
        """What cannot be said, and what to write instead."""
        self.problem, self.instead = problem, instead
        super().__init__(f"{problem}; {instead}")


def refuse(g: Builder, function: str, description: str) -> NoReturn:
    """Refuses what NumPy's function would refuse as well.

    Raises:
        InvalidGraph: always; it names the source line of the nodes that are being recorded.
    """
    violation = Violation("", function, description, str(g.origin or ""))
    raise InvalidGraph("this operation is not possible", [violation])


def builder_of(*operands: Any) -> Builder:
    """The builder of the first value among the operands, or within lists, tuples and dicts.

    Raises:
        TypeError: there is none.
    """
    for operand in operands:
        if isinstance(operand, Value):
            return operand.builder
    for value in values_in(operands):
        return value.builder
    raise TypeError("at least one operand must be a value of a graph")


def values_in(tree: Any) -> Iterator[Value]:
    """The values within lists, tuples and dicts."""
    if isinstance(tree, Value):
        yield tree
    elif isinstance(tree, list | tuple | dict):
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from values_in(part)


def as_operand(g: Builder, argument: Any) -> Operand:
    """The argument as NumPy's asarray would see it: a list with values in it is stacked.

    Raises:
        Unsupported: it is no array.
    """
    if isinstance(argument, _OPERANDS):
        return argument
    if next(values_in(argument), None) is not None:
        return _stacked(g, [as_operand(g, part) for part in argument])
    array = np.asarray(argument)
    if array.dtype == object:
        raise Unsupported(f"a {type(argument).__name__} takes part in a traced computation", "use arrays and numbers")
    return array


def strict(g: Builder, argument: Any) -> Operand:
    """As `as_operand`, with Python's numbers as arrays of their own type, which do not adapt to others."""
    found = as_operand(g, argument)
    return np.asarray(found) if isinstance(found, bool | int | float | complex) else found


def _stacked(g: Builder, parts: Sequence[Operand]) -> Value:
    values = g.promote([strict(g, part) for part in parts])
    shapes = {value.type.shape for value in values}
    if len(shapes) > 1:
        raise ValueError(f"all input arrays must have the same shape, not {' and '.join(map(str, sorted(shapes)))}")
    return g.emit("concatenate", *(g.reshape(value, (1, *value.type.shape)) for value in values), axis=0)


def lift(g: Builder, argument: Any) -> Value:
    """The argument as a value."""
    return g.lift(as_operand(g, argument))


def promoted(g: Builder, *arguments: Any) -> tuple[Value, ...]:
    """The arguments as values of one element type, by NumPy's rules: Python's numbers adapt to arrays."""
    return g.promote([as_operand(g, argument) for argument in arguments])


def to_float(g: Builder, argument: Any) -> Value:
    """The argument as a value with real or complex elements: float64 unless they are such already."""
    return family.to_float(g, as_operand(g, argument))


def to_real(g: Builder, argument: Any, function: str) -> Value:
    """The argument as a value with real elements: float64 unless they are such already.

    Raises:
        InvalidGraph: they are complex.
    """
    x = to_float(g, argument)
    if x.type.is_complex:
        refuse(g, function, f"{x.type} is not real")
    return x


def with_dtype(g: Builder, x: Value, dtype: Any) -> Value:
    """x in the element type in which it is to be computed, if one is asked for."""
    return x if dtype is None else g.convert(x, ElementType.of(dtype))


def integer(argument: Any, what: str) -> int:
    """The argument as a number known while recording.

    Raises:
        Unsupported: it depends on what is given later.
    """
    if isinstance(argument, Value):
        raise Unsupported(f"{what} depends on a traced array", "use a number that is known while tracing")
    return operator.index(argument)


def integers(argument: Any, what: str) -> tuple[int, ...]:
    """One number or several as a tuple."""
    if isinstance(argument, Value) or not np.iterable(argument):
        return (integer(argument, what),)
    return tuple(integer(part, what) for part in argument)


def axis_of(x: Value, axis: Any, function: str, rank: int | None = None) -> int:
    """One axis, counted from the first; of an array with `rank` axes if that is given.

    Raises:
        InvalidGraph: there is no such axis.
    """
    axes = x.type.rank if rank is None else rank
    number = integer(axis, "an axis")
    if not -axes <= number < axes:
        refuse(x.builder, function, f"axis {number} is out of bounds for {x.type}")
    return number % axes


def axes_of(x: Value, axis: Any, function: str, rank: int | None = None) -> tuple[int, ...]:
    """Axes, counted from the first, in the order given; None stands for all.

    Raises:
        InvalidGraph: there is no such axis, or one is named twice.
    """
    if axis is None:
        return tuple(range(x.type.rank))
    given = integers(axis, "an axis")
    axes = tuple(axis_of(x, number, function, rank) for number in given)
    if len(set(axes)) < len(axes):
        refuse(x.builder, function, f"axes {given} name an axis twice")
    return axes


def is_of_scalar(x: Value, axis: Any) -> bool:
    """Whether the axis is one that NumPy lets a single number have where it reduces: 0 or -1."""
    return not x.type.rank and not isinstance(axis, Value) and not np.iterable(axis) and axis in (0, -1)


def reduced_axes(x: Value, axis: Any, function: str) -> tuple[int, ...]:
    """The axes to reduce over, ascending."""
    return tuple(sorted(axes_of(x, axis, function)))


def kept(g: Builder, reduced: Value, x: Value, axes: Sequence[int], keepdims: bool) -> Value:
    """A reduction of x over `axes`, with these axes back as lengths of 1 if they are to be kept."""
    if not keepdims:
        return reduced
    return g.reshape(reduced, tuple(1 if axis in axes else n for axis, n in enumerate(x.type.shape)))
