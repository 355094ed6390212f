"""Work for a pool: schedules, data, and the chunks to be run, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from gradserve.estimation.recurrence import Recurrence
from gradserve.execution import Schedule
from gradserve.ir.graph import Literal
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType


@dataclass(frozen=True, slots=True)
class Shared:
    """A whole array of the work's data."""

    key: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows `start` to `stop` of an array of the work's data."""

    key: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Point:
    """One element of the leading axis of an array of the work's data."""

    key: str
    index: int


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant of the work's programs, by `key_of`: workers keep it for works to come."""

    key: str


@dataclass(frozen=True, slots=True)
class OneHots:
    """Rows `start` to `stop` of an identity matrix, made where they are used: shape (stop - start, *shape).

    Columns count from `offset` and are as many as `shape` has elements: together with others an input spans the matrix.
    """

    start: int
    stop: int
    offset: int
    shape: tuple[int, ...]
    element_type: ElementType


@dataclass(frozen=True, slots=True)
class Drawn:
    """Random vectors `start` to `stop`, made where they are used: shape (stop - start, *shape)."""

    seed: int
    purpose: str
    start: int
    stop: int
    shape: tuple[int, ...]
    element_type: ElementType


@dataclass(frozen=True, slots=True)
class Signs(Drawn):
    """Rademacher probes: independent signs."""


@dataclass(frozen=True, slots=True)
class Normals(Drawn):
    """Normal vectors."""


Stored: TypeAlias = Shared | Rows | Point
"""What is taken from the work's data."""
Source: TypeAlias = Stored | Constant | OneHots | Signs | Normals
"""Where an argument comes from."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A unit of dispatch: a program, and where each of its arguments comes from."""

    program: str
    """The digest of a program of the work."""
    arguments: Mapping[str, Source]


@dataclass(frozen=True, slots=True)
class Work:
    """Everything that a pool needs. How it is cut into chunks never depends on the pool."""

    schedules: Mapping[str, Schedule]
    """How the executor runs each program, by the program's digest."""
    data: Mapping[str, Array]
    """Arrays that chunks draw from, by key."""
    constants: Mapping[str, Literal]
    """Constants of the programs, by `key_of`."""
    chunks: Sequence[Chunk]
    executor: str
    """The executor that every chunk runs on."""
    recurrence: Recurrence | None = None
    """What every chunk does with its program, if it does not run it once."""

    @property
    def seconds(self) -> float:
        """The predicted seconds of the longest chunk."""
        longest = max(schedule.seconds for schedule in self.schedules.values())
        return longest * (self.recurrence.products if self.recurrence else 1)

    @property
    def longest_step_seconds(self) -> float:
        """The predicted seconds of the longest step of any chunk."""
        return max(schedule.longest_step_seconds for schedule in self.schedules.values())

    @property
    def peak_bytes(self) -> int:
        """The predicted live bytes of the largest chunk."""
        largest = max((self.schedules[chunk.program].peak_bytes for chunk in self.chunks), default=0)
        return largest + (self.recurrence.nbytes if self.recurrence else 0)


def key_of(constant: Literal) -> str:
    """What tells a constant from all others: the digest of its elements, and its type, as these are bytes alone."""
    return f"{constant.type} {constant.digest}"


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """The outputs of one chunk and what it took."""

    index: int
    outputs: dict[str, Array]
    seconds: float
    """Seconds spent running the program."""
    waited: float
    """Seconds between submission and the start of the program; the ways to a worker and back are part of it."""
    worker: str
    """The name of the worker that ran it."""
    retries: int
    """How often it was run again because its worker died."""
