"""Systems with sparse matrices, given by their elements with rows and columns: work and memory in proportion.

Elements come in any order, and those in equal places add up.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.op import Absorbed, Op, Unknown
from gradserve.ir.types import TensorType
from gradserve.ops.absorption import absorbed_over
from gradserve.ops.family import only, require, require_arity, require_floats, total, with_batch
from gradserve.ops.indexing.gather import OUTSIDE, offset_indices
from gradserve.ops.movement.shapes import permuted


class SparseSystem(Op):
    """The X with M X = B, or M^T X = B if `transposed`.

    Operands are elements of M, their rows, their columns, what else is known of M, and B of shape (n, k).
    """

    transposed: bool
    """Whether it is the transpose that is solved with."""

    takes_complex = True
    analytic = True
    folds = False
    constraints: ClassVar[dict[str, str]] = {
        "C1": "the first three are vectors of one length",
        "C2": "rows and columns are integers",
        "C4": "element types of the others are equal, real or complex",
    }

    @property
    def last(self) -> int:
        """Which operand is B."""
        return max(self.linear_in or (0,))

    def coerce(self, g: Builder, operands: Sequence[Operand]) -> tuple[Value, ...]:
        """All but rows and columns promoted to one element type."""
        if len(operands) != self.arity:
            return tuple(g.lift(operand) for operand in operands)
        elements, rows, columns, *others = operands
        first, *rest = g.promote([elements, *others])
        return (first, g.lift(rows), g.lift(columns), *rest)

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, self.last + 1)
        elements, rows, columns, *others = types
        alike = elements.rank == 1 and elements.shape == rows.shape == columns.shape
        require(alike, "C1", f"{elements}, {rows} and {columns} are no vectors of one length")
        whole = rows.element_type.is_integer and columns.element_type.is_integer
        require(whole, "C2", f"rows and columns must be integers, not {rows} and {columns}")
        self.require_rows(others)
        equal = all(other.element_type is elements.element_type for other in others)
        require(equal, "C4", f"element types differ: {', '.join(map(str, (elements, *others)))}")
        require_floats(self, elements, "C4")
        return (others[-1],)

    @abstractmethod
    def require_rows(self, others: Sequence[TensorType]) -> None:
        """Checks what is known of the matrix beside its elements, and B."""

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """M dX = dB - dM X, where dM is as sparse as M is."""
        (x,), moved = outputs, tangents[0]
        terms = [tangents[self.last], *self.along_others(g, x, tangents[3 : self.last])]
        if moved is not None:
            _, rows, columns, *_ = primals
            there, here = (columns, rows) if self.transposed else (rows, columns)
            weights = g.reshape(self.read(g, moved, rows, columns), (*moved.type.lengths, 1))
            gathered = g.emit("gather", x, here, axis=0)
            terms.append(-g.emit("scatter_add", g.mul(weights, gathered), there, axis=0, length=x.shape[0]))
        change = total(g, terms)
        return (None,) if change is None else g.apply(self, [*primals[: self.last], change])

    def read(self, g: Builder, elements: Value, rows: Value, columns: Value) -> Value:
        """The elements, 0 in the place of those that are not read."""
        return elements

    def along_others(self, g: Builder, x: Value, tangents: Sequence[Value | None]) -> list[Value | None]:
        """What moves with what is known of the matrix beside its elements."""
        return []

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """A solve with the transposed matrix."""
        known = [x for x in operands[: self.last] if isinstance(x, Value)]
        return (*(None for _ in known), g.apply(self.turned, [*known, only(cotangents)])[0])

    @property
    @abstractmethod
    def turned(self) -> SparseSystem:
        """The op for the transpose."""

    def absorbing(self, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> Absorbed:
        """0 for a right-hand side of zeros."""
        right = reach[self.last]
        assert right is not None
        return absorbed_over(g, g.apply(self, operands)[0], [(operands[self.last], right)], 2, (-2,))

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """Right-hand sides alone become columns; several matrices lie one after the other on one diagonal."""
        if not any(batched[: self.last]):
            _, n, count = operands[-1].shape
            columns = g.reshape(permuted(g, operands[-1], (1, 0, 2)), (n, size * count))
            apart = g.reshape(g.apply(self, [*operands[: self.last], columns])[0], (n, size, count))
            return (permuted(g, apart, (1, 0, 2)),)
        each = [with_batch(g, x, is_batched, size) for x, is_batched in zip(operands, batched, strict=True)]
        n, count = each[-1].shape[1:]
        each[1:3] = [offset_indices(g, x, n) for x in each[1:3]]
        joined = [g.reshape(x, (x.type.size,)) for x in each[:-1]]
        found = g.apply(self.stacked(size), [*joined, g.reshape(each[-1], (size * n, count))])[0]
        return (g.reshape(found, (size, n, count)),)

    def stacked(self, size: int) -> SparseSystem:
        """The op for so many matrices on one diagonal."""
        return self


def outside(op: SparseSystem, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each element: its row or its column is none of the matrix."""
    _, rows, columns, *_, b = operands
    low = xp.logical_or(rows < 0, columns < 0)
    return xp.logical_or(low, xp.logical_or(rows >= b.shape[0], columns >= b.shape[0]))


AWAY = f"{OUTSIDE}: that of element {{where}}"


def dense(xp: Any, elements: Any, rows: Any, columns: Any, n: int) -> Any:
    """The full matrix."""
    places = xp.arange(n)
    by_row = xp.astype(xp.expand_dims(rows, axis=1) == places, elements.dtype)
    by_column = xp.astype(xp.expand_dims(columns, axis=1) == places, elements.dtype)
    return xp.matrix_transpose(by_row * xp.expand_dims(elements, axis=1)) @ by_column
