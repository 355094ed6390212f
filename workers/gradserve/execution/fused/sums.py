"""Sums of many blocks: pairwise within a block, and with what rounding loses between blocks."""

from __future__ import annotations

import numpy as np

from gradserve.execution.fused.machine import Machine, Place
from gradserve.execution.fused.text import REGISTER, literal
from gradserve.execution.fused.ufuncs import inner_loop
from gradserve.ir.types import ElementType


def add(machine: Machine, kind: ElementType, block: Place, count: int | str, total: str) -> None:
    """Adds the elements of a block to a total, pairwise."""
    adding = inner_loop(np.add, (kind, kind))
    assert adding is not None
    machine.call(adding, [Place(total, 0), block, Place(total, 0)], count)


def add_exactly(machine: Machine, kind: ElementType, block: Place, count: int | str, sums: tuple[str, str]) -> None:
    """Adds the elements of a block to a total, and what rounding takes from it to a second one."""
    text, register = machine.text, REGISTER[kind]
    total, error = sums
    part = machine.room("part", "i64", 1)
    text.store(kind, literal(0, kind), part)
    add(machine, kind, block, count, part)
    after, lost = _added(machine, text.load(kind, total), text.load(kind, part), kind)
    text.store(kind, after, total)
    text.store(kind, text.value(f"fadd {register} {text.load(kind, error)}, {lost}"), error)


def _added(machine: Machine, x: str, y: str, kind: ElementType) -> tuple[str, str]:
    """The rounded sum of two numbers, and what it lacks (Knuth, The Art of Computer Programming 2, 4.2.2)."""
    register = REGISTER[kind]

    def minus(a: str, b: str) -> str:
        return machine.text.value(f"fsub {register} {a}, {b}")

    total = machine.text.value(f"fadd {register} {x}, {y}")
    of_y = minus(total, x)
    lost = minus(x, minus(total, of_y)), minus(y, of_y)
    return total, machine.text.value(f"fadd {register} {', '.join(lost)}")
