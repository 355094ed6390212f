"""Elements in ascending order along an axis, where each of them was, and where others would be put in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.op import Cost, Op, Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, TensorType
from gradserve.ops.elementwise.pieces import Counted
from gradserve.ops.family import Discrete, moved_bytes, require, require_arity
from gradserve.ops.indexing.gather import taken_along
from gradserve.ops.reduction.ordered import AlongAxis
from gradserve.ops.registry import register


class Ordering(AlongAxis):
    """What comparing the elements along the axis with each other tells. NaN comes last."""

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where elements are equal. They keep their order, and each has the derivative of the place it comes to."""
        ordered = g.sort(operands[0], axis=self.axis)
        n, rank = ordered.shape[self.axis], ordered.type.rank
        if n < 2:
            return None
        below, above = (
            g.emit(
                "slice",
                ordered,
                starts=tuple(k if axis == self.axis else 0 for axis in range(rank)),
                stops=tuple(n - 1 + k if axis == self.axis else m for axis, m in enumerate(ordered.shape)),
                strides=(1,) * rank,
            )
            for k in (0, 1)
        )
        return g.eq(below, above)

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """n log n comparisons along the axis."""
        n = operands[0].lengths[self.axis]
        return Cost(operands[0].size * math.log2(max(n, 2)), moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Each axis of a matrix, one element, nothing; ties, integers and truth values."""
        matrix = np.cos(np.arange(12.0)).reshape(3, 4)
        yield Sample(cls(0), (matrix,))
        yield Sample(cls(1), (matrix,))
        yield Sample(cls(0), (np.array([2.5]),))
        yield Sample(cls(1), (np.zeros((2, 0)),))
        yield Sample(cls(0), (np.zeros((2, 0)),))
        yield Sample(cls(1), (np.array([[1.0, 0.0, 1.0], [np.inf, 0.0, -0.0]]),), differentiable=False)
        yield Sample(cls(0), (np.array([3, -1, 3]),), differentiable=False)
        yield Sample(cls(0), (np.array([True, False, True]),), differentiable=False)


@register
@dataclass(frozen=True)
class Argsort(Discrete, Ordering):
    """The positions that put the elements along the axis in ascending order, as int64. Equal ones keep their order."""

    name = "argsort"

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (self.operand(*types).with_element_type(ElementType.INT64),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return xp.astype(xp.argsort(arrays[0], axis=self.axis, stable=True), xp.int64)


@register
@dataclass(frozen=True)
class Sort(Ordering):
    """The elements along the axis in ascending order."""

    name = "sort"

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (self.operand(*types),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return xp.sort(arrays[0], axis=self.axis)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The tangents, moved as the elements are."""
        (x,), (dx,) = primals, tangents
        return (None if dx is None else taken_along(g, dx, g.argsort(x, axis=self.axis), self.axis),)


@register
@dataclass(frozen=True)
class Searchsorted(Discrete, Op):
    """For each element of v, how many of the ascending elements of x are before it: below, or not above if `right`.

    As int64. NaN is above everything and equal to itself.
    """

    right: bool

    name = "searchsorted"
    pieces = Counted()
    total = True
    arity = 2
    constraints = {"C0": "two operands", "C1": "x is a vector", "C2": "element types are equal", "K1": "not complex"}

    def coerce(self, g: Builder, operands: Sequence[Operand]) -> tuple[Value, ...]:
        """The operands promoted to one element type."""
        return g.promote(operands)

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 2)
        x, v = types
        require(x.rank == 1, "C1", f"{x} is no vector")
        require(x.element_type is v.element_type, "C2", f"element types differ: {x} and {v}")
        require(not x.is_complex, "K1", f"{x}: complex numbers have no order")
        return (v.with_element_type(ElementType.INT64),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        x, v = arrays
        found = xp.searchsorted(x, xp.reshape(v, (-1,)), side="right" if self.right else "left")
        return xp.astype(xp.reshape(found, v.shape), xp.int64)

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where an element of v is one of x: its place jumps. The derivative is 0, as everywhere."""
        x, v = operands
        if not x.shape[0]:
            return None
        nearest = g.sub(outputs[0], 1) if self.right else outputs[0]
        return g.eq(g.emit("gather", x, g.clip(nearest, 0, x.shape[0] - 1), axis=0), v)

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """Many v are one v with one more axis; many x are compared with all elements of theirs."""
        x, v = operands
        if not batched[0]:
            return g.apply(self, operands)
        rank = v.type.rank - batched[1]
        v = g.reshape(v, (size if batched[1] else 1, *v.shape[batched[1] :], 1))
        x = g.reshape(x, (size, *(1,) * rank, x.shape[1]))
        before = g.logical_or((g.le if self.right else g.lt)(x, v), g.logical_and(g.ne(v, v), self._below_nan(g, x)))
        return (g.reduce_sum(g.convert(before, ElementType.INT64), axes=(rank + 1,)),)

    def _below_nan(self, g: Builder, x: Value) -> Value:
        return g.full(x.type.with_element_type(ElementType.BOOL), True) if self.right else g.eq(x, x)

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """A comparison for each halving."""
        x, v = operands
        return Cost(v.size * math.log2(x.size + 2), moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Between, below and above, at elements; a scalar, nothing on either side, NaN, integers."""
        x = np.array([-1.5, 0.0, 2.0, 2.0])
        for right in (False, True):
            yield Sample(cls(right), (x, np.array([[-2.0, 0.5], [3.0, 1.0]])))
            yield Sample(cls(right), (x, np.array([2.0, -1.5, np.inf])), differentiable=False)
        yield Sample(cls(False), (x, np.array(1.0)))
        yield Sample(cls(False), (np.zeros(0), np.array([1.0, 2.0])))
        yield Sample(cls(True), (x, np.zeros((2, 0))))
        yield Sample(cls(True), (np.array([1.0, np.nan]), np.array([np.nan, 0.5])), differentiable=False)
        yield Sample(cls(False), (np.array([2, 2, 2]), np.array([3, 2, 9])), differentiable=False)
