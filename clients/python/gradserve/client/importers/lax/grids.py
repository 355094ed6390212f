"""Arrays at places between their elements: those near each place, weighed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal as Word
from typing import TypeAlias

from gradserve.client.importers.lax.movement import along, numbers, part, permute
from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType
from gradserve.numpy import ufuncs

Outside = Word["zeros", "border", "reflection"]
"""What is read at a place outside: nothing, what lies at the border, or what lies mirrored there."""
Mode = Word["linear", "nearest", "cubic"]
Near: TypeAlias = Sequence[tuple[Value, Value]]
"""Elements near each place along one axis, and their shares."""
_KEYS = -0.75
"""The parameter of Keys' kernel (1981)."""
_MOST = 256
"""Of elements near each place: those of four axes by cubes."""


@dataclass(frozen=True)
class Grid:
    """How places are read along each axis."""

    g: Builder
    outside: Outside
    corners: bool
    """Whether -1 and 1 are the middles of the first and the last element, or their outer edges."""

    def places(self, told: Value, length: int) -> Value:
        """Numbers from -1 to 1 as places from 0 to the last element."""
        g = self.g
        if self.corners:
            return g.mul(g.add(told, 1.0), 0.5 * (length - 1))
        return g.sub(g.mul(g.add(told, 1.0), 0.5 * length), 0.5)

    def brought_in(self, place: Value, length: int) -> Value:
        """A place within, of one outside: at the border, or mirrored there."""
        if self.outside == "zeros":
            return place
        if self.outside == "reflection":
            place = self._mirrored(place, *((0, length - 1) if self.corners else (-0.5, length - 0.5)))
        g = self.g
        # At the ends themselves there is no derivative, as in torch.
        low = g.select(g.le(place, 0.0), 0.0, place)
        return g.select(g.ge(low, float(length - 1)), float(length - 1), low)

    def _mirrored(self, place: Value, low: float, high: float) -> Value:
        g, span = self.g, high - low
        if not span:
            return g.zeros(place.type)
        away = g.abs(g.sub(place, low))
        turns = ufuncs.floor(g.stop_gradient(g.div(away, span)))
        rest = g.sub(away, g.mul(turns, span))
        odd = g.ne(g.remainder(turns, 2.0), 0.0)
        return g.select(odd, g.sub(high, rest), g.add(rest, low))

    def near(self, mode: Mode, told: Value, length: int) -> Near:
        """The elements near places that are told by numbers from -1 to 1."""
        place = self.places(told, length)
        if mode == "cubic":
            return self._cubic(place, length)
        inside = self.brought_in(place, length)
        return linear(self.g, inside) if mode == "linear" else _nearest(self.g, inside)

    def _cubic(self, place: Value, length: int) -> Near:
        """Two elements on each side of a place, each brought in by itself, and their shares."""
        g = self.g
        below = g.stop_gradient(ufuncs.floor(place))
        rest = g.sub(place, below)
        found = []
        for k in (-1, 0, 1, 2):
            away = g.abs(g.sub(rest, float(k)))
            squared = g.mul(away, away)
            if k in (0, 1):
                share = g.add(g.mul(g.sub(g.mul(away, _KEYS + 2), _KEYS + 3), squared), 1.0)
            else:
                far = g.sub(g.mul(g.mul(squared, away), _KEYS), g.mul(squared, 5 * _KEYS))
                share = g.sub(g.add(far, g.mul(away, 8 * _KEYS)), 4 * _KEYS)
            found.append((g.stop_gradient(self.brought_in(g.add(below, float(k)), length)), share))
        return found


def linear(g: Builder, place: Value) -> Near:
    """The two elements beside a place, and their shares."""
    below = g.stop_gradient(ufuncs.floor(place))
    rest = g.sub(place, below)
    return [(below, g.sub(1.0, rest)), (g.add(below, 1.0), rest)]


def _nearest(g: Builder, place: Value) -> Near:
    return [(g.round(g.stop_gradient(place)), g.full(place.type, 1))]


def sampled(g: Builder, x: Value, grid: Value, mode: Mode, outside: Outside, corners: bool) -> Value:
    """The elements of images (n, channels, ...) at places (n, ..., axes) between -1 and 1, the last axis first."""
    lengths, last = x.shape[2:], grid.type.rank - 1
    if grid.shape[last] != len(lengths) or last != len(lengths) + 1 or grid.shape[0] != x.shape[0]:
        raise ValueError(f"places {grid.type} are not those of images {x.type}")
    told = [g.reshape(part(g, grid, last, k, k + 1), grid.shape[:-1]) for k in range(len(lengths))][::-1]
    how = Grid(g, outside, corners)
    near = [how.near(mode, each, length) for each, length in zip(told, lengths, strict=True)]
    found = weighed(g, x, examples(g, x.shape[0], last), near)
    return permute(g, found, [0, last, *range(1, last)])


def examples(g: Builder, count: int, rank: int) -> Value:
    """Which image each place is in, where the first axis of places is that of the images."""
    return along(g, numbers(g, count), 0, rank)


def weighed(g: Builder, x: Value, which: Value, near: Sequence[Near]) -> Value:
    """Sums of the elements of images by their shares, which are products of those along the axes; 0 outside.

    Shape: that of the places, then the channels.
    """
    count, channels, *lengths = x.shape
    corners = math.prod(map(len, near))
    if corners > _MOST:
        raise LimitExceeded("grid_corners", f"{corners} elements are near each place; the limit is {_MOST}")
    order = [0, *range(2, x.type.rank), 1]
    rows = g.reshape(permute(g, x, order), (count * math.prod(lengths), channels))
    shape = near[0][0][0].shape
    total: Value | None = None
    for corner in itertools.product(*near):
        flat, share = g.broadcast(which, shape), g.full(corner[0][1].type, 1)
        for (place, own), length in zip(corner, lengths, strict=True):
            inside = g.logical_and(g.ge(place, 0.0), g.le(place, float(length - 1)))
            bounded = g.convert(g.select(inside, place, 0.0), ElementType.INT64)
            flat = g.add(g.mul(flat, length), bounded)
            share = g.mul(share, g.select(inside, own, 0.0))
        taken = g.mul(g.emit("gather", rows, flat, axis=0), g.reshape(share, (*shape, 1)))
        total = taken if total is None else g.add(total, taken)
    assert total is not None
    return total
