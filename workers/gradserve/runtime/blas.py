"""One BLAS thread for each worker.

Two BLAS threads on busy cores cost far more than they bring, and the number of threads can change the last bits.
"""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Any

from threadpoolctl import ThreadpoolController


class OneBlasThread:
    """A context in which BLAS runs on one thread, in the whole process.

    Entered by any number of threads at once: the first sets the limit, the last restores what was there. Entering
    costs about 4 microseconds, or less than one while somebody else is inside.
    """

    def __init__(self) -> None:
        """Finds the libraries when first entered."""
        self._lock = threading.Lock()
        self._inside = 0
        self._modules_seen = 0
        self._libraries: dict[str, Any] = {}
        self._before: dict[str, int] = {}

    def __enter__(self) -> None:
        """Limits every library that is loaded by now."""
        with self._lock:
            self._inside += 1
            found_more = len(sys.modules) != self._modules_seen and self._look_again()
            if self._inside == 1 or found_more:
                self._limit()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Restores the numbers of threads if nobody else is inside."""
        with self._lock:
            self._inside -= 1
            if not self._inside:
                for path, threads in self._before.items():
                    self._libraries[path].set_num_threads(threads)
                self._before.clear()

    def renew(self) -> None:
        """Limits libraries that were loaded since somebody, who is still inside, entered."""
        if len(sys.modules) != self._modules_seen:
            with self:
                pass

    def _look_again(self) -> bool:
        # A scan takes a millisecond, so it is made only after imports, which are what loads libraries.
        self._modules_seen = len(sys.modules)
        known = len(self._libraries)
        for library in ThreadpoolController().select(user_api="blas").lib_controllers:
            self._libraries.setdefault(library.filepath, library)
        return len(self._libraries) != known

    def _limit(self) -> None:
        for path, library in self._libraries.items():
            if path not in self._before:
                self._before[path] = library.get_num_threads()
                library.set_num_threads(1)


ONE_BLAS_THREAD = OneBlasThread()
"""The only instance: the setting belongs to the process."""
