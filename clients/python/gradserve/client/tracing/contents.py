"""Whether arrays hold what they held: all of their elements, or a sample of them."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from gradserve.ir.types import Array

SAMPLES = 64
"""About how many elements a sample has."""
_BLOCK = 1 << 20
"""Bytes that are compared at once."""


class Content:
    """The elements of an array as they were, and whether it still has them."""

    __slots__ = ("_array", "_kept", "_same", "_sample", "_sampled", "_shape", "array", "whole")

    def __init__(self, array: Array, whole: bool = True, copies: Iterable[Array] = ()) -> None:
        """Remembers the elements of `array`: in one of the `copies`, which nobody changes, or in one of its own.

        `whole` says whether `unchanged` looks at all of them.
        """
        self.array, self._shape = array, array.shape
        self._array = array.T if array.flags.f_contiguous and not array.flags.c_contiguous else array
        self.whole = whole
        apart = (copy for copy in copies if not np.may_share_memory(copy, array) and _alike(array, copy))
        found = None if whole else next(apart, None)
        self._kept = array.copy() if found is None else found
        # A bytearray compares itself with an array by memcmp.
        memory = self._array.flags.c_contiguous and whole
        self._same = bytearray(self._array.tobytes()).__eq__ if memory else None
        self._sample = array[_spread(array.shape)]
        self._sampled = self._sample.tobytes()

    def unchanged(self) -> bool:
        """Whether the elements are the same bits, all of them or those of the sample."""
        if self.array.shape != self._shape:
            return False
        if self._same is not None:
            return self._same(self._array) is True
        return self.entirely_unchanged() if self.whole else self._sample.tobytes() == self._sampled

    def entirely_unchanged(self) -> bool:
        """Whether all elements are the same bits."""
        if self._same is not None:
            return self._same(self._array) is True
        return _alike(self.array, self._kept)

    def holds(self, other: Array) -> bool:
        """Whether another array has the elements that this one had."""
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
