"""A process that runs heavy chunks: `python -m gradserve.pools.local.worker FD FD`, as its pool starts it."""

from __future__ import annotations

import contextlib
import mmap
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from gradserve.ir.errors import GradserveError
from gradserve.ir.graph import Literal
from gradserve.pools.local.messages import Broke, ChunkCall, Ran, Reply
from gradserve.pools.local.passing import Cargo, close, receive, send, unloaded
from gradserve.pools.prepared import PreparedSchedules, outputs_of
from gradserve.pools.replies import Declined, Failed
from gradserve.pools.sources import arrays_of
from gradserve.runtime.blas import ONE_BLAS_THREAD
from gradserve.runtime.garbage import pass_over_what_is_kept
from gradserve.runtime.memory import keep_freed_memory
from gradserve.runtime.standing_back import process_stands_back, session_stands_back

_FIRST_TO_DIE = "1000"
"""What tells the kernel to end this process before the service when memory is short."""


class Worker:
    """What the process does."""

    def __init__(self, end: socket.socket, stopping: Callable[[], int]) -> None:
        """Limits BLAS to one thread and keeps freed memory. `stopping` tells the chunk that nobody wants any more."""
        ONE_BLAS_THREAD.__enter__()
        keep_freed_memory()
        pass_over_what_is_kept()
        self._end = end
        self._stopping = stopping
        self._prepared = PreparedSchedules()

    def serve(self) -> None:
        """Runs one chunk after another until the pool has ended."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                call, files = receive(self._end)
                cargo = Cargo()
                send(self._end, self._reply(call, files, cargo), cargo.held)

    def _reply(self, call: ChunkCall, files: list[int], cargo: Cargo) -> Reply:
        try:
            data = unloaded(call.data, files)
            constants = {key: Literal(array) for key, array in unloaded(call.constants, files).items()}
        finally:
            close(files)

        def stopped() -> bool:
            return self._stopping() == call.number

        prepared = self._prepared.find(call.program, call.executor)
        if prepared is None and call.schedule is None:
            return Declined()
        try:
            if prepared is None:
                assert call.schedule is not None
                prepared = self._prepared.prepared(call.schedule, call.executor, stopped)
            arguments = arrays_of(call.arguments, data, constants)
            with ONE_BLAS_THREAD:  # again, for libraries that came with the program
                started = time.perf_counter()
                outputs = outputs_of(prepared, call.recurrence, arguments, stopped)
                seconds = time.perf_counter() - started
            return Ran(cargo.parts(outputs), seconds)
        except GradserveError as error:
            return Failed(error)
        except Exception as error:
            return Broke(error)


def main(descriptor: int, flag: int) -> None:
    """Serves the pool at the other end of a socket until it ends, or until the standard input does."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_DIE)
    # Of a product of matrices nobody notices that it waited for a millisecond.
    process_stands_back()
    session_stands_back()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if flag < 0:
        Worker(socket.socket(fileno=descriptor), lambda: 0).serve()
        return
    seen = memoryview(mmap.mmap(flag, 0, prot=mmap.PROT_READ)).cast("Q")
    Worker(socket.socket(fileno=descriptor), lambda: seen[0]).serve()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
