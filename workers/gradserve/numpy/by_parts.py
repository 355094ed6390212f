"""Complex matrices as real ones of twice the size: A + iB is [[A, -B], [B, A]].

Sums, products, inverses, conjugate transposes, and with them all functions of matrices, are the same there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.joining import concatenate
from gradserve.numpy.shaping import part


def in_reals(g: Builder, function: Callable[..., Value], *matrices: Value) -> Value:
    """A function of matrices, of real ones or of those that stand for complex ones."""
    if not any(x.type.is_complex for x in matrices):
        return function(*matrices)
    return complex_of(g, function(*(real_of(g, x) for x in g.promote(matrices))))


def real_of(g: Builder, z: Value) -> Value:
    """The real matrices that stand for complex ones."""
    a, b = g.real(z), g.imag(z)
    return concatenate([concatenate([a, -b], -1), concatenate([b, a], -1)], -2)


def columns_of(g: Builder, z: Value) -> Value:
    """The first half of their columns, which says all."""
    return concatenate([g.real(z), g.imag(z)], -2)


def complex_of(g: Builder, m: Value) -> Value:
    """The complex matrices that real ones stand for."""
    return of_columns(g, part(m, m.type.rank - 1, 0, m.shape[-1] // 2))


def of_columns(g: Builder, m: Value) -> Value:
    """The complex matrices of which these are the real parts above the imaginary ones."""
    axis, rows = m.type.rank - 2, m.shape[-2]
    halves: Any = (part(m, axis, 0, rows // 2), part(m, axis, rows // 2, rows))
    return g.emit("complex", *halves)
