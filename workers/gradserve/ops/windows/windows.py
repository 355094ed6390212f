"""Windows: the blocks of an array that a kernel or a pool looks at, and their sums where they overlap."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Cost, Op, Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, Shape, TensorType
from gradserve.ops.family import Linear, moved_bytes, only, require, require_arity, with_batch
from gradserve.ops.movement.placement import Pad
from gradserve.ops.movement.shapes import known
from gradserve.ops.registry import register


@dataclass(frozen=True)
class OfWindows(Linear, Op):
    """Windows of `sizes` along `axes`, moved on by `strides`; `dilations` is how far their elements are apart."""

    axes: tuple[int, ...]
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]

    total = True
    constraints = {
        "C0": "one operand",
        "C1": "axes are axes of the array, ascending; sizes, strides and dilations have one number for each",
        "C2": "sizes, strides and dilations are at least 1",
        "C3": "a window fits into the array along each axis, whose length is known",
    }

    def counts(self, array: TensorType, lengths: Sequence[int] | None = None) -> tuple[int, ...]:
        """How many windows there are along each of the axes of an array.

        Raises:
            ConstraintError: the attributes break a numbered constraint.
        """
        ascending = list(self.axes) == sorted(set(self.axes) & set(range(array.rank)))
        require(ascending, "C1", f"axes {self.axes} are not ascending axes of {array}")
        paired = len(self.axes) == len(self.sizes) == len(self.strides) == len(self.dilations)
        require(paired, "C1", f"sizes, strides or dilations have too many or too few numbers for axes {self.axes}")
        numbers = (*self.sizes, *self.strides, *self.dilations)
        require(all(n >= 1 for n in numbers), "C2", f"{numbers} must all be at least 1")
        own = [known(array.shape[axis], "C3") for axis in self.axes] if lengths is None else list(lengths)
        rooms = [n - (size - 1) * gap for n, size, gap in zip(own, self.sizes, self.dilations, strict=True)]
        require(all(room >= 1 for room in rooms), "C3", f"a window of {self.sizes} does not fit into {own}")
        return tuple((room - 1) // stride + 1 for room, stride in zip(rooms, self.strides, strict=True))

    def further(self) -> OfWindows:
        """The op one axis further."""
        return replace(self, axes=tuple(axis + 1 for axis in self.axes))

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        return g.apply(self.further(), [with_batch(g, operands[0], batched[0], size)])

    def offsets(self) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Each element of a window: its index, and where it lies in the array in the first window."""
        for index in itertools.product(*map(range, self.sizes)):
            yield index, tuple(k * gap for k, gap in zip(index, self.dilations, strict=True))


