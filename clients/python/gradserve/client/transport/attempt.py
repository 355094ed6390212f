"""One of several attempts at an answer: it shares their deadline, and can be ended when another was first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gradserve.client.transport.deadline import Deadline
from gradserve.ir.errors import DeadlineExceeded


class Attempt(Deadline):
    """The deadline of an attempt. Whoever ends it ends the call that it waits for, and what it does next is late."""

    __slots__ = ("_call", "_ended", "_of")

    def __init__(self, of: Deadline) -> None:
        """Has the time that is left there."""
        self._of = of
        self._ended = threading.Event()
        self._call: Any = None

    def left(self) -> float | None:
        """Seconds until the deadline; raises DeadlineExceeded where none are left, or the attempt has been ended."""
        if self._ended.is_set():
            raise DeadlineExceeded("another attempt was answered first")
        return self._of.left()

    def pause(self, seconds: float) -> float | None:
        """Waits so long at most, comes to the seconds that are left."""
        with suppress(DeadlineExceeded):
            left = self.left()
            self._ended.wait(seconds if left is None else min(seconds, left))
        try:
            return self.left()
        except DeadlineExceeded:
            return 0.0

    def reply(self, method: Callable[..., Any], request: Any, **options: Any) -> Any:
        """The reply of a gRPC method, whose call ends with the attempt."""
        self._call = method.future(request, **options)  # type: ignore[attr-defined]
        if self._ended.is_set():
            self._call.cancel()
        return self._call.result()

    def end(self) -> None:
        """Ends it."""
        self._ended.set()
        if self._call is not None:
            self._call.cancel()


class Pace:
    """How long calls of a kind have taken of late."""

    _KEPT = 64
    _LEAST = 16

    def __init__(self) -> None:
        """Nothing is known."""
        self._seconds: list[float] = []
        self._next = 0

    def note(self, began: float) -> None:
        """Takes down a call that began at this moment of the monotonic clock and has been answered now."""
        seconds = time.monotonic() - began
        if len(self._seconds) < self._KEPT:
            self._seconds.append(seconds)
        else:
            self._seconds[self._next] = seconds
            self._next = (self._next + 1) % self._KEPT

    def quantile(self, share: float) -> float | None:
        """Seconds within which such a share of them was answered; None where too few were."""
        known = sorted(self._seconds)
        return known[min(len(known) - 1, int(share * len(known)))] if len(known) >= self._LEAST else None
