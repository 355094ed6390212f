"""L and U of square matrices with rows exchanged, as values of which more is made than solutions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, TensorType
from gradserve.ops.contraction.contract import matrix_product
from gradserve.ops.linalg.factors import Lu, OfLu
from gradserve.ops.linalg.matrices import OfMatrix, invertible
from gradserve.ops.linalg.orthogonal import over_triangle
from gradserve.ops.linalg.triangles import lower, upper
from gradserve.ops.registry import register


@register
@dataclass(frozen=True)
class PivotedLu(OfMatrix):
    """L, with ones on its diagonal, and U of a matrix with rows exchanged; the exchanges, and the order of the rows.

    Row k was exchanged with row `exchanges[k]`, for each k in turn; then row k is row `order[k]` of the matrix.
    """

    name = "pivoted_lu"
    takes_complex = True
    flops = 2 / 3

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x = self.require_square(types)
        rows = TensorType(ElementType.INT32, x.shape[:-1])
        return (x, x, rows, rows)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        packed, exchanges = Lu().impl(xp, arrays[0])
        factors = OfLu.parts(xp, packed)
        n = arrays[0].shape[-1]
        order = xp.broadcast_to(xp.arange(n, dtype=xp.int32)[:, None], (*exchanges.shape, 1))
        for k in range(n):
            order = _exchanged(xp, order, exchanges[..., k], k)
        return (*factors, exchanges, xp.asarray(order[..., 0], copy=True))

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """With M = L^-1 P dA U^-1: dL = L tril(M, -1) and dU = triu(M) U."""
        (da,) = tangents
        if da is None:
            return (None, None, None, None)
        left, right, _, order = outputs
        rows = matrix_product(g, exchange(g, order, da.type.element_type), da)
        m = over_triangle(g, g.emit("triangular_solve", left, rows, lower=True, transposed=False), right)
        return (matrix_product(g, left, lower(g, m, -1)), matrix_product(g, upper(g, m), right), None, None)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Matrices that can be inverted, and one whose rows are in another order."""
        for x in invertible():
            yield Sample(cls(), (x,))
        yield Sample(cls(), (next(invertible())[::-1],))


def _exchanged(xp: Any, rows: Array, other: Array, k: int) -> Any:
    """Rows of one element, two of them exchanged."""
    n = rows.shape[-2]
    at_k, at_other = (xp.arange(n) == k)[:, None], (xp.arange(n) == other[..., None])[..., None]
    there = xp.sum(xp.where(at_other, rows, 0), axis=-2, keepdims=True, dtype=rows.dtype)
    return xp.where(at_k, there, xp.where(at_other, rows[..., k : k + 1, :], rows))


def exchange(g: Builder, order: Value, element_type: ElementType) -> Value:
    """The matrices that bring rows into an order."""
    n = order.shape[-1]
    place = g.emit("iota", length=n, element_type=ElementType.INT32)
    return g.convert(g.eq(g.reshape(order, (*order.shape, 1)), place), element_type)
