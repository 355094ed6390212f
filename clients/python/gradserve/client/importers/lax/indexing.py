"""XLA's general gather and scatter: windows of an array at computed positions, taken or written.

Both become one `gather` or `scatter_add` along one axis: that of all axes along which windows begin at computed
positions, merged. The other axes, along which windows are as long as the array, stay whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal as Word

import numpy as np

from gradserve.client.importers.lax.elements import Operand, finished
from gradserve.client.importers.lax.movement import along, numbers, part, permute
from gradserve.ir.builder import Builder, Value
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops.movement.shapes import inverse

Outside = Word["clip", "drop"]
"""What becomes of a window that is not inside the array: it is moved inside, or neither read nor written."""


@dataclass(frozen=True)
class Windows:
    """How positions and windows belong to the axes of an array."""

    shape: tuple[int, ...]
    """Of the array."""
    sizes: tuple[int, ...]
    """Of a window, along each axis of the array."""
    offset: tuple[int, ...]
    """Axes of what is taken or written that run along a window, in the order of the array's axes."""
    collapsed: tuple[int, ...]
    """Axes of the array along which a window has no axis."""
    starts: tuple[int, ...]
    """The axes of the array that the numbers of a position belong to."""
    batching: Mapping[int, int]
    """Axes of the array along which a position is its own index along an axis of the positions."""
    outside: Outside

    @property
    def kept(self) -> list[int]:
        """Axes of the array that a window has as well."""
        return [k for k in range(len(self.shape)) if k not in self.collapsed and k not in self.batching]

    def is_whole(self, axis: int) -> bool:
        """Whether all windows are all of the array along an axis."""
        anywhere = axis not in self.starts or self.outside == "clip"
        return axis in self.kept and self.sizes[axis] == self.shape[axis] and anywhere

    @property
    def merged(self) -> list[int]:
        """The axes along which windows begin somewhere."""
        return [k for k in range(len(self.shape)) if not self.is_whole(k)]

    @property
    def whole(self) -> list[int]:
        """The others."""
        return [k for k in range(len(self.shape)) if self.is_whole(k)]

    @property
    def places(self) -> int:
        """How many there are along the merged axes."""
        return math.prod(self.shape[k] for k in self.merged)

    def order(self, rank: int) -> list[int]:
        """Axes of what is taken or written: those of the positions, of windows along merged axes, and along others."""
        of_axis = dict(zip(self.kept, self.offset, strict=True))
        batch = [k for k in range(rank) if k not in self.offset]
        return [*batch, *(of_axis[k] for k in self.merged if k in of_axis), *(of_axis[k] for k in self.whole)]

    def flat(self, g: Builder, x: Value) -> Value:
        """The array with its merged axes as its first one."""
        lengths = [self.shape[k] for k in self.whole]
        return g.reshape(permute(g, x, [*self.merged, *self.whole]), (self.places, *lengths))

    def restored(self, g: Builder, flat: Value) -> Value:
        """The array of what `flat` gives."""
        order = [*self.merged, *self.whole]
        return permute(g, g.reshape(flat, tuple(self.shape[k] for k in order)), inverse(order))

    def positions(self, g: Builder, indices: Operand) -> tuple[Value, Value | None]:
        """Positions along the merged axes, and which windows are inside; None if all are.

        Shape: the axes of `indices` but the last one, then those of windows along merged axes; as the axes of the
        first alone, and lengths of 1.
        """
        lead, spans = indices.shape[:-1], [k for k in self.merged if k in self.kept]
        rank = len(lead) + len(spans)
        found = g.full(TensorType(ElementType.INT64, (1,) * rank), 0)
        inside: Value | None = None
        for axis in self.merged:
            start = self._starts(g, indices, axis, lead)
            most = self.shape[axis] - self.sizes[axis]
            if start is not None and axis not in self.batching:
                start, fits = self._bounded(g, start, most)
                inside = fits if inside is None or fits is None else g.logical_and(inside, fits)
            stride = math.prod(self.shape[k] for k in self.merged if k > axis)
            if start is not None:
                own = g.mul(g.reshape(start, (*start.shape, *(1,) * len(spans))), stride)
                found = g.add(found, own)
            if axis in spans and self.sizes[axis] != 1:
                steps = g.mul(numbers(g, self.sizes[axis]), stride)
                found = g.add(found, along(g, steps, len(lead) + spans.index(axis), rank))
        shape = (*lead, *(self.sizes[k] for k in spans))
        known = None if inside is None else g.reshape(g.broadcast(inside, lead), (*lead, *(1,) * len(spans)))
        return g.broadcast(found, shape), known

    def _starts(self, g: Builder, indices: Operand, axis: int, lead: Sequence[int]) -> Value | None:
        """Where windows begin along an axis; None for its first element."""
        if axis in self.batching:
            along_axis = self.batching[axis]
            return along(g, numbers(g, lead[along_axis]), along_axis, len(lead))
        if axis not in self.starts:
            return None
        column = self.starts.index(axis)
        chosen = part(g, indices.value, indices.rank - 1, column, column + 1)
        return g.convert(g.reshape(chosen, tuple(lead)), ElementType.INT64)

    def _bounded(self, g: Builder, start: Value, most: int) -> tuple[Value, Value | None]:
        moved = g.minimum(g.maximum(start, 0), max(most, 0))
        return moved, None if self.outside == "clip" else g.eq(moved, start)


