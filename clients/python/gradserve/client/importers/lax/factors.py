"""Factors as LAPACK packs them: L and U in one matrix, with exchanges of rows; R, above what Q is made of."""

from __future__ import annotations

import math

import numpy as np

from gradserve.client.importers.lax import control
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import along, numbers, part, permute
from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy import decompositions
from gradserve.numpy.recorder import Recorder
from gradserve.ops.movement.shapes import constant_behind

_WHOLE = np.dtype(np.int64)


def lu(g: Recorder, a: Operand) -> tuple[Value, Value]:
    """L below the diagonal, with ones on its own, and U from it on; and with which row each one was exchanged.

    The exchanges are int64 and count from 0. Derivatives are those of factors of the matrix with these exchanges made.
    """
    count = min(a.shape[-2:])
    if not count:
        return a.value, g.full(a.value.type.with_shape((*a.shape[:-2], 0)).with_element_type(ElementType.INT64), 0)
    packed, pivots = control.scan(g, _eliminated, [a], [Operand(numbers(g, count), _WHOLE)], count, reverse=False)
    last = pivots.type.rank - 1
    return packed, permute(g, pivots, [*range(1, last + 1), 0])


def _eliminated(g: Recorder, given: list[Operand]) -> list[Operand]:
    """The matrix with one more row exchanged for the largest below, and taken away from those; and which it was."""
    (matrix, step), rank = given, given[0].rank
    packed, k = matrix.value, step.value
    rows, columns = (numbers(g, n) for n in matrix.shape[-2:])
    column = g.emit("gather", packed, k, axis=rank - 1)
    sizes = g.select(g.lt(rows, k), -1.0, g.abs(g.stop_gradient(column)))
    pivot = g.emit("argmax", sizes, axis=rank - 2)
    tall, wide = along(g, rows, rank - 2, rank), along(g, columns, rank - 1, rank)
    chosen = g.eq(tall, g.reshape(pivot, (*pivot.shape, 1, 1)))
    upper = g.reshape(g.emit("gather", packed, k, axis=rank - 2), (*matrix.shape[:-2], 1, matrix.shape[-1]))
    row = g.reshape(g.reduce_sum(g.select(chosen, packed, 0), axes=(rank - 2,)), upper.shape)
    packed = g.select(g.eq(tall, k), row, g.select(chosen, upper, packed))
    diagonal = g.reshape(g.emit("gather", row, k, axis=rank - 1), (*matrix.shape[:-2], 1, 1))
    below = g.reshape(g.emit("gather", packed, k, axis=rank - 1), (*matrix.shape[:-1], 1))
    regular = g.logical_and(g.gt(tall, k), g.ne(diagonal, 0))
    shares = g.select(regular, g.div(below, g.select(g.eq(diagonal, 0), 1, diagonal)), 0)
    left = g.sub(packed, g.mul(shares, g.select(g.gt(wide, k), row, 0)))
    packed = g.select(g.logical_and(g.eq(wide, k), regular), shares, left)
    return [Operand(packed, matrix.dtype), Operand(g.convert(pivot, ElementType.INT64), _WHOLE)]


def permutation(g: Recorder, pivots: Value, size: int) -> Value:
    """The rows in the order that these exchanges, made one after the other, bring them into; int64."""
    *lead, count = pivots.shape
    start = g.broadcast(numbers(g, size), (*lead, size))
    if not count:
        return start
    last = len(lead)
    rows = [Operand(permute(g, pivots, [last, *range(last)]), _WHOLE), Operand(numbers(g, count), _WHOLE)]

    def exchanged(inner: Recorder, given: list[Operand]) -> list[Operand]:
        order, pivot, step = (each.value for each in given)
        at_pivot = inner.eq(numbers(inner, size), inner.reshape(pivot, (*lead, 1)))
        own = inner.reshape(inner.emit("gather", order, step, axis=last), (*lead, 1))
        other = inner.reduce_sum(inner.select(at_pivot, order, 0), axes=(last,))
        moved = inner.select(at_pivot, own, order)
        at_step = inner.eq(numbers(inner, size), step)
        return [Operand(inner.select(at_step, inner.reshape(other, (*lead, 1)), moved), _WHOLE)]

    (order,) = control.scan(g, exchanged, [Operand(start, _WHOLE)], rows, count, reverse=False)
    return order


def reflected(g: Builder, a: Operand) -> tuple[Value, Value]:
    """R with NaN below it, and NaN for each of the reflections that Q is the product of.

    What LAPACK leaves there, nothing but a product of these reflections reads: it is found by `orthogonal`.
    """
    m, n = a.shape[-2:]
    rank, count = a.rank, min(m, n)
    r = decompositions.qr(a.value, "r")
    assert isinstance(r, Value)
    high = tuple(m - count if axis == rank - 2 else 0 for axis in range(rank))
    padded = g.emit("pad", r, low=(0,) * rank, high=high, interior=(0,) * rank)
    above = g.le(along(g, numbers(g, m), rank - 2, rank), along(g, numbers(g, n), rank - 1, rank))
    unknown = g.mul(g.stop_gradient(a.value), math.nan)
    return g.select(above, padded, unknown), g.full(a.value.type.with_shape((*a.shape[:-2], count)), math.nan)


def orthogonal(g: Builder, packed: Operand, scales: Operand, columns: int) -> Value | None:
    """The first columns of the product of these reflections; None if they are not those of a factorisation."""
    told, made = constant_behind(g, scales.value), g.producer(packed.value)
    while made is not None and made.op.name in ("slice", "pad") and not any(_before(made.op)):
        made = g.producer(made.operands[0])
    known = told is not None and np.isnan(told).all() and made is not None and made.op.name == "select"
    under = g.producer(made.operands[2]) if made is not None and known else None
    scaled = constant_behind(g, under.operands[1]) if under is not None and under.op.name == "mul" else None
    still = g.producer(under.operands[0]) if under is not None and scaled is not None else None
    if still is None or scaled is None or not np.isnan(scaled).all():
        return None
    factors = decompositions.qr(still.operands[0], "reduced" if columns <= packed.shape[-1] else "complete")
    assert not isinstance(factors, Value)
    return part(g, factors[0], packed.rank - 1, 0, columns)


def _before(op: object) -> tuple[int, ...]:
    """What a slice takes away, or a pad puts, before the elements."""
    return tuple(getattr(op, "starts", None) or getattr(op, "low", ()))
