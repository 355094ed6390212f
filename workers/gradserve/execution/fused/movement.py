"""Moving elements: other strides where that will do, else copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gradserve.execution.fused.lowering import Site, lowered, place_of
from gradserve.execution.fused.machine import Machine
from gradserve.execution.fused.passes import moved
from gradserve.execution.fused.text import MEMORY, literal
from gradserve.execution.fused.values import FEW, Filled, Lowered, Small, Stored
from gradserve.execution.numpy.layout import row_major, view_strides
from gradserve.ir.op import Op
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops.indexing.gather import Iota
from gradserve.ops.movement.placement import Concatenate, Pad, Reverse, Slice
from gradserve.ops.movement.shapes import BroadcastTo, Permute, Reshape


@lowered.register(Reshape)
@lowered.register(Permute)
@lowered.register(Slice)
@lowered.register(Reverse)
@lowered.register(BroadcastTo)
def _(op: Op, at: Site, operands: Sequence[Lowered]) -> list[Lowered]:
    """The same elements by other strides."""
    machine, (x,), (result,) = at.machine, operands, at.types
    if isinstance(x, Filled):
        return [replace(x, type=result)]
    if isinstance(op, BroadcastTo) and x.type.size == 1:
        return [Filled(result, machine.elements(x)[0])]
    if isinstance(x, Small) and result.size <= FEW:
        return [_picked(machine, op, [x], result)]
    if not isinstance(x, Stored):
        x = machine.in_memory(x)
    strides = view_strides(op, x.type.lengths, x.strides, result.lengths)
    if strides is None:
        into = at.new(0)
        moved(machine, x, Stored(x.type, into.pointer, row_major(x.type.lengths)))
        return [into]
    start = _start(op, x) * x.type.element_type.itemsize
    return [Stored(result, machine.text.offset(x.pointer, start), strides, x.owner)]


def _start(op: Op, x: Stored) -> int:
    """How many elements the first one is moved on."""
    match op:
        case Slice():
            return sum(start * stride for start, stride in zip(op.starts, x.strides, strict=True))
        case Reverse():
            return sum((x.type.lengths[axis] - 1) * x.strides[axis] for axis in op.axes)
    return 0


def _picked(machine: Machine, op: Op, operands: Sequence[Lowered], result: TensorType) -> Small:
    """A few elements where the op puts them, found by moving their numbers; 0 is where none is put."""
    elements, numbers = [literal(0, result.element_type)], []
    for x in operands:
        first = len(elements)
        elements += machine.elements(x)
        numbers.append(np.arange(first, len(elements)).reshape(x.type.lengths))
    places = np.asarray(op.impl(np, *numbers)).reshape(-1)
    return Small(result, tuple(elements[k] for k in places))


@lowered.register
def _(op: Pad, at: Site, operands: Sequence[Lowered]) -> list[Lowered]:
    machine, (x,), (result,) = at.machine, operands, at.types
    if result.size <= FEW:
        return [_picked(machine, op, [x], result)]
    into = at.new(0)
    if any(op.interior) or not x.type.size:
        machine.text.clear(into.pointer, result.nbytes)
    else:
        _clear_borders(machine, op, into)
    if x.type.size:
        place = at.placed[0] or _apart(op, machine, x.type, into)
        if x != place:
            moved(machine, x, place)
    return [into]


@place_of.register
def _(op: Pad, machine: Machine, operands: Sequence[TensorType], position: int, into: Stored) -> Stored | None:
    few = into.type.size <= FEW or not operands[position].size
    return None if few or any(op.interior) else _apart(op, machine, operands[position], into)


def _apart(op: Pad, machine: Machine, type_: TensorType, into: Stored) -> Stored:
    """Where the elements lie between the zeros."""
    start = sum(low * stride for low, stride in zip(op.low, into.strides, strict=True))
    strides = tuple(stride * (gap + 1) for gap, stride in zip(op.interior, into.strides, strict=True))
    return Stored(type_, machine.text.offset(into.pointer, start * type_.element_type.itemsize), strides)


def _clear_borders(machine: Machine, op: Pad, into: Stored) -> None:
    """Zeros before and behind the elements, along each axis."""
    lengths, kind = into.type.lengths, into.type.element_type
    for axis, (low, high) in enumerate(zip(op.low, op.high, strict=True)):
        for first, count in ((0, low), (lengths[axis] - high, high)):
            if count > 0:
                type_ = into.type.with_shape((*lengths[:axis], count, *lengths[axis + 1 :]))
                pointer = machine.text.offset(into.pointer, first * into.strides[axis] * kind.itemsize)
                moved(machine, machine.constant(0, type_), Stored(type_, pointer, into.strides))


@lowered.register
def _(op: Concatenate, at: Site, operands: Sequence[Lowered]) -> list[Lowered]:
    machine, (result,) = at.machine, at.types
    if result.size <= FEW:
        return [_picked(machine, op, operands, result)]
    into, types = at.new(0), [x.type for x in operands]
    for k, x in enumerate(operands):
        place = at.placed[k] or place_of(op, machine, types, k, into)
        if place is not None and x != place:
            moved(machine, x, place)
    return [into]


@place_of.register
def _(op: Concatenate, machine: Machine, operands: Sequence[TensorType], position: int, into: Stored) -> Stored | None:
    type_ = operands[position]
    if into.type.size <= FEW or not type_.size:
        return None
    start = sum(x.lengths[op.axis] for x in operands[:position]) * into.strides[op.axis]
    return Stored(type_, machine.text.offset(into.pointer, start * type_.element_type.itemsize), into.strides)


@lowered.register
def _(op: Iota, at: Site, operands: Sequence[Lowered]) -> list[Lowered]:
    del op, operands
    (result,) = at.types
    kind = result.element_type
    if result.size <= FEW:
        return [Small(result, tuple(literal(k, kind) for k in range(result.size)))]
    into, text = at.new(0), at.machine.text
    with text.loop(result.size, independent=True) as k:
        number = k
        if kind.is_float:
            number = text.value(f"sitofp i64 {k} to {MEMORY[kind]}")
        elif kind is ElementType.INT32:
            number = text.value(f"trunc i64 {k} to i32")
        text.store(kind, number, text.stepped(into.pointer, k, kind.itemsize))
    return [into]
