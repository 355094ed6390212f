"""Ops along one axis whose order matters: running sums and products, and where the extreme elements are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.op import Cost, Op, Sample, Unknown
from gradserve.ir.pieces import Pieces
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, TensorType
from gradserve.ops.elementwise.pieces import Places
from gradserve.ops.family import Discrete, Linear, expand, moved_bytes, only, require, require_arity, with_batch, work
from gradserve.ops.reduction.reductions import widened
from gradserve.ops.registry import register


@dataclass(frozen=True)
class AlongAxis(Op):
    """One operand, read along `axis`."""

    axis: int

    total = True
    constraints = {
        "C0": "one operand",
        "C1": "axis is an axis of the operand",
        "K1": "elements are not complex, unless the op takes such",
    }

    def operand(self, *types: TensorType) -> TensorType:
        """The type of the operand, once C0 and C1 hold."""
        require_arity(self, types, 1)
        (x,) = types
        require(0 <= self.axis < x.rank, "C1", f"{x} has no axis {self.axis}")
        require(self.takes_complex or not x.is_complex, "K1", f"{x}: {self.name} needs an order, which complex lack")
        return x

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """The op one axis further."""
        return g.apply(replace(self, axis=self.axis + 1), [with_batch(g, operands[0], batched[0], size)])

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """One operation for each element."""
        return Cost(work(float(operands[0].size), operands[0]), moved_bytes(operands, results))


@dataclass(frozen=True)
class RunningTotal(AlongAxis):
    """What a ufunc gives of all elements up to each one along the axis."""

    function: ClassVar[str]
    """The array-API function that computes it."""
    constraints = {**AlongAxis.constraints, "C2": "the elements are numbers"}

    def coerce(self, g: Builder, operands: Sequence[Operand]) -> tuple[Value, ...]:
        """Integers and truth values widened to int64, as NumPy does."""
        return tuple(widened(g, operand) for operand in operands)

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x = self.operand(*types)
        require(x.element_type is not ElementType.BOOL, "C2", f"{self.name} does not take bool elements")
        return (x,)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        (x,) = arrays
        return getattr(xp, self.function)(x, axis=self.axis, dtype=x.dtype)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Each axis of a matrix, one element, nothing, integers."""
        matrix = np.linspace(-1.5, 2.5, 6).reshape(2, 3)
        yield Sample(cls(0), (matrix,))
        yield Sample(cls(1), (matrix,))
        yield Sample(cls(0), (np.array([2.5]),))
        yield Sample(cls(1), (np.zeros((2, 0)),))
        yield Sample(cls(0), (np.array([1, 2, -4]),), differentiable=False)


@register
@dataclass(frozen=True)
class Cumsum(Linear, RunningTotal):
    """The sums of all elements up to each one along the axis."""

    name = "cumsum"
    takes_complex = True
    function = "cumulative_sum"

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The sums of the cotangent from each element to the last."""
        backwards = g.reverse(only(cotangents), axes=(self.axis,))
        return (g.reverse(g.cumsum(backwards, axis=self.axis), axes=(self.axis,)),)


@register
@dataclass(frozen=True)
class Cumprod(RunningTotal):
    """The products of all elements up to each one along the axis."""

    name = "cumprod"
    takes_complex = True
    analytic = True
    function = "cumulative_prod"

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The product rule over spans of 1, 2, 4, ... elements: no division, so that zeros do no harm."""
        (x,), (dx,) = primals, tangents
        if dx is None:
            return (None,)
        span, length = 1, x.shape[self.axis]
        while span < length:
            before, tangent_before = (self._part(g, v, 0, length - span) for v in (x, dx))
            (first, rest), (tangent_first, tangent_rest) = (
                (self._part(g, v, 0, span), self._part(g, v, span, length)) for v in (x, dx)
            )
            moved = g.add(g.mul(before, tangent_rest), g.mul(rest, tangent_before))
            x = g.emit("concatenate", first, g.mul(before, rest), axis=self.axis)
            dx = g.emit("concatenate", tangent_first, moved, axis=self.axis)
            span *= 2
        return (dx,)

    def _part(self, g: Builder, x: Value, start: int, stop: int) -> Value:
        starts = tuple(start if axis == self.axis else 0 for axis in range(x.type.rank))
        stops = tuple(stop if axis == self.axis else n for axis, n in enumerate(x.shape))
        return g.emit("slice", x, starts=starts, stops=stops, strides=(1,) * x.type.rank)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """As for sums, and zeros among the elements."""
        yield from super().samples()
        yield Sample(cls(0), (np.array([1.5, 0.0, -2.0, 0.0, 3.0]),))


class Position(Discrete, AlongAxis):
    """The position along the axis, which is dropped, of the first extreme element, as int64. NaN counts as extreme."""

    function: ClassVar[str]
    """The array-API function that computes it."""
    extreme: ClassVar[str]
    """The reduction to the element itself."""
    constraints = {**AlongAxis.constraints, "C2": "there is an element to choose"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x = self.operand(*types)
        require(x.shape[self.axis] != 0, "C2", f"{x} has no element along axis {self.axis}")
        return (TensorType(ElementType.INT64, (*x.shape[: self.axis], *x.shape[self.axis + 1 :])),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        (x,) = arrays
        return xp.astype(getattr(xp, self.function)(x, axis=self.axis), xp.int64)

    @property
    def pieces(self) -> Pieces:
        """The positions."""
        return Places(self.axis)

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where several elements are extreme: the position jumps. The derivative is 0, as everywhere."""
        (x,) = operands
        extreme = expand(g, g.emit(self.extreme, x, axes=(self.axis,)), (self.axis,), x.type.shape)
        return g.gt(g.reduce_sum(g.convert(g.eq(x, extreme), ElementType.INT64), axes=(self.axis,)), 1)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Each axis of a matrix, ties, one element, nothing left, integers and truth values."""
        matrix = np.cos(np.arange(6.0)).reshape(2, 3)
        for array in (matrix, np.zeros((2, 3)), np.array([[2, 1], [2, 3]]), np.array([[True, True], [False, True]])):
            yield Sample(cls(0), (array,), differentiable=False)
        yield Sample(cls(1), (matrix,), differentiable=False)
        yield Sample(cls(0), (np.array([2.5]),), differentiable=False)
        yield Sample(cls(1), (np.zeros((0, 2)),), differentiable=False)


@register
@dataclass(frozen=True)
class Argmax(Position):
    """The position of the first largest element along the axis."""

    name = "argmax"
    extreme = "reduce_max"
    function = "argmax"


@register
@dataclass(frozen=True)
class Argmin(Position):
    """The position of the first smallest element along the axis."""

    name = "argmin"
    extreme = "reduce_min"
    function = "argmin"
