"""Whether what a function reads by itself is what it was when it was traced."""

from __future__ import annotations

import operator
import time
import warnings
from collections.abc import Iterable, Sequence
from types import CodeType
from typing import Any, Literal, TypeAlias

from gradserve.client.tracing.contents import Content
from gradserve.client.tracing.reached import PLAIN, Read, reached
from gradserve.ir.types import Array

Watch: TypeAlias = bool | Literal["whole"]
"""Whether to look, and if whole at every call."""

SMALL = 1 << 16
"""Bytes of arrays that are compared whole at every call, together: a microsecond or two."""
SHARE = 0.01
"""The most of the time that goes by which is spent on comparing larger arrays whole."""
_LATE = (
    "a captured array was changed in a few elements, which was seen only now: answers to the last {calls} call(s) may "
    "hold its old numbers; f.watch = 'whole' compares all elements at every call, and better still is an argument"
)


class Watched:
    """What a function read when it was traced.

    A call looks at names, numbers, the elements of small arrays, and a sample of those of larger ones. These are
    compared whole if the last such comparison is a hundred times its own length ago, and always once one of them was
    changed. So only who changes a few elements of a large array, for the first time and at once after a call, may be
    told late, by a warning.
    """

    def __init__(self, function: Any, copies: Iterable[Array] = (), whole: bool = False) -> None:
        """Remembers what the function reads now.

        `copies` are arrays that nobody changes, which are kept for it; `whole` arrays are compared at every call.
        """
        found = reached(function)
        self._reads = [read for read, _ in found.places]
        self._kept = [each for _, kept in found.places for each in kept]
        self._large = found.large
        self._facts = found.facts
        copies = [*copies]
        left = SMALL
        self._contents = []
        for array in found.arrays:
            self._contents.append(Content(array, array.nbytes <= left, copies))
            left -= array.nbytes if array.nbytes <= left else 0
        self._looked_at = [content.unchanged for content in self._contents]
        self._sampled = bool(self._large) or not all(content.whole for content in self._contents)
        self._due = 0.0
        self._unseen = 0
        """Calls since the last comparison of everything."""
        self._whole = whole

    def renewed(self, function: Any, whole: bool = False) -> Watched | None:
        """Itself, or another where equal objects have come into places; None if the function reads something else."""
        if self._unchanged(whole or self._whole):
            return self
        found = reached(function)
        same = len(found.facts) == len(self._facts) and all(map(_same, found.facts, self._facts))
        same = same and len(found.arrays) == len(self._contents)
        same = same and all(c.holds(array) for c, array in zip(self._contents, found.arrays, strict=False))
        return Watched(function, whole=self._whole) if same else None

    def after_change(self, function: Any, copies: Iterable[Array]) -> Watched:
        """What it reads once it was traced anew: where large arrays were written into, they will be again."""
        written = any(not content.whole and not content.entirely_unchanged() for content in self._contents)
        return Watched(function, copies, self._whole or written)

    def _unchanged(self, whole: bool) -> bool:
        if not _identical(self._reads, self._kept):
            return False
        for unchanged in self._looked_at:
            if not unchanged():
                return False
        return not self._sampled or self._entirely_unchanged(whole)

    def _entirely_unchanged(self, whole: bool) -> bool:
        """Whether nothing has changed at all, as far as it is time to look."""
        started = time.perf_counter()
        if started < self._due and not whole:
            self._unseen += 1
            return True
        same = all(_identical([read], kept) for read, kept in self._large)
        same = same and all(content.whole or content.entirely_unchanged() for content in self._contents)
        if not same and self._unseen:
            warnings.warn(_LATE.format(calls=self._unseen), RuntimeWarning, stacklevel=2)
        ended = time.perf_counter()
        self._due, self._unseen = ended + (ended - started) / SHARE, 0
        return same


def _identical(reads: Iterable[Read], kept: Sequence[Any]) -> bool:
    """Whether places hold the very objects that they held."""
    now: list[Any] = []
    try:
        for read in reads:
            now += read()
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
