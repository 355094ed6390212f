"""What a pool and its processes say to each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from gradserve.estimation.recurrence import Recurrence
from gradserve.execution import Schedule
from gradserve.ir.records import dataclass
from gradserve.pools.local.passing import Part
from gradserve.pools.replies import Declined, Failed
from gradserve.pools.work import Source


@dataclass(frozen=True, slots=True)
class ChunkCall:
    """A chunk as a process gets it, with its arrays."""

    number: int
    """Tells it from all others that this process gets."""
    program: str
    """The digest of its program."""
    executor: str
    recurrence: Recurrence | None
    arguments: Mapping[str, Source]
    data: Mapping[str, Part]
    constants: Mapping[str, Part]
    schedule: Schedule | None
    """How to run the program; left out when the process has been told."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a chunk gave, and the seconds it took."""

    outputs: Mapping[str, Part]
    seconds: float


@dataclass(frozen=True, slots=True)
class Broke:
    """What nobody planned."""

    error: BaseException


Reply: TypeAlias = Ran | Failed | Declined | Broke
