"""A pool of Ray actors. Importing this module imports Ray; nothing outside this package does."""

from __future__ import annotations

import functools
import itertools
import logging
import time
from collections.abc import Iterator

from gradserve.execution import Schedule
from gradserve.ir.errors import LimitExceeded, Unavailable
from gradserve.pools.in_order import Inbox, in_order
from gradserve.pools.ray import cluster as local_cluster
from gradserve.pools.ray.dispatcher import CHUNKS_PER_WORKER, Dispatcher
from gradserve.pools.ray.job import Job
from gradserve.pools.ray.scaling import Scaling
from gradserve.pools.ray.sending import ChunkCalls, Kept
from gradserve.pools.ray.workers import SILENT_SECONDS
from gradserve.pools.work import ChunkResult, Work
from gradserve.runtime.control import Control
from gradserve.runtime.processors import processors

LANE_SECONDS = 3e-4
"""What handing a chunk to a worker on the pool's own machine costs, and taking its result back."""
CALL_SECONDS = 1.7e-3
"""The same by Ray."""
WORKER_MEMORY = 1 << 30
START_SECONDS = 60.0
MACHINE_SECONDS = 300.0
"""How long a cluster may take to start a machine for a worker."""
_GRACE_SECONDS = 5.0
_POLL_SECONDS = 0.01

log = logging.getLogger("gradserve.pools")


