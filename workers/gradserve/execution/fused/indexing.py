"""Elements at computed positions, each looked at before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gradserve.execution.fused.elementwise import computed
from gradserve.execution.fused.groups import Group
from gradserve.execution.fused.lowering import Site, lowered
from gradserve.execution.fused.machine import Machine
from gradserve.execution.fused.passes import moved
from gradserve.execution.fused.text import REGISTER
from gradserve.execution.fused.values import Filled, Lowered, Stored
from gradserve.ir.types import ElementType
from gradserve.ops.indexing.gather import Gather, ScatterAdd


def inside(machine: Machine, index: str, kind: ElementType, length: int) -> str:
    """The index as an i64; the run is refused unless it lies in [0, length)."""
    text = machine.text
    wide = index if kind is ElementType.INT64 else text.value(f"sext {REGISTER[kind]} {index} to i64")
    text.refuse_if(text.value(f"icmp uge i64 {wide}, {length}"))
    return wide


def slice_at(machine: Machine, value: Stored, axis: int, position: str) -> Stored:
    """The slice of a value at a position along an axis, which it lacks."""
    step = value.strides[axis] * value.type.element_type.itemsize
    pointer = machine.text.stepped(value.pointer, position, step)
    lengths = value.type.lengths
    type_ = value.type.with_shape((*lengths[:axis], *lengths[axis + 1 :]))
    return replace(value, type=type_, pointer=pointer, strides=(*value.strides[:axis], *value.strides[axis + 1 :]))


def _flat(machine: Machine, indices: Lowered) -> Stored:
    """The indices one after the other."""
    memory = machine.in_memory(indices)
    if not memory.row_major:
        memory = moved(machine, memory, machine.scratch(memory.type))
    return Stored(memory.type.with_shape((memory.type.size,)), memory.pointer, (1,))


def _merged(value: Stored, axis: int, rank: int) -> Stored:
    """A row-major value with the axes of the indices as one."""
    lengths, strides = value.type.lengths, value.strides
    count = 1
    for n in lengths[axis : axis + rank]:
        count *= n
    step = strides[axis + rank - 1] if rank else 0
    type_ = value.type.with_shape((*lengths[:axis], count, *lengths[axis + rank :]))
    return replace(value, type=type_, strides=(*strides[:axis], step, *strides[axis + rank :]))


@lowered.register
def _(op: Gather, at: Site, operands: Sequence[Lowered]) -> list[Lowered]:
    """The slice itself where there is one index; else each slice copied."""
    machine, (x, indices), (result,) = at.machine, operands, at.types
    kind, length = indices.type.element_type, operands[0].type.lengths[op.axis]
    if indices.type.size == 1:
        index = inside(machine, machine.elements(indices)[0], kind, length)
        if isinstance(x, Filled):
            return [replace(x, type=result)]
        taken = slice_at(machine, machine.in_memory(x), op.axis, index)
        kept = iter(taken.strides)
        where = range(op.axis, op.axis + indices.type.rank)
        return [replace(taken, type=result, strides=tuple(0 if a in where else next(kept) for a in range(result.rank)))]
    into = at.new(0)
    if indices.type.size:
        places, memory = _flat(machine, indices), machine.in_memory(x)
        target = _merged(into, op.axis, indices.type.rank)
        with machine.text.loop(places.type.size) as k:
            index = inside(machine, machine.text.load(kind, slice_at(machine, places, 0, k).pointer), kind, length)
            moved(machine, slice_at(machine, memory, op.axis, index), slice_at(machine, target, op.axis, k))
    return [into]


@lowered.register
def _(op: ScatterAdd, at: Site, operands: Sequence[Lowered]) -> list[Lowered]:
    """Each slice added in its order."""
    machine, (updates, indices), into = at.machine, operands, at.new(0)
    kind = indices.type.element_type
    machine.text.clear(into.pointer, into.type.nbytes)
    if not indices.type.size:
        return [into]
    memory = machine.in_memory(updates)
    if not memory.row_major:
        memory = moved(machine, memory, machine.scratch(memory.type))
    places, source = _flat(machine, indices), _merged(memory, op.axis, indices.type.rank)
    with machine.text.loop(places.type.size) as k:
        index = inside(machine, machine.text.load(kind, slice_at(machine, places, 0, k).pointer), kind, op.length)
        target = slice_at(machine, into, op.axis, index)
        if target.type.size:
            _add(machine, slice_at(machine, source, op.axis, k), target)
    return [into]


def _add(machine: Machine, x: Stored, into: Stored) -> None:
    """Adds the elements of x to those of `into`."""
    group = Group(x.type.lengths)
    group.terms[0] = group.read(1, into) + group.read(0, x)
    computed(machine, group, {0: into})
