"""Sums of products: XLA's general contraction and convolution, and what is solved and factorised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradserve.client.importers.lax.elements import Operand, finished, held
from gradserve.client.importers.lax.movement import along, numbers, padded, part, permute
from gradserve.ir.builder import Builder, Value
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType
from gradserve.numpy import decompositions, eigenvalues, windowing
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.products import matmul
from gradserve.ops.movement.shapes import inverse


def dot_general(
    g: Builder, x: Operand, y: Operand, contract: Sequence[Sequence[int]], batch: Sequence[Sequence[int]], dtype: Any
) -> Value:
    """Sums of products over pairs of axes: batch axes first, then what is left of x and of y."""
    wide = held(dtype)
    if wide is ElementType.BOOL:
        wide = ElementType.INT32
    attributes = {"lhs_contract": tuple(contract[0]), "rhs_contract": tuple(contract[1])}
    attributes |= {"lhs_batch": tuple(batch[0]), "rhs_batch": tuple(batch[1])}
    product = g.emit("contract", g.convert(x.value, wide), g.convert(y.value, wide), **attributes)
    return g.ne(product, 0) if dtype.kind == "b" else finished(g, product, dtype)


def ragged_dot(
    g: Builder,
    x: Operand,
    y: Operand,
    sizes: Operand,
    contract: Sequence[Sequence[int]],
    batch: Sequence[Sequence[int]],
    parts: tuple[int, int],
    dtype: Any,
) -> Value:
    """`dot_general` of each part of x along an axis with its own slice of y along one; `parts` are these axes.

    Raises:
        Unsupported: the axis of x is not one that is left.
    """
    axis, group = parts
    if axis in (*contract[0], *batch[0]) or sizes.rank != 1:
        raise Unsupported("its parts lie along an axis that is summed over, or differ", "use products of the parts")
    ends = g.emit("cumsum", g.convert(sizes.value, ElementType.INT64), axis=0)
    rows = g.reshape(numbers(g, x.shape[axis]), (x.shape[axis], 1))
    below = g.lt(rows, ends)
    own = g.logical_and(below, g.ge(rows, g.sub(ends, g.convert(sizes.value, ElementType.INT64))))
    shape = tuple(x.shape[k] if k == axis else sizes.shape[0] if k == x.rank else 1 for k in range(x.rank + 1))
    apart = g.select(g.reshape(own, shape), g.reshape(x.value, (*x.shape, 1)), 0)
    summed = ((*contract[0], x.rank), (*contract[1], group))
    return dot_general(g, Operand(apart, x.dtype), y, summed, batch, dtype)


@dataclass(frozen=True)
class Convolution:
    """How a convolution goes over its operands."""

    lhs: tuple[int, ...]
    """The axes of the operand: examples, channels, then those along which windows move."""
    rhs: tuple[int, ...]
    """The axes of the kernel: results, channels, then those of a window."""
    out: tuple[int, ...]
    """The axes of the result: examples, results, then those along which windows have moved."""
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    lhs_dilation: tuple[int, ...]
    rhs_dilation: tuple[int, ...]
    feature_groups: int
    batch_groups: int


def convolve(g: Builder, x: Operand, kernel: Operand, how: Convolution, dtype: np.dtype[Any]) -> Value:
    """The inner products of kernels with all windows of x."""
    value, weights = (
        permute(g, g.convert(each.value, held(dtype)), axes) for each, axes in ((x, how.lhs), (kernel, how.rhs))
    )
    count = len(how.strides)
    zero = g.constant(0, held(dtype))
    low, high = ([0, 0, *(max(pair[side], 0) for pair in how.padding)] for side in (0, 1))
    value = padded(g, value, zero, low, high, [0, 0, *(n - 1 for n in how.lhs_dilation)])
    for axis, (before, behind) in enumerate(how.padding, start=2):
        if before < 0 or behind < 0:
            value = part(g, value, axis, max(-before, 0), value.shape[axis] + min(behind, 0))
    extents = [(n - 1) * step + 1 for n, step in zip(weights.shape[2:], how.rhs_dilation, strict=True)]
    lengths = [
        max((n - extent) // step + 1, 0) for n, extent, step in zip(value.shape[2:], extents, how.strides, strict=True)
    ]
    groups = how.batch_groups
    if groups < 1 or value.shape[0] % groups or weights.shape[0] % groups:
        raise Unsupported(f"{groups} groups do not fit examples and results", "give as many groups as divide both")
    if 0 in lengths:
        shape = (value.shape[0] // groups, weights.shape[0], *lengths)
        return permute(g, g.zeros(value.type.with_shape(shape)), inverse(how.out))
    examples, results = value.shape[0] // groups, weights.shape[0] // groups
    made = [
        windowing.convolution(
            part(g, value, 0, k * examples, (k + 1) * examples) if groups > 1 else value,
            part(g, weights, 0, k * results, (k + 1) * results) if groups > 1 else weights,
            how.strides if count else (),
            dilations=how.rhs_dilation,
            groups=how.feature_groups,
        )
        for k in range(groups)
    ]
    joined = g.emit("concatenate", *made, axis=1) if groups > 1 else made[0]
    return finished(g, permute(g, joined, inverse(how.out)), dtype)


def triangular_solve(
    g: Builder, a: Operand, b: Operand, left_side: bool, lower: bool, transpose: bool, unit_diagonal: bool
) -> Value:
    """The X with T X = B, or X T = B if not `left_side`, for a triangle T of a, or its transpose."""
    matrix, right = a.value, b.value
    if unit_diagonal:
        n, rank = matrix.shape[-1], matrix.type.rank
        diagonal = g.eq(along(g, numbers(g, n), rank - 2, rank), along(g, numbers(g, n), rank - 1, rank))
        matrix = g.select(diagonal, 1.0, matrix)
    if left_side:
        return g.emit("triangular_solve", matrix, right, lower=lower, transposed=transpose)
    turned = g.emit("triangular_solve", matrix, transposed(g, right), lower=lower, transposed=not transpose)
    return transposed(g, turned)


def conjugated(g: Builder, x: Operand) -> Operand:
    """The complex conjugate of complex numbers, and others as they are."""
    return Operand(g.conj(x.value), x.dtype) if x.is_complex else x


def transposed(g: Builder, x: Value) -> Value:
    """The last two axes exchanged."""
    rank = x.type.rank
    return permute(g, x, [*range(rank - 2), rank - 1, rank - 2])


def eigh(g: Builder, a: Operand, lower: bool) -> tuple[Value, Value]:
    """Eigenvectors as columns, and eigenvalues in ascending order, of a symmetric matrix."""
    found = decompositions.eigh(a.value, "L" if lower else "U")
    return found.eigenvectors, found.eigenvalues


def eig(g: Builder, a: Operand, vectors: bool) -> list[Value]:
    """The complex eigenvalues of a general matrix, and eigenvectors as columns if they are asked for."""
    return list(eigenvalues.eig(a.value)) if vectors else [eigenvalues.eigvals(a.value)]


def svd(g: Builder, a: Operand, full: bool, vectors: bool) -> list[Value]:
    """Singular values, and U and V^T if they are asked for."""
    if not vectors:
        return [decompositions.svdvals(a.value)]
    found = decompositions.svd(a.value, full)
    assert not isinstance(found, Value)
    return [found.S, found.U, found.Vh]


def qr(g: Builder, a: Operand, full: bool) -> list[Value]:
    """Q with orthonormal columns and R upper triangular."""
    found = decompositions.qr(a.value, "complete" if full else "reduced")
    assert not isinstance(found, Value)
    return list(found)


def cholesky_update(g: Builder, factor: Operand, w: Operand) -> Value:
    """The R with R^T R = F^T F + w w^T, upper triangular as the factor F is."""
    (n,) = w.shape
    column = g.reshape(w.value, (n, 1))
    gram = matmul(transposed(g, factor.value), factor.value)
    return transposed(g, g.emit("cholesky", g.add(gram, g.mul(column, transposed(g, column)))))


def symmetric_product(g: Builder, a: Operand, c: Operand, alpha: float, beta: float) -> Value:
    """alpha A A^T + beta C."""
    return g.add(g.mul(matmul(a.value, transposed(g, a.value)), alpha), g.mul(c.value, beta))


def tridiagonal_solve(g: Builder, below: Operand, diagonal: Operand, above: Operand, b: Operand) -> Value:
    """The X with T X = B, by way of the dense matrix T."""
    n, rank = diagonal.shape[-1], diagonal.rank + 1
    row, column = (along(g, numbers(g, n), rank - 2 + k, rank) for k in (0, 1))
    bands = ((below, 1), (diagonal, 0), (above, -1))
    matrix = g.zeros(diagonal.value.type.with_shape((*diagonal.shape, n)))
    for band, offset in bands:
        wide = g.reshape(band.value, (*band.shape, 1))
        matrix = g.select(g.eq(g.sub(row, column), offset), wide, matrix)
    return g.emit("solve", matrix, b.value)