class RayPool:
    """Ray actors that run chunks, one at a time each, on one BLAS thread.

    Results may be read-only views of Ray's store.

    Memory: a worker reserves `worker_memory` bytes as a Ray resource. A work with a chunk whose schedule predicts more
    runs all its chunks in workers of its own, which reserve what the largest chunk needs, are started on demand and
    end with the work. If no machine could offer that beside the ordinary workers, the work is refused.

    Ways: small chunks reach workers on this machine by lanes, all others by Ray's calls and its store; results, deaths
    and stopping are the same either way.

    Deaths: chunks of a worker that dies run again elsewhere, and the pool starts another worker in its place. Ray's own
    restarts are off: they report a death after 1.5 s, where an actor that stays dead is reported after 0.01 s.
    """

    name = "cluster"

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        *,
        max_workers: int | None = None,
        sharers: int = 1,
        worker_memory: int = WORKER_MEMORY,
        cpus_per_worker: float = 1.0,
        object_store_bytes: int | None = None,
        start_seconds: float | None = None,
        silent_seconds: float = SILENT_SECONDS,
    ) -> None:
        """Connects to the cluster at `address` (`auto`: the one of this machine), or starts one here without address.

        `workers` is the number of CPUs over `cpus_per_worker` unless given; while more chunks wait than those hold,
        there are up to `max_workers`. Each of `sharers` such pools on one cluster keeps its share of `workers` while
        less waits. Workers for which the cluster has no room yet join later. A work for which there is no worker at all
        for `start_seconds` fails. `object_store_bytes` sizes the store of a cluster started here. A worker that answers
        nothing for `silent_seconds` counts as dead.

        Returns when at least one worker is ready; in a cluster that runs already at once, because that may yet start a
        machine for it.

        Raises:
            Unavailable: no worker of a cluster started here was ready after `start_seconds`.
        """
        if start_seconds is None:
            start_seconds = START_SECONDS if address is None else MACHINE_SECONDS
        local_cluster.connect(address, workers or processors(), object_store_bytes)
        all_workers = workers or max(1, int(local_cluster.resources().get("CPU", 1) / cpus_per_worker))
        self._scaling = Scaling(-(-all_workers // sharers), max_workers or all_workers, CHUNKS_PER_WORKER)
        self._worker_memory = worker_memory
        self._kept = Kept()
        self._numbers = itertools.count()
        self._open = True
        self._dispatcher = Dispatcher(cpus_per_worker, self._scaling, worker_memory, start_seconds, silent_seconds)
        self._workers = self._dispatcher.workers
        self._dismiss = local_cluster.employ(lambda: self.size)
        try:
            if address is None:
                self._await_workers(start_seconds)
            self._await_the_rest()
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int:
        """The number of workers that are ready."""
        return len(self._workers.ready(None))

    @property
    def wanted(self) -> int:
        """The number of workers that the pool has asked for, ready or not."""
        return self._scaling.wanted

    @property
    def lost(self) -> int:
        """The number of workers that have died so far."""
        return self._workers.lost

    @property
    def waiting(self) -> int:
        """The number of chunks that are not done beyond those that the workers are at."""
        return max(0, self._dispatcher.chunks_left - self.size)

    @property
    def hop_seconds(self) -> float:
        """What handing a small chunk to a worker costs; see `Pool.hop_seconds`."""
        workers = self._workers.ready(None)
        return LANE_SECONDS if workers and all(worker.lane for worker in workers) else CALL_SECONDS

    def run(self, work: Work, control: Control) -> Iterator[ChunkResult]:
        """The result of every chunk, in chunk order; see `Pool.run`.

        Raises:
            LimitExceeded: no machine of the cluster has the memory that a chunk needs.
            Unavailable: the pool is closed, or the cluster has had no room for a worker for long.
        """
        control.check()
        memory = work.peak_bytes
        large = memory > self._worker_memory
        room = self._room(memory) if large else 0
        inbox = Inbox(control)
        job = Job(ChunkCalls(next(self._numbers), work, self._kept), control, inbox, own_workers=large)
        self._dispatcher.begin(job)
        if large:
            self._workers.start(min(len(work.chunks), self._scaling.most, room), memory, job)
        forget = control.on_cancel(functools.partial(self._dispatcher.end, job))
        try:
            window = functools.partial(self._window, job)
            yield from in_order(len(work.chunks), window, functools.partial(self._dispatcher.offer, job), inbox)
        finally:
            forget()
            inbox.close()
            self._dispatcher.end(job)

    def worker_pids(self) -> dict[str, int]:
        """The process of every worker that is ready, by the worker's name."""
        return {worker.name: worker.hello.pid for worker in self._workers.all_ready() if worker.hello}

    def direct(self, schedule: Schedule, executor: str) -> None:
        """Nothing: the caller has no worker in its thread."""

    def close(self) -> None:
        """Ends the workers, and the cluster if it was started here."""
        if self._open:
            self._open = False
            self._dismiss()
            self._dispatcher.close()
            local_cluster.disconnect()

    def _window(self, job: Job) -> int:
        return CHUNKS_PER_WORKER * len(self._workers.ready(job.owner))

    def _await_workers(self, start_seconds: float) -> None:
        started = time.monotonic()
        while not self.size:
            if time.monotonic() - started > start_seconds:
                raise Unavailable(f"no worker was ready in {start_seconds:.0f} s; the cluster has {_resources()}")
            time.sleep(_POLL_SECONDS)

    def _await_the_rest(self) -> None:
        first = time.monotonic()
        while self.size < self.wanted and time.monotonic() - first < _GRACE_SECONDS:
            time.sleep(_POLL_SECONDS)
        if self.size < self.wanted:
            log.warning(
                "%d of %d workers are ready; the others join when there is room. The cluster has %s",
                self.size,
                self.wanted,
                _resources(),
            )

    def _room(self, memory: int) -> int:
        """How many workers with this much memory the cluster could hold beside the ordinary ones.

        Raises:
            LimitExceeded: none.
        """
        taken = [m.hello.node for m in self._workers.ready(None) if m.hello]
        offered = local_cluster.machine_memory()
        free = [max(0, total - taken.count(node) * self._worker_memory) for node, total in offered.items()]
        room = sum(bytes_free // memory for bytes_free in free)
        if not room:
            most = max(free, default=0)
            message = f"a chunk needs {memory} bytes; the most that a machine of the cluster can give is {most}"
            raise LimitExceeded("cluster_memory", message)
        return room


def _resources() -> str:
    resources = local_cluster.resources()
    return f"{resources.get('CPU', 0):g} CPUs and {resources.get('memory', 0):.0f} bytes of memory"
