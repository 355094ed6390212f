"""L and U in one matrix, as LAPACK packs them, with the exchanges of rows."""

from __future__ import annotations

import numpy as np

from gradserve.client.importers.lax import control
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import along, numbers, part, permute
from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy.recorder import Recorder
from gradserve.ops.contraction.contract import matrix_product
from gradserve.ops.control.custom_derivative import CustomDerivative

_WHOLE = np.dtype(np.int64)


def lu(g: Recorder, a: Operand) -> tuple[Value, Value]:
    """L below the diagonal, with ones on its own, and U from it on; and with which row each one was exchanged.

    The exchanges are int64 and count from 0. Derivatives are those of factors of the matrix with these exchanges made;
    where a pivot is zero there are none, and they are refused.
    """
    if not min(a.shape[-2:]):
        return a.value, g.full(a.value.type.with_shape((*a.shape[:-2], 0)).with_element_type(ElementType.INT64), 0)
    function = control.Function.of(g, _factorised, [a])
    results = [Operand(value, dtype) for value, dtype in zip(function.outputs, (a.dtype, _WHOLE), strict=True)]
    rule = control.Function.of(g, _moved, [*results, a, a])
    captured = list(dict.fromkeys([*function.reads(), *rule.reads()]))
    op = CustomDerivative(function.graph(captured), rule.graph(captured), (0,))
    packed, pivots = g.apply(op, [a.value, *captured])
    return packed, pivots


def _factorised(g: Recorder, given: list[Operand]) -> list[Operand]:
    """The factors and the exchanges, step by step."""
    (a,) = given
    count = min(a.shape[-2:])
    packed, pivots = control.scan(g, _eliminated, [a], [Operand(numbers(g, count), _WHOLE)], count, reverse=False)
    last = pivots.type.rank - 1
    return [Operand(packed, a.dtype), Operand(permute(g, pivots, [*range(1, last + 1), 0]), _WHOLE)]


def _moved(g: Recorder, given: list[Operand]) -> list[Operand]:
    """dL and dU in one matrix, of L, U, the exchanges and dA: L tril(X, -1) + triu(X) U with X = L^-1 P dA U^-1.

    L and U are made square by ones on their diagonals.
    """
    packed, pivots, moved, _ = given
    *lead, m, n = packed.shape
    tall, wide = along(g, numbers(g, m), 0, 2), along(g, numbers(g, n), 1, 2)
    below = g.gt(tall, wide)
    left = _squared(g, g.select(below, packed.value, 0), m, set(range(m)))
    right = _squared(g, g.select(below, 0, packed.value), n, set(range(m, n)))
    order = permutation(g, pivots.value, m)
    places = g.eq(g.reshape(order, (*lead, m, 1)), numbers(g, m))
    exchanged = matrix_product(g, g.convert(places, moved.value.type.element_type), moved.value)
    half = g.emit("triangular_solve", left, exchanged, lower=True, transposed=False)
    turned = g.emit("triangular_solve", right, _transposed(g, half), lower=False, transposed=True)
    inside = _transposed(g, turned)
    of_left = matrix_product(g, left, g.select(below, inside, 0))
    return [Operand(g.add(of_left, matrix_product(g, g.select(below, 0, inside), right)), packed.dtype)]


def _squared(g: Builder, factor: Value, size: int, ones: set[int]) -> Value:
    """The first rows and columns of a factor, or more of them with zeros; and ones at places of the diagonal."""
    rank = factor.type.rank
    for axis in (rank - 2, rank - 1):
        factor = part(g, factor, axis, 0, min(size, factor.shape[axis]))
    low, high = (0,) * rank, (*(0,) * (rank - 2), *(size - n for n in factor.shape[-2:]))
    square = g.emit("pad", factor, low=low, high=high, interior=low)
    diagonal = np.diag([float(k in ones) for k in range(size)])
    return g.add(square, g.constant(diagonal, factor.type.element_type))


def _transposed(g: Builder, x: Value) -> Value:
    return permute(g, x, [*range(x.type.rank - 2), x.type.rank - 1, x.type.rank - 2])


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
