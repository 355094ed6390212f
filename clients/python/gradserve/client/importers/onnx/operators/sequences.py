"""Sequences whose lengths are known while importing, and optional values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import part
from gradserve.client.importers.onnx.entries import Absent, Entry, Listed, in_row, require_few
from gradserve.client.importers.onnx.table import Node, Result, axis_in, translates
from gradserve.ir.builder import Value
from gradserve.numpy import indexing


def _place(n: Node, k: int, count: int, otherwise: int) -> int:
    """A known position, which may count from the end."""
    found = n.ints(k)
    place = otherwise if found is None else found[0]
    if not -count <= place < count:
        raise ValueError(f"position {place} is none of {count}")
    return place % count


def stacked(n: Node, items: Sequence[Operand], axis: int = 0) -> Value:
    """Arrays of one shape along a new axis."""
    if not items:
        raise n.refuse("the sequence is empty, and its arrays have no known shape", "give it an array")
    place = axis_in(axis, items[0].rank + 1)
    shapes = [(*x.shape[:place], 1, *x.shape[place:]) for x in items]
    parts = [n.g.reshape(x.value, shape) for x, shape in zip(items, shapes, strict=True)]
    return n.g.emit("concatenate", *parts, axis=place)


@translates("SequenceConstruct", "SequenceEmpty")
def construct(n: Node, *items: Operand) -> Result:
    """A sequence of these arrays."""
    return Listed(items)


@translates("SequenceAt", sequences=True)
def at(n: Node, x: Listed, place: Operand) -> Result:
    """The array at a position; one that is computed chooses among arrays of one shape."""
    if n.is_known(1):
        return x.items[_place(n, 1, len(x.items), 0)]
    return Operand(indexing.take(stacked(n, x.items), place.value, axis=0), x.items[0].dtype)


@translates("SequenceInsert", known=(2,), sequences=True)
def insert(n: Node, x: Listed, item: Operand, place: Operand | None = None) -> Result:
    """The sequence with one more array at a known position, or behind all others."""
    k = len(x.items) if place is None else _inserted(n, len(x.items))
    return Listed((*x.items[:k], item, *x.items[k:]))


def _inserted(n: Node, count: int) -> int:
    """Where an array is inserted: before a position, or behind all others."""
    (place,) = n.ints(2) or (count,)
    if not -count <= place <= count:
        raise ValueError(f"position {place} is none of {count}, and not behind them")
    return place + count if place < 0 else place


@translates("SequenceErase", known=(1,), sequences=True)
def erase(n: Node, x: Listed, place: Operand | None = None) -> Result:
    """The sequence without the array at a known position, or the last one."""
    k = _place(n, 1, len(x.items), -1)
    return Listed((*x.items[:k], *x.items[k + 1 :]))


@translates("SequenceLength", sequences=True)
def length(n: Node, x: Listed) -> Result:
    """How many arrays there are."""
    return n.reader.constant(n.g, np.array(len(x.items), np.int64))


@translates("SplitToSequence", known=(1,))
def split(n: Node, x: Operand, lengths: Operand | None = None) -> Result:
    """Parts along an axis, of known lengths or of one each."""
    axis = axis_in(n.get("axis", 0), x.rank)
    found, count = n.array(1), x.shape[axis]
    require_few(count if found is None else found.size if found.ndim else -(-count // max(int(found), 1)))
    if found is None:
        parts = [1] * count
    elif found.ndim:
        parts = [int(each) for each in found]
    else:
        if found <= 0:
            raise ValueError(f"parts cannot have the length {found}")
        parts = [min(int(found), count - k) for k in range(0, count, int(found))]
    if sum(parts) != count or min(parts, default=0) < 0:
        raise ValueError(f"parts of {parts} are not the {count} elements there are")
    stops = np.cumsum(parts).tolist()
    made = [part(n.g, x.value, axis, stop - m, stop) for stop, m in zip(stops, parts, strict=True)]
    if found is None and not n.get("keepdims", 1):
        made = [n.g.reshape(each, (*x.shape[:axis], *x.shape[axis + 1 :])) for each in made]
    return Listed(tuple(Operand(each, x.dtype) for each in made))


@translates("ConcatFromSequence", sequences=True)
def concat(n: Node, x: Listed) -> Result:
    """The arrays one behind the other, or along a new axis."""
    if n.get("new_axis", 0) or not x.items:
        value = stacked(n, x.items, n.get("axis"))
    else:
        value = n.g.emit("concatenate", *(each.value for each in x.items), axis=axis_in(n.get("axis"), x.items[0].rank))
    return Operand(value, x.items[0].dtype)


@translates("SequenceMap", sequences=True)
def mapped(n: Node, x: Listed, *others: Entry) -> Result:
    """The sequences of what a graph makes of the arrays at each position."""
    if any(isinstance(each, Listed) and len(each.items) != len(x.items) for each in others):
        raise ValueError("its sequences have different lengths")
    rows = []
    for k, item in enumerate(x.items):
        given = [each.items[k] if isinstance(each, Listed) else each for each in others]
        rows.append(in_row(n.reader.graph(n.g, n.get("body"), n.scope, [item, *given])))
    if any(len(row) != n.outputs for row in rows):
        raise n.refuse("it makes sequences of sequences", "make arrays of each array")
    return [Listed(tuple(row[k] for row in rows)) for k in range(n.outputs)]


@translates("Optional", sequences=True)
def optional(n: Node, x: Entry | None = None) -> Result:
    """The value itself, or that there is none."""
    return Absent() if x is None else x


@translates("OptionalHasElement", sequences=True)
def has_element(n: Node, x: Entry | None = None) -> Result:
    """Whether there is a value."""
    return n.reader.constant(n.g, np.array(not (x is None or isinstance(x, Absent))))


@translates("OptionalGetElement", sequences=True)
def get_element(n: Node, x: Entry) -> Result:
    """The value itself."""
    if isinstance(x, Absent):
        raise n.refuse("there is no value", "give it one")
    return x
