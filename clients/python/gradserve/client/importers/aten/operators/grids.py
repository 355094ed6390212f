"""Images at places that are computed: their elements near each one, weighed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradserve.client.importers.aten.table import Node, Result, translates
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import part, permute
from gradserve.ir.builder import Value
from gradserve.ir.types import ElementType
from gradserve.numpy import ufuncs

_ZEROS, _BORDER, _REFLECTION = 0, 1, 2
_LINEAR, _NEAREST, _CUBIC = 0, 1, 2
_KEYS = -0.75
"""The parameter of Keys' kernel (1981)."""


@dataclass(frozen=True)
class _Grid:
    """How places are read along each axis."""

    n: Node
    outside: int
    corners: bool
    """Whether -1 and 1 are the middles of the first and the last element, or their outer edges."""

    def places(self, told: Value, length: int) -> Value:
        """Numbers from -1 to 1 as places from 0 to the last element."""
        g = self.n.g
        if self.corners:
            return g.mul(g.add(told, 1.0), 0.5 * (length - 1))
        return g.sub(g.mul(g.add(told, 1.0), 0.5 * length), 0.5)

    def brought_in(self, place: Value, length: int) -> Value:
        """A place within, of one outside: at the border, or mirrored there."""
        if self.outside == _ZEROS:
            return place
        if self.outside == _REFLECTION:
            place = self._mirrored(place, *((0, length - 1) if self.corners else (-0.5, length - 0.5)))
        g = self.n.g
        # At the ends themselves there is no derivative, as in torch.
        low = g.select(g.le(place, 0.0), 0.0, place)
        return g.select(g.ge(low, float(length - 1)), float(length - 1), low)

    def _mirrored(self, place: Value, low: float, high: float) -> Value:
        g, span = self.n.g, high - low
        if not span:
            return g.zeros(place.type)
        away = g.abs(g.sub(place, low))
        turns = ufuncs.floor(g.stop_gradient(g.div(away, span)))
        rest = g.sub(away, g.mul(turns, span))
        odd = g.ne(g.remainder(turns, 2.0), 0.0)
        return g.select(odd, g.sub(high, rest), g.add(rest, low))


@translates("grid_sampler_2d", "grid_sampler_3d", "grid_sampler")
def _grid_sampler(
    n: Node, x: Operand, grid: Operand, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Result:
    """The elements at places between -1 and 1, weighed by how near they are."""
    g, lengths = n.g, x.shape[2:]
    how = _Grid(n, padding_mode, bool(align_corners))
    last = grid.rank - 1
    told = [g.reshape(part(g, grid.value, last, k, k + 1), grid.shape[:-1]) for k in range(len(lengths))][::-1]
    raw = [how.places(place, length) for place, length in zip(told, lengths, strict=True)]
    if interpolation_mode == _CUBIC:
        near = [_cubic(how, place, length) for place, length in zip(raw, lengths, strict=True)]
    else:
        rule = _linear if interpolation_mode == _LINEAR else _nearest
        near = [rule(n, how.brought_in(place, length)) for place, length in zip(raw, lengths, strict=True)]
    return _weighed(n, x, near)


def _linear(n: Node, place: Value) -> list[tuple[Value, Value]]:
    """The two elements beside a place, and their shares."""
    below = n.g.stop_gradient(ufuncs.floor(place))
    rest = n.g.sub(place, below)
    return [(below, n.g.sub(1.0, rest)), (n.g.add(below, 1.0), rest)]


def _nearest(n: Node, place: Value) -> list[tuple[Value, Value]]:
    return [(n.g.round(n.g.stop_gradient(place)), n.g.full(place.type, 1))]


def _cubic(how: _Grid, place: Value, length: int) -> list[tuple[Value, Value]]:
    """Two elements on each side of a place, each brought in by itself, and their shares."""
    g = how.n.g
    below = g.stop_gradient(ufuncs.floor(place))
    rest = g.sub(place, below)
    found = []
    for k in (-1, 0, 1, 2):
        away = g.abs(g.sub(rest, float(k)))
        squared = g.mul(away, away)
        if k in (0, 1):
            share = g.add(g.mul(g.sub(g.mul(away, _KEYS + 2), _KEYS + 3), squared), 1.0)
        else:
            cubed = g.add(g.sub(g.mul(g.mul(squared, away), _KEYS), g.mul(squared, 5 * _KEYS)), g.mul(away, 8 * _KEYS))
            share = g.sub(cubed, 4 * _KEYS)
        found.append((g.stop_gradient(how.brought_in(g.add(below, float(k)), length)), share))
    return found


def _weighed(n: Node, x: Operand, near: Sequence[Sequence[tuple[Value, Value]]]) -> Value:
    """The sum of elements by their shares, which are products of those along the axes; 0 outside."""
    g, (examples, channels, *lengths) = n.g, x.shape
    rows = g.reshape(permute(g, x.value, [0, *range(2, x.rank), 1]), (examples * int(np.prod(lengths)), channels))
    shape = near[0][0][0].shape
    first = g.constant(np.arange(examples).reshape(-1, *(1,) * (len(shape) - 1)))
    total: Value | None = None
    for corner in itertools.product(*near):
        flat, share = g.broadcast(first, shape), g.full(corner[0][1].type, 1)
        for (place, own), length in zip(corner, lengths, strict=True):
            inside = g.logical_and(g.ge(place, 0.0), g.le(place, float(length - 1)))
            bounded = g.convert(g.select(inside, place, 0.0), ElementType.INT64)
            flat = g.add(g.mul(flat, length), bounded)
            share = g.mul(share, g.select(inside, own, 0.0))
        taken = g.emit("gather", rows, flat, axis=0)
        part_ = g.mul(taken, g.reshape(share, (*shape, 1)))
        total = part_ if total is None else g.add(total, part_)
    assert total is not None
    return permute(g, total, [0, len(shape), *range(1, len(shape))])
