"""Passes over a shape: nothing is stored but what others read.

Instructions of the processor make one loop, which LLVM turns into vectors. Where ufuncs are called, the pass goes block
by block: loops and calls take turns on blocks that stay in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from gradserve.execution.fused.axes import LONGEST_BLOCK, block_length, coalesced, innermost, levels, may_be_turned
from gradserve.execution.fused.groups import Group, written
from gradserve.execution.fused.machine import Machine, Place
from gradserve.execution.fused.namespace import NAMESPACE
from gradserve.execution.fused.sums import add, begun, grow
from gradserve.execution.fused.terms import Term, in_order
from gradserve.execution.fused.values import FEW, Filled, Lowered, Small, Stored, positions
from gradserve.ir.types import TensorType

_FEW_PARTS = 16
"""So many parts of a sum may be added one by one without a thought to rounding."""


class Pass:
    """One pass over a shape: loops in loops over axes, and in the innermost one blocks, if anything is called."""

    def __init__(
        self,
        machine: Machine,
        group: Group,
        stores: Sequence[tuple[Term, Stored]],
        sums: Sequence[tuple[Term, Stored]] = (),
    ) -> None:
        """Writes what has to be there before the loops. Sums go to memory whose strides along summed axes are 0."""
        self._machine, self._text, self._lengths = machine, machine.text, group.lengths
        totals = {Term("sum", (term,), term.element_type): into for term, into in sums}
        self._terms = in_order([*(term for term, _ in stores), *totals])
        self._element: dict[Term, str] = {t: written(t) for t in self._terms if t.operation == "number"}
        """Elements that are the same everywhere."""
        self._memory = dict(stores) | totals
        """Where leaves are read, and what others read is written."""
        for term in self._terms:
            if term.operation == "leaf":
                self._read(term, group.leaves[term.place])
        self._strides: dict[Term, tuple[int, ...]] = {}
        self._turned: list[tuple[Stored, Stored]] = []
        """Sums that are first made in another order of their elements, and where they belong."""
        self._place_axes()
        self._level = levels(self._terms)
        self._called = [term for term in self._terms if term.operation == "call"]
        self._folded = [term for term in self._terms if self._is_folded(term)]
        self._errors: dict[Term, Term] = {}
        """The rounding errors of sums of many parts."""
        self._buffers: dict[Term, str] = {}

    def _is_folded(self, term: Term) -> bool:
        """Whether a sum is along the innermost axis, so that a block of it stays in registers."""
        return term.operation == "sum" and not self._strides[term][-1]

    def _read(self, term: Term, value: Lowered) -> None:
        if isinstance(value, Filled):
            self._element[term] = value.element
            return
        place = self._machine.in_memory(value)
        if any(n > 1 and s for n, s in zip(self._lengths, place.strides, strict=True)):
            self._memory[term] = place
        else:
            self._element[term] = self._text.load(term.element_type, place.pointer)

    def _place_axes(self) -> None:
        """Joins axes; the last one is that along which a row is made the quickest."""
        self._lengths, joined = coalesced(self._lengths, [place.strides for place in self._memory.values()])
        order = list(range(len(self._lengths)))
        order.append(order.pop(innermost(self._lengths, dict(zip(self._memory, joined, strict=True)), self._terms)))
        self._lengths = tuple(self._lengths[axis] for axis in order)
        for (term, place), strides in zip(tuple(self._memory.items()), joined, strict=True):
            self._strides[term] = tuple(strides[axis] for axis in order)
            if self._strides[term][-1] not in (0, 1) and may_be_turned(term, self._strides[term], self._lengths):
                self._turn(term, place)

    def _turn(self, term: Term, place: Stored) -> None:
        """Puts the elements of a row of something small side by side."""
        strides = self._strides[term]
        axes = [axis for axis, step in enumerate(strides) if step]
        lengths = tuple(self._lengths[axis] for axis in axes)
        type_ = place.type.with_shape(lengths)
        given = Stored(type_, place.pointer, tuple(strides[axis] for axis in axes), place.owner)
        new = self._machine.scratch(type_)
        if term.operation == "sum":
            self._turned.append((new, given))
        else:
            moved(self._machine, given, new)
        self._memory[term] = new
        own = dict(zip(axes, new.strides, strict=True))
        self._strides[term] = tuple(own.get(axis, 0) for axis in range(len(strides)))

    def write(self) -> None:
        """The loops."""
        sums = [term for term in self._terms if term.operation == "sum"]
        for term in sums:
            self._begin_sum(term)
        self._nest(0, {term: place.pointer for term, place in self._memory.items()})
        for term, error in self._errors.items():
            self._correct(self._memory[term], self._memory[error])
        for made, into in self._turned:
            moved(self._machine, made, into)

    def _begin_sum(self, term: Term) -> None:
        """Zeros; and memory for rounding errors if parts are added up that are many."""
        place, text = self._memory[term], self._text
        size = math.prod(n for n, s in zip(self._lengths, self._strides[term], strict=True) if s)
        text.clear(place.pointer, size * term.element_type.itemsize)
        if not (self._is_folded(term) and term.element_type.is_float):
            return
        parts = math.prod(self._lengths) // size / min(self._lengths[-1], LONGEST_BLOCK)
        if parts > _FEW_PARTS:
            error = self._errors[term] = Term("error", (), term.element_type)
            self._memory[error] = self._machine.scratch(place.type.with_shape((size,)))
            self._strides[error] = self._strides[term]
            text.clear(self._memory[error].pointer, size * term.element_type.itemsize)

    def _correct(self, total: Stored, error: Stored) -> None:
        """Adds what was lost by rounding to sums that are finite."""
        flat = Stored(error.type, total.pointer, error.strides)
        group = Group(error.type.lengths)
        rough, lost = group.read(0, flat), group.read(1, error)
        Pass(self._machine, group, [(NAMESPACE.where(NAMESPACE.isfinite(rough), rough + lost, rough), flat)]).write()

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
        if not (self._called or self._folded):
            self._loop(0, count, pointers)
            return
        crossing = self._crossing()
        length = block_length(len(crossing), count)
        for term in crossing:
            self._buffers[term] = self._machine.scratch(TensorType(term.element_type, (length,))).pointer
        if count <= length:
            self._block(count, pointers)
            return
        text = self._text
        with text.loop(-(-count // length)) as block:
            start = text.value(f"mul nsw i64 {block}, {length}")
            rest = text.value(f"sub nsw i64 {count}, {start}")
            short = text.value(f"icmp slt i64 {rest}, {length}")
            size = text.value(f"select i1 {short}, i64 {rest}, i64 {length}")
            self._block(size, self._at(pointers, start))

    def _crossing(self) -> list[Term]:
        """What is made in one loop or call and read in another, and nowhere else kept."""
        called = set(self._called)
        read = [
            operand
            for term in self._terms
            for operand in term.operands
            if term in called or operand in called or self._level[operand] < self._level[term]
        ]
        return [t for t in dict.fromkeys((*read, *self._called)) if t not in self._memory and t not in self._element]

    def _block(self, count: int | str, pointers: Mapping[Term, str]) -> None:
        for level in range(max(self._level.values()) + 1):
            if any(self._is_made(term, level) for term in self._terms):
                self._loop(level, count, pointers)
            for term in self._called:
                if self._level[term] == level:
                    self._call(term, count, pointers)

    def _is_made(self, term: Term, level: int) -> bool:
        return self._level[term] == level and term.operation not in ("leaf", "number", "call")

    def _call(self, term: Term, count: int | str, pointers: Mapping[Term, str]) -> None:
        assert term.loop is not None
        places = [self._place(k, x, pointers) for k, x in enumerate((*term.operands, term))]
        self._machine.call(term.loop, places, count)

    def _place(self, k: int, term: Term, pointers: Mapping[Term, str]) -> Place:
        if term in pointers:
            return Place(pointers[term], self._strides[term][-1] * term.element_type.itemsize)
        if term in self._buffers:
            return Place(self._buffers[term], term.element_type.itemsize)
        place = Place(self._machine.room(f"operand {k}", "i64", FEW), 0)
        self._text.store(term.element_type, self._element[term], place.pointer)
        return place

    def _loop(self, level: int, count: int | str, pointers: Mapping[Term, str]) -> None:
        """One loop over instructions alone."""
        made = [term for term in self._terms if self._is_made(term, level)]
        parts = {term: begun(self._machine, term.element_type) for term in made if self._is_folded(term)}
        with self._text.loop(count, independent=True) as position:
            _Body(self._machine, self._element, lambda term: self._address(term, pointers), position).write(made, parts)
        for term, part in parts.items():
            error = pointers[self._errors[term]] if term in self._errors else None
            add(self._machine, term.element_type, part, pointers[term], error)

    def _address(self, term: Term, pointers: Mapping[Term, str]) -> tuple[str, int] | None:
        """Where the first element of a row or block lies, and the bytes to the next; None if it is not in memory."""
        if term in pointers:
            return pointers[term], self._strides[term][-1] * term.element_type.itemsize
        return (self._buffers[term], term.element_type.itemsize) if term in self._buffers else None


class _Body:
    """One element of everything that a loop makes."""

    def __init__(
        self,
        machine: Machine,
        elements: Mapping[Term, str],
        address: Callable[[Term], tuple[str, int] | None],
        position: str,
    ) -> None:
        """At a position of the loop; `elements` are known, others are read where `address` says."""
        self._machine, self._text = machine, machine.text
        self._found, self._address, self._position = dict(elements), address, position
        self._offsets: dict[int, str] = {}

    def write(self, terms: Sequence[Term], parts: Mapping[Term, str]) -> None:
        """The instructions; sums along the loop are added to their parts."""
        for term in terms:
            operands = [self._element(x) for x in term.operands]
            if term in parts:
                grow(self._machine, term.element_type, parts[term], operands[0])
                continue
            place = self._address(term)
            pointer = None if place is None else self._at(*place)
            if term.operation == "sum":
                assert pointer is not None
                operands.append(self._text.load(term.element_type, pointer))
            self._found[term] = self._machine.instruction(term, operands)
            if pointer is not None:
                self._text.store(term.element_type, self._found[term], pointer)

    def _element(self, term: Term) -> str:
        if term not in self._found:
            place = self._address(term)
            assert place is not None
            self._found[term] = self._text.load(term.element_type, self._at(*place))
        return self._found[term]

    def _at(self, pointer: str, step: int) -> str:
        if step and step not in self._offsets:
            self._offsets[step] = self._text.value(f"mul nsw i64 {self._position}, {step}")
        return self._text.offset(pointer, self._offsets[step]) if step else pointer


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
