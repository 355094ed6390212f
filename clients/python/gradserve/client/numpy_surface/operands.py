"""What authors pass to NumPy functions, as operands: lists, axes, counts and shapes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from gradserve.client.tracing.origins import untraceable
from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.types import Shape


def as_operand(g: Builder, argument: Any) -> Operand:
    """The argument as NumPy's asarray would see it: a list with values in it is stacked."""
    if isinstance(argument, Value | np.ndarray | np.generic | bool | int | float):
        return argument
    if _holds_value(argument):
        return stacked(g, [as_operand(g, part) for part in argument])
    array = np.asarray(argument)
    if array.dtype == object:
        raise untraceable(f"a {type(argument).__name__} takes part in a traced computation", "use arrays and numbers")
    return array


def lift(g: Builder, argument: Any) -> Value:
    """The argument as a value."""
    return g.lift(as_operand(g, argument))


def _holds_value(argument: Any) -> bool:
    if isinstance(argument, Value):
        return True
    return isinstance(argument, list | tuple) and any(_holds_value(part) for part in argument)


def stacked(g: Builder, parts: Sequence[Operand], axis: int = 0) -> Value:
    """Operands of one shape along a new axis."""
    values = g.promote(parts)
    axis = normalize_axis_index(axis, values[0].type.rank + 1)
    shapes = {value.type.shape for value in values}
    if len(shapes) > 1:
        raise ValueError(f"all input arrays must have the same shape, not {' and '.join(map(str, sorted(shapes)))}")
    shape = values[0].type.shape
    expanded = [g.reshape(value, (*shape[:axis], 1, *shape[axis:])) for value in values]
    return g.emit("concatenate", *expanded, axis=axis)


def unsqueezed(g: Builder, value: Value, count: int) -> Value:
    """The value with `count` new last axes of length 1."""
    return g.reshape(value, (*value.type.shape, *(1,) * count))


def integer(argument: Any, what: str) -> int:
    """The argument as a number known while tracing.

    Raises:
        Untraceable: it is traced.
    """
    if isinstance(argument, Value):
        raise untraceable(f"{what} depends on a traced array", "use a number that is known while tracing")
    return operator.index(argument)


def integers(argument: Any, what: str) -> tuple[int, ...]:
    """One number or several as a tuple."""
    if isinstance(argument, Value) or not np.iterable(argument):
        return (integer(argument, what),)
    return tuple(integer(part, what) for part in argument)


def axis_of(value: Value, axis: Any) -> int:
    """One axis, counted from the first."""
    return normalize_axis_index(integer(axis, "an axis"), value.type.rank)


def axes_of(value: Value, axis: Any) -> tuple[int, ...]:
    """Axes, counted from the first, in the order given; None stands for all."""
    if axis is None:
        return tuple(range(value.type.rank))
    return tuple(normalize_axis_tuple(integers(axis, "an axis"), value.type.rank))


def keeping(g: Builder, reduced: Value, axes: Sequence[int], shape: Shape, keepdims: bool) -> Value:
    """The result of a reduction of `shape` over `axes`, with axes of length 1 in their place if wanted."""
    if not keepdims:
        return reduced
    return g.reshape(reduced, tuple(1 if axis in axes else n for axis, n in enumerate(shape)))
