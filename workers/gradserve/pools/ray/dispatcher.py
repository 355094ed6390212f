"""Hands the chunks of many works to the workers of one pool: fairly, a few at a time, again when a worker dies."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future

from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    RaySystemError,
    WorkerCrashedError,
)

from gradserve.ir.errors import Unavailable, WorkerLost
from gradserve.pools.pool import MAX_RETRIES
from gradserve.pools.ray.job import Job, Task
from gradserve.pools.ray.lane import LaneEndedError
from gradserve.pools.ray.packets import packed, unpacked
from gradserve.pools.ray.scaling import Scaling
from gradserve.pools.ray.workers import Worker, Workers
from gradserve.pools.replies import Declined, Done, Failed, Reply
from gradserve.pools.work import ChunkResult

CHUNKS_PER_WORKER = 2
"""One that runs, and one that waits beside it so that no worker idles for the length of a hop."""
_TICK_SECONDS = 0.25
_DEATHS = (RayActorError, WorkerCrashedError, NodeDiedError, OutOfMemoryError, LaneEndedError)
_UNREADABLE = "it could not read what it was sent, as without memory for a library"
_CLOSED = "the pool is closed"

log = logging.getLogger("gradserve.pools")


class Dispatcher:
    """Jobs take turns, chunk by chunk. Threads that offer a chunk send it themselves if a worker is free."""

    def __init__(
        self, cpus: float, scaling: Scaling, worker_memory: int, start_seconds: float, silent_seconds: float
    ) -> None:
        """Keeps as many workers with `worker_memory` bytes as `scaling` wants."""
        self._scaling = scaling
        self._worker_memory = worker_memory
        self._start_seconds = start_seconds
        self._lock = threading.Lock()
        self._jobs: deque[Job] = deque()
        self._closed = False
        self._wake = threading.Event()
        self._wake.set()  # for the first workers
        self.workers = Workers(cpus, self._wake.set, silent_seconds)
        self._thread = threading.Thread(target=self._attend, name="gradserve-dispatcher", daemon=True)
        self._thread.start()

    @property
    def chunks_left(self) -> int:
        """Chunks that are not done, of all works that ordinary workers run."""
        with self._lock:
            return sum(job.chunks_left for job in self._jobs if not job.own_workers)

    def begin(self, job: Job) -> None:
        """Lets a job take part.

        Raises:
            Unavailable: the pool is closed.
        """
        with self._lock:
            if self._closed:
                raise Unavailable(_CLOSED)
            self._jobs.append(job)

    def offer(self, job: Job, index: int) -> None:
        """Sends a chunk as soon as a worker can take it; raises `Unavailable` if the pool is closed."""
        task = Task(job, index, job.calls.parcel(index), time.perf_counter())
        with self._lock:
            if self._closed:  # perhaps while the call was made
                raise Unavailable(_CLOSED)
            job.pending.append(task)
        self._send()

    def end(self, job: Job) -> None:
        """Drops what is pending of a job and stops what is running. May be called more than once."""
        with self._lock:
            if job not in self._jobs:
                return
            self._jobs.remove(job)
            job.pending.clear()
            running: dict[Worker, list[Task]] = {}
            for worker in job.workers:
                for task in worker.tasks:
                    if task.job is job:
                        task.unwanted_since = time.monotonic()
                        running.setdefault(worker, []).append(task)
            listening = [m for m in (job.workers if job.calls.keeps_data else running) if not m.lost]
        if job.own_workers:
            self.workers.end_all_of(job)
            return
        for worker in listening:
            told = worker.handle.finish.remote(job.calls.number)
            if worker in running:
                told.future().add_done_callback(functools.partial(_hear, worker, running[worker]))

    def close(self) -> None:
        """Ends all jobs and all workers."""
        with self._lock:
            self._closed = True
            jobs = list(self._jobs)
        for job in jobs:  # first all of them: what is told to Ray may take long
            self._fail(job, Unavailable(_CLOSED))
        for job in jobs:
            self.end(job)
        self._wake.set()
        self._thread.join()
        self.workers.close()

    def _send(self) -> None:
        """Sends pending chunks to free workers until there are no more of the one or the other."""
        while True:
            with self._lock:
                picked = self._pick()
            if picked is None:
                return
            self._submit(*picked)

    def _pick(self) -> tuple[Worker, Task] | None:
        for _ in range(len(self._jobs)):
            job = self._jobs[0]
            self._jobs.rotate(-1)
            if not job.pending:
                continue
            trusted = (worker for worker in self.workers.ready(job.owner) if not worker.doubted)
            worker = min(trusted, key=lambda m: len(m.tasks), default=None)
            if worker is not None and len(worker.tasks) < CHUNKS_PER_WORKER:
                task = job.pending.popleft()
                worker.tasks.append(task)
                job.workers.add(worker)
                return worker, task
        return None

    def _submit(self, worker: Worker, task: Task, *, declined: bool = False) -> None:
        """Sends a chunk to a worker: a small one as a packet, by the lane if there is one, until it is declined."""
        parcel, remaining = task.parcel, task.job.control.remaining
        try:
            if parcel.is_small and not declined:
                packet = packed((parcel.call, remaining))
                future = (worker.lane and worker.lane.send(packet)) or worker.handle.run_small.remote(packet).future()
            else:
                future = worker.handle.run.remote(parcel.call, remaining, parcel.references).future()
        except Exception as error:
            self._release(worker, task)
            task.job.inbox.put(task.index, error)
            return
        future.add_done_callback(functools.partial(self._arrived, worker, task))

    def _release(self, worker: Worker, task: Task) -> bool:
        """Takes a chunk back from a worker; false if that has been done."""
        with self._lock:
            if task not in worker.tasks:
                return False
            worker.tasks.remove(task)
            return True

    def _arrived(self, worker: Worker, task: Task, future: Future[Reply | bytes]) -> None:
        """Called by Ray's own thread or a lane's, which must not wait: it hands over, the rest is for `_attend`."""
        error = future.exception()
        cause = getattr(error, "cause", None) or error  # without Ray's wrapping
        if isinstance(error, _DEATHS):
            self._lose(worker, error)
        elif isinstance(cause, RaySystemError):
            self._lose(worker, _UNREADABLE)
        elif cause is not None:
            self._give_back(worker, task, cause)
        else:
            answer = future.result()
            reply = unpacked(answer) if isinstance(answer, bytes) else answer
            if isinstance(reply, Declined):
                self._submit(worker, task, declined=True)
            elif self._release(worker, task):
                self._accept(worker, task, reply)
        with self._lock:
            more = any(job.pending for job in self._jobs)
        if more:
            self._wake.set()

    def _give_back(self, worker: Worker, task: Task, error: BaseException) -> None:
        if self._release(worker, task):
            if isinstance(error, ObjectLostError):
                self._retry(task, str(error))
            else:
                task.job.inbox.put(task.index, error)

    def _accept(self, worker: Worker, task: Task, reply: Done | Failed) -> None:
        task.job.chunks_left -= 1
        match reply:
            case Done(outputs, seconds):
                waited = time.perf_counter() - task.offered - seconds
                result = ChunkResult(task.index, outputs, seconds, waited, worker.name, task.retries)
                task.job.inbox.put(task.index, result)
            case Failed(error):
                task.job.inbox.put(task.index, error)

    def _lose(self, worker: Worker, reason: object) -> None:
        self.workers.replace(worker)  # first, so that nobody gives it more
        with self._lock:
            tasks = [task for task in worker.tasks if task.job in self._jobs]
            worker.tasks = []
        log.warning("lost %s: %s; %d of its chunks run again", worker.name, reason, len(tasks))
        # Only the oldest was running, so only that one may be to blame; the others are not charged with a retry.
        for waiting in reversed(tasks[1:]):
            self._put_back(waiting)
        if tasks:
            self._retry(tasks[0], str(reason))

    def _retry(self, task: Task, reason: str) -> None:
        task.retries += 1
        if task.retries > MAX_RETRIES:
            message = f"chunk {task.index} was lost {task.retries} times, the last time because: {reason}"
            task.job.inbox.put(task.index, WorkerLost(message))
        else:
            self._put_back(task)

    def _put_back(self, task: Task) -> None:
        with self._lock:
            if task.job in self._jobs:
                task.job.pending.appendleft(task)

    def _attend(self) -> None:
        """The dispatcher's own thread: all that nobody waits for, and all that may block."""
        while not self._closed:
            self._wake.wait(_TICK_SECONDS)
            self._wake.clear()
            try:
                self._scale()
                for worker in self.workers.tend():
                    self._lose(worker, f"no answer for {self.workers.silent_seconds:.0f} s")
                for job in list(self._stopped_jobs()):
                    self.end(job)
                for worker in self._stuck_workers():
                    self._lose(worker, "it did not stop when asked to")
                self._fail_stalled()
                self._send()
            except Exception:
                log.exception("the dispatcher goes on after an error")

    def _scale(self) -> None:
        wanted = self._scaling.update(self.chunks_left, time.monotonic())
        with self._lock:  # so that nobody who is let go has just been given a chunk
            self.workers.resize(wanted, self._worker_memory)

    def _stopped_jobs(self) -> Iterator[Job]:
        with self._lock:
            jobs = list(self._jobs)
        return (job for job in jobs if job.control.stopped())

    def _stuck_workers(self) -> list[Worker]:
        """Workers still at work on a chunk that was to stop some time ago. A step cannot be interrupted otherwise."""
        now = time.monotonic()
        with self._lock:
            oldest = [(worker, worker.tasks[0]) for worker in self.workers.all_ready() if worker.tasks]
        return [worker for worker, task in oldest if task.stuck(now, worker.processor_seconds())]

    def _fail_stalled(self) -> None:
        """Fails jobs for whose chunks there has been no worker at all for long."""
        now = time.monotonic()
        with self._lock:
            jobs = list(self._jobs)
        for job in jobs:
            if not job.pending or self.workers.ready(job.owner):
                job.stalled_since = None
            elif job.stalled_since is None:
                job.stalled_since = now
            elif now - job.stalled_since > self._start_seconds:
                self._fail(job, Unavailable(f"the cluster had no room for a worker in {self._start_seconds:.0f} s"))

    def _fail(self, job: Job, error: Exception) -> None:
        with self._lock:
            pending = [*job.pending, *(task for worker in job.workers for task in worker.tasks if task.job is job)]
            job.pending.clear()
        for task in pending:
            job.inbox.put(task.index, error)


def _hear(worker: Worker, tasks: list[Task], _: Future[None]) -> None:
    """Called by Ray's own thread, which must not wait."""
    used = worker.processor_seconds()
    for task in tasks:
        task.used, task.heard = used, time.monotonic()
