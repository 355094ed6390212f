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
from gradserve.runtime.caches import Lru

_LOG = logging.getLogger(__name__)
COMPILE = "GRADSERVE_COMPILE"
"""The variable that keeps programs from becoming machine code of themselves where it is `0`: bits then never change."""
_SECONDS = 0.03
_SECONDS_PER_NODE = 1e-3
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
        self._asked: set[Future[None]] = set()

    def ready(self, programs: Sequence[Program]) -> Executor | None:
        """The compiling executor, if it has machine code for all these programs."""
        return compiler() if all(program.digest in self._kept for program in programs) else None

    def heat(self, programs: Sequence[Program], done: Callable[[], object]) -> Heat | None:
        """What a job of these programs adds its seconds to; `done` is called once there is machine code for them."""
        if os.environ.get(COMPILE) == "0" or compiler() is None:
            return None
        due = sum(_SECONDS + _SECONDS_PER_NODE * len(program.graph.nodes) for program in programs)
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
            for program in programs:
                prepared = executor.prepare(executor.schedule(program))
                self._kept.put(program.digest, prepared, len(program.graph.nodes) + 16)
            done()
        except Exception:
            _LOG.exception("no machine code for %d programs; they stay on NumPy", len(programs))
