"""Ops that cut arrays apart and lay them side by side: slice and pad, each other's transpose; concatenate; reverse."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.errors import ConstraintError
from gradserve.ir.op import Cost, Op, Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, Shape, TensorType
from gradserve.ops.family import Linear, moved_bytes, only, require, with_batch
from gradserve.ops.movement.shapes import Movement, known
from gradserve.ops.registry import register


@register
@dataclass(frozen=True)
class Slice(Movement):
    """The elements from `starts` up to but not including `stops`, every `strides`-th of them, along each axis."""

    starts: tuple[int, ...]
    stops: tuple[int, ...]
    strides: tuple[int, ...]

    name = "slice"
    constraints = {
        "C0": "one operand",
        "C1": "starts, stops and strides have one number for each axis",
        "C2": "0 <= start <= stop <= length along each axis, and the length is known",
        "C3": "strides are at least 1",
    }

    def result_shape(self, operand: TensorType) -> Shape:
        _one_for_each_axis(operand, starts=self.starts, stops=self.stops, strides=self.strides)
        for axis, (start, stop) in enumerate(zip(self.starts, self.stops, strict=True)):
            if not 0 <= start <= stop <= known(operand.shape[axis], "C2"):
                raise ConstraintError("C2", f"{start}:{stop} does not lie inside axis {axis} of {operand}")
        require(all(stride >= 1 for stride in self.strides), "C3", f"strides {self.strides} must be at least 1")
        return tuple(len(range(*bounds)) for bounds in zip(self.starts, self.stops, self.strides, strict=True))

    @property
    def key(self) -> tuple[slice, ...]:
        """The same slices as Python writes them."""
        return tuple(map(slice, self.starts, self.stops, self.strides))

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return arrays[0][self.key]

    def pullback(self, g: Builder, cotangent: Value, operand: TensorType) -> Value:
        """The cotangent among zeros: they lie between strides, below starts and above the last element taken."""
        high = []
        for axis, n in enumerate(cotangent.shape):
            spread = (n - 1) * self.strides[axis] + 1 if n else 0
            high.append(operand.lengths[axis] - self.starts[axis] - spread)
        interior = tuple(stride - 1 for stride in self.strides)
        return g.emit("pad", cotangent, low=self.starts, high=tuple(high), interior=interior)

    def push(self, g: Builder, value: Value, size: int) -> Value:
        return g.emit("slice", value, starts=(0, *self.starts), stops=(size, *self.stops), strides=(1, *self.strides))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """A block, strides that end before and at the edge, nothing taken, nothing there, a scalar."""
        yield Sample(cls((1, 0), (3, 2), (1, 1)), (np.arange(12.0).reshape(4, 3),))
        yield Sample(cls((1, 0), (6, 5), (2, 4)), (np.arange(42.0).reshape(7, 6),))
        yield Sample(cls((2,), (2,), (3,)), (np.arange(5.0),))
        yield Sample(cls((0, 1), (0, 2), (1, 1)), (np.zeros((0, 3)),))
        yield Sample(cls((), (), ()), (np.array(2.5),))


@register
@dataclass(frozen=True)
class Pad(Movement):
    """The operand with zeros laid below, above and between its elements along each axis."""

    low: tuple[int, ...]
    high: tuple[int, ...]
    interior: tuple[int, ...]

    name = "pad"
    view = False
    fills = False
    constraints = {
        "C0": "one operand",
        "C1": "low, high and interior have one number for each axis",
        "C2": "low, high and interior are not negative",
        "C3": "the length of a padded axis is known",
    }

    def result_shape(self, operand: TensorType) -> Shape:
        _one_for_each_axis(operand, low=self.low, high=self.high, interior=self.interior)
        negative = [n for n in (*self.low, *self.high, *self.interior) if n < 0]
        require(not negative, "C2", f"zeros cannot be taken away: {negative}; use slice")
        shape = list(operand.shape)
        for axis, (low, high, interior) in enumerate(zip(self.low, self.high, self.interior, strict=True)):
            if low or high or interior:
                n = known(operand.shape[axis], "C3")
                shape[axis] = low + n + max(n - 1, 0) * interior + high
        return tuple(shape)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        """Zeros joined axis by axis: works where arrays cannot be written to."""
        (x,) = arrays
        for axis, (low, high, interior) in enumerate(zip(self.low, self.high, self.interior, strict=True)):
            n = x.shape[axis]
            before, after = x.shape[:axis], x.shape[axis + 1 :]
            if interior and n > 1:
                gaps = xp.zeros((*before, n, interior, *after), dtype=x.dtype)
                spread = xp.concat([xp.expand_dims(x, axis=axis + 1), gaps], axis=axis + 1)
                x = xp.reshape(spread, (*before, n * (interior + 1), *after))
                x = x[(*(slice(None),) * axis, slice(0, (n - 1) * (interior + 1) + 1))]
            if low or high:
                ends = [xp.zeros((*before, k, *after), dtype=x.dtype) for k in (low, high)]
                x = xp.concat([ends[0], x, ends[1]], axis=axis)
        return x

    def pullback(self, g: Builder, cotangent: Value, operand: TensorType) -> Value:
        strides = tuple(gap + 1 for gap in self.interior)
        spread = [(n - 1) * stride + 1 if n else 0 for n, stride in zip(operand.lengths, strides, strict=True)]
        stops = tuple(low + n for low, n in zip(self.low, spread, strict=True))
        return g.emit("slice", cotangent, starts=self.low, stops=stops, strides=strides)

    def push(self, g: Builder, value: Value, size: int) -> Value:
        return g.emit("pad", value, low=(0, *self.low), high=(0, *self.high), interior=(0, *self.interior))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Zeros on all sides and between; one element, none, a scalar."""
        yield Sample(cls((1, 0), (2, 1), (0, 2)), (np.arange(1.0, 7.0).reshape(2, 3),))
        yield Sample(cls((0,), (1,), (3,)), (np.array([2.5]),))
        yield Sample(cls((2,), (1,), (1,)), (np.zeros(0),))
        yield Sample(cls((), (), ()), (np.array(2.5),))