def gather(g: Builder, x: Operand, indices: Operand, windows: Windows, fill: Value | None = None) -> Value:
    """The windows at these positions; `fill` in the place of those that are not inside and not to be moved there."""
    positions, inside = windows.positions(g, indices)
    taken = g.emit("gather", windows.flat(g, x.value), positions, axis=0)
    if inside is not None:
        assert fill is not None
        there = g.reshape(inside, (*inside.shape, *(1,) * len(windows.whole)))
        taken = g.select(there, taken, fill)
    return permute(g, taken, inverse(windows.order(taken.type.rank)))


Combine = Word["set", "add", "sub", "mul", "max", "min"]


def scatter(
    g: Builder, x: Operand, indices: Operand, updates: Operand, windows: Windows, combine: Combine, unique: bool
) -> Value:
    """x with windows at these positions replaced (of equal ones the last counts), or combined with what was there."""
    positions, inside = windows.positions(g, indices)
    places, flat = windows.places, windows.flat(g, x.value)
    if inside is not None:
        positions = g.select(inside, positions, places)  # one place more, which is thrown away
    count = positions.type.size
    order = permute(g, updates.value, windows.order(updates.rank))
    rows = g.reshape(order, (count, *flat.shape[1:]))
    line = g.reshape(positions, (count,))
    made = _COMBINED.get(combine, _reduced)(g, flat, line, rows, combine, unique or count <= 1)
    return finished(g, windows.restored(g, made), x.dtype)


def _placed(g: Builder, rows: Value, line: Value, places: int) -> Value:
    """Sums of the rows at each place."""
    return part(g, g.emit("scatter_add", rows, line, axis=0, length=places + 1), 0, 0, places)


def _added(g: Builder, x: Value, line: Value, rows: Value, combine: str, unique: bool) -> Value:
    del unique
    return g.emit(combine, x, _placed(g, rows, line, x.shape[0]))


def _replaced(g: Builder, x: Value, line: Value, rows: Value, combine: str, unique: bool) -> Value:
    """In ascending order the last of equal positions counts."""
    del combine
    last = g.full(TensorType(ElementType.BOOL, line.type.shape), True)
    if not unique:
        order = g.argsort(line, axis=0)
        line, rows = (g.emit("gather", each, order, axis=0) for each in (line, rows))
        following = g.emit("concatenate", part(g, line, 0, 1, line.shape[0]), g.constant(np.array([-1])), axis=0)
        last = g.ne(line, following)
    wide = (-1, *(1,) * (rows.type.rank - 1))
    chosen = g.reshape(last, (line.shape[0], *wide[1:]))
    is_truth = rows.type.element_type is ElementType.BOOL
    counted = g.convert(rows, ElementType.INT32) if is_truth else rows
    placed = _placed(g, g.select(chosen, counted, 0), line, x.shape[0])
    hits = _placed(g, g.convert(last, ElementType.INT64), line, x.shape[0])
    there = g.reshape(g.gt(hits, 0), (x.shape[0], *wide[1:]))
    return g.select(there, g.convert(placed, x.type.element_type), x)


def _reduced(g: Builder, x: Value, line: Value, rows: Value, combine: str, unique: bool) -> Value:
    """Every place with all rows that belong there: the product, or the extreme."""
    del unique
    belongs = g.eq(g.reshape(line, (1, line.shape[0])), g.reshape(numbers(g, x.shape[0]), (x.shape[0], 1)))
    wide = g.reshape(belongs, (*belongs.shape, *(1,) * (rows.type.rank - 1)))
    candidates = g.select(wide, g.reshape(rows, (1, *rows.shape)), g.reshape(x, (x.shape[0], 1, *x.shape[1:])))
    if combine == "mul":
        factors = g.select(wide, g.reshape(rows, (1, *rows.shape)), g.constant(1, x.type.element_type))
        return g.mul(x, g.reduce_prod(factors, axes=(1,)))
    name = {"max": "maximum", "min": "minimum"}[combine]
    if not line.shape[0]:
        return x
    return g.emit(name, x, g.emit(f"reduce_{combine}", candidates, axes=(1,)))


_COMBINED = {"add": _added, "sub": _added, "set": _replaced}
