"""Sums over eigenvalues: where what depends on the choice of eigenvectors falls away, and a function of A is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gradserve.autodiff.spectral.forms import SpectralForm, Sums, through
from gradserve.autodiff.spectral.known import Known
from gradserve.ir.builder import Builder, Value
from gradserve.ops.linalg.stacked import part
from gradserve.ops.movement.shapes import Reshape, permuted
from gradserve.ops.reduction.reductions import Extreme


def summed(op: Any, operand: Known, sums: Sums) -> SpectralForm | Value | None:
    """The value of a sum along axes with that of the eigenvalues, the form of one along others."""
    form = operand.form
    if form is None:
        return None
    if form.axis in op.axes:
        return form.summed(op.axes, operand.value.shape, sums)
    return form.within(op.axes, [axis for axis in range(form.rank) if axis not in op.axes])


def extreme(g: Builder, op: Any, operand: Known) -> Value | None:
    """The largest or smallest of a function of eigenvalues; None if this is none.

    Equal ones share its derivative, but of a cluster one alone, so that a tie within it is seen to have no derivative.
    """
    form, value = operand.form, operand.value
    axis = value.type.rank - 1
    plain = form is not None and not form.rows and not form.backwards
    if form is None or not plain or op.axes != (axis,) or form.axis != axis or form.stack_rank != axis:
        return None
    x = form.source.values(form.start, form.stop, free=False)
    count = x.shape[-1]
    fresh = g.emit("ne", part(g, x, 1, count), part(g, x, 0, count - 1))
    first = g.full(fresh.type.with_shape((*fresh.shape[:-1], 1)), True)
    reached = g.emit("eq", value, g.broadcast(g.reshape(g.apply(op, [value])[0], (*x.shape[:-1], 1)), x.type.shape))
    chosen = g.emit("logical_and", reached, g.emit("concatenate", first, fresh, axis=axis))
    share = g.convert(chosen, value.type.element_type)
    total = g.emit("reduce_sum", g.emit("select", chosen, value, 0), axes=(axis,))
    return g.emit("div", total, g.emit("reduce_sum", share, axes=(axis,)))


def single(op: Any, operand: Known) -> Value | None:
    """The largest or the smallest value, or the only one of a form whose axis is dropped, as a trace; else None."""
    form, part, shape = operand.form, operand.part, operand.value.shape
    if isinstance(op, Reshape) and form is not None and form.stop - form.start == 1:
        only = op.shape == (*shape[: form.axis], *shape[form.axis + 1 :])
        return form.summed((form.axis,), shape, Sums.OF_MATRIX) if only else None
    if isinstance(op, Extreme) and part is not None and part.is_values and op.axes == (len(shape) - 1,):
        return part.extreme_form(op).summed(op.axes, (*shape[:-1], 1), Sums.OF_MATRIX)
    return None


def contracted(g: Builder, op: Any, operands: Sequence[Known], sums: Sums) -> SpectralForm | Value | None:
    """The form of a contraction, or its value where a sum over eigenvalues is taken."""
    x, y = operands
    own = list(range(x.value.type.rank))
    theirs = [len(own) + axis for axis in range(y.value.type.rank)]
    pairs = [*zip(op.lhs_contract, op.rhs_contract, strict=True), *zip(op.lhs_batch, op.rhs_batch, strict=True)]
    for left, right in pairs:
        theirs[right] = own[left]
    left_free, right_free = op.free(len(own), len(theirs))
    result = [own[k] for k in (*op.lhs_batch, *left_free)] + [theirs[k] for k in right_free]
    if x.diagonal is not None or y.diagonal is not None:
        return _scaled(x, own, y, theirs, result) or _scaled(y, theirs, x, own, result)
    if x.form is not None and y.form is not None:
        return _both(x, own, y, theirs, result, sums)
    if x.form is not None:
        return through(x.form, own, y.value, theirs, result)
    return None if y.form is None else through(y.form, theirs, x.value, own, result)


def _both(
    x: Known, own: list[int], y: Known, theirs: list[int], result: list[int], sums: Sums
) -> SpectralForm | Value | None:
    """The product of two forms, summed over the common axis of eigenvalues or along it."""
    assert x.form is not None
    assert y.form is not None
    labels = list(dict.fromkeys((*own, *theirs)))
    stack = own[: x.form.stack_rank]
    labels = [*stack, *(label for label in labels if label not in stack)]
    place = {label: k for k, label in enumerate(labels)}
    forms = [
        known.form.renumbered({axis: place[label] for axis, label in enumerate(of)}, len(labels))
        for known, of in ((x, own), (y, theirs))
        if known.form is not None
    ]
    product = None if forms[0] is None or forms[1] is None else forms[0].times(forms[1])
    gone = [place[label] for label in labels if label not in result]
    if product is None:
        return None
    if product.axis not in gone:
        return product.within(gone, [place[label] for label in result])
    lengths = {**dict(zip(theirs, y.value.shape, strict=True)), **dict(zip(own, x.value.shape, strict=True))}
    total = product.summed(gone, [lengths[label] for label in labels], sums)
    in_order = [label for label in labels if label in result]
    return None if total is None else permuted(total.builder, total, [in_order.index(label) for label in result])


def _scaled(
    x: Known, own: Sequence[int], y: Known, theirs: Sequence[int], result: Sequence[int]
) -> SpectralForm | None:
    """The form of x with each of its vectors multiplied by an element of the diagonal of y."""
    if x.form is None or y.diagonal is None or y.diagonal.rows or own[x.form.axis] not in theirs:
        return None
    ends = set(theirs)
    (other,) = ends - {own[x.form.axis]}
    renamed = [other if axis == x.form.axis else label for axis, label in enumerate(own)]
    if sorted(renamed) != sorted(result):
        return None
    moved = x.form.renumbered({axis: result.index(label) for axis, label in enumerate(renamed)}, len(result))
    scale = replace(y.diagonal, axis=result.index(other), rank=len(result))
    return None if moved is None else moved.times(scale)
