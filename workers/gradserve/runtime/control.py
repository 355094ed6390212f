"""The caller's say over running work: a deadline and a way to cancel."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from gradserve.ir.errors import Cancelled, DeadlineExceeded
from gradserve.runtime.planned import Planned


def _unheard(_chunk: Any) -> None:
    pass


class Control:
    """A deadline and a cancellation flag, seen by every thread that works for one call."""

    __slots__ = ("__weakref__", "_begins", "_callbacks", "_cancelled", "_lock", "_waits", "deadline", "ran")

    def __init__(self, deadline: float | None = None, waits: Callable[[], None] | None = None) -> None:
        """`deadline` is a moment of `time.monotonic`, which no change of the machine's clock moves.

        `waits` is called when the thread of the call is about to wait for others, or to take long.
        """
        self._waits = waits
        self._begins: Callable[[Planned, Control], None] | None = None
        self.deadline = deadline
        self.ran: Callable[[Any], None] = _unheard
        """Hears of every chunk that has been run for the call."""
        self._cancelled = False
        self._callbacks: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    @staticmethod
    def after(seconds: float | None, waits: Callable[[], None] | None = None) -> Control:
        """A control whose deadline is `seconds` from now, or none."""
        return Control(None if seconds is None else time.monotonic() + seconds, waits)

    def waits(self) -> None:
        """Says that this thread, which works for the call, is about to wait for others, or to take long."""
        if self._waits is not None:
            self._waits()

    def asks(self, begins: Callable[[Planned, Control], None]) -> None:
        """Has `begins` called before work begins, which returns when it may."""
        self._begins = begins

    def begins(self, planned: Planned) -> None:
        """Says that the call is about to do what is planned; returns when it may.

        Raises:
            Overloaded: not now.
            Cancelled, DeadlineExceeded: as `check`, after waiting.
        """
        if self._begins is not None:
            self._begins(planned, self)

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls `callback` once when cancelled, at once if that has happened. The result takes the wish back."""
        with self._lock:
            if not self._cancelled:
                self._callbacks.append(callback)
                return lambda: self._forget(callback)
        callback()
        return lambda: None

    def _forget(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

    def cancel(self) -> None:
        """Asks all work for this call to end."""
        with self._lock:
            self._cancelled = True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    @property
    def remaining(self) -> float | None:
        """Seconds to the deadline, at least 0; None without one."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def stopped(self) -> bool:
        """Whether work should end: cancelled, or past the deadline."""
        return self._cancelled or (self.deadline is not None and time.monotonic() >= self.deadline)

    def check(self) -> None:
        """Returns while work may go on.

        Raises:
            Cancelled: the caller has cancelled or gone away.
            DeadlineExceeded: the deadline has passed.
        """
        if self._cancelled:
            raise Cancelled("the call was cancelled")
        if self.deadline is not None and time.monotonic() >= self.deadline:
            raise DeadlineExceeded("the deadline passed before the work was done")