@register
@dataclass(frozen=True)
class Windows(OfWindows):
    """The windows of an array: counts of windows in place of the axes' lengths, and their sizes as new last axes."""

    name = "windows"

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 1)
        (x,) = types
        counts = dict(zip(self.axes, self.counts(x), strict=True))
        return (x.with_shape((*(counts.get(axis, n) for axis, n in enumerate(x.shape)), *self.sizes)),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        """Axis by axis, the elements at the positions of each window."""
        (x,) = arrays
        counts = self.counts(_type_like(x))
        for axis, count, size, stride, gap in zip(
            self.axes, counts, self.sizes, self.strides, self.dilations, strict=True
        ):
            positions = xp.reshape(xp.arange(count), (-1, 1)) * stride + xp.arange(size) * gap
            taken = xp.take(x, xp.reshape(positions, (-1,)), axis=axis)
            apart = xp.reshape(taken, (*x.shape[:axis], count, size, *x.shape[axis + 1 :]))
            x = xp.moveaxis(apart, axis + 1, -1)
        return x

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The cotangents added up where windows overlap."""
        lengths = tuple(operands[0].type.lengths[axis] for axis in self.axes)
        return (g.emit("overlap_add", only(cotangents), **self.attributes(), lengths=lengths),)

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        return Cost(0.0, moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Strides that leave a rest, dilations, two axes of three, a window of one element, no axes, nothing."""
        x = np.cos(np.arange(70.0)).reshape(2, 7, 5)
        yield Sample(cls((1, 2), (3, 2), (1, 1), (1, 1)), (x,))
        yield Sample(cls((1,), (2,), (2,), (3,)), (x,))
        yield Sample(cls((0, 2), (1, 3), (3, 2), (1, 1)), (x,))
        yield Sample(cls((), (), (), ()), (np.array(2.5),))
        yield Sample(cls((1,), (2,), (1,), (1,)), (np.zeros((0, 3)),))


@register
@dataclass(frozen=True)
class OverlapAdd(OfWindows):
    """Zeros of `lengths` along the axes with all windows added where they were taken from: the transpose of windows.

    The elements of a window are added in their order, so that the sum has the same bits each time.
    """

    lengths: tuple[int, ...]

    name = "overlap_add"
    constraints = {
        **OfWindows.constraints,
        "C4": "lengths has one number for each axis, and the operand as many windows along each, of the sizes",
        "C5": "the elements are numbers",
    }

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 1)
        (x,) = types
        rank = x.rank - len(self.axes)
        require(rank >= 0 and len(self.lengths) == len(self.axes), "C4", f"{x} holds no windows along {self.axes}")
        array = x.with_shape(x.shape[:rank])
        counts = self.counts(array, self.lengths)
        fits = x.shape[rank:] == self.sizes and tuple(x.shape[axis] for axis in self.axes) == counts
        require(fits, "C4", f"{x} does not hold {counts} windows of {self.sizes}")
        require(x.element_type is not ElementType.BOOL, "C5", "truth values cannot be added")
        return (array.with_shape(self._shape(array.shape)),)

    def _shape(self, shape: Shape) -> Shape:
        own = dict(zip(self.axes, self.lengths, strict=True))
        return tuple(own.get(axis, n) for axis, n in enumerate(shape))

    def impl(self, xp: Any, *arrays: Array) -> Any:
        """The sum of one array for each element of a window, laid among zeros: works without writing to arrays."""
        (x,) = arrays
        rank = x.ndim - len(self.axes)
        total = xp.zeros(self._shape(x.shape[:rank]), dtype=x.dtype)
        for index, first in self.offsets():
            where: Any = (..., *index)
            piece = x[where]
            low, high, interior = [0] * rank, [0] * rank, [0] * rank
            for axis, start, n, stride in zip(self.axes, first, self.lengths, self.strides, strict=True):
                spread = (piece.shape[axis] - 1) * stride + 1
                low[axis], high[axis], interior[axis] = start, n - start - spread, stride - 1
            total = total + Pad(tuple(low), tuple(high), tuple(interior)).impl(xp, piece)
        return total

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The windows of the cotangent."""
        attributes = {name: value for name, value in self.attributes().items() if name != "lengths"}
        return (g.emit("windows", only(cotangents), **attributes),)

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """One addition for each element of a window."""
        return Cost(float(operands[0].size), moved_bytes(operands, results) + operands[0].nbytes)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Strides that leave a rest, dilations, two axes of three, no axes, nothing."""
        yield Sample(cls((0, 1), (3, 2), (1, 2), (1, 1), (4, 5)), (np.cos(np.arange(24.0)).reshape(2, 2, 3, 2),))
        yield Sample(cls((1,), (2,), (2,), (3,), (7,)), (np.cos(np.arange(12.0)).reshape(3, 2, 2),))
        yield Sample(cls((), (), (), (), ()), (np.array(2.5),))
        yield Sample(cls((1,), (2,), (1,), (1,), (3,)), (np.zeros((0, 2, 2)),))
        yield Sample(cls((0,), (2,), (1,), (1,), (3,)), (np.array([[1, 2], [3, 4]]),), differentiable=False)


def _type_like(x: Any) -> TensorType:
    """A type with the lengths of an array: counting windows needs no more."""
    return TensorType(ElementType.FLOAT64, tuple(x.shape))