def _one_for_each_axis(operand: TensorType, **lists: tuple[int, ...]) -> None:
    for name, numbers in lists.items():
        if len(numbers) != operand.rank:
            raise ConstraintError("C1", f"{name} has {len(numbers)} numbers for the axes of {operand}")


@register
@dataclass(frozen=True)
class Reverse(Movement):
    """The elements in reverse order along `axes`."""

    axes: tuple[int, ...]

    name = "reverse"
    constraints = {"C0": "one operand", "C1": "axes are axes of the operand, ascending"}

    def result_shape(self, operand: TensorType) -> Shape:
        fits = list(self.axes) == sorted(set(self.axes) & set(range(operand.rank)))
        require(fits, "C1", f"axes {self.axes} are not ascending axes of {operand}")
        return operand.shape

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return xp.flip(arrays[0], axis=self.axes)

    def pullback(self, g: Builder, cotangent: Value, operand: TensorType) -> Value:
        return g.apply(self, [cotangent])[0]

    def push(self, g: Builder, value: Value, size: int) -> Value:
        return g.emit("reverse", value, axes=tuple(axis + 1 for axis in self.axes))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Both axes, one, none; nothing to turn around."""
        yield Sample(cls((0, 1)), (np.arange(6.0).reshape(2, 3),))
        yield Sample(cls((1,)), (np.arange(6.0).reshape(2, 3),))
        yield Sample(cls(()), (np.array(2.5),))
        yield Sample(cls((0,)), (np.zeros((0, 2)),))


_OFTEN = 16
"""Times that an operand is there from which on its parts are summed up as one: a byte of a request says one more."""
_MOST_INDICES = 1 << 18


@register
@dataclass(frozen=True)
class Concatenate(Linear, Op):
    """The operands one after the other along `axis`."""

    axis: int

    name = "concatenate"
    total = True
    arity = None
    constraints = {
        "C0": "at least one operand",
        "C1": "axis is an axis of every operand",
        "C2": "element types are equal",
        "C3": "all other lengths are equal",
        "C4": "lengths along the axis are known",
    }

    def coerce(self, g: Builder, operands: Sequence[Operand]) -> tuple[Value, ...]:
        """The operands promoted to one element type."""
        return g.promote(operands) if operands else ()

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require(bool(types), "C0", "concatenate takes at least one operand")
        first, axis = types[0], self.axis
        require(0 <= axis < first.rank, "C1", f"{first} has no axis {axis}")
        for other in dict.fromkeys(types):  # there may be a hundred thousand operands, of few types
            same = other.element_type is first.element_type
            require(same, "C2", f"element types differ: {first} and {other}")
            fits = other.rank == first.rank and _without(other.shape, axis) == _without(first.shape, axis)
            require(fits, "C3", f"{first} and {other} differ elsewhere than along axis {axis}")
        if len(types) == 1:
            return (first,)
        length = sum(times * known(t.shape[axis], "C4") for t, times in Counter(types).items())
        return (first.with_shape((*first.shape[:axis], length, *first.shape[axis + 1 :])),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return xp.concat(arrays, axis=self.axis)

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The cotangent's part that each unknown operand fills; of one that is there often all of them at its first."""
        ct, lengths = only(cotangents), [operand.type.lengths[self.axis] for operand in operands]
        starts = [0, *itertools.accumulate(lengths)]
        places: dict[int, list[int]] = {}
        for k, operand in enumerate(operands):
            if isinstance(operand, Unknown):
                places.setdefault(id(operand), []).append(k)
        parts: list[Value | None] = [None] * len(operands)
        every = math.gcd(*lengths)
        for own in places.values():
            length = lengths[own[0]]
            if len(own) >= _OFTEN and every and len(own) * length // every <= _MOST_INDICES:
                parts[own[0]] = self._together(g, ct, [starts[k] for k in own], length, every)
            else:
                for k in own:
                    parts[k] = self._part(g, ct, starts[k], starts[k + 1])
        return tuple(parts)

    def _together(self, g: Builder, value: Value, starts: Sequence[int], length: int, every: int) -> Value:
        """The sum of as many parts of one length, taken in pieces of `every`, of which all lengths are multiples."""
        before, after = value.shape[: self.axis], value.shape[self.axis + 1 :]
        pieces = g.reshape(value, (*before, value.type.lengths[self.axis] // every, every, *after))
        indices = np.add.outer(np.asarray(starts) // every, np.arange(length // every))
        taken = g.emit("gather", pieces, g.constant(indices), axis=self.axis)
        return g.reshape(g.emit("reduce_sum", taken, axes=(self.axis,)), (*before, length, *after))

    def _part(self, g: Builder, value: Value, start: int, stop: int) -> Value:
        starts = tuple(start if axis == self.axis else 0 for axis in range(value.type.rank))
        stops = tuple(stop if axis == self.axis else n for axis, n in enumerate(value.shape))
        return g.emit("slice", value, starts=starts, stops=stops, strides=(1,) * value.type.rank)

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        filled = [with_batch(g, x, b, size) for x, b in zip(operands, batched, strict=True)]
        return g.apply(Concatenate(self.axis + 1), filled)

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        return Cost(0.0, moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Two matrices, one operand, an empty one among three."""
        yield Sample(cls(1), (np.arange(4.0).reshape(2, 2), np.arange(2.0).reshape(2, 1)))
        yield Sample(cls(0), (np.arange(3.0),))
        yield Sample(cls(0), (np.arange(3.0), np.zeros(0), np.array([2.5])))


def _without(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], *shape[axis + 1 :])
