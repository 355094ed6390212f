"""Elements in order: sorts by one key or several, and the largest ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradserve.client.importers.lax.elements import Operand, ordered
from gradserve.client.importers.lax.movement import part, permute
from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.ops.movement.shapes import inverse


def sort(g: Builder, operands: Sequence[Operand], axis: int, keys: int, descending: bool = False) -> list[Value]:
    """The operands in ascending order of the first `keys` of them, or descending; of equal ones the earlier first."""
    if not descending:
        return _ascending(g, operands, axis, keys)

    def turned(value: Value) -> Value:
        return g.emit("reverse", value, axes=(axis,))

    backward = [Operand(turned(x.value), x.dtype) for x in operands]
    return [turned(value) for value in _ascending(g, backward, axis, keys)]


def _ascending(g: Builder, operands: Sequence[Operand], axis: int, keys: int) -> list[Value]:
    first = operands[0]
    if len(operands) == 1 and first.dtype.kind not in "bc":
        return [ordered(g, Operand(g.emit("sort", ordered(g, first), axis=axis), first.dtype))]
    order: Value | None = None
    for key in reversed([each for operand in operands[:keys] for each in _parts(g, operand)]):
        value = g.convert(key.value, ElementType.INT32) if key.dtype.kind == "b" else ordered(g, key)
        found = g.argsort(value if order is None else along_axis(g, value, order, axis), axis=axis)
        order = found if order is None else along_axis(g, order, found, axis)
    assert order is not None
    return [along_axis(g, x.value, order, axis) for x in operands]


def _parts(g: Builder, key: Operand) -> list[Operand]:
    """What a key is compared by: of complex numbers the real part, and then the imaginary one."""
    if not key.is_complex:
        return [key]
    dtype = np.dtype(key.value.type.element_type.part.dtype)
    return [Operand(g.real(key.value), dtype), Operand(g.imag(key.value), dtype)]


def along_axis(g: Builder, x: Value, index: Value, axis: int) -> Value:
    """For each vector along an axis, its elements at the positions in the same place."""
    last = [k for k in range(x.type.rank) if k != axis] + [axis]
    rows, places = permute(g, x, last), permute(g, index, last)
    lead, length = math.prod(rows.shape[:-1]), rows.shape[-1]
    begin = g.mul(g.emit("iota", length=lead, element_type=ElementType.INT64), length)
    flat = g.add(g.reshape(g.convert(places, ElementType.INT64), (lead, places.shape[-1])), g.reshape(begin, (lead, 1)))
    taken = g.emit("gather", g.reshape(rows, (lead * length,)), flat, axis=0)
    return permute(g, g.reshape(taken, (*rows.shape[:-1], places.shape[-1])), inverse(last))


def top_k(g: Builder, x: Operand, k: int, axis: int) -> tuple[Value, Value]:
    """The k largest elements along an axis in descending order, of equal ones the earlier first, and where they are."""
    n = x.shape[axis]
    backward = g.emit("reverse", ordered(g, x), axes=(axis,))
    order = part(g, g.emit("reverse", g.argsort(backward, axis=axis), axes=(axis,)), axis, 0, k)
    places = g.sub(n - 1, order)
    return along_axis(g, x.value, places, axis), places


def extremes(g: Builder, x: Operand, k: int, axis: int, largest: bool) -> tuple[Value, Value]:
    """The k largest elements along an axis in descending order, or the smallest in ascending order, and where."""
    if largest:
        return top_k(g, x, k, axis)
    values, places = top_k(g, Operand(g.neg(x.value), x.dtype), k, axis)
    return g.neg(values), places
