"""Admission: how many calls are worked on at once, and what happens to the others."""

from __future__ import annotations

import threading
import time
from collections import deque

from gradserve.ir.errors import Unavailable
from gradserve.runtime.control import Control


class Admission:
    """Counts calls and the bytes of their requests. Safe for threads.

    A call that does not fit waits its turn for a short while. If too many wait already, or none of the others ends in
    time, it is turned away.
    """

    def __init__(self, max_calls: int, max_bytes: int, max_waiting: int, max_wait: float) -> None:
        """`max_wait` is in seconds."""
        self.max_calls = max_calls
        self.max_bytes = max_bytes
        self.max_waiting = max_waiting
        self.max_wait = max_wait
        self.calls = 0
        """Calls that are worked on."""
        self.bytes = 0
        """Bytes of their requests."""
        self._closed = False
        self._lock = threading.RLock()  # a control cancelled before it is listened to calls `_wake` at once
        self._changed = threading.Condition(self._lock)
        self._waiting: deque[object] = deque()

    @property
    def waiting(self) -> int:
        """Calls that wait for others to end."""
        return len(self._waiting)

    def enter(self, size: int, control: Control) -> None:
        """Returns when a call whose request has `size` bytes may be worked on; `leave` must follow.

        Raises:
            Unavailable: there are too many others, or the service is about to stop.
            Cancelled, DeadlineExceeded: as `control` says, after waiting.
        """
        with self._lock:
            self._require_open()
            if self._waiting or not self._fits(size):
                self._wait(size, control)
            self.calls += 1
            self.bytes += size

    def leave(self, size: int) -> None:
        """Ends a call that has entered."""
        with self._lock:
            self.calls -= 1
            self.bytes -= size
            self._changed.notify_all()

    def close(self) -> None:
        """Lets no more calls in, those that wait included."""
        with self._lock:
            self._closed = True
            self._changed.notify_all()

    def wait_idle(self, seconds: float) -> bool:
        """Waits until every call has ended; answers whether that took no longer than `seconds`."""
        with self._lock:
            return self._changed.wait_for(lambda: not self.calls, seconds)

    def _fits(self, size: int) -> bool:
        # A request larger than all bytes allowed is let in alone.
        return self.calls < self.max_calls and (self.bytes + size <= self.max_bytes or not self.calls)

    def _require_open(self) -> None:
        if self._closed:
            raise Unavailable("the service is about to stop and takes no more calls; try another one")

    def _wait(self, size: int, control: Control) -> None:
        if len(self._waiting) >= self.max_waiting:
            raise self._busy()
        control.waits()
        ticket = object()
        self._waiting.append(ticket)
        until = time.monotonic() + self.max_wait
        forget = control.on_cancel(self._wake)
        try:
            while self._waiting[0] is not ticket or not self._fits(size):
                control.check()
                self._require_open()
                left = until - time.monotonic()
                if left <= 0:
                    raise self._busy()
                self._changed.wait(left if control.remaining is None else min(left, control.remaining))
            self._require_open()
        finally:
            forget()
            self._waiting.remove(ticket)
            self._changed.notify_all()

    def _wake(self) -> None:
        with self._lock:
            self._changed.notify_all()

    def _busy(self) -> Unavailable:
        if self.calls >= self.max_calls:
            return Unavailable(f"{self.calls} calls are in flight, as many as max_in_flight allows; try again")
        return Unavailable(
            f"requests of {self.bytes} bytes are in flight and max_in_flight_bytes is {self.max_bytes}; try again"
        )
