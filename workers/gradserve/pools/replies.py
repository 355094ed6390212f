"""What a worker in another process replies to a chunk."""

from __future__ import annotations

from typing import TypeAlias

from gradserve.ir.errors import GradserveError
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array


@dataclass(frozen=True, slots=True)
class Done:
    """The outputs of a chunk and the seconds it took."""

    outputs: dict[str, Array]
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A typed error. Returned and not raised, because Ray would wrap it."""

    error: GradserveError


@dataclass(frozen=True, slots=True)
class Declined:
    """The chunk is to come once more, and with it what the worker lacks."""


Reply: TypeAlias = Done | Failed | Declined
