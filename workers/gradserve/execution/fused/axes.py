"""Along which axes a pass goes, in what blocks, and in which round each term is made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from gradserve.execution.fused.terms import Term

_BLOCK_BYTES = 1 << 18
LONGEST_BLOCK, _SHORTEST_BLOCK = 1024, 64


def block_length(buffers: int, count: int) -> int:
    """Elements of a block: all buffers together stay in the cache."""
    length = LONGEST_BLOCK
    while length > _SHORTEST_BLOCK and length * 8 * buffers > _BLOCK_BYTES:
        length //= 2
    return min(length, count)


def levels(terms: Sequence[Term]) -> dict[Term, int]:
    """After how many rounds of calls each term can be made: an instruction comes after the calls that it reads."""
    level: dict[Term, int] = {}
    for term in terms:
        after = 0 if term.operation == "call" else 1
        level[term] = max((level[x] + after * (x.operation == "call") for x in term.operands), default=0)
    return level


_MUCH_LONGER = 4
_READ_APART, _WRITTEN_APART = 10.0, 15.0
"""What elements cost that do not lie side by side: those that do, and are read or written, are the unit."""
_ROW, _CALL = 60.0, 600.0
"""What it costs to begin a row, and to call a ufunc on it."""


def innermost(lengths: tuple[int, ...], strides: Mapping[Term, tuple[int, ...]], terms: Sequence[Term]) -> int:
    """The axis along which rows are made the quickest, by what is read and written: the last one of those."""
    calls = sum(term.operation == "call" for term in terms)

    def cost(axis: int) -> float:
        touched = sum(_touched(term, axis, steps, lengths) for term, steps in strides.items() if steps[axis])
        return touched + (_ROW + _CALL * calls) / lengths[axis]

    return min(reversed(range(len(lengths))), key=cost)


def _touched(term: Term, axis: int, strides: tuple[int, ...], lengths: tuple[int, ...]) -> float:
    reads, writes = term.operation in ("leaf", "sum"), term.operation != "leaf"
    beside = strides[axis] == 1 or may_be_turned(term, strides, lengths)
    return reads + writes if beside else reads * _READ_APART + writes * _WRITTEN_APART


def may_be_turned(term: Term, strides: tuple[int, ...], lengths: tuple[int, ...]) -> bool:
    """Whether what is read or summed is so small beside the whole that it pays to put its rows side by side before."""
    own = math.prod(n for n, step in zip(lengths, strides, strict=True) if step)
    return term.operation in ("leaf", "sum") and _MUCH_LONGER * own <= math.prod(lengths)


def coalesced(
    lengths: tuple[int, ...], strides: Sequence[tuple[int, ...]]
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """The lengths and strides of as few axes as all these values can be walked along; at least one."""
    kept: list[int] = []
    rows: list[list[int]] = [[] for _ in strides]
    for axis, length in enumerate(lengths):
        if length == 1:
            continue
        own = [s[axis] for s in strides]
        if kept and all(row[-1] == mine * length for row, mine in zip(rows, own, strict=True)):
            kept[-1] *= length
            for row, mine in zip(rows, own, strict=True):
                row[-1] = mine
            continue
        kept.append(length)
        for row, mine in zip(rows, own, strict=True):
            row.append(mine)
    if not kept:
        return (1,), [(1,) for _ in strides]
    return tuple(kept), [tuple(row) for row in rows]
