"""What the actor of a worker does. Imports Ray, so it is imported only by `ray_pool` and by Ray itself."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import ray
from ray.exceptions import GetTimeoutError

from gradserve.execution import Prepared
from gradserve.ir.errors import Cancelled, GradserveError
from gradserve.ir.graph import Literal
from gradserve.ir.types import Array
from gradserve.pools.prepared import PreparedSchedules
from gradserve.pools.sources import arrays_of
from gradserve.pools.work import Source
from gradserve.runtime.blas import ONE_BLAS_THREAD
from gradserve.runtime.caches import Lru
from gradserve.runtime.memory import keep_freed_memory

CONSTANT_BYTES = 512 << 20
"""Constants that a worker keeps; they lie in the object store of its machine."""
_FETCH_SECONDS = 0.2
_WORKS_REMEMBERED = 4096

Reference: TypeAlias = Any
"""A reference to an object in Ray's store."""


@dataclass(frozen=True, slots=True)
class ChunkCall:
    """A chunk as it is sent to a worker."""

    work: int
    program: str
    """The digest of its program."""
    schedule: Reference
    executor: str
    arguments: Mapping[str, Source]
    kept: Mapping[str, Reference]
    """Data that other chunks of the work need as well: the worker keeps it until the work ends."""
    constants: Mapping[str, Reference]
    """Constants of the program by their keys, which works to come may need as well."""
    own: Mapping[str, Array | Reference]
    """Data of this chunk alone, or too small to be worth keeping."""


@dataclass(frozen=True, slots=True)
class Done:
    """The outputs of a chunk and the seconds it took."""

    outputs: dict[str, Array]
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A typed error. Returned and not raised, because Ray would wrap it."""

    error: GradserveError


Reply: TypeAlias = Done | Failed


@dataclass(frozen=True, slots=True)
class Hello:
    """Which process on which machine a worker is."""

    pid: int
    node: str


class WorkerActor:
    """Runs one chunk at a time, and listens meanwhile on a second thread."""

    def __init__(self) -> None:
        """Limits BLAS to one thread and keeps freed memory, both for good: the process is the worker's own."""
        ONE_BLAS_THREAD.__enter__()
        keep_freed_memory()
        self._prepared = PreparedSchedules()
        self._constants: Lru[str, Literal] = Lru(CONSTANT_BYTES)
        self._kept: dict[int, dict[str, Array]] = {}
        self._finished: Lru[int, bool] = Lru(_WORKS_REMEMBERED)
        self._lock = threading.Lock()

    @ray.method(concurrency_group="control")
    def hello(self) -> Hello:
        """Who this worker is; an answer shows that it lives, even while a chunk runs."""
        return Hello(os.getpid(), ray.get_runtime_context().get_node_id())

    @ray.method(concurrency_group="control")
    def finish(self, work: int) -> None:
        """Drops the data of a work, and stops its chunk at the next step if one is running."""
        with self._lock:
            self._finished.put(work, True)
            self._kept.pop(work, None)

    def run(self, call: ChunkCall, remaining: float | None) -> Reply:
        """The outputs of a chunk. `remaining` is the time to the deadline, so that clocks need not agree."""
        deadline = None if remaining is None else time.monotonic() + remaining

        def stopped() -> bool:
            return call.work in self._finished or (deadline is not None and time.monotonic() >= deadline)

        try:
            if stopped():
                raise Cancelled("the work was stopped before this chunk began")
            prepared = self._prepare(call, stopped)
            arguments = arrays_of(call.arguments, self._data(call, stopped), self._constants_of(call, stopped))
            with ONE_BLAS_THREAD:  # again, for libraries that came with the program
                started = time.perf_counter()
                return Done(prepared(arguments, stopped), time.perf_counter() - started)
        except GradserveError as error:
            return Failed(error)

    def _prepare(self, call: ChunkCall, stopped: Callable[[], bool]) -> Prepared:
        found = self._prepared.find(call.program, call.executor)
        return found or self._prepared.prepared(_fetch(call.schedule, stopped), call.executor)

    def _constants_of(self, call: ChunkCall, stopped: Callable[[], bool]) -> dict[str, Literal]:
        found = {}
        for key, reference in call.constants.items():
            literal = self._constants.get(key)
            if literal is None:
                literal = Literal(_fetch(reference, stopped))
                self._constants.put(key, literal, literal.array.nbytes)
            found[key] = literal
        return found

    def _data(self, call: ChunkCall, stopped: Callable[[], bool]) -> dict[str, Array]:
        kept = self._kept.get(call.work, {})
        fetched = {key: _fetch(ref, stopped) for key, ref in call.kept.items() if key not in kept}
        if fetched:
            with self._lock:
                if call.work not in self._finished:
                    self._kept.setdefault(call.work, {}).update(fetched)
        own = {key: _fetch(x, stopped) if isinstance(x, ray.ObjectRef) else x for key, x in call.own.items()}
        return {**kept, **fetched, **own}


def _fetch(reference: Reference, stopped: Callable[[], bool]) -> Any:
    while not stopped():
        try:
            return ray.get(reference, timeout=_FETCH_SECONDS)
        except GetTimeoutError:
            continue
    raise Cancelled("the work was stopped while its data was on the way")
