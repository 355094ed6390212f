"""A process that runs heavy chunks, as its pool sees it: what it is at can be ended."""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from gradserve.ir.errors import Cancelled
from gradserve.pools.local.messages import Broke, ChunkCall, Ran
from gradserve.pools.local.passing import Held, close, receive, send, unloaded
from gradserve.pools.replies import Declined, Done, Failed, Reply
from gradserve.runtime.shared import AVAILABLE
from gradserve.runtime.still import stands_still

STOP_SECONDS = 0.5
"""How long a chunk that nobody wants any more may take to its next step; then its process is ended."""
STILL_SECONDS = 3.0
"""How long a process may stand still, stopped by a signal; then it counts as dead."""
SEND_SECONDS = 10.0
"""How long a process may leave a message unread."""
_TICK_MILLISECONDS = 20


class DiedError(Exception):
    """The process has ended, or has been given up; says why."""


class Process:
    """One process. For one thread at a time, but for `end`."""

    def __init__(self, name: str) -> None:
        """Starts it; what it is sent waits until it is there."""
        self.name = name
        self.known: set[tuple[str, str]] = set()
        """The programs that it has been told, by digest and executor."""
        self._calls = 0
        self._end, theirs = socket.socketpair()
        self._end.settimeout(SEND_SECONDS)
        flag = os.memfd_create("gradserve-stop", os.MFD_CLOEXEC) if AVAILABLE else -1
        passed = [theirs.fileno()]
        self._unwanted: memoryview | None = None
        if AVAILABLE:
            os.ftruncate(flag, mmap.PAGESIZE)
            self._unwanted = memoryview(mmap.mmap(flag, 0)).cast("Q")
            passed.append(flag)
        command = [sys.executable, "-P", "-m", "gradserve.pools.local.worker", str(theirs.fileno()), str(flag)]
        # Not a fork: gRPC has threads. A session of its own, so that an interrupt at a terminal does not reach it.
        try:
            with theirs:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, pass_fds=passed, start_new_session=True, bufsize=0
                )
        finally:
            close(passed[1:])
        self._replies = select.poll()  # select takes no descriptor above 1023, and a connection is one
        self._replies.register(self._end, select.POLLIN)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def run(self, call: Callable[[int], ChunkCall], held: Sequence[Held], stopped: Callable[[], bool]) -> Reply:
        """The reply to the chunk that `call` makes of a number.

        Raises:
            Cancelled: `stopped` said so; a chunk amid a long step has been ended, and the process with it.
            DiedError: the process has ended.
        """
        self._calls += 1
        try:
            send(self._end, call(self._calls), held)
            self._wait(stopped)
            reply, files = receive(self._end)
        except (EOFError, OSError) as error:
            self.end()
            raise DiedError(self._epitaph(error)) from None
        except BaseException:  # its reply would be taken for that to the next call
            self.end()
            raise
        try:
            match reply:
                case Ran(outputs, seconds):
                    return Done(unloaded(outputs, files), seconds)
                case Broke():
                    raise reply.error
                case Failed() | Declined():
                    return reply
        finally:
            close(files)
        raise AssertionError(f"no process replies {reply}")

    def end(self) -> None:
        """Ends it at once."""
        self._process.kill()
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)

    def wait(self) -> None:
        """Returns when it has ended."""
        self._process.wait()
        assert self._process.stdin
        self._process.stdin.close()
        self._end.close()

    def _wait(self, stopped: Callable[[], bool]) -> None:
        """Returns when there is a reply."""
        asked: float | None = None
        still: float | None = None
        while not self._replies.poll(_TICK_MILLISECONDS):
            now = time.monotonic()
            if asked is None and stopped():
                asked = now
                if self._unwanted is not None:
                    self._unwanted[0] = self._calls
            if asked is not None and now - asked > STOP_SECONDS:
                self.end()
                raise Cancelled("the work was stopped amid a step, and its process ended")
            still = (still or now) if stands_still(self.pid) else None
            if still is not None and now - still > STILL_SECONDS:
                self.end()
                raise DiedError(f"process {self.pid} stood still for {STILL_SECONDS:g} s, stopped by a signal")

    def _epitaph(self, error: Exception) -> str:
        status = self._process.wait()
        if status >= 0:
            return f"process {self.pid} ended with status {status} ({type(error).__name__})"
        name = signal.Signals(-status).name
        hint = ", as when memory is short" if name == "SIGKILL" else ""
        return f"process {self.pid} was ended by {name}{hint}"
