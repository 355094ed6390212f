"""Asking a place that may be slow, gone, or never answer: no call waits for it without an end."""

from __future__ import annotations

import functools
import logging
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from gradserve.ir.errors import GradserveError, Unavailable
from gradserve.runtime.aside import aside

T = TypeVar("T")

LOOK_SECONDS = 10.0
"""How long a look may take, and how long one waits for its turn."""
MOVE_SECONDS = 120.0
"""How long it may take to fetch or put what was asked for; beyond that each byte has its time."""
BYTES_PER_SECOND = 4 << 20
"""What a place that is not lost moves at the least."""
AT_ONCE = 32
"""What may be under way at once: what never ends holds no more threads than these, which are none of calls."""
SECRETS = re.compile(r"//[^/@]*@")
"""Whom a URL names before its host, with his password."""
_STORE = "the store of graphs and blobs"

_logger = logging.getLogger(__name__)


class Reach:
    """Does what may hang on threads of its own, which end with the process. Safe for threads."""

    def __init__(self) -> None:
        """Nothing is under way."""
        self._free = threading.Semaphore(AT_ONCE)
        self._lock, self._late = threading.Lock(), 0

    def __call__(self, act: Callable[[], T], seconds: float = LOOK_SECONDS) -> T:
        """What it comes to.

        Raises:
            Unavailable: it fails, in whichever way such places have, or takes longer; one line of the log says why.
        """
        if not self._free.acquire(timeout=0 if self._late >= AT_ONCE else LOOK_SECONDS):
            raise Unavailable(f"{_STORE} does not answer: {AT_ONCE} calls wait for it already")
        found = aside(functools.partial(self._done, act), "store")
        try:
            return found.result(seconds)
        except GradserveError:
            raise
        except BaseException as error:
            failed = error
        if not found.done():
            with self._lock:
                self._late += 1
            found.add_done_callback(self._came)
            failed = TimeoutError(f"no answer within {seconds:g} s")
        raise _told(failed)

    def _done(self, act: Callable[[], T]) -> T:
        try:
            return act()
        finally:
            self._free.release()

    def _came(self, _found: Future[T]) -> None:
        with self._lock:
            self._late -= 1


def moving(size: int) -> float:
    """The seconds in which so many bytes can be moved."""
    return MOVE_SECONDS + size / BYTES_PER_SECOND


def _told(error: BaseException) -> Unavailable:
    lacks = isinstance(error, NotImplementedError)
    what = "does not take what is to be kept" if lacks else "cannot be reached"
    text = f"{_STORE} {what}: {type(error).__name__}"
    why = SECRETS.sub("//…@", " ".join(str(error).split()))
    _logger.warning("%s: %s", text, why)
    _logger.debug("where it failed", exc_info=error)
    return Unavailable(text)
