"""Products of vectors, matrices and arrays, with NumPy's rules for their axes."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.ir.builder import Operand, Value
from gradserve.numpy.arguments import all_axes, one_axis, promoted, refuse
from gradserve.numpy.labelled import Label, Labelled, product
from gradserve.numpy.shaping import ravel
from gradserve.ops.movement.shapes import permuted


def _contracted(x: Value, y: Value, lhs: Sequence[int], rhs: Sequence[int]) -> Value:
    return x.builder.emit(
        "contract", x, y, lhs_contract=tuple(lhs), rhs_contract=tuple(rhs), lhs_batch=(), rhs_batch=()
    )


def dot(x: Operand, y: Operand) -> Value:
    """Sums over the last axis of x and the last but one of y, or its only one, as np.dot; scalars multiply."""
    _, (a, b) = promoted(x, y)
    if not a.type.rank or not b.type.rank:
        return a * b
    return _contracted(a, b, (a.type.rank - 1,), (max(b.type.rank - 2, 0),))


def vdot(x: Operand, y: Operand) -> Value:
    """The inner product of all elements, as np.vdot."""
    _, (a, b) = promoted(x, y)
    return _contracted(ravel(a), ravel(b), (0,), (0,))


def inner(x: Operand, y: Operand) -> Value:
    """Sums over the last axes of both, as np.inner; scalars multiply."""
    _, (a, b) = promoted(x, y)
    if not a.type.rank or not b.type.rank:
        return a * b
    return _contracted(a, b, (a.type.rank - 1,), (b.type.rank - 1,))


def outer(x: Operand, y: Operand) -> Value:
    """All products of an element of x and an element of y, as np.outer."""
    _, (a, b) = promoted(x, y)
    return _contracted(ravel(a), ravel(b), (), ())


def matmul(x: Operand, y: Operand) -> Value:
    """The product of matrices over the last two axes, as np.matmul.

    Leading axes run together by the rule of broadcasting, but nothing is repeated: an axis that only one operand has
    is a free axis of one contraction. A vector is a row on the left and a column on the right.
    """
    g, (a, b) = promoted(x, y)
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


def tensordot(x: Operand, y: Operand, axes: int | Sequence[int | Sequence[int]] = 2) -> Value:
    """Sums over pairs of axes, as np.tensordot: the last of x with the first of y, or those named."""
    g, (a, b) = promoted(x, y)
    if isinstance(axes, int):
        if not 0 <= axes <= min(a.type.rank, b.type.rank):
            refuse(g, "tensordot", f"{a.type} and {b.type} do not both have {axes} axes")
        return _contracted(a, b, range(a.type.rank - axes, a.type.rank), range(axes))
    lhs, rhs = (all_axes(value, named, "tensordot") for value, named in zip((a, b), axes, strict=True))
    if len(lhs) != len(rhs):
        refuse(g, "tensordot", f"axes {lhs} and {rhs} differ in number")
    return _contracted(a, b, lhs, rhs)


def vecdot(x: Operand, y: Operand, axis: int = -1) -> Value:
    """The inner products along an axis, the others running together by the rule of broadcasting, as np.vecdot."""
    g, (a, b) = promoted(x, y)
    a, b = (
        permuted(g, v, (*(k for k in range(v.type.rank) if k != along), along))
        for v, along in ((a, one_axis(a, axis, "vecdot")), (b, one_axis(b, axis, "vecdot")))
    )
    rank = a.type.rank
    if a.type.shape == b.type.shape:
        along = tuple(range(rank - 1))
        last = (rank - 1,)
        return g.emit("contract", a, b, lhs_contract=last, rhs_contract=last, lhs_batch=along, rhs_batch=along)
    both = a * b
    return g.emit("reduce_sum", both, axes=(both.type.rank - 1,))


def kron(x: Operand, y: Operand) -> Value:
    """Every element of x times the whole of y, laid out as blocks, as np.kron."""
    g, (a, b) = promoted(x, y)
    rank = max(a.type.rank, b.type.rank)
    a, b = (g.reshape(v, (1,) * (rank - v.type.rank) + v.shape) for v in (a, b))
    blocks = _contracted(a, b, (), ())
    order = [axis for pair in zip(range(rank), range(rank, 2 * rank), strict=True) for axis in pair]
    return g.reshape(permuted(g, blocks, order), tuple(m * n for m, n in zip(a.shape, b.shape, strict=True)))
