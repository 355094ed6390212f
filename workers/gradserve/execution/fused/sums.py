"""Sums along a loop: in registers within a block, and with what rounding loses between blocks."""

from __future__ import annotations

from gradserve.execution.fused.machine import Machine
from gradserve.execution.fused.text import REGISTER, literal
from gradserve.ir.types import ElementType


def begun(machine: Machine, kind: ElementType) -> str:
    """Where the sum of a block grows: LLVM finds that this is a register."""
    part = machine.text.room(REGISTER[kind], 1)
    machine.text.store(kind, literal(0, kind), part)
    return part


def grow(machine: Machine, kind: ElementType, part: str, element: str) -> None:
    """Adds an element of the block, in whatever order: in that of vectors sums lose less than one by one."""
    text, register = machine.text, REGISTER[kind]
    before = text.value(f"load {register}, ptr {part}")
    operation = "fadd reassoc" if kind.is_float else "add"
    after = text.value(f"{operation} {register} {before}, {element}")
    text.line(f"store {register} {after}, ptr {part}")


def add(machine: Machine, kind: ElementType, part: str, total: str, error: str | None) -> None:
    """Adds the sum of a block to a total; what rounding takes from that is added to `error`, if there is one."""
    text, register = machine.text, REGISTER[kind]
    before, added = text.load(kind, total), text.load(kind, part)
    if error is None:
        operation = "fadd" if kind.is_float else "add"
        text.store(kind, text.value(f"{operation} {register} {before}, {added}"), total)
        return
    after, lost = _added(machine, before, added, kind)
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
