"""Moving elements: other strides where that will do, else copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gradserve.execution.fused.lowering import Site, lowered
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
    machine.text.clear(into.pointer, result.nbytes)
    start = sum(low * stride for low, stride in zip(op.low, into.strides, strict=True)) if x.type.size else 0
    strides = tuple(stride * (gap + 1) for gap, stride in zip(op.interior, into.strides, strict=True))
    if x.type.size:
        pointer = machine.text.offset(into.pointer, start * x.type.element_type.itemsize)
        moved(machine, x, Stored(x.type, pointer, strides))
    return [into]


@lowered.register
def _(op: Concatenate, at: Site, operands: Sequence[Lowered]) -> list[Lowered]:
    machine, (result,) = at.machine, at.types
    if result.size <= FEW:
        return [_picked(machine, op, operands, result)]
    into, start = at.new(0), 0
    for x in operands:
        step = start * into.strides[op.axis] * result.element_type.itemsize
        if x.type.size:
            moved(machine, x, Stored(x.type, machine.text.offset(into.pointer, step), into.strides))
        start += x.type.lengths[op.axis]
    return [into]


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
        place = text.offset(into.pointer, text.value(f"mul nsw i64 {k}, {kind.itemsize}"))
        text.store(kind, number, place)
    return [into]
