"""Linear systems that JAX solves by maps: here by their matrices, so that derivatives of every order are right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradserve.client.importers.jaxprs.operands import Known, flat
from gradserve.client.importers.jaxprs.reading import Reader, rule
from gradserve.client.importers.lax import control, factors, products
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import permute
from gradserve.ir.builder import Value
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder
from gradserve.ops.movement.shapes import inverse


@rule("custom_linear_solve")
def linear_solve(reader: Reader, g: Recorder, equation: Any, operands: Sequence[Known]) -> Sequence[Known]:
    """The solution of a linear system by its matrix, whatever way JAX would go."""
    params = equation.params
    matvec, count = params["jaxprs"].matvec, params["const_lengths"].matvec
    shared, right = operands[:count], flat(operands[sum(params["const_lengths"]) :])
    if len(right) != 1:
        raise Unsupported("the system is one of several arrays", "join them into one")
    (b,) = right
    product = Product.of(matvec.jaxpr)
    if product is not None:
        (matrix,) = flat([shared[product.matrix]])
        return [Operand(product.solved(g, matrix.value, b.value), b.dtype)]
    if b.rank != 1:
        raise Unsupported("the map of the system is no product with a matrix", "solve for one vector at a time")
    columns = g.reshape(b.value, (*b.shape, 1))
    matrix_of_map = _assembled(reader, g, equation, shared, b)
    return [Operand(g.reshape(g.emit("solve", matrix_of_map, columns), b.shape), b.dtype)]


@dataclass(frozen=True)
class Product:
    """The map x -> A x along some axes, for a matrix A, or a batch of them."""

    matrix: int
    """The number of the operand that is A."""
    axes: tuple[int, ...]
    """Of A: those of the batch, then rows and columns."""
    x_axes: tuple[int, ...]
    """Of x: those of the batch, the one that goes over the columns, then others."""
    order: tuple[int, ...]
    """In which the axes of the product come out: without it those of the batch, of rows, then others."""

    @staticmethod
    def of(body: Any) -> Product | None:
        """What a jaxpr is, if it is such a product."""
        names = [equation.primitive.name for equation in body.eqns]
        if names not in (["dot_general"], ["dot_general", "transpose"]) or body.outvars != body.eqns[-1].outvars:
            return None
        dot, x = body.eqns[0], body.invars[-1]
        (left, right), (batch, other) = dot.params["dimension_numbers"]
        a = dot.invars[0]
        rank, x_rank = (len(variable.aval.shape) for variable in dot.invars)
        rows = [k for k in range(rank) if k not in (*left, *batch)]
        if a not in body.invars[:-1] or dot.invars[1] is not x or len(left) != 1 or len(rows) != 1:
            return None
        if len(names) == 2 and body.eqns[1].invars[0] is not dot.outvars[0]:
            return None
        others = [k for k in range(x_rank) if k not in (*right, *other)]
        order = body.eqns[1].params["permutation"] if len(names) == 2 else range(x_rank)
        return Product(body.invars.index(a), (*batch, *rows, *left), (*other, *right, *others), tuple(order))

    def solved(self, g: Recorder, a: Value, b: Value) -> Value:
        """The x whose product is b."""
        matrix, right = permute(g, a, self.axes), permute(g, b, inverse(self.order))
        lead = matrix.shape[:-2]
        columns = g.reshape(right, (*lead, right.shape[len(lead)], math.prod(right.shape[len(lead) + 1 :])))
        found = g.reshape(g.emit("solve", matrix, columns), right.shape)
        return permute(g, found, inverse(self.x_axes))


@rule("lu")
def lu(reader: Reader, g: Recorder, equation: Any, operands: Sequence[Known]) -> Sequence[Known]:
    """L and U in one matrix, the exchanges of rows, and the order that they bring the rows into."""
    (a,) = flat(operands)
    packed, pivots = factors.lu(g, a)
    order = factors.permutation(g, pivots, a.shape[-2])
    return [Operand(packed, a.dtype), *(_int32(g, value) for value in (pivots, order))]


@rule("lu_pivots_to_permutation")
def permutation(reader: Reader, g: Recorder, equation: Any, operands: Sequence[Known]) -> Sequence[Known]:
    """The order that exchanges bring rows into."""
    (pivots,) = flat(operands)
    whole = g.convert(pivots.value, ElementType.INT64)
    return [_int32(g, factors.permutation(g, whole, equation.params["permutation_size"]))]


def _int32(g: Recorder, value: Value) -> Operand:
    return Operand(g.convert(value, ElementType.INT32), np.dtype(np.int32))


def _assembled(reader: Reader, g: Recorder, equation: Any, shared: Sequence[Known], b: Operand) -> Value:
    """The matrix, from what the map makes of each vector of the basis."""
    n = b.shape[0]
    line = g.emit("iota", length=n, element_type=ElementType.INT64)
    basis = g.convert(g.eq(g.reshape(line, (n, 1)), line), b.value.type.element_type)

    def step(inner: Recorder, given: list[Operand]) -> list[Operand]:
        return flat(reader.called(inner, equation, equation.params["jaxprs"].matvec, [*shared, *given]))

    (columns,) = control.scan(g, step, [], [Operand(basis, b.dtype)], n, reverse=False)
    return products.transposed(g, columns)
