"""Chunks of a work as they are sent to workers: small arrays inside the call, large ones by reference."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import ray
from ray.exceptions import ObjectStoreFullError, OutOfDiskError

from gradserve.execution import Schedule
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.graph import Literal
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.pools.prepared import schedule_bytes
from gradserve.pools.ray.cluster import asked
from gradserve.pools.ray.messages import ChunkCall, Reference, References
from gradserve.pools.sources import array_of, nbytes
from gradserve.pools.work import Constant, Point, Rows, Shared, Source, Stored, Work
from gradserve.runtime.caches import Lru

INLINE_BYTES = 100_000
"""The most data that a call carries inside it, and a packet back. Ray itself stores what is larger apart."""
SCHEDULE_BYTES = 1 << 28
"""Schedules kept in Ray's store for works to come."""
CONSTANT_BYTES = 1 << 30
"""Constants kept there."""


def put(value: Any) -> Reference:
    """A reference to the value, now in Ray's store.

    Raises:
        LimitExceeded: the store has no room.
        Unavailable: there is no store any more.
    """
    try:
        return asked(lambda: ray.put(value))
    except (ObjectStoreFullError, OutOfDiskError) as error:
        raise LimitExceeded("object_store_bytes", f"the cluster's object store has no room: {error}") from error


class Kept:
    """Schedules and constants in Ray's store, put there once for all works. Safe for threads."""

    def __init__(self) -> None:
        """Starts empty."""
        self._schedules: Lru[str, Reference] = Lru(SCHEDULE_BYTES)
        self._constants: Lru[str, Reference] = Lru(CONSTANT_BYTES)
        self._putting = threading.Lock()

    def schedule(self, schedule: Schedule, executor: str) -> Reference:
        """A reference to a schedule of this executor."""
        key = f"{executor}:{schedule.program.digest}"
        return self._reference(self._schedules, key, lambda: schedule, schedule_bytes(schedule))

    def constant(self, key: str, literal: Literal) -> Reference:
        """A reference to the elements of the constant that has this key."""
        return self._reference(self._constants, key, lambda: literal.array, literal.array.nbytes)

    def _reference(self, known: Lru[str, Reference], key: str, value: Callable[[], Any], size: int) -> Reference:
        found = known.get(key)
        if found is None:
            with self._putting:  # works that begin together often bring the same data
                found = known.get(key)
                if found is None:
                    found = put(value())
                    known.put(key, found, size)
        return found


@dataclass(frozen=True, slots=True)
class Parcel:
    """A chunk ready to be sent."""

    call: ChunkCall
    references: References
    is_small: bool
    """Whether packets hold it and its reply, once the worker knows program and constants."""


class ChunkCalls:
    """The calls of one work."""

    def __init__(self, number: int, work: Work, stored: Kept) -> None:
        """`number` tells the work from all others of the pool."""
        self.number = number
        self.work = work
        self._stored = stored
        self._references: dict[str, Reference] = {}

    @property
    def keeps_data(self) -> bool:
        """Whether workers have been told to keep data of this work."""
        return bool(self._references)

    def parcel(self, index: int) -> Parcel:
        """A chunk and where its data is; puts what is large into Ray's store."""
        chunk = self.work.chunks[index]
        schedule = self.work.schedules[chunk.program]
        arguments: dict[str, Source] = {}
        inside: dict[str, Array] = {}
        own: dict[str, Reference] = {}
        kept: dict[str, Reference] = {}
        constants: dict[str, Reference] = {}
        inline = self._inline(index)
        for name, source in chunk.arguments.items():
            match source:
                case Shared(key) if name in inline:
                    inside[key] = self.work.data[key]
                    arguments[name] = source
                case Shared(key):
                    kept[key] = self._reference(key)
                    arguments[name] = source
                case Constant(key):
                    constants[key] = self._stored.constant(key, self.work.constants[key])
                    arguments[name] = source
                case Rows() | Point():
                    # Only this part travels, and only to the worker that needs it.
                    key = repr(source)
                    part = np.asarray(array_of(source, self.work.data, {}), order="C")
                    if name in inline:
                        inside[key] = part
                    elif key not in own:
                        own[key] = put(part)
                    arguments[name] = Shared(key)
                case _:
                    arguments[name] = source
        references = References(self._stored.schedule(schedule, self.work.executor), kept, constants, own)
        once = self.work.recurrence is None
        is_small = once and not own and not kept and schedule.program.result_bytes <= INLINE_BYTES
        call = ChunkCall(self.number, chunk.program, self.work.executor, self.work.recurrence, arguments, inside)
        return Parcel(call, references, is_small)

    def _reference(self, key: str) -> Reference:
        if key not in self._references:
            self._references[key] = put(np.asarray(self.work.data[key], order="C"))
        return self._references[key]

    def _inline(self, index: int) -> set[str]:
        """The arguments that travel inside the call: the smallest ones, as many as fit."""
        sizes = {
            name: nbytes(source, self.work.data)
            for name, source in self.work.chunks[index].arguments.items()
            if isinstance(source, Stored)
        }
        names = sorted(sizes, key=sizes.__getitem__)
        ends = itertools.accumulate(sizes[name] for name in names)
        return {name for name, end in zip(names, ends, strict=True) if end <= INLINE_BYTES}
