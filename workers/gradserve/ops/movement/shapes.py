"""Ops that move elements and compute nothing: each is linear, and its transpose moves them back."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Literal
from gradserve.ir.op import Cost, Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, Length, Shape, Symbol, TensorType
from gradserve.ops.family import Linear, moved_bytes, only, require, require_arity, with_batch
from gradserve.ops.registry import register


def permuted(g: Builder, value: Value, order: Sequence[int]) -> Value:
    """The value with axis `order[k]` as axis k; itself if that changes nothing."""
    if tuple(order) == tuple(range(value.type.rank)):
        return value
    return g.emit("permute", value, order=tuple(order))


def inverse(order: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes `order`."""
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def known(length: Length, constraint: str) -> int:
    """The length as a number.

    Raises:
        ConstraintError: it is a symbol.
    """
    require(not isinstance(length, Symbol), constraint, f"length {length} must be a number here; bind it first")
    assert isinstance(length, int)
    return length


class Movement(Linear):
    """One operand, whose elements appear unchanged in the result."""

    view = True
    fills = True
    total = True

    @abstractmethod
    def result_shape(self, operand: TensorType) -> Shape:
        """The shape of the result.

        Raises:
            ConstraintError: the operand breaks a numbered constraint.
        """

    @abstractmethod
    def pullback(self, g: Builder, cotangent: Value, operand: TensorType) -> Value:
        """The cotangent moved back to where the operand had its elements."""

    @abstractmethod
    def push(self, g: Builder, value: Value, size: int) -> Value:
        """The result for a value that carries a leading batch axis of length `size`."""

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 1)
        return (types[0].with_shape(self.result_shape(types[0])),)

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        return (self.pullback(g, only(cotangents), operands[0].type),)

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        return (self.push(g, with_batch(g, operands[0], batched[0], size), size),)

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """No FLOPs; a view moves no bytes either."""
        return Cost(0.0, 0.0 if self.view else moved_bytes(operands, results))


@register
@dataclass(frozen=True)
class Reshape(Movement):
    """The elements in row-major order, in another shape."""

    shape: Shape

    name = "reshape"
    constraints = {"C0": "one operand", "C1": "the new shape has as many elements", "C2": "lengths are not negative"}

    def result_shape(self, operand: TensorType) -> Shape:
        shown = operand.with_shape(self.shape)
        require(all(isinstance(n, Symbol) or n >= 0 for n in self.shape), "C2", f"a length of {shown} is negative")
        require(_factors(operand.shape) == _factors(self.shape), "C1", f"{operand} and {shown} differ in size")
        return self.shape

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return xp.reshape(arrays[0], self.shape)

    def pullback(self, g: Builder, cotangent: Value, operand: TensorType) -> Value:
        return g.reshape(cotangent, operand.shape)

    def push(self, g: Builder, value: Value, size: int) -> Value:
        return g.reshape(value, (size, *self.shape))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """A matrix flattened, a scalar raised and lowered, nothing at all."""
        yield Sample(cls((6,)), (np.arange(6.0).reshape(2, 3),))
        yield Sample(cls((1, 1)), (np.array(2.5),))
        yield Sample(cls(()), (np.array([[2.5]]),))
        yield Sample(cls((3, 0)), (np.zeros((0, 2)),))


def _factors(shape: Shape) -> tuple[int, Counter[Symbol]]:
    """The size of a shape as a number times symbols."""
    numbers = [length for length in shape if isinstance(length, int)]
    return math.prod(numbers), Counter(length for length in shape if isinstance(length, Symbol))


@register
@dataclass(frozen=True)
class Permute(Movement):
    """The axes in another order: axis k of the result is axis `order[k]` of the operand."""

    order: tuple[int, ...]

    name = "permute"
    constraints = {"C0": "one operand", "C1": "order names every axis once"}

    def result_shape(self, operand: TensorType) -> Shape:
        fits = sorted(self.order) == list(range(operand.rank))
        require(fits, "C1", f"order {self.order} does not name every axis of {operand} once")
        return tuple(operand.shape[axis] for axis in self.order)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return xp.permute_dims(arrays[0], self.order)

    def pullback(self, g: Builder, cotangent: Value, operand: TensorType) -> Value:
        return permuted(g, cotangent, inverse(self.order))

    def push(self, g: Builder, value: Value, size: int) -> Value:
        return permuted(g, value, (0, *(axis + 1 for axis in self.order)))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """A cycle of three axes, a transpose of nothing, a scalar."""
        yield Sample(cls((2, 0, 1)), (np.arange(24.0).reshape(2, 3, 4),))
        yield Sample(cls((1, 0)), (np.zeros((0, 2)),))
        yield Sample(cls(()), (np.array(2.5),))


@register
@dataclass(frozen=True)
class BroadcastTo(Movement):
    """The elements repeated by NumPy's rule: along new leading axes and along axes of length 1."""

    shape: Shape

    name = "broadcast_to"
    constraints = {"C0": "one operand", "C1": "every length, counted from the last, is that of the shape or 1"}

    def result_shape(self, operand: TensorType) -> Shape:
        pairs = zip(operand.shape[::-1], self.shape[::-1], strict=False)
        fits = operand.rank <= len(self.shape) and all(n in (m, 1) for n, m in pairs)
        require(fits, "C1", f"{operand} does not broadcast to {operand.with_shape(self.shape)}")
        return self.shape

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return xp.broadcast_to(arrays[0], self.shape)

    def pullback(self, g: Builder, cotangent: Value, operand: TensorType) -> Value:
        """The sum over repeated elements: the one place where a broadcast is undone."""
        new = len(self.shape) - operand.rank
        stretched = [k for k, n in enumerate(operand.shape, start=new) if n != self.shape[k]]
        axes = (*range(new), *stretched)
        return g.reshape(g.emit("reduce_sum", cotangent, axes=axes) if axes else cotangent, operand.shape)

    def push(self, g: Builder, value: Value, size: int) -> Value:
        new = len(self.shape) - (value.type.rank - 1)
        return g.broadcast(g.reshape(value, (size, *(1,) * new, *value.type.shape[1:])), (size, *self.shape))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """New axes, stretched axes, both, neither, a scalar, stretches to nothing and of nothing."""
        yield Sample(cls((2, 3)), (np.arange(3.0),))
        yield Sample(cls((4, 2, 3)), (np.arange(2.0).reshape(2, 1),))
        yield Sample(cls((2,)), (np.arange(2.0),))
        yield Sample(cls((2, 2)), (np.array(2.5),))
        yield Sample(cls((3, 0)), (np.ones((3, 1)),))
        yield Sample(cls((2, 0)), (np.zeros(0),))


def constant_behind(g: Builder, value: Value) -> Array | None:
    """The numbers that a value repeats or arranges; None if they are not known."""
    made = g.producer(value)
    while made is not None and isinstance(made.op, BroadcastTo | Reshape):
        value = made.operands[0]
        made = g.producer(value)
    literal = g.literal(value)
    return literal.array if isinstance(literal, Literal) else None
