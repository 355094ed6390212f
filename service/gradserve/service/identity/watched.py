"""Files that may change while a service runs."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

LOOK_SECONDS = 1.0
"""How long a change may go unnoticed."""
_Stamp = tuple[int, int, int]

_logger = logging.getLogger(__name__)


class Watched(Generic[T]):
    """What some files say, read again when one of them has changed. Safe for threads.

    What cannot be read any more, or makes no sense, is logged, and what was read before holds on: a file that is being
    written must not turn everybody away. A thread looks after them, so that no call waits for what is long to read; it
    ends once nobody has this any more.
    """

    def __init__(self, paths: tuple[Path, ...], read: Callable[[], T]) -> None:
        """Reads them; raises what `read` does."""
        self._paths, self._read = paths, read
        self._stamps = self._look()
        self._failed: tuple[_Stamp | None, ...] | None = None
        """Of files that could not be read."""
        self.value = read()
        """What they say."""
        threading.Thread(target=_watch, args=(weakref.ref(self),), name=f"watch {paths[0]}", daemon=True).start()

    def renew(self) -> None:
        """Reads them again if one has changed; what could not be read is tried each time, and told once."""
        stamps = self._look()
        if stamps == self._stamps:
            return
        names = ", ".join(map(str, self._paths))
        try:
            self.value = self._read()
        except Exception as error:  # whatever it is, calls go on by what was read before
            if stamps != self._failed:
                _logger.error("%s changed and cannot be read; what it said before holds on: %s", names, error)  # noqa: TRY400
            self._failed = stamps
        else:
            self._stamps, self._failed = stamps, None
            _logger.info("%s changed and was read again", names)

    def _look(self) -> tuple[_Stamp | None, ...]:
        return tuple(map(_stamp, self._paths))


def _watch(of: weakref.ref[Watched[T]]) -> None:
    while True:
        time.sleep(LOOK_SECONDS)
        watched = of()
        if watched is None:
            return
        watched.renew()
        del watched  # or it would stay for as long as this sleeps


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
