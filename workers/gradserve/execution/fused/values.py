"""Values while a graph is lowered: a few elements in registers, or memory with strides known from shapes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TypeAlias

from gradserve.execution.numpy.layout import is_row_major, row_major
from gradserve.ir.records import dataclass
from gradserve.ir.types import TensorType

FEW = 8
"""Elements that are held one by one."""


@dataclass(frozen=True, slots=True)
class Small:
    """Its elements by name, row-major."""

    type: TensorType
    elements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Filled:
    """One element everywhere."""

    type: TensorType
    element: str
    number: bool | int | float | None = None
    """What it is, if it is known."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Memory."""

    type: TensorType
    pointer: str
    """Of the element at position 0 everywhere."""
    strides: tuple[int, ...]
    """Elements from one position to the next, along each axis."""
    owner: int = -1
    """The block of the arena that it lies in; -1 for that of somebody else."""

    @property
    def row_major(self) -> bool:
        """Whether its elements lie one after the other."""
        return is_row_major(self.type.lengths, self.strides)


Lowered: TypeAlias = Small | Filled | Stored


def row_major_at(type_: TensorType, pointer: str, owner: int = -1) -> Stored:
    """Memory in which the elements lie one after the other."""
    return Stored(type_, pointer, row_major(type_.lengths), owner)


def positions(lengths: tuple[int, ...], strides: tuple[int, ...]) -> Iterator[int]:
    """Where every element lies, in elements, in row-major order of the positions."""
    total = math.prod(lengths)
    for flat in range(total):
        rest, found = flat, 0
        for n, stride in zip(reversed(lengths), reversed(strides), strict=True):
            rest, at = divmod(rest, n)
            found += at * stride
        yield found


class Arena:
    """Blocks of one stretch of memory, whose sizes and lives are known beforehand."""

    _ALIGNMENT = 64

    def __init__(self) -> None:
        """Empty."""
        self.nbytes = 0
        self._taken: dict[int, tuple[int, int]] = {}
        """Where every living block begins and ends."""
        self._users: dict[int, int] = {}
        self._count = 0

    def take(self, nbytes: int) -> tuple[int, int]:
        """A new block, and where it begins: the first gap that is wide enough."""
        size = -(-max(nbytes, 1) // self._ALIGNMENT) * self._ALIGNMENT
        start = 0
        for first, last in sorted(self._taken.values()):
            if first - start >= size:
                break
            start = max(start, last)
        self._count += 1
        self._taken[self._count] = start, start + size
        self._users[self._count] = 0
        self.nbytes = max(self.nbytes, start + size)
        return self._count, start

    def use(self, block: int, users: int) -> None:
        """Notes so many more users of a block, or fewer; without any it is given back."""
        if block in self._users:
            self._users[block] += users
            if self._users[block] <= 0:
                del self._users[block], self._taken[block]
