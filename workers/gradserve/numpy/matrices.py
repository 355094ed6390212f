"""Diagonals, triangles and special matrices, with NumPy's arguments."""

from __future__ import annotations

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.types import ElementType
from gradserve.numpy.arguments import lifted, one_axis, refuse
from gradserve.ops.linalg import triangles
from gradserve.ops.movement.shapes import permuted


def diagonal(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """The elements on a diagonal of two axes, along a new last axis, as np.diagonal.

    With the two axes laid end to end these are equally spaced, so that a slice takes them and nothing is computed.
    """
    g, (value,) = lifted(x)
    first, second = one_axis(value, axis1, "diagonal"), one_axis(value, axis2, "diagonal")
    if first == second:
        refuse(g, "diagonal", f"axes {axis1} and {axis2} of {value.type} are one")
    others = tuple(axis for axis in range(value.type.rank) if axis not in (first, second))
    value = permuted(g, value, (*others, first, second))
    *leading, rows, columns = value.shape
    start = offset if offset >= 0 else -offset * columns
    count = max(min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns), 0)
    start, stop = (start, start + (count - 1) * (columns + 1) + 1) if count else (0, 0)
    return g.emit(
        "slice",
        g.reshape(value, (*leading, rows * columns)),
        starts=(*(0 for _ in leading), start),
        stops=(*leading, stop),
        strides=(*(1 for _ in leading), columns + 1),
    )


def trace(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """The sum of the elements on a diagonal, as np.trace."""
    line = diagonal(x, offset, axis1, axis2)
    return line.builder.emit("reduce_sum", line, axes=(line.type.rank - 1,))


def diag(x: Operand, k: int = 0) -> Value:
    """A matrix with the vector x on its k-th diagonal, or the k-th diagonal of the matrix x, as np.diag."""
    g, (value,) = lifted(x)
    if value.type.rank == 2:
        return diagonal(value, k)
    if value.type.rank != 1:
        refuse(g, "diag", f"{value.type} is neither a vector nor a matrix")
    (length,) = value.shape
    size = length + abs(k)
    start = k if k >= 0 else -k * size
    spread = length + (length - 1) * size if length else 0
    flat = g.emit("pad", value, low=(start,), high=(size * size - start - spread,), interior=(size,))
    return g.reshape(flat, (size, size))


def tril(x: Operand, k: int = 0) -> Value:
    """The matrices x with zeros above the k-th diagonal, as np.tril."""
    g, (value,) = lifted(x)
    _require_matrix(g, value, "tril")
    return triangles.lower(g, value, k)


def triu(x: Operand, k: int = 0) -> Value:
    """The matrices x with zeros below the k-th diagonal, as np.triu."""
    g, (value,) = lifted(x)
    _require_matrix(g, value, "triu")
    return triangles.upper(g, value, k)


def _require_matrix(g: Builder, value: Value, function: str) -> None:
    if value.type.rank < 2:
        refuse(g, function, f"{value.type} is no matrix")


def eye(
    g: Builder, rows: int, columns: int | None = None, k: int = 0, element_type: ElementType = ElementType.FLOAT64
) -> Value:
    """Ones on the k-th diagonal and zeros elsewhere, as np.eye."""
    width = rows if columns is None else columns
    row = g.reshape(g.emit("iota", length=rows, element_type=ElementType.INT64), (rows, 1))
    column = g.emit("iota", length=width, element_type=ElementType.INT64)
    return g.convert(g.emit("eq", row + k, column), element_type)


def one_hot(indices: Operand, length: int, element_type: ElementType = ElementType.FLOAT64) -> Value:
    """For each index a vector of zeros with a one at that position, along a new last axis; no one if it is outside."""
    g, (value,) = lifted(indices)
    positions = g.emit("iota", length=length, element_type=value.type.element_type)
    return g.convert(g.emit("eq", g.reshape(value, (*value.type.shape, 1)), positions), element_type)
