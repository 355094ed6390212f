"""What an operation says of itself: whole numbers, and the types of its results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.stablehlo.syntax import OPEN, ArrayType, Operation, numbers
from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported

Compute: TypeAlias = Callable[[Builder, Operation, Sequence[Operand]], Value | Sequence[Value | None]]
"""From the builder, an operation and its operands to its results; None is one that nobody may read."""


def ints(op: Operation, name: str, otherwise: Sequence[int] = ()) -> tuple[int, ...]:
    """An attribute as whole numbers."""
    return numbers(op.attributes.get(name, list(otherwise)), op.line)


def integer(op: Operation, name: str, otherwise: int | None = None) -> int:
    """An attribute as one whole number."""
    (found,) = ints(op, name, () if otherwise is None else (otherwise,))
    return found


def shape_of(op: Operation) -> tuple[int, ...]:
    """The shape of the only result.

    Raises:
        Unsupported: it is not known.
    """
    if OPEN in op.types[0].shape:
        raise Unsupported(f"the lengths of {op.types[0]} are not told", "export it for known lengths")
    return op.types[0].shape


def dtype_of(op: Operation) -> np.dtype[Any]:
    """The elements of the only result."""
    return dtype_of_result(op, 0)


def dtype_of_result(op: Operation, number: int) -> np.dtype[Any]:
    """The elements of a result.

    Raises:
        Unsupported: no graph has such.
    """
    return dtype_of_elements(op.types[number])


def dtype_of_elements(type_: ArrayType) -> np.dtype[Any]:
    """The elements of an array.

    Raises:
        Unsupported: no graph has such.
    """
    if type_.dtype is None:
        raise Unsupported(f"no graph has elements of {type_.elements}", "convert to f32 or f64")
    return type_.dtype


def either(op: Operation, *names: str) -> tuple[int, ...]:
    """The attribute of the first of these names that there is, as whole numbers."""
    return next((ints(op, name) for name in names if name in op.attributes), ())
