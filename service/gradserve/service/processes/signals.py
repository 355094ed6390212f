"""Waiting for SIGTERM and SIGINT."""

from __future__ import annotations

import signal
import socket
from types import TracebackType
from typing import Self

SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})


class Signals:
    """A context, of the main thread, in which these signals do nothing but wake whoever waits.

    They come through a socket that C code writes to. A handler in Python alone could be late for ever: a signal that
    arrives while the main thread waits for the interpreter's lock, just before it begins to wait for anything else, is
    handled only when that wait ends.
    """

    def __enter__(self) -> Self:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._handlers = {number: signal.signal(number, _ignore) for number in SIGNALS}
        return self

    def wait(self) -> None:
        """Returns when one of the signals has come since the last wait. Any thread may wait."""
        while (received := self._reader.recv(1)) and received[0] not in SIGNALS:
            pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._writer.close()  # ends a wait; the reader goes with whoever waits last


def _ignore(number: int, frame: object) -> None:
    """Does nothing, which is not the same as `SIG_IGN`: nobody would be woken by that."""
