"""Processes that run what is too heavy for the service's own: there a long step could not be ended."""

from __future__ import annotations

import functools
import itertools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from gradserve.ir.errors import Cancelled, Unavailable, WorkerLost
from gradserve.ir.types import Array
from gradserve.pools.local.messages import ChunkCall
from gradserve.pools.local.passing import Cargo, Held
from gradserve.pools.local.process import DiedError, Process
from gradserve.pools.pool import MAX_RETRIES
from gradserve.pools.replies import Declined, Done, Failed, Reply
from gradserve.pools.work import ChunkResult, Constant, Point, Rows, Shared, Work
from gradserve.runtime.caches import Lru

CONSTANT_BYTES = 256 << 20
"""Constants that are kept in memory to be passed on to processes."""
_LEAST_CONSTANT = 2 << 20
"""What each of them counts for at least: a file is open for it."""

log = logging.getLogger("gradserve.pools")


class Processes:
    """Started when they are first needed, then kept. Safe for threads.

    The chunk of a process that dies runs again in another, with the same bits; one that costs several processes their
    lives is given up. A process that stands still counts as dead, and one that does not stop when asked to is ended.
    """

    def __init__(self, count: int) -> None:
        """At most `count` chunks run at once; none of the processes is there yet."""
        self.threads = ThreadPoolExecutor(count, thread_name_prefix="heavy")
        self.lost = 0
        """Processes that died."""
        self._names = itertools.count(1)
        self._constants: Lru[str, Held] = Lru(CONSTANT_BYTES)
        self._lock = threading.Lock()
        self._idle: list[Process] = []
        self._all: set[Process] = set()
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """The processes that there are."""
        with self._lock:
            return [process.pid for process in self._all]

    def warm(self) -> None:
        """Starts one, so that the first heavy call need not wait for that."""
        self._give_back(self._start())

    def results(self, work: Work) -> Callable[[int, float, Callable[[], bool]], ChunkResult]:
        """A function of a chunk's index, when it was submitted and whether it is to stop: its result.

        Raises, when called:
            Cancelled: it was to stop.
            WorkerLost: processes died of it.
            GradserveError: what the chunk ended with.
        """
        return functools.partial(self._result, work, _Memory(work, self._constants))

    def close(self) -> None:
        """Ends all processes, whatever they are at."""
        with self._lock:
            self._closed = True
            ending, idle = list(self._all), self._idle
        self.threads.shutdown(wait=False)
        for process in ending:
            process.end()
        for process in idle:  # threads that wait for others see to those
            process.wait()

    def _result(
        self, work: Work, memory: _Memory, index: int, submitted: float, stopped: Callable[[], bool]
    ) -> ChunkResult:
        for retries in itertools.count():
            if stopped():
                raise Cancelled("the work was stopped before this chunk began")
            process = self._take()
            try:
                reply = self._reply(process, work, memory, index, stopped)
            except DiedError as error:
                self._lose(process, str(error), retries)
                if retries == MAX_RETRIES:
                    message = f"chunk {index} was lost {retries + 1} times, the last time because: {error}"
                    raise WorkerLost(message) from None
                continue
            except Cancelled:
                self._lose(process, "it did not stop when asked to", retries)
                raise
            except OSError as error:  # the machine has no memory, or this process no descriptors
                self._give_back(process)
                raise Unavailable(f"arrays could not be passed between processes: {error.strerror}") from None
            except BaseException:
                self._give_back(process)
                raise
            self._give_back(process)
            match reply:
                case Done(outputs, seconds):
                    waited = time.perf_counter() - submitted - seconds
                    return ChunkResult(index, outputs, seconds, waited, process.name, retries)
                case Failed():
                    raise reply.error
        raise AssertionError("a chunk is retried until it is answered or given up")

    def _reply(self, process: Process, work: Work, memory: _Memory, index: int, stopped: Callable[[], bool]) -> Reply:
        """The reply of a process, which is told how to run the program if it does not know."""
        chunk = work.chunks[index]
        program = (chunk.program, work.executor)
        for tells in (program not in process.known, True):
            cargo = Cargo(memory.held)
            keys = {source.key for source in chunk.arguments.values() if isinstance(source, Shared | Rows | Point)}
            fixed = {source.key for source in chunk.arguments.values() if isinstance(source, Constant)}
            data = cargo.parts({key: work.data[key] for key in keys})
            constants = cargo.parts({key: work.constants[key].array for key in fixed})
            schedule = work.schedules[chunk.program] if tells else None
            call = functools.partial(
                ChunkCall,
                program=chunk.program,
                executor=work.executor,
                recurrence=work.recurrence,
                arguments=chunk.arguments,
                data=data,
                constants=constants,
                schedule=schedule,
            )
            reply = process.run(call, cargo.held, stopped)
            process.known.add(program)
            if not isinstance(reply, Declined):
                return reply
        raise AssertionError("a process that has been told declines nothing")

    def _take(self) -> Process:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._start()

    def _start(self) -> Process:
        with self._lock:
            if self._closed:
                raise Unavailable("the pool is closed")
            try:
                process = Process(f"process-{next(self._names)}")
            except OSError as error:
                raise Unavailable(f"no process could be started for heavy work: {error}") from None
            self._all.add(process)
            return process

    def _give_back(self, process: Process) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(process)
                return
        process.end()
        process.wait()

    def _lose(self, process: Process, reason: str, retries: int) -> None:
        """Replaces a process that has ended or been ended."""
        with self._lock:
            self._all.discard(process)
            self.lost += 1
            closed = self._closed
        process.wait()
        if closed:
            return
        log.warning("lost %s: %s", process.name, reason)
        if retries < MAX_RETRIES:
            self._give_back(self._start())


class _Memory:
    """The large arrays of a work in memory that processes share: each copied there once, when it is first needed."""

    def __init__(self, work: Work, constants: Lru[str, Held]) -> None:
        self._work = work
        self._constants = constants
        self._data: dict[str, Held] = {}
        self._lock = threading.Lock()

    def held(self, key: str, array: Array) -> Held:
        with self._lock:
            found = self._data.get(key) or self._constants.get(key)
            if found is None:
                found = Held(array)
                if key in self._work.data:
                    self._data[key] = found
                else:
                    self._constants.put(key, found, max(array.nbytes, _LEAST_CONSTANT))
            return found
