"""Memory that runs share, so that nothing is handed back to the system only to be asked for again."""

from __future__ import annotations

import ctypes
import threading
from collections import defaultdict
from typing import NamedTuple

import numpy as np

from gradserve.ir.types import Array

ALIGNMENT = 64
_CAPACITY = 1 << 28
"""Bytes that are kept while nobody uses them."""


def _looked_up(array: Array) -> int:
    """Where an array's elements begin, read behind its object's head: a tenth of the time that NumPy takes."""
    return _word(id(array) + _HEAD).value or 0


def _asked(array: Array) -> int:
    """The same, as NumPy says."""
    return array.ctypes.data


_word, _HEAD = ctypes.c_void_p.from_address, object.__basicsize__
_PROBE = np.empty(1)
address_of = _looked_up if _looked_up(_PROBE) == _asked(_PROBE) else _asked
"""Where an array's elements begin. The layout is that of NumPy's C interface, and is looked at once."""


class Stretch(NamedTuple):
    """Memory, and where its first aligned byte lies."""

    array: Array
    address: int


class Memory:
    """Stretches of memory that are lent and come back. Safe for threads."""

    def __init__(self, capacity: int = _CAPACITY) -> None:
        """Keeps up to `capacity` bytes that nobody uses."""
        self._capacity, self._kept = capacity, 0
        self._free: defaultdict[int, list[Stretch]] = defaultdict(list)
        self._lock = threading.Lock()

    def lend(self, nbytes: int) -> Stretch:
        """At least so many bytes; nothing is known of what they hold."""
        size = _class_of(nbytes)
        with self._lock:
            if self._free[size]:
                self._kept -= size
                return self._free[size].pop()
        return stretch(size)

    def give_back(self, lent: Stretch) -> None:
        """Takes back what was lent; frees it if enough is kept."""
        size = lent.array.nbytes - ALIGNMENT
        with self._lock:
            if self._kept + size <= self._capacity:
                self._kept += size
                self._free[size].append(lent)


def _class_of(nbytes: int) -> int:
    """The size of the stretches that serve so many bytes: powers of two and the steps halfway between them."""
    power = 1 << max(nbytes - 1, 1).bit_length()
    return power * 3 // 4 if nbytes <= power * 3 // 4 else power


def stretch(nbytes: int) -> Stretch:
    """New memory."""
    array = np.empty(nbytes + ALIGNMENT, np.uint8)
    return Stretch(array, -(-address_of(array) // ALIGNMENT) * ALIGNMENT)


MEMORY = Memory()
"""That of this process."""
