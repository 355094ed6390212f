"""A cluster that may be lost, or not be there yet: it is started again, and meanwhile its work is done beside it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from gradserve.execution import Schedule
from gradserve.ir.errors import GradserveError, Unavailable
from gradserve.pools.pool import Pool
from gradserve.pools.ray import cluster as local_cluster
from gradserve.pools.ray.pool import CALL_SECONDS, RayPool
from gradserve.pools.work import Chunk, ChunkResult, Work
from gradserve.runtime.control import Control

WAIT_SECONDS = 60.0
"""How long work that is too large to be done beside the cluster waits for it."""
_PAUSES = (0.1, 1.0, 2.0, 5.0)
"""Seconds before a cluster is started again that could not be; from then on the last of them."""
_TICK_SECONDS = 0.1
_END_SECONDS = 5.0
"""How long the end of a pool waits for a cluster that is being started, or ends."""

log = logging.getLogger("gradserve.pools")


class HealingPool:
    """The pool of a cluster while there is one, and another pool while there is none.

    Chunks that a lost cluster has not answered run on the other pool, with the same bits.
    """

    name = "cluster"

    def __init__(
        self,
        start: Callable[[ExitStack], RayPool],
        beside: Pool,
        beside_bytes: int,
        *,
        patient: bool = False,
    ) -> None:
        """`start` makes the cluster's pool, and puts on the stack what ends it. `beside` takes its place.

        Work whose chunks need more than `beside_bytes` waits for the cluster. A `patient` pool goes on trying if there
        is none at first. Until `open` there is none.
        """
        self._start, self._beside, self._beside_bytes, self._patient = start, beside, beside_bytes, patient
        self._changed: Callable[[bool], None] = lambda _: None
        self._lock = threading.Lock()
        self._pool: RayPool | None = None
        self._running = ExitStack()
        self._closed = threading.Event()
        self._lost_before = 0
        local_cluster.on_lost(self._lose)

    def open(self) -> None:
        """Starts the cluster; returns when it is there. Work may come before, and is done beside it.

        Raises:
            Unavailable: there is none, and the pool is not patient.
            OSError: there is no room for it.
        """
        try:
            self._open()
        except Unavailable as error:
            if not self._patient:
                raise
            log.warning("%s; work is done in the front end, and the cluster is tried again", error)
            threading.Thread(target=self._heal, name="gradserve-heal", daemon=True).start()

    def tell(self, listener: Callable[[bool], None]) -> None:
        """Tells whether there is a cluster, now and whenever that changes."""
        self._changed = listener
        listener(self._pool is not None)

    @property
    def size(self) -> int:
        """The number of workers of the cluster that are ready."""
        return self._pool.size if self._pool else 0

    @property
    def wanted(self) -> int:
        """The number of workers that have been asked for."""
        return self._pool.wanted if self._pool else 0

    @property
    def lost(self) -> int:
        """The number of workers that have died so far."""
        return self._lost_before + (self._pool.lost if self._pool else 0)

    @property
    def waiting(self) -> int:
        """The number of chunks that wait for a worker of the cluster."""
        return self._pool.waiting if self._pool else 0

    @property
    def hop_seconds(self) -> float:
        """What handing a small chunk to a worker costs; see `Pool.hop_seconds`."""
        return self._pool.hop_seconds if self._pool else CALL_SECONDS

    def run(self, work: Work, control: Control) -> Iterator[ChunkResult]:
        """The result of every chunk, in chunk order; see `Pool.run`."""
        done = 0
        while True:
            pool = self._pool or self._awaited(work, control)
            if pool is None:
                break
            try:
                for result in pool.run(_after(work, done), control):
                    yield replace(result, index=done)
                    done += 1
                return
            except Unavailable:
                if self._pool is pool and not self._is_lost():
                    raise
        for result in self._beside.run(_after(work, done), control):
            yield replace(result, index=done)
            done += 1

    def direct(self, schedule: Schedule, executor: str) -> None:
        """Nothing: the caller has no worker in its thread."""

    def close(self) -> None:
        """Ends the cluster's pool, and the cluster if it was started here."""
        if self._closed.is_set():
            return
        self._closed.set()
        local_cluster.forget(self._lose)
        # Who starts one now ends it when it is there. That may be long, as may its end where it stands still; all of it
        # ends with this process as well.
        ending = threading.Thread(target=self._end, name="gradserve-end", daemon=True)
        ending.start()
        ending.join(_END_SECONDS)

    def _end(self) -> None:
        with self._lock:
            self._pool = None
            self._running.close()

    def _is_lost(self) -> bool:
        try:
            local_cluster.require()
        except Unavailable:
            return True
        return False

    def _awaited(self, work: Work, control: Control) -> RayPool | None:
        """The cluster's pool once there is one; None for work that can as well be done without.

        Raises:
            Unavailable: there is none for long.
        """
        if work.peak_bytes <= self._beside_bytes:
            return None
        until = time.monotonic() + WAIT_SECONDS
        control.waits()
        while self._pool is None:
            control.check()
            if time.monotonic() > until or self._closed.wait(_TICK_SECONDS):
                raise Unavailable(
                    f"the cluster is away, without which {work.peak_bytes} bytes are too many for a chunk"
                )
        return self._pool

    def _open(self) -> None:
        with self._lock, ExitStack() as running:
            if self._closed.is_set():
                return
            pool = self._start(running)
            if self._closed.is_set():
                return
            self._running, self._pool = running.pop_all(), pool
        self._changed(True)
        if self._is_lost():  # who told it while there was no pool was not heard
            threading.Thread(
                target=self._lose, args=("it ended as it began",), name="gradserve-heal", daemon=True
            ).start()

    def _lose(self, reason: str) -> None:
        if self._pool is None or self._closed.is_set():
            return
        with self._lock:
            pool, self._pool = self._pool, None
            if pool is None:  # it has been told already
                return
            self._lost_before += pool.lost
            log.error("the Ray cluster is lost: %s; work is done in the front end until there is one again", reason)
            self._changed(False)
            self._running.close()
        self._heal()

    def _heal(self) -> None:
        pauses, pause, told = iter(_PAUSES), 0.0, ""
        while not self._closed.wait(pause := next(pauses, pause)):
            try:
                self._open()
            except (GradserveError, OSError) as error:
                if told != (told := str(error)):  # once for each reason
                    log.warning("%s; it is tried again", told)
                continue
            if self._pool is not None:
                log.warning("there is a Ray cluster again")
            return


class _Rest(Sequence[Chunk]):
    """Chunks without the first ones."""

    def __init__(self, chunks: Sequence[Chunk], done: int) -> None:
        self._chunks, self._done = chunks, done

    def __len__(self) -> int:
        return len(self._chunks) - self._done

    def __getitem__(self, index: Any) -> Any:
        return self._chunks[range(self._done, len(self._chunks))[index]]


def _after(work: Work, done: int) -> Work:
    """What is left of a work when so many chunks are done."""
    return replace(work, chunks=_Rest(work.chunks, done)) if done else work
