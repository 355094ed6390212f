"""Turns at the interpreter for work that keeps it busy.

Many threads of that at once are no sooner done than one after the other, and whoever wants the interpreter for a moment
waits for each of them.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_POLL_SECONDS = 0.05


class Turns:
    """One thread has the turn, and gives it to who has waited longest whenever it looks. Safe for threads."""

    def __init__(self) -> None:
        """Nobody has it."""
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def turn(self, check: Callable[[], None]) -> Iterator[Callable[[], None]]:
        """A context that one thread at a time is in; to call what it gives lets others in for a while.

        What `check` raises ends the wait and the work; it is asked whenever the other is called as well.
        """
        self._take(check)
        held = True

        def look() -> None:
            nonlocal held
            check()
            if self._waiting:
                self._give()
                held = False
                self._take(check)
                held = True

        try:
            yield look
        finally:
            if held:
                self._give()

    def _take(self, check: Callable[[], None]) -> None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            given = threading.Event()
            self._waiting.append(given)
        try:
            while not given.wait(_POLL_SECONDS):
                check()
        except BaseException:
            with self._lock:
                came = given not in self._waiting
                if not came:
                    self._waiting.remove(given)
            if came:
                self._give()
            raise

    def _give(self) -> None:
        """To the next, if there is one."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False


PLANNING = Turns()
"""Of all that makes programs in this process."""
_SHORT_SECONDS = 2e-4
_USUAL_SECONDS = sys.getswitchinterval()


def share_interpreter(some_are_long: bool) -> None:
    """Sets how long a thread of this process may keep the interpreter when others want it.

    0.2 ms while some have long work: a small call comes to the interpreter several times, and Python's own 5 ms made
    such calls ten times longer beside one that was planned. Otherwise Python's own: threads of small calls, that soon
    let go by themselves, took a tenth more time when they were interrupted.
    """
    sys.setswitchinterval(_SHORT_SECONDS if some_are_long else _USUAL_SECONDS)
