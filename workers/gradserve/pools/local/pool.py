"""A pool of threads in this process, and of processes beside it for what is heavy."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from gradserve.execution import Schedule
from gradserve.ir.errors import Cancelled, Unavailable
from gradserve.ir.types import Array
from gradserve.pools.in_order import Inbox, in_order
from gradserve.pools.local.processes import Processes
from gradserve.pools.pool import HEAVY_SECONDS, Direct
from gradserve.pools.prepared import PreparedSchedules, outputs_of
from gradserve.pools.sources import arrays_of
from gradserve.pools.work import ChunkResult, Work
from gradserve.runtime.blas import ONE_BLAS_THREAD
from gradserve.runtime.control import Control
from gradserve.runtime.processors import processors

CALLER_SECONDS = 2e-3
"""A single chunk predicted to be shorter runs in the caller's thread: the hop to another would cost as much."""
COMPILING_SECONDS = 1.0
"""What takes longer to compile is compiled, and then run, in a process that can be ended."""
_CHUNKS_PER_THREAD = 2
_CLOSED = "the pool is closed"
_Result: TypeAlias = Callable[[int, float, Callable[[], bool]], ChunkResult]
"""The result of a chunk: by its index, when it was submitted, and what says that it is to stop."""


class LocalPool:
    """Threads that run chunks beside each other, each on one BLAS thread.

    Results may share memory with the work's data: treat them as read-only. A chunk ends early only between two steps
    of its schedule, but whoever waits for a pooled chunk returns at once when cancelled or late. A pool that is given
    processes runs chunks there that are predicted to be heavy: those can be ended amid a step, and if they run out of
    memory or crash, this process does not.
    """

    name = "front-end"
    hop_seconds = 5e-5

    def __init__(self, threads: int | None = None, *, processes: bool = False) -> None:
        """`threads` is the number of CPUs unless given; with `processes` there are as many of those.

        BLAS is limited to one thread in the whole process as long as the pool lives. Limiting it only while chunks run
        is not enough: with chunks on several threads, restoring and limiting again changed the last bits of products.
        """
        self.size = threads or processors()
        self._prepared = PreparedSchedules()
        self._closed = False
        self._threads = ThreadPoolExecutor(self.size, thread_name_prefix=self.name)
        self.processes = Processes(self.size) if processes else None
        """What heavy chunks run in; None if it is this process."""
        ONE_BLAS_THREAD.__enter__()

    def run(self, work: Work, control: Control) -> Iterator[ChunkResult]:
        """The result of every chunk, in chunk order; see `Pool.run`."""
        if self.processes is not None and (
            work.seconds > HEAVY_SECONDS or self._compiles_long(work.schedules.values(), work.executor)
        ):
            return self._run_beside(work, control, self.processes.threads, self.processes.results(work))
        if len(work.chunks) == 1 and work.seconds <= CALLER_SECONDS:
            return self._run_here(work, control)
        return self._run_beside(work, control, self._threads, functools.partial(self._result_here, work))

    def direct(self, schedule: Schedule, executor: str) -> Direct | None:
        """What runs a short schedule in the caller's thread; see `Pool.direct`."""
        if schedule.seconds > CALLER_SECONDS:
            return None
        if self.processes is not None and self._compiles_long([schedule], executor):
            return None
        prepared, renew = self._prepared.prepared(schedule, executor), ONE_BLAS_THREAD.renew

        def run(arguments: Mapping[str, Array], control: Control) -> dict[str, Array]:
            if not self._closed:
                renew()
                try:
                    outputs = prepared(arguments, control.stopped)
                except Cancelled:
                    control.check()
                    raise
                if not self._closed:  # else BLAS may have had several threads by the end
                    return outputs
            raise Unavailable(_CLOSED)

        return run

    def _compiles_long(self, schedules: Iterable[Schedule], executor: str) -> bool:
        """Whether what is not ready here yet would keep a compiler for long, which cannot be ended."""
        return self._prepared.seconds((each.program for each in schedules), executor) > COMPILING_SECONDS

    def close(self) -> None:
        """Stops running chunks at their next step and ends the threads."""
        if self._closed:
            return
        self._closed = True
        self._threads.shutdown(wait=False)
        if self.processes is not None:
            self.processes.close()
        ONE_BLAS_THREAD.__exit__(None, None, None)

    def _run_here(self, work: Work, control: Control) -> Iterator[ChunkResult]:
        if self._closed:
            raise Unavailable(_CLOSED)
        control.check()
        try:
            result = self._result(work, 0, time.perf_counter(), control.stopped, self.name)
        except Cancelled:
            control.check()
            raise
        yield result

    def _run_beside(
        self, work: Work, control: Control, threads: ThreadPoolExecutor, result: _Result
    ) -> Iterator[ChunkResult]:
        abandoned = threading.Event()
        inbox = Inbox(control)

        def stopped() -> bool:
            return abandoned.is_set() or self._closed or control.stopped()

        def offer(index: int) -> None:
            try:
                threads.submit(self._deliver, inbox, index, time.perf_counter(), stopped, result)
            except RuntimeError:  # shut down
                raise Unavailable(_CLOSED) from None

        try:
            yield from in_order(len(work.chunks), lambda: _CHUNKS_PER_THREAD * self.size, offer, inbox)
        finally:
            abandoned.set()
            inbox.close()

    def _deliver(
        self, inbox: Inbox, index: int, submitted: float, stopped: Callable[[], bool], result: _Result
    ) -> None:
        try:
            if stopped():
                raise Cancelled("the work was stopped before this chunk began")
            inbox.put(index, result(index, submitted, stopped))
        except BaseException as error:
            inbox.put(index, Unavailable(_CLOSED) if self._closed else error)

    def _result_here(self, work: Work, index: int, submitted: float, stopped: Callable[[], bool]) -> ChunkResult:
        return self._result(work, index, submitted, stopped, threading.current_thread().name)

    def _result(
        self, work: Work, index: int, submitted: float, stopped: Callable[[], bool], worker: str
    ) -> ChunkResult:
        chunk = work.chunks[index]
        prepared = self._prepared.prepared(work.schedules[chunk.program], work.executor, stopped)
        arguments = arrays_of(chunk.arguments, work.data, work.constants)
        with ONE_BLAS_THREAD:  # again, for libraries that came with the program
            started = time.perf_counter()
            outputs = outputs_of(prepared, work.recurrence, arguments, stopped)
            seconds = time.perf_counter() - started
        return ChunkResult(index, outputs, seconds, started - submitted, worker, retries=0)
