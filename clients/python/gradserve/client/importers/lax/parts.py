"""The parts of complex numbers, which real numbers have as well."""

from __future__ import annotations

from collections.abc import Callable

from gradserve.client.importers.lax.elements import Operand
from gradserve.ir.builder import Builder, Value


def conjugate(g: Builder, x: Operand) -> Value:
    """The complex conjugate, which is complex of real numbers as well."""
    return g.conj(x.value) if x.is_complex else g.convert(x.value, x.value.type.element_type.with_parts)


def part_of(name: str) -> Callable[[Builder, Operand], Value]:
    """The real or the imaginary part; real numbers have none but themselves, and zeros."""

    def apply(g: Builder, x: Operand) -> Value:
        if x.is_complex:
            return g.emit(name, x.value)
        return x.value if name == "real" else g.zeros(x.value.type)

    return apply
