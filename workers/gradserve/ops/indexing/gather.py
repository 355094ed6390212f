"""Elements taken at computed positions: gather, its transpose scatter_add, and iota."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import NumericalFailure
from gradserve.ir.guards import Guard
from gradserve.ir.op import Cost, Op, Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, Shape, TensorType
from gradserve.ops.family import Multilinear, moved_bytes, only, require, require_arity, with_batch
from gradserve.ops.movement.shapes import inverse, permuted
from gradserve.ops.registry import register


@register
@dataclass(frozen=True)
class Gather(Multilinear):
    """The slices of x along `axis` at the indices; shape: lengths before the axis, of the indices, after the axis.

    Indices lie in [0, length); any other is refused.
    """

    axis: int

    name = "gather"
    arity = 2
    linear_in = (0,)
    constraints = {"C0": "two operands", "C1": "axis is an axis of the first", "C2": "indices are integers"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 2)
        x, indices = types
        require(0 <= self.axis < x.rank, "C1", f"{x} has no axis {self.axis}")
        require(indices.element_type.is_integer, "C2", f"indices must be integers, not {indices}")
        return (x.with_shape((*x.shape[: self.axis], *indices.shape, *x.shape[self.axis + 1 :])),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        x, indices = arrays
        flat = xp.take(x, xp.reshape(indices, (-1,)), axis=self.axis)
        return xp.reshape(flat, (*x.shape[: self.axis], *indices.shape, *x.shape[self.axis + 1 :]))

    @property
    def guards(self) -> tuple[Guard, ...]:
        """Indices outside."""
        return (inside_guard(lambda op, operands: operands[0].shape[op.axis]),)

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The cotangents added up at the positions that they were taken from."""
        x, indices = operands
        assert isinstance(indices, Value)
        length = x.type.lengths[self.axis]
        return (g.emit("scatter_add", only(cotangents), indices, axis=self.axis, length=length), None)

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        x, indices = operands
        axis = self.axis
        if not batched[1]:
            return (g.emit("gather", x, indices, axis=axis + 1),)
        if not batched[0]:
            taken = g.emit("gather", x, indices, axis=axis)
            return (permuted(g, taken, (axis, *range(axis), *range(axis + 1, taken.type.rank))),)
        length = x.shape[axis + 1]
        taken = g.emit("gather", _joined(g, x, axis), offset_indices(g, indices, length), axis=axis)
        return (permuted(g, taken, (axis, *range(axis), *range(axis + 1, taken.type.rank))),)

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """Only the slices that are taken are read."""
        return Cost(0.0, moved_bytes([operands[1], results[0]], results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Rows, one of them twice; columns at a matrix of indices; one slice; nothing."""
        x = np.arange(12.0).reshape(3, 4)
        yield Sample(cls(0), (x, np.array([2, 0, 2, 1])))
        yield Sample(cls(1), (x, np.array([[3, 0], [1, 1]])))
        yield Sample(cls(1), (x, np.array(2)))
        yield Sample(cls(0), (x[:0], np.zeros((0, 2), np.int64)))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """Indices behind the end and before the beginning."""
        for index in (3, -1):
            yield "R1", Sample(cls(0), (np.arange(3.0), np.array([[0, index]])))


@register
@dataclass(frozen=True)
class ScatterAdd(Multilinear):
    """Zeros with the updates added at the indices along `axis`: the transpose of gather.

    Executors add updates that share an index in their order, so that the sum has the same bits each time. Indices lie
    in [0, length); any other is refused.
    """

    axis: int
    length: int

    name = "scatter_add"
    folds = False
    arity = 2
    linear_in = (0,)
    constraints = {
        "C0": "two operands",
        "C1": "the updates have the lengths of the indices from the axis on",
        "C2": "indices are integers",
        "C3": "length is not negative",
        "C4": "updates are numbers",
    }

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 2)
        updates, indices = types
        axis, end = self.axis, self.axis + indices.rank
        require(indices.element_type.is_integer, "C2", f"indices must be integers, not {indices}")
        fits = axis >= 0 and updates.shape[axis:end] == indices.shape and end <= updates.rank
        require(fits, "C1", f"{updates} does not have the lengths of {indices} from axis {axis} on")
        require(self.length >= 0, "C3", f"length {self.length} is negative")
        require(updates.element_type is not ElementType.BOOL, "C4", f"updates must be numbers, not {updates}")
        return (updates.with_shape((*updates.shape[:axis], self.length, *updates.shape[end:])),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        updates, indices = arrays
        end = self.axis + len(indices.shape)
        before, after = updates.shape[: self.axis], updates.shape[end:]
        flat = xp.reshape(updates, (*before, 1, indices.size, *after))
        hits = xp.reshape(indices, (1, -1)) == xp.reshape(xp.arange(self.length), (-1, 1))
        hits = xp.reshape(hits, (*hits.shape, *(1,) * len(after)))
        return xp.sum(xp.where(hits, flat, xp.zeros_like(flat)), axis=self.axis + 1, dtype=updates.dtype)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """Indices outside."""
        return (inside_guard(lambda op, operands: op.length),)

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The cotangent at the positions that the updates were added to."""
        indices = operands[1]
        assert isinstance(indices, Value)
        return (g.emit("gather", only(cotangents), indices, axis=self.axis), None)

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        updates, indices = operands
        axis, length = self.axis, self.length
        if not batched[1]:
            return (g.emit("scatter_add", updates, indices, axis=axis + 1, length=length),)
        updates = with_batch(g, updates, batched[0], size)
        updates = permuted(g, updates, (*range(1, axis + 1), 0, *range(axis + 1, updates.type.rank)))
        summed = g.emit("scatter_add", updates, offset_indices(g, indices, length), axis=axis, length=size * length)
        shape = summed.shape
        apart = g.reshape(summed, (*shape[:axis], size, length, *shape[axis + 1 :]))
        return (permuted(g, apart, (axis, *range(axis), *range(axis + 1, apart.type.rank))),)

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """One addition for each update."""
        return Cost(float(operands[0].size), moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Indices that meet and one never hit; columns at a matrix of indices; one slice; nothing."""
        yield Sample(cls(0, 4), (np.arange(1.0, 4.0), np.array([2, 0, 2])))
        yield Sample(cls(1, 3), (np.arange(16.0).reshape(2, 2, 2, 2), np.array([[2, 0], [0, 0]])))
        yield Sample(cls(1, 3), (np.arange(2.0), np.array(2)))
        yield Sample(cls(0, 2), (np.zeros((0, 3)), np.zeros(0, np.int64)))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """Indices behind the end and before the beginning."""
        for index in (3, -1):
            yield "R1", Sample(cls(0, 3), (np.arange(2.0), np.array([0, index])))


@register
@dataclass(frozen=True)
class Iota(Op):
    """The numbers 0, 1, ..., length - 1."""

    length: int
    element_type: ElementType

    name = "iota"
    total = True
    arity = 0
    constraints = {"C0": "no operands", "C1": "length is not negative", "C2": "the elements are numbers"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 0)
        require(self.length >= 0, "C1", f"length {self.length} is negative")
        require(self.element_type is not ElementType.BOOL, "C2", "truth values cannot be counted")
        return (TensorType(self.element_type, (self.length,)),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return xp.arange(self.length, dtype=self.element_type.dtype_in(xp))

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """Zero: there is nothing to differentiate with respect to."""
        return (None,)

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        return (with_batch(g, g.apply(self, [])[0], False, size),)

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        return Cost(0.0, moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Five numbers of either sort, and none."""
        yield Sample(cls(5, ElementType.INT64), ())
        yield Sample(cls(5, ElementType.FLOAT32), ())
        yield Sample(cls(0, ElementType.FLOAT64), ())


def taken_along(g: Builder, x: Value, positions: Value, axis: int) -> Value:
    """For each vector of x along the axis, its elements at the positions in the same place."""
    rank = x.type.rank
    order = (*(k for k in range(rank) if k != axis), axis)
    rows, places = permuted(g, x, order), permuted(g, positions, order)
    *before, length = rows.shape
    count = math.prod(before)
    flat = offset_indices(g, g.reshape(places, (count, places.shape[-1])), length)
    taken = g.emit("gather", g.reshape(rows, (count * length,)), flat, axis=0)
    return permuted(g, g.reshape(taken, places.shape), inverse(order))


def _joined(g: Builder, x: Value, axis: int) -> Value:
    """A batch of arrays, its batch axis joined with `axis` of the arrays."""
    x = permuted(g, x, (*range(1, axis + 1), 0, *range(axis + 1, x.type.rank)))
    shape: Shape = x.type.lengths
    return g.reshape(x, (*shape[:axis], x.shape[axis] * x.shape[axis + 1], *shape[axis + 2 :]))


def offset_indices(g: Builder, indices: Value, length: int) -> Value:
    """Indices into an axis joined with the batch axis; those outside their own part become -1, to be refused still."""
    indices = g.convert(indices, ElementType.INT64)  # 32 bits may be too few for size * length
    size = indices.shape[0]
    number = g.emit("iota", length=size, element_type=ElementType.INT64)
    first = g.broadcast(g.reshape(number * length, (size, *(1,) * (indices.type.rank - 1))), indices.type.shape)
    inside = g.emit("logical_and", g.emit("ge", indices, 0), g.emit("lt", indices, length))
    return g.emit("select", inside, indices + first, g.full(indices.type, -1))


OUTSIDE = "an index lies outside the axis that it points into"


def inside_guard(length: Callable[[Any, Sequence[Any]], int]) -> Guard:
    """That of the second operand, indices into an axis of this length, which is told from the op and its operands."""

    def outside(op: Op, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
        indices = operands[1]
        return xp.logical_or(indices < 0, indices >= length(op, operands))

    return Guard("R1", f"{OUTSIDE}: that at {{where}}", NumericalFailure, outside)
