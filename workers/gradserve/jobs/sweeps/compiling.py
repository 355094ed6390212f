"""Which programs are worth machine code: those that have run for about as long as it takes to make it.

Nobody waits for a compiler. A program runs on NumPy until it has earned its machine code, which a thread of its own
then makes; jobs that begin afterwards run on that. Whoever pins an executor has it from the first call on.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from gradserve.execution import Executor, Prepared, Program, compiler
from gradserve.ir.budget import Budget, spending
from gradserve.ir.errors import Cancelled
from gradserve.runtime.caches import Lru

_LOG = logging.getLogger(__name__)
COMPILE = "GRADSERVE_COMPILE"
"""The variable that keeps programs from becoming machine code of themselves where it is `0`: bits then never change."""
_MOST_SECONDS = 20.0
"""Of a processor, for all programs of a job: others would wait for their machine code, and the end of the process."""
_MOST_NODES = 1 << 20
"""Of one graph on the way, and as many graphs: programs have been held to their own limits."""
_MOST_WITHOUT = 1000
_CAPACITY_NODES = 1 << 18
"""Nodes of all programs whose machine code is kept."""


class Heat:
    """How long a job has run that could run faster."""

    def __init__(self, due: float, ignite: Callable[[], object]) -> None:
        """After `due` seconds in all, `ignite` is called once."""
        self._spent, self._due, self._ignite = 0.0, due, ignite

    def add(self, seconds: float) -> None:
        """So many more seconds."""
        self._spent += seconds
        if self._spent >= self._due:
            self._due = float("inf")
            self._ignite()


class Compiling:
    """Machine code for programs that have earned it. Safe for threads."""

    def __init__(self) -> None:
        """Compiles nothing yet."""
        self._lock = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._kept: Lru[str, Prepared] = Lru(_CAPACITY_NODES)
        self._without: Lru[str, None] = Lru(_MOST_WITHOUT)
        """Programs that have no machine code although it was tried."""
        self._asked: set[Future[None]] = set()

    def ready(self, programs: Sequence[Program]) -> Executor | None:
        """The compiling executor, if it has machine code for all these programs."""
        return compiler() if all(program.digest in self._kept for program in programs) else None

    def heat(self, programs: Sequence[Program], done: Callable[[], object]) -> Heat | None:
        """What a job of these programs adds its seconds to; `done` is called once there is machine code for them."""
        executor = None if os.environ.get(COMPILE) == "0" else compiler()
        if executor is None:
            return None
        if any(program.digest in self._without for program in programs):
            return None
        due = sum(executor.preparing_seconds(program) for program in programs)
        return Heat(due, functools.partial(self._ask, programs, done))

    def wait(self) -> None:
        """Returns when all that has been asked for is there."""
        for future in tuple(self._asked):
            future.result()

    def _ask(self, programs: Sequence[Program], done: Callable[[], object]) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, thread_name_prefix="compiler")
            future = self._thread.submit(self._compile, programs, done)
            self._asked.add(future)
        future.add_done_callback(self._asked.discard)

    def _compile(self, programs: Sequence[Program], done: Callable[[], object]) -> None:
        executor = compiler()
        assert executor is not None
        try:
            with spending(Budget(_MOST_NODES, _MOST_NODES, _MOST_SECONDS, _go_on)):
                for program in programs:
                    prepared = executor.prepare(executor.schedule(program))
                    self._kept.put(program.digest, prepared, len(program.graph.nodes) + 16)
            done()
        except Exception as error:
            for program in programs:
                self._without.put(program.digest, None)
            if not isinstance(error, Cancelled):  # at the end of the process nobody reads it
                _LOG.exception("no machine code for %d programs; they stay on NumPy", len(programs))


def _go_on() -> None:
    """Raises at the end of the process, which waits for this thread."""
    if not threading.main_thread().is_alive():
        raise Cancelled("the process ends")
