"""Ops that combine elements along axes: sums, products, extrema, running sums."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.op import Cost, Op, Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, TensorType
from gradserve.ops.family import (
    Linear,
    expand,
    moved_bytes,
    only,
    require,
    require_arity,
    with_batch,
    work,
)
from gradserve.ops.registry import register


def widened(g: Builder, operand: Operand) -> Value:
    """The operand with the elements in which NumPy accumulates: int64 for integers and truth values."""
    value = g.lift(operand)
    return value if value.type.is_float else g.convert(value, ElementType.INT64)


@dataclass(frozen=True)
class OverAxes(Op):
    """One element for all those along `axes`, which are dropped."""

    axes: tuple[int, ...]

    total = True
    function: ClassVar[str]
    """The array-API function that computes it."""
    constraints = {
        "C0": "one operand",
        "C1": "axes are axes of the operand, ascending",
        "C2": "the element type is one that the op takes",
    }

    def accepts(self, element_type: ElementType) -> bool:
        """Whether the op takes these elements: numbers, unless it says otherwise."""
        return element_type is not ElementType.BOOL

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        """The operand's type without the axes."""
        require_arity(self, types, 1)
        (x,) = types
        ascending = list(self.axes) == sorted(set(self.axes) & set(range(x.rank)))
        require(ascending, "C1", f"axes {self.axes} are not ascending axes of {x}")
        taken = self.accepts(x.element_type) and (self.takes_complex or not x.is_complex)
        require(taken, "C2", f"{self.name} does not take {x.element_type.value} elements")
        return (x.with_shape(tuple(n for axis, n in enumerate(x.shape) if axis not in self.axes)),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        (x,) = arrays
        return getattr(xp, self.function)(x, axis=self.axes)

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """The reduction one axis further."""
        shifted = replace(self, axes=tuple(axis + 1 for axis in self.axes))
        return g.apply(shifted, [with_batch(g, operands[0], batched[0], size)])

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """One operation for each element."""
        return Cost(work(float(operands[0].size), operands[0]), moved_bytes(operands, results))


class Total(OverAxes):
    """A sum or a product: 0 or 1 where there is nothing to combine."""

    def coerce(self, g: Builder, operands: Sequence[Operand]) -> tuple[Value, ...]:
        """Integers and truth values widened to int64, as NumPy does."""
        return tuple(widened(g, operand) for operand in operands)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        (x,) = arrays
        return getattr(xp, self.function)(x, axis=self.axes, dtype=x.dtype)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """One axis, several, all, none; zeros among the elements; nothing to combine, nothing left; integers."""
        cube = np.linspace(-1.5, 2.5, 24).reshape(2, 3, 4)
        for axes in ((1,), (0, 2), (0, 1, 2), ()):
            yield Sample(cls(axes), (cube,))
        yield Sample(cls((0,)), (np.array([[2.0, 0.0, 0.0], [1.5, 3.0, 0.0], [-0.5, 1.0, 4.0]]),))
        yield Sample(cls(()), (np.array(2.5),))
        yield Sample(cls((0,)), (np.zeros((0, 2)),))
        yield Sample(cls((1,)), (np.zeros((0, 2)),))
        yield Sample(cls((0,)), (np.array([[1, 2], [-3, 4]]),), differentiable=False)


@register
@dataclass(frozen=True)
class ReduceSum(Linear, Total):
    """The sum along the axes."""

    name = "reduce_sum"
    takes_complex = True
    function = "sum"

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The cotangent repeated along the axes."""
        return (expand(g, only(cotangents), self.axes, operands[0].type.shape),)


@register
@dataclass(frozen=True)
class ReduceProd(Total):
    """The product along the axes."""

    name = "reduce_prod"
    takes_complex = True
    analytic = True
    function = "prod"

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The product rule over a tree of halves: no division, so that zeros do no harm, at a few times the work."""
        (x,), (dx,) = primals, tangents
        if dx is None:
            return (None,)
        shape = outputs[0].type.shape
        factors, tangent = self._factors(g, x), self._factors(g, dx)
        finished: list[tuple[Value, Value]] = []
        while (n := factors.shape[0]) > 1:
            if n % 2:
                finished.append((_rows(g, factors, n - 1, n), _rows(g, tangent, n - 1, n)))
            low, high = [
                (_rows(g, factors, start, start + n // 2), _rows(g, tangent, start, start + n // 2))
                for start in (0, n // 2)
            ]
            factors, tangent = _product(g, low, high)
        if not n:
            return (None,)
        for pair in finished:
            factors, tangent = _product(g, (factors, tangent), pair)
        return (g.reshape(tangent, shape),)

    def _factors(self, g: Builder, x: Value) -> Value:
        """The elements with all reduced axes as one leading axis."""
        kept = tuple(axis for axis in range(x.type.rank) if axis not in self.axes)
        order = self.axes + kept
        if order != tuple(range(x.type.rank)):
            x = g.permute(x, order=order)
        count = len(self.axes)
        return g.reshape(x, (math.prod(x.shape[:count]), *x.shape[count:]))


def _rows(g: Builder, x: Value, start: int, stop: int) -> Value:
    rest = x.shape[1:]
    return g.emit("slice", x, starts=(start, *(0 for _ in rest)), stops=(stop, *rest), strides=(1,) * x.type.rank)


def _product(g: Builder, left: tuple[Value, Value], right: tuple[Value, Value]) -> tuple[Value, Value]:
    """Two values with tangents, multiplied."""
    (x, dx), (y, dy) = left, right
    return g.mul(x, y), g.add(g.mul(y, dx), g.mul(x, dy))


class Extreme(OverAxes):
    """The first element in one of the two orders. Equal ones share the derivative evenly."""

    constraints = {**OverAxes.constraints, "C3": "there is an element to choose"}

    def accepts(self, element_type: ElementType) -> bool:
        return True

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        results = super().infer(*types)
        (x,) = types
        require(all(x.shape[axis] != 0 for axis in self.axes), "C3", f"{x} has no element along some of {self.axes}")
        return results

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The mean of the tangents of those elements that equal the result; none does if it is NaN, and 0/0 says so."""
        (x,), (dx,) = primals, tangents
        if dx is None:
            return (None,)
        reached = g.convert(g.eq(x, expand(g, outputs[0], self.axes, x.type.shape)), dx.type.element_type)
        count = g.reduce_sum(reached, axes=self.axes)
        return (g.div(g.reduce_sum(g.mul(reached, dx), axes=self.axes), count),)

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where several elements are extreme. They share the derivative equally."""
        (x,) = operands
        reached = g.eq(x, expand(g, outputs[0], self.axes, x.type.shape))
        return g.gt(g.reduce_sum(g.convert(reached, ElementType.INT64), axes=self.axes), 1)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """One axis, several, all, none; ties; nothing left; integers and truth values."""
        cube = np.cos(np.arange(24.0)).reshape(2, 3, 4)
        for axes in ((1,), (0, 2), (0, 1, 2), ()):
            yield Sample(cls(axes), (cube,))
        yield Sample(cls(()), (np.array(2.5),))
        yield Sample(cls((1,)), (np.zeros((0, 2)),))
        yield Sample(cls((1,)), (np.array([[1.0, 1.0, -1.0, -1.0], [0.0, -0.0, 0.0, 0.0]]),), differentiable=False)
        yield Sample(cls((0,)), (np.array([[1, 2], [-3, 4]]),), differentiable=False)
        yield Sample(cls((0,)), (np.array([[True, True], [False, True]]),), differentiable=False)


@register
@dataclass(frozen=True)
class ReduceMax(Extreme):
    """The largest element along the axes; NaN if there is one."""

    name = "reduce_max"
    function = "max"


@register
@dataclass(frozen=True)
class LargestTerm(ReduceMax):
    """The largest element along the axes, by which sums of exponentials are scaled.

    A primitive for a numerical reason: the sum does not depend on its scale, so that the kinks of the maximum are none
    of the sum; but with the scale's derivative taken, that of the largest term is subtracted from all others, and the
    small difference that is left in its own derivative comes out with all digits.
    """

    name = "largest_term"
    analytic = True
    kink = Op.kink


@register
@dataclass(frozen=True)
class ReduceMin(Extreme):
    """The smallest element along the axes; NaN if there is one."""

    name = "reduce_min"
    function = "min"
