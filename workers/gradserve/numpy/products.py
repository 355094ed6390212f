"""Products of vectors, matrices and arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported, axes_of, axis_of, integer, lift, promoted, refuse
from gradserve.numpy.labelled import Label, Labelled, product
from gradserve.numpy.repeating import roll
from gradserve.numpy.shaping import expand_dims, moveaxis, ravel, squeeze
from gradserve.numpy.table import implements
from gradserve.ops.elementwise.parts import conjugate
from gradserve.ops.movement.shapes import permuted


def _contracted(g: Builder, x: Value, y: Value, lhs: Sequence[int], rhs: Sequence[int]) -> Value:
    return g.emit("contract", x, y, lhs_contract=tuple(lhs), rhs_contract=tuple(rhs), lhs_batch=(), rhs_batch=())


@implements(np.matmul, np.linalg.matmul)
def matmul(g: Builder, x1: Any, x2: Any) -> Value:
    """The product of matrices.

    Leading axes run together by the rule of broadcasting, but nothing is repeated: an axis that only one operand has
    is a free axis of one contraction. A vector is a row on the left and a column on the right.
    """
    a, b = promoted(g, x1, x2)
    if not a.type.rank or not b.type.rank:
        refuse(g, "matmul", f"scalars have no product of matrices: {a.type} and {b.type}; use *")
    rank = max(a.type.rank, b.type.rank, 2) - 2
    rows: tuple[Label, ...] = ("row", "inner") if a.type.rank > 1 else ("inner",)
    columns: tuple[Label, ...] = ("inner", "column") if b.type.rank > 1 else ("inner",)
    left = Labelled(a, (*range(rank - max(a.type.rank - 2, 0), rank), *rows))
    right = Labelled(b, (*range(rank - max(b.type.rank - 2, 0), rank), *columns))
    lengths = _leading_lengths(left, right, rank)
    order = [label for label in (*range(rank), "row", "column") if label in left.labels + right.labels]
    # Axes of length 1 are left out: they would break the runs of axes that BLAS merges.
    left, right = (operand.without(_ones(operand)) for operand in (left, right))
    present = [label for label in order if label in left.labels + right.labels]
    result = product(left, right, present).ordered(present)
    sizes = {**lengths, "row": a.type.shape[-2:][0], "column": b.type.shape[-1]}
    return g.reshape(result, tuple(sizes[label] for label in order))


def _leading_lengths(x: Labelled, y: Labelled, rank: int) -> dict[Label, int]:
    lengths: dict[Label, int] = {}
    for label in range(rank):
        found = {o.value.shape[o.labels.index(label)] for o in (x, y) if label in o.labels}
        stretched = found - {1} or {1}
        if len(stretched) > 1:
            refuse(x.value.builder, "matmul", f"leading axes of {x.value.type} and {y.value.type} do not broadcast")
        lengths[label] = stretched.pop()
    return lengths


def _ones(operand: Labelled) -> set[Label]:
    pairs = zip(operand.labels, operand.value.shape, strict=True)
    return {label for label, n in pairs if n == 1 and isinstance(label, int)}


@implements(np.vecdot, np.linalg.vecdot)
def vecdot(g: Builder, x1: Any, x2: Any, axis: Any = -1) -> Value:
    """The inner products along an axis, the last one unless named, of the conjugate of the first with the second."""
    a, b = promoted(g, x1, x2)
    a = conjugate(g, a)
    a, b = (
        permuted(g, v, (*(k for k in range(v.type.rank) if k != along), along))
        for v, along in ((a, axis_of(a, axis, "vecdot")), (b, axis_of(b, axis, "vecdot")))
    )
    rank = a.type.rank
    if a.type.shape == b.type.shape:
        along = tuple(range(rank - 1))
        last = (rank - 1,)
        return g.emit("contract", a, b, lhs_contract=last, rhs_contract=last, lhs_batch=along, rhs_batch=along)
    both = g.mul(a, b)
    return g.emit("reduce_sum", both, axes=(both.type.rank - 1,))


def _matvec(g: Builder, x: Value, y: Value) -> Value:
    """The products of matrices and vectors."""
    return squeeze(matmul(x, expand_dims(y, -1)), -1)


def _vecmat(g: Builder, x: Value, y: Value) -> Value:
    """The products of vectors, conjugated, and matrices."""
    return squeeze(matmul(expand_dims(conjugate(g, x), -2), y), -2)


if hasattr(np, "matvec"):  # since NumPy 2.2
    implements(np.matvec)(_matvec)
    implements(np.vecmat)(_vecmat)


@implements(np.dot)
def dot(g: Builder, a: Any, b: Any) -> Value:
    """Sums over the last axis of a and the last but one of b."""
    x, y = promoted(g, a, b)
    if not x.type.rank or not y.type.rank:
        return g.mul(x, y)
    return _contracted(g, x, y, (x.type.rank - 1,), (max(y.type.rank - 2, 0),))


@implements(np.vdot)
def vdot(g: Builder, a: Any, b: Any) -> Value:
    """The inner product of all elements, those of a conjugated."""
    x, y = promoted(g, a, b)
    return _contracted(g, ravel(conjugate(g, x)), ravel(y), (0,), (0,))


@implements(np.inner)
def inner(g: Builder, a: Any, b: Any) -> Value:
    """Sums over the last axes of both."""
    x, y = promoted(g, a, b)
    if not x.type.rank or not y.type.rank:
        return g.mul(x, y)
    return _contracted(g, x, y, (x.type.rank - 1,), (y.type.rank - 1,))


@implements(np.outer)
def outer(g: Builder, a: Any, b: Any) -> Value:
    """All products of two elements."""
    x, y = promoted(g, a, b)
    return _contracted(g, ravel(x), ravel(y), (), ())


@implements(np.linalg.outer)
def linalg_outer(g: Builder, x1: Any, x2: Any) -> Value:
    """All products of two elements."""
    return outer(x1, x2)


@implements(np.kron)
def kron(g: Builder, a: Any, b: Any) -> Value:
    """Blocks: each element of a times b."""
    x, y = promoted(g, a, b)
    rank = max(x.type.rank, y.type.rank)
    x, y = (g.reshape(v, (1,) * (rank - v.type.rank) + v.shape) for v in (x, y))
    order = [axis for pair in zip(range(rank), range(rank, 2 * rank), strict=True) for axis in pair]
    blocks = permuted(g, _contracted(g, x, y, (), ()), order)
    return g.reshape(blocks, tuple(m * n for m, n in zip(x.shape, y.shape, strict=True)))


@implements(np.tensordot)
def tensordot(g: Builder, a: Any, b: Any, axes: Any = 2) -> Value:
    """Sums over pairs of axes."""
    x, y = promoted(g, a, b)
    if not np.iterable(axes):
        count = integer(axes, "axes")
        if not 0 <= count <= min(x.type.rank, y.type.rank):
            refuse(g, "tensordot", f"{x.type} and {y.type} do not both have {count} axes")
        return _contracted(g, x, y, range(x.type.rank - count, x.type.rank), range(count))
    lhs, rhs = (axes_of(value, named, "tensordot") for value, named in zip((x, y), axes, strict=True))
    if len(lhs) != len(rhs):
        refuse(g, "tensordot", f"axes {lhs} and {rhs} differ in number")
    return _contracted(g, x, y, lhs, rhs)


@implements(np.linalg.tensordot)
def linalg_tensordot(g: Builder, x1: Any, x2: Any, axes: Any = 2) -> Value:
    """Sums over pairs of axes."""
    return tensordot(x1, x2, axes)


@implements(np.cross)
def cross(g: Builder, a: Any, b: Any, axisa: Any = -1, axisb: Any = -1, axisc: Any = -1, axis: Any = None) -> Value:
    """The products of vectors with three elements, at right angles to both."""
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = lift(g, a), lift(g, b)
    x, y = moveaxis(x, axis_of(x, axisa, "cross"), -1), moveaxis(y, axis_of(y, axisb, "cross"), -1)
    if x.shape[-1] != 3 or y.shape[-1] != 3:
        raise Unsupported(
            "np.cross of vectors without three elements", "write x[..., 0] * y[..., 1] - x[..., 1] * y[..., 0]"
        )
    x1, x2, y1, y2 = (roll(v, -k, -1) for v in (x, y) for k in (1, 2))
    result = g.sub(g.mul(x1, y2), g.mul(x2, y1))
    return moveaxis(result, -1, axis_of(result, axisc, "cross"))


@implements(np.linalg.cross)
def linalg_cross(g: Builder, x1: Any, x2: Any, axis: Any = -1) -> Value:
    """The products of vectors with three elements."""
    return cross(x1, x2, axis=axis)
