"""Passes over a shape: nothing is stored but what others read.

Instructions of the processor make one loop, which LLVM turns into vectors. Where ufuncs are called, the pass goes block
by block: loops and calls take turns on blocks that stay in the cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gradserve.execution.fused.machine import Machine, Place
from gradserve.execution.fused.terms import Term, in_order, leaf, number
from gradserve.execution.fused.text import literal
from gradserve.execution.fused.values import FEW, Filled, Lowered, Small, Stored, positions
from gradserve.ir.types import TensorType

_BLOCK_BYTES = 1 << 18
_LONGEST_BLOCK, _SHORTEST_BLOCK = 1024, 64


@dataclass
class Group:
    """Elementwise ops over one shape, not yet computed."""

    lengths: tuple[int, ...]
    terms: dict[int, Term] = field(default_factory=dict)
    """What computes each value that the group makes."""
    leaves: list[Lowered] = field(default_factory=list)
    _leaf_of: dict[int, Term] = field(default_factory=dict)

    def read(self, key: int, value: Lowered) -> Term:
        """The term of a value that is computed already."""
        found = self._leaf_of.get(key)
        if found is None:
            kind = value.type.element_type
            if isinstance(value, Filled) and value.number is not None:
                found = number(value.number, kind)
            else:
                found = leaf(len(self.leaves), kind)
                self.leaves.append(value)
            self._leaf_of[key] = found
        return found


def written(term: Term) -> str:
    """A number as LLVM writes it."""
    assert term.number is not None
    return literal(term.number, term.element_type)


class Pass:
    """One pass over a shape: loops in loops over axes, and in the innermost one blocks, if anything is called."""

    def __init__(self, machine: Machine, group: Group, stores: Sequence[tuple[Term, Stored]]) -> None:
        """Writes what has to be there before the loops."""
        self._machine, self._text, self._lengths = machine, machine.text, group.lengths
        self._terms = in_order([term for term, _ in stores])
        self._calls = any(term.operation == "call" for term in self._terms)
        self._element: dict[Term, str] = {t: written(t) for t in self._terms if t.operation == "number"}
        """Elements that are the same everywhere."""
        self._memory = dict(stores)
        """Where leaves are read, and what others read is written."""
        for term in self._terms:
            if term.operation == "leaf":
                self._read(term, group.leaves[term.place])
        self._strides = self._joined()
        if self._calls and len(self._lengths) > 1 and self._lengths[-1] < _SHORTEST_BLOCK:
            self._memory = {term: self._flat(place) for term, place in self._memory.items()}
            self._lengths = group.lengths
            self._strides = self._joined()
        self._level = levels(self._terms)

    def _read(self, term: Term, value: Lowered) -> None:
        if isinstance(value, Filled):
            self._element[term] = value.element
            return
        place = self._machine.in_memory(value)
        if any(n > 1 and s for n, s in zip(self._lengths, place.strides, strict=True)):
            self._memory[term] = place
        else:
            self._element[term] = self._text.load(term.element_type, place.pointer)

    def _joined(self) -> dict[Term, tuple[int, ...]]:
        """The strides of everything in memory, along the fewest axes."""
        self._lengths, joined = coalesced(self._lengths, [place.strides for place in self._memory.values()])
        return dict(zip(self._memory, joined, strict=True))

    def _flat(self, place: Stored) -> Stored:
        """The elements one after the other, so that there is one long loop."""
        return place if place.row_major else moved(self._machine, place, self._machine.scratch(place.type))

    def write(self) -> None:
        """The loops."""
        self._nest(0, {term: place.pointer for term, place in self._memory.items()})

    def _nest(self, axis: int, pointers: Mapping[Term, str]) -> None:
        if axis == len(self._lengths) - 1:
            self._row(self._lengths[axis], pointers)
            return
        with self._text.loop(self._lengths[axis]) as position:
            self._nest(axis + 1, self._at(pointers, position, axis))

    def _at(self, pointers: Mapping[Term, str], position: str, axis: int = -1) -> dict[Term, str]:
        """The pointers at a position along an axis."""
        found: dict[Term, str] = {}
        offsets: dict[int, str] = {}
        for term, pointer in pointers.items():
            step = self._strides[term][axis] * term.element_type.itemsize
            if step and step not in offsets:
                offsets[step] = self._text.value(f"mul nsw i64 {position}, {step}")
            found[term] = self._text.offset(pointer, offsets[step]) if step else pointer
        return found

    def _row(self, count: int, pointers: Mapping[Term, str]) -> None:
        if not self._calls:
            self._loop(0, count, pointers, {})
            return
        crossing = self._crossing()
        length = _block_length(len(crossing), count)
        buffers = {t: self._machine.scratch(TensorType(t.element_type, (length,))).pointer for t in crossing}
        if count <= length:
            self._block(count, pointers, buffers)
            return
        text = self._text
        with text.loop(-(-count // length)) as block:
            start = text.value(f"mul nsw i64 {block}, {length}")
            rest = text.value(f"sub nsw i64 {count}, {start}")
            short = text.value(f"icmp slt i64 {rest}, {length}")
            size = text.value(f"select i1 {short}, i64 {rest}, i64 {length}")
            self._block(size, self._at(pointers, start), buffers)

    def _crossing(self) -> list[Term]:
        """What is made in one loop or call and read in another, and nowhere else kept."""
        read = {
            operand
            for term in self._terms
            for operand in term.operands
            if term.operation == "call" or operand.operation == "call" or self._level[operand] < self._level[term]
        }
        called = [term for term in self._terms if term.operation == "call"]
        return [t for t in dict.fromkeys((*read, *called)) if t not in self._memory and t not in self._element]

    def _block(self, count: int | str, pointers: Mapping[Term, str], buffers: Mapping[Term, str]) -> None:
        for level in range(max(self._level.values()) + 1):
            if any(self._is_made(term, level) for term in self._terms):
                self._loop(level, count, pointers, buffers)
            for term in self._terms:
                if term.operation == "call" and self._level[term] == level:
                    self._call(term, count, pointers, buffers)

    def _is_made(self, term: Term, level: int) -> bool:
        return self._level[term] == level and term.operation not in ("leaf", "number", "call")

    def _call(self, term: Term, count: int | str, pointers: Mapping[Term, str], buffers: Mapping[Term, str]) -> None:
        assert term.loop is not None
        places = [self._place(k, x, pointers, buffers) for k, x in enumerate((*term.operands, term))]
        self._machine.call(term.loop, places, count)

    def _place(self, k: int, term: Term, pointers: Mapping[Term, str], buffers: Mapping[Term, str]) -> Place:
        if term in pointers:
            return Place(pointers[term], self._strides[term][-1] * term.element_type.itemsize)
        if term in buffers:
            return Place(buffers[term], term.element_type.itemsize)
        place = Place(self._machine.room(f"operand {k}", "i64", FEW), 0)
        self._text.store(term.element_type, self._element[term], place.pointer)
        return place

    def _loop(self, level: int, count: int | str, pointers: Mapping[Term, str], buffers: Mapping[Term, str]) -> None:
        """One loop over instructions alone."""
        text = self._text
        with text.loop(count, independent=True) as position:
            offsets: dict[int, str] = {}
            found = dict(self._element)

            def at(term: Term) -> str:
                stride = self._strides[term][-1] if term in pointers else 1
                step = stride * term.element_type.itemsize
                if step and step not in offsets:
                    offsets[step] = text.value(f"mul nsw i64 {position}, {step}")
                pointer = pointers.get(term) or buffers[term]
                return text.offset(pointer, offsets[step]) if step else pointer

            def element(term: Term) -> str:
                if term not in found:
                    found[term] = text.load(term.element_type, at(term))
                return found[term]

            for term in self._terms:
                if self._is_made(term, level):
                    found[term] = self._machine.instruction(term, [element(x) for x in term.operands])
                    if term in pointers or term in buffers:
                        text.store(term.element_type, found[term], at(term))


def _block_length(buffers: int, count: int) -> int:
    """Elements of a block: all buffers together stay in the cache."""
    length = _LONGEST_BLOCK
    while length > _SHORTEST_BLOCK and length * 8 * buffers > _BLOCK_BYTES:
        length //= 2
    return min(length, count)


def levels(terms: Sequence[Term]) -> dict[Term, int]:
    """After how many rounds of calls each term can be made: an instruction comes after the calls that it reads."""
    level: dict[Term, int] = {}
    for term in terms:
        after = 0 if term.operation == "call" else 1
        level[term] = max((level[x] + after * (x.operation == "call") for x in term.operands), default=0)
    return level


def coalesced(
    lengths: tuple[int, ...], strides: Sequence[tuple[int, ...]]
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """The lengths and strides of as few axes as all these values can be walked along; at least one."""
    kept: list[int] = []
    rows: list[list[int]] = [[] for _ in strides]
    for axis, length in enumerate(lengths):
        if length == 1:
            continue
        own = [s[axis] for s in strides]
        if kept and all(row[-1] == mine * length for row, mine in zip(rows, own, strict=True)):
            kept[-1] *= length
            for row, mine in zip(rows, own, strict=True):
                row[-1] = mine
            continue
        kept.append(length)
        for row, mine in zip(rows, own, strict=True):
            row.append(mine)
    if not kept:
        return (1,), [(1,) for _ in strides]
    return tuple(kept), [tuple(row) for row in rows]


def moved(machine: Machine, value: Lowered, into: Stored) -> Stored:
    """The memory given, with the elements of a value written into it."""
    kind, size = value.type.element_type, value.type.size
    if isinstance(value, Small):
        for element, at in zip(value.elements, positions(into.type.lengths, into.strides), strict=True):
            machine.text.store(kind, element, machine.text.offset(into.pointer, at * kind.itemsize))
    elif isinstance(value, Stored) and value.row_major and into.row_major:
        machine.text.copy(into.pointer, value.pointer, value.type.nbytes)
    elif size:
        group = Group(value.type.lengths)
        Pass(machine, group, [(Term("same", (group.read(0, value),), kind), into)]).write()
    return into
