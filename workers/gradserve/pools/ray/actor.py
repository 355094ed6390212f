"""What the actor of a worker does. Imports Ray, so it is imported only by `ray_pool` and by Ray itself."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import GetTimeoutError

from gradserve.execution import Prepared
from gradserve.ir.errors import Cancelled, GradserveError
from gradserve.ir.graph import Literal
from gradserve.ir.types import Array
from gradserve.pools.prepared import PreparedSchedules, outputs_of
from gradserve.pools.ray.lane import PACKET_BYTES, knock
from gradserve.pools.ray.messages import ChunkCall, Hello, Reference, References
from gradserve.pools.ray.packets import packed, unpacked
from gradserve.pools.ray.watch import greet, own_node
from gradserve.pools.replies import Declined, Done, Failed, Reply
from gradserve.pools.sources import arrays_of
from gradserve.pools.work import Constant, Shared
from gradserve.runtime.blas import ONE_BLAS_THREAD
from gradserve.runtime.caches import Lru
from gradserve.runtime.garbage import pass_over_what_is_kept
from gradserve.runtime.memory import keep_freed_memory

CONSTANT_BYTES = 512 << 20
"""Constants that a worker keeps; they lie in the object store of its machine."""
_WAIT_SECONDS = 0.2
_NODE_SECONDS = 60.0
"""How long a node may take to answer. Long before that its pool takes the worker for silent."""
_WORKS_REMEMBERED = 4096
_NO_REFERENCES = References()
_DECLINED = packed(Declined())

log = logging.getLogger("gradserve.pools")


class _AbsentError(Exception):
    """A call names something that the worker does not hold and has no reference to."""


class WorkerActor:
    """Runs one chunk at a time, and listens meanwhile on a second thread."""

    def __init__(self) -> None:
        """Limits BLAS to one thread and keeps freed memory, both for good: the process is the worker's own."""
        ONE_BLAS_THREAD.__enter__()
        keep_freed_memory()
        pass_over_what_is_kept()
        self._node = own_node()
        self._prepared = PreparedSchedules()
        self._constants: Lru[str, Literal] = Lru(CONSTANT_BYTES)
        self._kept: dict[int, dict[str, Array]] = {}
        self._finished: Lru[int, bool] = Lru(_WORKS_REMEMBERED)
        self._lock = threading.Lock()
        self._running = threading.Lock()

    @ray.method(concurrency_group="control")
    def start(self, node: str, door: str | None) -> Hello:
        """Who this worker is. If it is on the pool's own node, it knocks at the door for a lane."""
        hello = _hello()
        if door is not None and hello.node == node:
            try:
                knock(door, self.run_small)
            except OSError as error:
                log.warning("no lane, chunks come by Ray alone: %s", error)
        return hello

    @ray.method(concurrency_group="life")
    def hello(self) -> Hello:
        """Who this worker is; an answer shows that it lives, even while a chunk runs, and so does its node.

        Arrays would otherwise be waited for that lie in the store of a node that stands still. Chunks are finished
        on another thread: this one waits as long as the node is silent.
        """
        greet(self._node, _NODE_SECONDS)
        return _hello()

    @ray.method(concurrency_group="control")
    def finish(self, work: int) -> None:
        """Drops the data of a work, and stops its chunk at the next step if one is running."""
        with self._lock:
            self._finished.put(work, True)
            self._kept.pop(work, None)

    def run(self, call: ChunkCall, remaining: float | None, references: References) -> Reply:
        """The outputs of a chunk. `remaining` is the time to the deadline, so that clocks need not agree."""
        deadline = None if remaining is None else time.monotonic() + remaining

        def stopped() -> bool:
            return call.work in self._finished or (deadline is not None and time.monotonic() >= deadline)

        try:
            with self._turn(stopped):
                prepared = self._prepare(call, references, stopped)
                constants = self._constants_of(call, references, stopped)
                arguments = arrays_of(call.arguments, self._data(call, references, stopped), constants)
                with ONE_BLAS_THREAD:  # again, for libraries that came with the program
                    started = time.perf_counter()
                    outputs = outputs_of(prepared, call.recurrence, arguments, stopped)
                    return Done(outputs, time.perf_counter() - started)
        except GradserveError as error:
            return Failed(error)
        except _AbsentError:
            return Declined()

    def run_small(self, packet: bytes) -> bytes:
        """The reply to a call and its remaining time, both as packets, with what the worker holds.

        Declines chunks that need more, whose reply is long, or that end in an error that nobody planned: `run` takes
        them all.
        """
        try:
            call, remaining = unpacked(packet)
            reply = packed(self.run(call, remaining, _NO_REFERENCES))
        except Exception:
            return _DECLINED
        return reply if len(reply) <= PACKET_BYTES else _DECLINED

    @contextmanager
    def _turn(self, stopped: Callable[[], bool]) -> Iterator[None]:
        """A context in which no other chunk runs. One that came by the other way than this may be running still."""
        while not stopped():
            if self._running.acquire(timeout=_WAIT_SECONDS):
                try:
                    yield
                finally:
                    self._running.release()
                return
        raise Cancelled("the work was stopped before this chunk began")

    def _prepare(self, call: ChunkCall, references: References, stopped: Callable[[], bool]) -> Prepared:
        found = self._prepared.find(call.program, call.executor)
        return found or self._prepared.prepared(_fetch(references.schedule, stopped), call.executor, stopped)

    def _constants_of(self, call: ChunkCall, references: References, stopped: Callable[[], bool]) -> dict[str, Literal]:
        found = {}
        for source in call.arguments.values():
            if isinstance(source, Constant):
                literal = self._constants.get(source.key)
                if literal is None:
                    literal = Literal(_fetch(references.constants.get(source.key), stopped))
                    self._constants.put(source.key, literal, literal.array.nbytes)
                found[source.key] = literal
        return found

    def _data(self, call: ChunkCall, references: References, stopped: Callable[[], bool]) -> dict[str, Array]:
        found = {**self._kept.get(call.work, {}), **call.own}
        found |= {key: _fetch(reference, stopped) for key, reference in references.own.items()}
        wanted = {source.key for source in call.arguments.values() if isinstance(source, Shared)}
        fetched = {key: _fetch(references.kept.get(key), stopped) for key in wanted - found.keys()}
        if fetched:
            with self._lock:
                if call.work not in self._finished:
                    self._kept.setdefault(call.work, {}).update(fetched)
        return found | fetched


def _hello() -> Hello:
    return Hello(os.getpid(), ray.get_runtime_context().get_node_id())


def _fetch(reference: Reference | None, stopped: Callable[[], bool]) -> Any:
    if reference is None:
        raise _AbsentError
    while not stopped():
        try:
            return ray.get(reference, timeout=_WAIT_SECONDS)
        except GetTimeoutError:
            continue
    raise Cancelled("the work was stopped while its data was on the way")
