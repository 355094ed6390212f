"""Along which axes a pass goes, in what blocks, and in which round each term is made."""

from __future__ import annotations

from collections.abc import Sequence

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
