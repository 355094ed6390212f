"""What the names of a model stand for beside arrays: sequences whose lengths are known, and values left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from gradserve.client.importers.lax.elements import Operand
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.records import dataclass
from gradserve.numpy.recorder import Recorder

MOST_ITEMS = 4096


@dataclass(frozen=True)
class Listed:
    """A sequence of arrays.

    Raises:
        LimitExceeded: there are too many.
    """

    items: tuple[Operand, ...] = ()

    def __post_init__(self) -> None:
        require_few(len(self.items))

    def __str__(self) -> str:
        return f"sequence({', '.join(map(str, self.items))})"


@dataclass(frozen=True)
class Absent:
    """An optional value that is not there."""

    def __str__(self) -> str:
        return "nothing"


Entry: TypeAlias = Operand | Listed | Absent
Form: TypeAlias = tuple[int | None, ...]
"""Of entries: how many arrays each sequence has, -1 for what is absent, None for an array."""


def require_few(count: int) -> None:
    """Refuses sequences that are too long.

    Raises:
        LimitExceeded: this one is.
    """
    if count > MOST_ITEMS:
        raise LimitExceeded("onnx_sequence", f"a sequence of {count} arrays; the limit is {MOST_ITEMS}")


def adopted(g: Recorder, entry: Entry) -> Entry:
    """An entry of a graph around this one, or of this one, as one of this graph."""
    if isinstance(entry, Listed) and entry.items and entry.items[0].value.builder is g:
        return entry
    return each_in(entry, lambda each: Operand(g.adopt(each.value), each.dtype))


def each_in(entry: Entry, of: Callable[[Operand], Operand]) -> Entry:
    """The same entry with something made of each of its arrays."""
    if isinstance(entry, Listed):
        return Listed(tuple(map(of, entry.items)))
    return of(entry) if isinstance(entry, Operand) else entry


def form_of(entries: Sequence[Entry]) -> Form:
    """How entries lie in a row of arrays."""
    return tuple(len(x.items) if isinstance(x, Listed) else None if isinstance(x, Operand) else -1 for x in entries)


def in_row(entries: Sequence[Entry]) -> list[Operand]:
    """All arrays of entries."""
    return [
        each for x in entries for each in (x.items if isinstance(x, Listed) else [x] if isinstance(x, Operand) else ())
    ]


def of_row(row: Sequence[Operand], form: Form) -> list[Entry]:
    """Entries of this form, of all their arrays."""
    left: Iterator[Operand] = iter(row)

    def entry(count: int | None) -> Entry:
        if count is None:
            return next(left)
        return Absent() if count < 0 else Listed(tuple(next(left) for _ in range(count)))

    return [entry(count) for count in form]
