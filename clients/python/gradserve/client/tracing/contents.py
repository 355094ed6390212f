"""Whether arrays hold what they held: small ones at every call, large ones by a sample, and whole now and then."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from gradserve.ir.types import Array

SMALL = 1 << 15
"""The most bytes of an array that is compared whole at every call: a microsecond or two."""
SAMPLES = 64
"""About how many elements of a large array are compared at every call."""
_BLOCK = 1 << 20
"""Bytes that are compared at once."""


class Content:
    """The elements of an array as they were, and whether it still has them."""

    __slots__ = ("_array", "_kept", "_sample", "_sampled", "_shape", "array", "small")

    def __init__(self, array: Array, copies: Iterable[Array] = ()) -> None:
        """Remembers the elements of `array`: in one of the `copies`, which nobody changes, or in one of its own."""
        self.array, self._shape = array, array.shape
        self._array = array.T if array.flags.f_contiguous and not array.flags.c_contiguous else array
        self.small = array.nbytes <= SMALL
        self._kept: Array | bytearray
        if self.small and self._array.flags.c_contiguous:
            self._kept = bytearray(self._array.tobytes())  # which compares itself with an array by memcmp
        else:
            apart = (copy for copy in copies if not np.may_share_memory(copy, array) and _alike(array, copy))
            found = next(apart, None)
            self._kept = array.copy() if found is None else found
        self._sample = array[_spread(array.shape)]
        self._sampled = self._sample.tobytes()

    def unchanged(self) -> bool:
        """Whether the elements are the same bits, as far as is looked at in a microsecond or two."""
        if self.array.shape != self._shape:
            return False
        if self.small:
            return self.entirely_unchanged()
        return self._sample.tobytes() == self._sampled

    def entirely_unchanged(self) -> bool:
        """Whether all elements are the same bits."""
        if isinstance(self._kept, bytearray):
            return self._kept.__eq__(self._array) is True
        return _alike(self.array, self._kept)

    def holds(self, other: Array) -> bool:
        """Whether another array has the elements that this one had."""
        if isinstance(self._kept, bytearray):
            same = other.shape == self._shape and other.dtype == self._array.dtype
            return same and (other.T if self._array is not self.array else other).tobytes() == self._kept
        return _alike(other, self._kept)


def _spread(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Some elements everywhere in an array, as a view."""
    each = math.ceil(SAMPLES ** (1 / max(len(shape), 1)))
    return tuple(slice(n // each // 2, None, max(1, n // each)) for n in shape)


def _alike(one: Array, other: Array) -> bool:
    """Whether two arrays have the same shape, type and bits."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.ndim and one.nbytes > _BLOCK and len(one) > 1:
        rows = max(1, _BLOCK * len(one) // one.nbytes)
        return all(_alike(one[k : k + rows], other[k : k + rows]) for k in range(0, len(one), rows))
    return bool(np.array_equal(_bytes(one), _bytes(other)))


def _bytes(array: Array) -> Array:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
