"""Factors of matrices as operands of their own: LU with its exchanges, Cholesky's, and reflections."""

from __future__ import annotations

import numpy as np

from gradserve.client.importers.aten.operators.linalg import conjugate_transpose, no_info
from gradserve.client.importers.aten.table import Node, Result, translates
from gradserve.client.importers.lax import factors
from gradserve.client.importers.lax import products as lax
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import part
from gradserve.ir.builder import Value
from gradserve.ir.types import ElementType
from gradserve.ops.contraction.contract import matrix_product


def _packed(n: Node, a: Operand, pivot: bool) -> tuple[Value, Value]:
    if not pivot:
        raise n.refuse("it exchanges no rows", "leave pivot=False out")
    return factors.lu(n.g, a)


def _triangles(n: Node, packed: Value) -> tuple[Value, Value]:
    """L with ones on its diagonal, and U."""
    g, (rows, columns) = n.g, packed.shape[-2:]
    last, count = packed.type.rank - 1, min(rows, columns)
    lower = part(g, packed, last, 0, count)
    below = np.tril(np.ones((rows, count), np.bool_), -1)
    left = g.add(g.select(g.constant(below), lower, 0), g.constant(np.eye(rows, count), packed.type.element_type))
    upper = part(g, packed, last - 1, 0, count)
    return left, g.select(g.constant(np.triu(np.ones((count, columns), np.bool_))), upper, 0)


def _exchanges(n: Node, pivots: Value, rows: int, like: Value) -> Value:
    """The matrix whose product with rows brings them into the order that exchanges, counted from 0, give."""
    g, order = n.g, factors.permutation(n.g, pivots, rows)
    places = g.eq(g.reshape(order, (*order.shape, 1)), g.emit("iota", length=rows, element_type=ElementType.INT64))
    return g.convert(places, like.type.element_type)


def _unpacked(n: Node, packed: Value, pivots: Value) -> list[Value]:
    exchanges = _exchanges(n, pivots, packed.shape[-2], packed)
    return [lax.transposed(n.g, exchanges), *_triangles(n, packed)]


@translates("linalg_lu_factor_ex", "linalg_lu_factor", "_lu_with_info")
def _lu_factor(n: Node, a: Operand, *, pivot: bool = True, check_errors: bool = False) -> Result:
    """L below the diagonal and U from it on; and with which row each one was exchanged, counted from 1."""
    packed, pivots = _packed(n, a, pivot)
    return [packed, n.g.add(pivots, 1), *no_info(n, 2)]


@translates("linalg_lu")
def _lu(n: Node, a: Operand, *, pivot: bool = True) -> Result:
    """The exchanges as a matrix, L and U, whose product is the matrix."""
    return _unpacked(n, *_packed(n, a, pivot))


@translates("lu_unpack")
def _lu_unpack(
    n: Node, packed: Operand, pivots: Operand, unpack_data: bool = True, unpack_pivots: bool = True
) -> Result:
    """The exchanges as a matrix, L and U, of what lies in one."""
    return _unpacked(n, packed.value, _from_zero(n, pivots))


def _from_zero(n: Node, pivots: Operand) -> Value:
    return n.g.sub(n.g.convert(pivots.value, ElementType.INT64), 1)


@translates("linalg_lu_solve")
def _lu_solve(
    n: Node, packed: Operand, pivots: Operand, b: Operand, *, left: bool = True, adjoint: bool = False
) -> Result:
    """The solution of linear systems by factors."""
    right = b.value if left else conjugate_transpose(n, b.value)
    found = _solved(n, packed, pivots, right, adjoint if left else not adjoint)
    return found if left else conjugate_transpose(n, found)


