"""Whether what a function reads by itself is what it was when it was traced."""

from __future__ import annotations

import operator
import time
from collections.abc import Iterable, Sequence
from types import CodeType
from typing import Any

from gradserve.client.tracing.contents import Content
from gradserve.client.tracing.reached import PLAIN, Read, reached
from gradserve.ir.types import Array

SHARE = 0.02
"""The most of the time that goes by which is spent on comparing large arrays whole."""


class Watched:
    """What a function read when it was traced.

    A call looks at names, numbers, the elements of small arrays, and a sample of those of large ones. Large arrays are
    compared whole if the last such comparison is fifty times its own length ago: only who changes a few elements of a
    large array between calls that follow each other more closely may be told late.
    """

    def __init__(self, function: Any, copies: Iterable[Array] = ()) -> None:
        """Remembers what the function reads now; `copies` are arrays that nobody changes: kept for it."""
        found = reached(function)
        self._places, self._large = found.places, found.large
        self._facts = found.facts
        copies = [*copies]
        self._contents = [Content(array, copies) for array in found.arrays]
        self._whole = any(not content.small for content in self._contents) or bool(self._large)
        self._due = 0.0

    def renewed(self, function: Any) -> Watched | None:
        """Itself, or another where equal objects have come into places; None if the function reads something else."""
        if self._unchanged():
            return self
        found = reached(function)
        same = len(found.facts) == len(self._facts) and all(map(_same, found.facts, self._facts))
        same = same and len(found.arrays) == len(self._contents)
        same = same and all(c.holds(array) for c, array in zip(self._contents, found.arrays, strict=False))
        return Watched(function) if same else None

    def _unchanged(self) -> bool:
        for read, kept in self._places:
            if not _identical(read, kept):
                return False
        for content in self._contents:
            if not content.unchanged():
                return False
        return not self._whole or time.perf_counter() < self._due or self._entirely_unchanged()

    def _entirely_unchanged(self) -> bool:
        started = time.perf_counter()
        same = all(_identical(read, kept) for read, kept in self._large)
        same = same and all(content.small or content.entirely_unchanged() for content in self._contents)
        ended = time.perf_counter()
        self._due = ended + (ended - started) / SHARE
        return same


def _identical(read: Read, kept: Sequence[Any]) -> bool:
    """Whether a place holds the very objects that it held."""
    try:
        now = read()
    except (LookupError, ValueError, AttributeError, RuntimeError):  # a name was deleted, or a dict is being changed
        return False
    return len(now) == len(kept) and all(map(operator.is_, now, kept))


def _same(one: Any, other: Any) -> bool:
    """Whether two facts are the same: numbers that are written alike, equal code, and whatever else it is itself."""
    if type(one) is not tuple or type(other) is not tuple:
        return bool(one == other)
    (kind, each), (other_kind, another) = one, other
    if kind is not other_kind or each is another:
        return kind is other_kind
    if isinstance(each, PLAIN):
        return repr(each) == repr(another)
    return isinstance(each, CodeType) and bool(each == another)
