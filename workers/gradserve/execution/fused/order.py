"""Where the extreme elements along an axis are: the first of several, and the first NaN before all others."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.execution.fused.indexing import slice_at
from gradserve.execution.fused.lowering import Site, lowered
from gradserve.execution.fused.machine import Machine
from gradserve.execution.fused.terms import NotLowered
from gradserve.execution.fused.text import MEMORY, REGISTER
from gradserve.execution.fused.values import Lowered, Stored
from gradserve.ir.types import ElementType
from gradserve.ops.reduction.ordered import Argmax, Position

_INT64 = ElementType.INT64


@lowered.register
def _(op: Position, at: Site, operands: Sequence[Lowered]) -> list[Lowered]:
    machine, (x,), into = at.machine, operands, at.new(0)
    if not x.type.size:
        if into.type.size:
            raise NotLowered(f"{op.name} of nothing")
        return [into]
    _nest(op, machine, machine.in_memory(x), into, 0)
    return [into]


def _nest(op: Position, machine: Machine, x: Stored, into: Stored, axis: int) -> None:
    """One search for each position along the other axes, which are taken off one by one."""
    if x.type.rank == 1:
        _search(op, machine, x, into)
        return
    first = 1 if axis == op.axis else 0
    with machine.text.loop(x.type.lengths[first]) as k:
        rest = slice_at(machine, x, first, k), slice_at(machine, into, 0, k)
        _nest(op, machine, *rest, axis if first else axis + 1)


def _search(op: Position, machine: Machine, x: Stored, into: Stored) -> None:
    text, kind = machine.text, x.type.element_type
    best = machine.room("best", MEMORY[kind], 1)
    text.store(_INT64, "0", into.pointer)
    text.store(kind, text.load(kind, x.pointer), best)
    with text.loop(x.type.lengths[0]) as k:
        element, known = text.load(kind, slice_at(machine, x, 0, k).pointer), text.load(kind, best)
        with text.when(_better(op, machine, kind, element, known)):
            text.store(kind, element, best)
            text.store(_INT64, k, into.pointer)


def _better(op: Position, machine: Machine, kind: ElementType, x: str, known: str) -> str:
    """Whether an element comes before the best one that is known."""
    text, register = machine.text, REGISTER[kind]
    more = isinstance(op, Argmax)
    if not kind.is_float:
        sign = "u" if kind is ElementType.BOOL else "s"
        return text.value(f"icmp {sign}{'gt' if more else 'lt'} {register} {x}, {known}")
    wins = text.value(f"fcmp {'ugt' if more else 'ult'} {register} {x}, {known}")  # or either is NaN
    number = text.value(f"fcmp ord {register} {known}, {known}")
    return text.value(f"and i1 {wins}, {number}")