def _solved(n: Node, packed: Operand, pivots: Operand, right: Value, turned: bool) -> Value:
    """A X = B, or the system of the adjoint of A = P L U."""
    g, lead = n.g, n.shape[:-2]
    matrix = g.broadcast(packed.value, (*lead, *packed.shape[-2:]))
    places = g.broadcast(_from_zero(n, pivots), (*lead, pivots.shape[-1]))
    exchanges = _exchanges(n, places, packed.shape[-2], matrix)
    lower, upper = _triangles(n, matrix)
    b = g.broadcast(right, (*lead, *right.shape[-2:]))
    if turned:
        inner = g.emit("triangular_solve", conjugate_transpose(n, upper), b, lower=True, transposed=False)
        outer = g.emit("triangular_solve", conjugate_transpose(n, lower), inner, lower=False, transposed=False)
        return matrix_product(g, lax.transposed(g, exchanges), outer)
    inner = g.emit("triangular_solve", lower, matrix_product(g, exchanges, b), lower=True, transposed=False)
    return g.emit("triangular_solve", upper, inner, lower=False, transposed=False)


@translates("cholesky_solve")
def _cholesky_solve(n: Node, b: Operand, factor: Operand, upper: bool = False) -> Result:
    """The solution of linear systems by Cholesky's factor."""
    return _by_cholesky(n, b.value, factor.value, upper)


def _by_cholesky(n: Node, b: Value, factor: Value, upper: bool) -> Value:
    g, lead = n.g, n.shape[:-2]
    lower = g.broadcast(conjugate_transpose(n, factor) if upper else factor, (*lead, *factor.shape[-2:]))
    right = g.broadcast(b, (*lead, *b.shape[-2:]))
    inner = g.emit("triangular_solve", lower, right, lower=True, transposed=False)
    return g.emit("triangular_solve", conjugate_transpose(n, lower), inner, lower=False, transposed=False)


@translates("cholesky_inverse")
def _cholesky_inverse(n: Node, factor: Operand, upper: bool = False) -> Result:
    """The inverse of the matrix that has this Cholesky factor."""
    unit = n.g.constant(np.eye(factor.shape[-1]), factor.value.type.element_type)
    return _by_cholesky(n, unit, factor.value, upper)


@translates("linalg_householder_product")
def _householder_product(n: Node, a: Operand, scales: Operand) -> Result:
    """The first columns of the product of reflections, whose vectors lie below the diagonal."""
    unit = n.g.constant(np.eye(a.shape[-2], a.shape[-1]), a.value.type.element_type)
    return _reflected(n, a.value, scales.value, n.g.broadcast(unit, n.shape), False)


@translates("ormqr")
def _ormqr(n: Node, a: Operand, scales: Operand, c: Operand, left: bool = True, transpose: bool = False) -> Result:
    """The product of reflections times a matrix, or a matrix times it."""
    if left:
        return _reflected(n, a.value, scales.value, c.value, transpose)
    return conjugate_transpose(n, _reflected(n, a.value, scales.value, conjugate_transpose(n, c.value), not transpose))


def _reflected(n: Node, a: Value, scales: Value, c: Value, turned: bool) -> Value:
    """C - V T V^H C, of T^-1 = D^-1 + the strict upper triangle of V^H V, or its adjoint; D holds the scales."""
    g, last, count = n.g, a.type.rank - 1, scales.shape[-1]
    vectors = _unit_lower(n, part(g, a, last, 0, count))
    inner = matrix_product(g, conjugate_transpose(n, vectors), vectors)
    above = g.select(g.constant(np.triu(np.ones((count, count), np.bool_), 1)), inner, 0)
    rows = g.reshape(scales, (*scales.shape, 1))
    system = g.add(g.mul(rows, above), g.constant(np.eye(count), a.type.element_type))
    seen = matrix_product(g, conjugate_transpose(n, vectors), c)
    if turned:  # T^H = D^H (I + D S)^-H
        solved = g.emit("triangular_solve", conjugate_transpose(n, system), seen, lower=True, transposed=False)
        weighted = g.mul(g.conj(rows) if rows.type.is_complex else rows, solved)
    else:
        weighted = g.emit("triangular_solve", system, g.mul(rows, seen), lower=False, transposed=False)
    return g.sub(c, matrix_product(g, vectors, weighted))


def _unit_lower(n: Node, x: Value) -> Value:
    rows, columns = x.shape[-2:]
    below = np.tril(np.ones((rows, columns), np.bool_), -1)
    return n.g.add(n.g.select(n.g.constant(below), x, 0), n.g.constant(np.eye(rows, columns), x.type.element_type))
