"""Reductions and running totals by the inner loops of NumPy's ufuncs, whose sums are pairwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gradserve.execution.fused.axes import coalesced
from gradserve.execution.fused.elementwise import fold
from gradserve.execution.fused.lowering import Site, lowered
from gradserve.execution.fused.machine import Machine, Place
from gradserve.execution.fused.namespace import NAMESPACE
from gradserve.execution.fused.passes import moved
from gradserve.execution.fused.terms import NotLowered
from gradserve.execution.fused.ufuncs import InnerLoop, inner_loop
from gradserve.execution.fused.values import FEW, Lowered, Small, Stored, positions
from gradserve.execution.numpy.kernels.reduction import UFUNCS
from gradserve.execution.numpy.layout import row_major
from gradserve.ir.types import TensorType
from gradserve.ops.reduction.ordered import RunningTotal
from gradserve.ops.reduction.quantifiers import ReduceAll, ReduceAny
from gradserve.ops.reduction.reductions import OverAxes, ReduceProd, ReduceSum

_BEGINS: dict[type[Any], bool | int] = {ReduceSum: 0, ReduceProd: 1, ReduceAny: False, ReduceAll: True}
"""The reduction of nothing, where there is one."""
_SHORT = 16


@lowered.register
def _(op: OverAxes, at: Site, operands: Sequence[Lowered]) -> list[Lowered]:
    machine, (x,), (result,) = at.machine, operands, at.types
    if 0 < x.type.size <= FEW:
        return [_few(op, machine, x, result)]
    if not result.size:
        return [at.new(0)]
    into = _begun(op, machine, x, at.new(0))
    if x.type.size:
        memory = machine.in_memory(x)
        _reduce(machine, _loop(op, x.type), memory, replace(into, type=x.type, strides=_spread(op, into)))
    return [into]


def _loop(op: Any, operand: TensorType) -> InnerLoop:
    kind = operand.element_type
    found = inner_loop(UFUNCS[type(op)], (kind, kind))
    if found is None or found.result is not kind:
        raise NotLowered(f"{op.name} of {kind.value}")
    return found


def _few(op: OverAxes, machine: Machine, x: Lowered, result: TensorType) -> Small:
    """Element by element, in their order."""
    elements: list[list[str]] = [[] for _ in range(result.size)]
    strides = _spread(op, Stored(result, "", row_major(result.lengths)), x.type.rank)
    for element, at in zip(machine.elements(x), positions(x.type.lengths, strides), strict=True):
        elements[at].append(element)
    combine = getattr(NAMESPACE, UFUNCS[type(op)].__name__)
    return Small(result, tuple(fold(machine, combine, each, result.element_type) for each in elements))


def _spread(op: OverAxes, result: Stored, rank: int | None = None) -> tuple[int, ...]:
    """The strides of the result along the axes of the operand: 0 along those that are reduced."""
    rank = len(result.strides) + len(op.axes) if rank is None else rank
    left = iter(result.strides)
    return tuple(0 if axis in op.axes else next(left) for axis in range(rank))


def _begun(op: OverAxes, machine: Machine, x: Lowered, into: Stored) -> Stored:
    """The result before the first element: what nothing gives, or the first elements themselves."""
    begin = _BEGINS.get(type(op))
    if begin is not None:
        return moved(machine, machine.constant(begin, into.type), into) if begin else _cleared(machine, into)
    if not x.type.size:
        raise NotLowered(f"{op.name} of nothing")
    memory = machine.in_memory(x)
    kept = tuple(s for axis, s in enumerate(memory.strides) if axis not in op.axes)
    return moved(machine, Stored(into.type, memory.pointer, kept), into)


def _cleared(machine: Machine, into: Stored) -> Stored:
    machine.text.clear(into.pointer, into.type.nbytes)
    return into


def _reduce(machine: Machine, loop: InnerLoop, x: Stored, into: Stored) -> None:
    """Every element of x combined into the one of the result that its position has: strides 0 meet there."""
    lengths, (read, written) = coalesced(x.type.lengths, [x.strides, into.strides])
    inner = len(lengths) - 1
    if lengths[inner] < _SHORT:
        inner = max(range(len(lengths)), key=lambda axis: lengths[axis])
    outer = [axis for axis in range(len(lengths)) if axis != inner]
    size = x.type.element_type.itemsize

    def nest(axes: Sequence[int], source: str, target: str) -> None:
        if axes:
            with machine.text.loop(lengths[axes[0]]) as k:
                nest(
                    axes[1:],
                    machine.text.stepped(source, k, read[axes[0]] * size),
                    machine.text.stepped(target, k, written[axes[0]] * size),
                )
            return
        places = [Place(target, written[inner] * size), Place(source, read[inner] * size)]
        machine.call(loop, [*places, places[0]], lengths[inner])

    nest(outer, x.pointer, into.pointer)


@lowered.register
def _(op: RunningTotal, at: Site, operands: Sequence[Lowered]) -> list[Lowered]:
    """Along the axis every element is the one before it, combined with the operand's."""
    machine, (x,) = at.machine, operands
    if not x.type.size:
        return [at.new(0)]
    loop, into, memory = _loop(op, x.type), at.new(0), machine.in_memory(x)
    length, size = x.type.lengths[op.axis], x.type.element_type.itemsize
    others = tuple(n for axis, n in enumerate(x.type.lengths) if axis != op.axis)
    read, written = ([s for axis, s in enumerate(v.strides) if axis != op.axis] for v in (memory, into))
    steps = memory.strides[op.axis] * size, into.strides[op.axis] * size
    kind = x.type.element_type

    def nest(axis: int, source: str, target: str) -> None:
        if axis < len(others):
            with machine.text.loop(others[axis]) as k:
                nest(
                    axis + 1,
                    machine.text.stepped(source, k, read[axis] * size),
                    machine.text.stepped(target, k, written[axis] * size),
                )
            return
        machine.text.store(kind, machine.text.load(kind, source), target)
        if length > 1:
            following = machine.text.offset(target, steps[1])
            places = Place(target, steps[1]), Place(machine.text.offset(source, steps[0]), steps[0])
            machine.call(loop, [*places, Place(following, steps[1])], length - 1)

    nest(0, memory.pointer, into.pointer)
    return [into]
