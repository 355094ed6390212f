"""Replies that clients have not read: gRPC holds all of their bytes until they do, if they ever do.

The work of such a call is done and its place is another's. So what all of them may take is bounded here: beyond that
those end that have waited longest, of whoever has most.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from gradserve.ir.records import dataclass
from gradserve.service.threads.silent import SILENT_SECONDS

LEAST_BYTES = 16 << 10
"""Less is not counted: what gRPC holds of any call is about as much, and of those there are as many as may be open."""

_HELD = 2
"""gRPC holds a reply as it was given, and a copy of it."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Reply:
    """One that has been handed over."""

    size: int
    since: float
    end: Callable[[], object]
    """Ends its call."""


class Unread:
    """The replies that clients have not read. Safe for threads."""

    def __init__(self, most: int, seconds: float) -> None:
        """At most so many bytes, but for those of the last half second, and each for so many seconds."""
        self._most, self._seconds = most, seconds
        self.bytes = 0
        """What they take."""
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._replies: dict[str, dict[int, _Reply]] = {}
        """Of each caller, the oldest first."""
        self._taken: dict[str, int] = {}
        """Their bytes, by caller."""
        self._timer: threading.Timer | None = None
        self._due = 0.0
        """When it looks."""
        self._closed = False

    def add(self, caller: str, size: int, end: Callable[[], object]) -> Callable[[], None]:
        """Takes down a reply that is handed over now; answers what is to be called once it is read, or given up."""
        now, number, size = time.monotonic(), next(self._numbers), _HELD * size
        with self._lock:
            self._replies.setdefault(caller, {})[number] = _Reply(size, now, end)
            self._taken[caller] = self._taken.get(caller, 0) + size
            self.bytes += size
            ended = self._beyond(now)
            self._look_again(now)
        _end(ended)
        return partial(self._drop, caller, number)

    def close(self) -> None:
        """Ends none any more."""
        with self._lock:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()

    def _drop(self, caller: str, number: int) -> None:
        with self._lock:
            self._forget(caller, number)

    def _forget(self, caller: str, number: int) -> _Reply | None:
        """The reply, which does not count any more; None if it did not. With the lock held."""
        replies = self._replies.get(caller, {})
        found = replies.pop(number, None)
        if found is not None:
            self.bytes -= found.size
            self._taken[caller] -= found.size
        if found is not None and not replies:
            del self._replies[caller], self._taken[caller]
        return found

    def _beyond(self, now: float) -> list[_Reply]:
        """Those that have to make room; with the lock held."""
        found: list[_Reply] = []
        while self.bytes > self._most:
            caller = max(self._taken, key=self._taken.__getitem__)
            number, oldest = next(iter(self._replies[caller].items()))
            if now - oldest.since < SILENT_SECONDS:
                break
            self._forget(caller, number)
            found.append(oldest)
        return found

    def _late(self, now: float) -> list[_Reply]:
        """Those that have been there for longer than any call takes; with the lock held."""
        old = [
            (caller, number)
            for caller, replies in self._replies.items()
            for number, reply in replies.items()
            if now - reply.since >= self._seconds
        ]
        return [reply for each in old if (reply := self._forget(*each)) is not None]

    def _look_again(self, now: float) -> None:
        """Sees to it that somebody looks when the next may have to end; with the lock held."""
        if not self._replies or self._closed:
            return
        due = min(next(iter(replies.values())).since for replies in self._replies.values()) + self._seconds
        if self.bytes > self._most:
            due = min(due, now + SILENT_SECONDS)
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due, self._timer = due, threading.Timer(max(0.0, due - now), self._look)
        self._timer.daemon = True
        self._timer.start()

    def _look(self) -> None:
        now = time.monotonic()
        with self._lock:
            self._timer = None
            ended = self._late(now) + self._beyond(now)
            self._look_again(now)
        _end(ended)


def _end(replies: list[_Reply]) -> None:
    for reply in replies:
        reply.end()
    if replies:
        _logger.warning(
            "ended %d calls whose clients did not read %d bytes", len(replies), sum(r.size for r in replies)
        )
