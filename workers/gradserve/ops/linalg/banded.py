"""Systems whose matrix has a band: by its diagonals alone, with work and memory in proportion to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import NumericalFailure
from gradserve.ir.guards import Guard
from gradserve.ir.op import Cost, Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, TensorType
from gradserve.ops.family import moved_bytes, require, require_arity, require_floats, work
from gradserve.ops.linalg.solve import System
from gradserve.ops.registry import register


@register
@dataclass(frozen=True)
class BandedSolve(System):
    """The X with M X = B, M given by its diagonals: (..., lower + upper + 1, n), B is (..., n, k).

    Element (i, j) of M stands in row upper + i - j, column j, as LAPACK has it; what would lie outside M is not read.
    Refused where M is singular.
    """

    lower: int
    upper: int

    name = "banded_solve"
    analytic = True
    folds = False
    constraints = {
        **System.constraints,
        "C1": "the first holds lower + upper + 1 diagonals, or is a batch of such",
        "C5": "neither side has more diagonals than the matrix",
    }

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 2)
        a, b = types
        count = self.lower + self.upper + 1
        require(a.rank >= 2 and a.shape[-2] == count, "C1", f"{a} has not {count} diagonals")
        require(b.rank >= 2 and b.shape[-2] == a.shape[-1], "C2", f"{a} and {b} differ in rows")
        require(a.shape[:-2] == b.shape[:-2], "C3", f"leading axes differ: {a} and {b}")
        require(a.element_type is b.element_type, "C4", f"element types differ: {a}, {b}")
        require_floats(self, a, "C4")
        n = a.shape[-1]
        sides = (self.lower, self.upper)
        fits = min(sides) >= 0 and (not isinstance(n, int) or max(sides) < max(n, 1))
        require(fits, "C5", f"{self.lower} and {self.upper} diagonals beside that of {a} are negative or too many")
        return (b,)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        """By the full matrix."""
        a, b = arrays
        n = a.shape[-1]
        i, j = np.indices((n, n))
        row = self.upper + i - j
        inside = (row >= 0) & (row < a.shape[-2])
        places = xp.asarray((np.where(inside, row, 0) * n + j).reshape(-1))
        full = xp.take(xp.reshape(a, (*a.shape[:-2], a.shape[-2] * n)), places, axis=-1)
        full = xp.where(xp.asarray(inside), xp.reshape(full, (*a.shape[:-2], n, n)), xp.zeros((), dtype=a.dtype))
        return xp.linalg.solve(full, b)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """A singular matrix, as its solution shows."""
        text = "Singular matrix: the solution is not finite at {where}"
        return (Guard("R1", text, NumericalFailure, _not_finite),)

    def product(self, g: Builder, a: Value, x: Value) -> Value:
        """Row i is the sum over the diagonals, and row upper + i - j of them is at column j."""
        *lead, count, n = a.shape
        row, i = _rows_and_columns(g, count, n)
        j = g.sub(g.add(i, self.upper), row)
        weights = _at(g, a, row, j)
        here = g.emit("gather", x, g.minimum(g.maximum(j, 0), max(n - 1, 0)), axis=len(lead))
        return g.reduce_sum(g.mul(g.reshape(weights, (*lead, count, n, 1)), here), axes=(len(lead),))

    def adjoint(self, g: Builder, a: Value, b: Value) -> Value:
        """By the diagonals of the transpose, in which lower and upper ones are exchanged."""
        count, n = a.shape[-2:]
        row, j = _rows_and_columns(g, count, n)
        turned = _at(g, a, g.sub(count - 1, row), g.sub(g.add(j, row), self.lower))
        return g.apply(replace(self, lower=self.upper, upper=self.lower), [turned, b])[0]

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """Factors with exchanges of rows within the band, and two triangles for each column."""
        a, b = operands
        width = 2.0 * self.lower + self.upper + 1
        factors = 2.0 * self.lower * width * (a.size / a.lengths[-2])
        return Cost(work(factors + 2.0 * width * b.size, a), moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """One diagonal more below than above, a batch, a diagonal alone, one element, no columns, nothing."""
        a = np.cos(np.arange(16.0)).reshape(4, 4) + np.array([0.0, 4.0, 0.0, 0.0])[:, None]
        b = np.array([[1.0, 2.0], [-0.5, 0.3], [0.7, -1.1], [0.2, 0.9]])
        yield Sample(cls(2, 1), (a, b))
        yield Sample(cls(1, 2), (np.stack([a[::-1], 2.0 + a[::-1]]), np.stack([b, -b])))
        yield Sample(cls(0, 0), (a[1:2], b))
        yield Sample(cls(0, 0), (np.array([[-0.7]]), np.array([[1.4]])))
        yield Sample(cls(2, 1), (a, b[:, :0]))
        yield Sample(cls(0, 0), (np.zeros((2, 1, 0)), np.zeros((2, 0, 1))))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """A zero on the only diagonal."""
        yield "R1", Sample(cls(0, 0), (np.array([[1.0, 0.0]]), np.ones((2, 1))))


def _rows_and_columns(g: Builder, rows: int, columns: int) -> tuple[Value, Value]:
    """The row and the column of each element of a matrix: computed, as a graph that held them would be as large."""
    row, column = (g.emit("iota", length=length, element_type=ElementType.INT64) for length in (rows, columns))
    shape = (rows, columns)
    return g.broadcast(g.reshape(row, (rows, 1)), shape), g.broadcast(column, shape)


def _at(g: Builder, a: Value, row: Value, column: Value) -> Value:
    """The elements of diagonals at these places, 0 where there is no such column."""
    *lead, count, n = a.shape
    inside = g.logical_and(g.ge(column, 0), g.lt(column, n))
    flat = g.reshape(a, (*lead, count * n))
    taken = g.emit("gather", flat, g.select(inside, g.add(g.mul(row, n), column), 0), axis=len(lead))
    return g.select(g.broadcast(inside, taken.shape), taken, 0.0)


def _not_finite(op: BandedSolve, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each row of the solution, if the numbers that it is made of are finite."""
    a, b = operands
    lost = xp.any(xp.logical_not(xp.isfinite(results[0])), axis=-1)
    whole = xp.logical_and(xp.all(xp.isfinite(a), axis=(-2, -1)), xp.all(xp.isfinite(b), axis=(-2, -1)))
    return xp.logical_and(lost, xp.expand_dims(whole, axis=-1))
