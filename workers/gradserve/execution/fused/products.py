"""Products of matrices that are too small, or too narrow, for BLAS to be quick with: sums grow in vector registers."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import llvmlite.binding as llvm

from gradserve.execution.fused.machine import Machine
from gradserve.execution.fused.text import REGISTER
from gradserve.execution.fused.values import Stored
from gradserve.ir.types import ElementType


@functools.cache
def _registers() -> tuple[int, int]:
    """Bytes of a vector register of this processor, and in how many of them sums may grow."""
    return (64, 24) if llvm.get_host_cpu_features().get("avx512f") else (32, 12)


_MOST_ACROSS, _MOST_DOWN = 3, 8
"""Vectors beside each other, and rows below each other, whose sums grow together."""
_NARROWEST = 4
_FIRST_BYTES, _CACHED_BYTES = 1 << 15, 1 << 19
"""Of the right matrix, which is read again for each block of rows, unless there is one block alone: from the first
cache as quickly as BLAS reads what it has packed, from the second where BLAS packs for little."""
_SHORT, _FEW_COLUMNS = 24, 32
"""Sums of so few terms, and so few of them in a row, are little."""


def is_narrow(kind: ElementType, rows: int, inner: int, columns: int) -> bool:
    """Whether matrices of these sizes are better multiplied here than by BLAS, which packs both before it begins."""
    most = _CACHED_BYTES if inner <= _SHORT or columns <= _FEW_COLUMNS else _FIRST_BYTES
    return kind.is_float and min(rows, columns) >= _NARROWEST and inner * columns * kind.itemsize <= most


def has_dense_rows(matrices: Stored) -> bool:
    """Whether the elements of each row lie one after the other, as those of the right matrices must."""
    return matrices.strides[2] == 1 or matrices.type.lengths[2] == 1


def in_registers(machine: Machine, a: Stored, b: Stored, into: Stored) -> None:
    """Writes the products of pairs of matrices; each sum goes along the inner axis, one term after the other.

    The rows of b and of the result are dense.
    """
    (count, rows, _), columns = a.type.lengths, b.type.lengths[2]
    size = a.type.element_type.itemsize
    width, room = _registers()
    with machine.text.loop(count, independent=True) as k:
        x, y, z = (machine.text.stepped(v.pointer, k, v.strides[0] * size) for v in (a, b, into))
        start = 0
        for widths, times in _panels(columns, width // size):
            heights = _blocks(rows, min(_MOST_DOWN, room // len(widths)))
            with machine.text.loop(times, independent=True) as panel:
                at = [
                    machine.text.stepped(machine.text.offset(p, start * size), panel, sum(widths) * size)
                    for p in (y, z)
                ]
                for first, height, repeated in heights:
                    with machine.text.loop(repeated, independent=True) as block:
                        _tile(machine, (a, b, into), (x, *at), (first, height, block), widths)
            start += times * sum(widths)


def _panels(columns: int, lanes: int) -> list[tuple[list[int], int]]:
    """Widths of the vectors beside each other, and how many such panels there are, until all columns are made."""
    widest = lanes * _MOST_ACROSS
    whole, rest = divmod(columns, widest)
    panels = [([lanes] * _MOST_ACROSS, whole)] if whole else []
    last = [lanes] * (rest // lanes)
    left = rest % lanes
    last += [1 << k for k in reversed(range(lanes.bit_length())) if left & 1 << k]
    if len(last) > _MOST_ACROSS:
        panels += [(last[:_MOST_ACROSS], 1), (last[_MOST_ACROSS:], 1)]
    elif last:
        panels.append((last, 1))
    return panels


def _blocks(rows: int, down: int) -> list[tuple[int, int, int]]:
    """First row, height and number of the blocks of rows."""
    whole, rest = divmod(rows, down)
    blocks = [(0, down, whole)] if whole else []
    return [*blocks, (whole * down, rest, 1)] if rest else blocks


def _tile(
    machine: Machine,
    matrices: tuple[Stored, Stored, Stored],
    pointers: Sequence[str],
    rows: tuple[int, int, str],
    widths: Sequence[int],
) -> None:
    """A block of rows of a panel: all its sums in registers."""
    text, kind = machine.text, matrices[0].type.element_type
    size, register = kind.itemsize, REGISTER[kind]
    first, height, block = rows
    steps = [tuple(s * size for s in m.strides[1:]) for m in matrices]
    x, z = (
        machine.text.stepped(text.offset(p, first * down), block, height * down)
        for p, (down, _) in ((pointers[0], steps[0]), (pointers[2], steps[2]))
    )
    types = [f"<{n} x {register}>" for n in widths]
    sums = [[text.room(t, 1) for t in types] for _ in range(height)]
    for row in sums:
        for t, place in zip(types, row, strict=True):
            text.line(f"store {t} zeroinitializer, ptr {place}")
    with text.loop(matrices[0].type.lengths[2]) as d:
        across = machine.text.stepped(x, d, steps[0][1])
        beside = machine.text.stepped(pointers[1], d, steps[1][0])
        vectors = _vectors(machine, types, widths, beside, size)
        for k, row in enumerate(sums):
            one = text.load(kind, text.offset(across, k * steps[0][0]))
            spread = {n: _spread(machine, one, n, register) for n in dict.fromkeys(widths)}
            for n, t, place, vector in zip(widths, types, row, vectors, strict=True):
                product = text.value(f"fmul contract {t} {spread[n]}, {vector}")
                before = text.value(f"load {t}, ptr {place}")
                text.line(f"store {t} {text.value(f'fadd contract {t} {before}, {product}')}, ptr {place}")
    for k, row in enumerate(sums):
        at = text.offset(z, k * steps[2][0])
        for n, t, place in zip(widths, types, row, strict=True):
            text.line(f"store {t} {text.value(f'load {t}, ptr {place}')}, ptr {at}, align {size}")
            at = text.offset(at, n * size)


def _vectors(machine: Machine, types: Sequence[str], widths: Sequence[int], pointer: str, size: int) -> list[str]:
    found = []
    for n, t in zip(widths, types, strict=True):
        found.append(machine.text.value(f"load {t}, ptr {pointer}, align {size}"))
        pointer = machine.text.offset(pointer, n * size)
    return found


def _spread(machine: Machine, element: str, lanes: int, register: str) -> str:
    """A vector that has the element everywhere."""
    vector = f"<{lanes} x {register}>"
    first = machine.text.value(f"insertelement {vector} poison, {register} {element}, i64 0")
    places = f"<{lanes} x i32> zeroinitializer"
    return machine.text.value(f"shufflevector {vector} {first}, {vector} poison, {places}")
