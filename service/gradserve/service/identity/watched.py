"""Files that may change while a service runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

LOOK_SECONDS = 1.0
"""How often a file is looked at, at most."""
_Stamp = tuple[int, int, int]

_logger = logging.getLogger(__name__)


class Watched(Generic[T]):
    """What some files say, read again when one of them has changed. Safe for threads.

    What cannot be read any more, or makes no sense, is logged, and what was read before holds on: a file that is being
    written must not turn everybody away.
    """

    def __init__(self, paths: tuple[Path, ...], read: Callable[[], T]) -> None:
        """Reads them; raises what `read` does."""
        self._paths, self._read = paths, read
        self._stamps = self._look()
        self._value = read()
        self._looked = time.monotonic()
        self._lock = threading.Lock()

    def value(self) -> T:
        """What they say."""
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS and self._lock.acquire(blocking=False):
            try:
                self._looked = now
                self._renew()
            finally:
                self._lock.release()
        return self._value

    def _renew(self) -> None:
        stamps = self._look()
        if stamps == self._stamps:
            return
        self._stamps = stamps
        names = ", ".join(map(str, self._paths))
        try:
            self._value = self._read()
        except Exception as error:  # whatever it is, calls go on by what was read before
            _logger.error("%s changed and cannot be read; what it said before holds on: %s", names, error)  # noqa: TRY400
        else:
            _logger.info("%s changed and was read again", names)

    def _look(self) -> tuple[_Stamp | None, ...]:
        return tuple(map(_stamp, self._paths))


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
