"""Parts of matrices as values: transposes and triangles of the last two axes."""

from __future__ import annotations

from typing import Any

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import Array, ElementType
from gradserve.ops.elementwise.parts import conjugate
from gradserve.ops.movement.shapes import permuted


def flipped(g: Builder, x: Value) -> Value:
    """The matrices x transposed."""
    rank = x.type.rank
    return permuted(g, x, (*range(rank - 2), rank - 1, rank - 2))


def on_or_below(g: Builder, lengths: tuple[int, ...], offset: int = 0) -> Value:
    """Truth values over the last two of these lengths: whether an element is on the `offset`-th diagonal or below."""
    rows, columns = lengths[-2:]
    row = g.reshape(g.emit("iota", length=rows, element_type=ElementType.INT64), (rows, 1))
    return g.emit("ge", row + offset, g.emit("iota", length=columns, element_type=ElementType.INT64))


def on_diagonal(g: Builder, length: int, element_type: ElementType) -> Value:
    """The identity matrix."""
    row = g.reshape(g.emit("iota", length=length, element_type=ElementType.INT64), (length, 1))
    return g.convert(g.emit("eq", row, g.emit("iota", length=length, element_type=ElementType.INT64)), element_type)


def mirrored(g: Builder, x: Value) -> Value:
    """The symmetric matrices, or Hermitian ones, that have the lower triangles of the square matrices x."""
    if x.type.is_complex:
        below = lower(g, x, -1)
        diagonal = g.emit("mul", g.real(x), on_diagonal(g, x.shape[-1], x.type.element_type.part))
        return below + conjugate(g, flipped(g, below)) + g.convert(diagonal, x.type.element_type)
    return g.emit("select", on_or_below(g, x.shape), x, flipped(g, x))


def mirror(xp: Any, a: Array) -> Any:
    """The same, of arrays: what is above the diagonal is not read, be it infinite or NaN."""
    below = xp.tril(a, k=-1)
    if not xp.isdtype(a.dtype, "complex floating"):
        return xp.tril(a) + xp.matrix_transpose(below)
    diagonal = xp.tril(xp.triu(xp.real(a)))
    return below + xp.matrix_transpose(xp.conj(below)) + xp.astype(diagonal, a.dtype)


def lower(g: Builder, x: Value, offset: int = 0) -> Value:
    """The matrices x with zeros above the `offset`-th diagonal."""
    return g.emit("select", on_or_below(g, x.shape, offset), x, g.zeros(x.type))


def upper(g: Builder, x: Value, offset: int = 0) -> Value:
    """The matrices x with zeros below the `offset`-th diagonal."""
    return g.emit("select", on_or_below(g, x.shape, offset - 1), g.zeros(x.type), x)
