"""Chunks of a work as they are sent to workers: small arrays inside the call, large ones by reference."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import ray
from ray.exceptions import ObjectStoreFullError, OutOfDiskError

from gradserve.execution.plan import Plan
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.types import Array
from gradserve.pools.prepared import plan_bytes
from gradserve.pools.ray.actor import ChunkCall, Reference
from gradserve.pools.sources import array_of, nbytes
from gradserve.pools.work import Point, Rows, Shared, Source, Stored, Work
from gradserve.runtime.caches import Lru

INLINE_BYTES = 100_000
"""The most data that a call carries inside it. Ray itself stores a larger argument apart."""
PLAN_BYTES = 1 << 30
"""Plans kept in Ray's store for works to come."""


def put(value: Any) -> Reference:
    """A reference to the value, now in Ray's store.

    Raises:
        LimitExceeded: the store has no room.
    """
    try:
        return ray.put(value)
    except (ObjectStoreFullError, OutOfDiskError) as error:
        raise LimitExceeded("object_store_bytes", f"the cluster's object store has no room: {error}") from error


class PlanStore:
    """Plans in Ray's store, put there once for all works. Safe for threads."""

    def __init__(self) -> None:
        """Starts empty."""
        self._references: Lru[str, Reference] = Lru(PLAN_BYTES)

    def reference(self, plan: Plan) -> Reference:
        """A reference to the plan."""
        found = self._references.get(plan.digest)
        if found is None:
            found = put(plan)
            self._references.put(plan.digest, found, plan_bytes(plan))
        return found


class Parcels:
    """The calls of one work."""

    def __init__(self, number: int, work: Work, plans: PlanStore) -> None:
        """`number` tells the work from all others of the pool."""
        self.number = number
        self.work = work
        self._plans = plans
        self._references: dict[str, Reference] = {}

    @property
    def keeps_data(self) -> bool:
        """Whether workers have been told to keep data of this work."""
        return bool(self._references)

    def call(self, index: int) -> ChunkCall:
        """The call for a chunk; puts what is large into Ray's store."""
        chunk = self.work.chunks[index]
        arguments: dict[str, Source] = {}
        own: dict[str, Array | Reference] = {}
        kept: dict[str, Reference] = {}
        inline = self._inline(index)
        for name, source in chunk.arguments.items():
            match source:
                case Shared(key) if name in inline:
                    own[key] = self.work.data[key]
                    arguments[name] = source
                case Shared(key):
                    kept[key] = self._reference(key)
                    arguments[name] = source
                case Rows() | Point():
                    # Only this part travels, and only to the worker that needs it.
                    key = repr(source)
                    part = np.asarray(array_of(source, self.work.data), order="C")
                    if name in inline:
                        own[key] = part
                    elif key not in own:
                        own[key] = put(part)
                    arguments[name] = Shared(key)
                case _:
                    arguments[name] = source
        return ChunkCall(
            work=self.number,
            plan=chunk.plan,
            plan_reference=self._plans.reference(self.work.plans[chunk.plan]),
            executor=self.work.executor,
            arguments=arguments,
            kept=kept,
            own=own,
        )

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
