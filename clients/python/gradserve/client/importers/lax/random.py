"""Threefry-2x32 with 20 rounds: the counter-based generator behind JAX's keys, as arithmetic of 32-bit integers.

J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

from gradserve.client.importers.lax.elements import Operand
from gradserve.ir.builder import Builder, Value

_MASK = 0xFFFFFFFF
_PARITY = 0x1BD11BDA
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def threefry2x32(g: Builder, key: tuple[Operand, Operand], count: tuple[Operand, Operand]) -> tuple[Value, Value]:
    """Two words of random bits for each pair of words of a counter."""
    first, second = (word.value for word in key)
    schedule = (first, second, g.bitwise_xor(g.bitwise_xor(first, second), _PARITY))
    x, y = (_plus(g, word.value, own) for word, own in zip(count, schedule, strict=False))
    for block in range(5):
        for places in _ROTATIONS[block % 2]:
            x = _plus(g, x, y)
            y = g.bitwise_xor(_rotated(g, y, places), x)
        x = _plus(g, x, schedule[(block + 1) % 3])
        y = _plus(g, _plus(g, y, schedule[(block + 2) % 3]), block + 1)
    return x, y


def _plus(g: Builder, x: Value, y: Value | int) -> Value:
    return g.bitwise_and(g.add(x, y), _MASK)


def _rotated(g: Builder, x: Value, places: int) -> Value:
    """The bits moved up, those that leave coming in again from below."""
    above = g.bitwise_and(g.shift_left(x, places), _MASK)
    return g.bitwise_or(above, g.shift_right(x, 32 - places))
