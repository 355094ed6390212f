"""What a pool and its workers say to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, TypeAlias

from gradserve.estimation.recurrence import Recurrence
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.pools.work import Source

Reference: TypeAlias = Any
"""A reference to an object in Ray's store."""


@dataclass(frozen=True, slots=True)
class ChunkCall:
    """A chunk as it is sent to a worker: what is small lies in it, what is large it names by key."""

    work: int
    program: str
    """The digest of its program."""
    executor: str
    recurrence: Recurrence | None
    arguments: Mapping[str, Source]
    own: Mapping[str, Array]
    """Data that is too small to be worth keeping, by key."""


@dataclass(frozen=True, slots=True)
class References:
    """Where to find what a call names and does not hold. They take Ray longer than all the rest of a small call."""

    schedule: Reference = None
    kept: Mapping[str, Reference] = field(default_factory=dict)
    """Data that other chunks of the work need as well: the worker keeps it until the work ends."""
    constants: Mapping[str, Reference] = field(default_factory=dict)
    """Constants of the program by their keys, which works to come may need as well."""
    own: Mapping[str, Reference] = field(default_factory=dict)
    """Data of this chunk alone."""


@dataclass(frozen=True, slots=True)
class Hello:
    """Which process on which machine a worker is."""

    pid: int
    node: str
