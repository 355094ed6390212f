"""How much the files of a folder take, counted together by all processes that keep files there."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gradserve.ir.errors import LimitExceeded

_logger = logging.getLogger(__name__)

BLOCK = 4096
"""What a file takes on the disk at least, and in steps of: many tiny ones are no way around the limit."""
DRAFT_SECONDS = 86_400.0
"""How long a broken-off write can be gone on with."""
FORGET_SECONDS = 1.0
"""How long what has been written for nothing stays."""
_SLACK = 16
"""One part in so many is freed beyond what is needed, so that the files are not gone through for each new one."""


def footprint(size: int) -> int:
    """What a file of so many bytes takes on the disk."""
    return max(BLOCK, -(-size // BLOCK) * BLOCK)


class Space:
    """The bytes that files in folders below one folder may take. Safe for threads and between processes.

    The count is a file that all of them lock. Whoever is killed leaves it too high, never too low; when it reaches the
    limit the files themselves are counted.
    """

    def __init__(self, root: Path, capacity: int, drafts: Path) -> None:
        """`drafts` is the one folder below `root` whose old files go first, and the folders in it with them."""
        self._root, self._drafts = root, drafts
        self.capacity = capacity
        self.limit = "store_bytes"
        """What says so."""
        self._lock = threading.Lock()
        self._spent: list[tuple[Path, int]] = []
        self._count = root / "count"
        root.mkdir(0o700, parents=True, exist_ok=True)

    @property
    def used(self) -> int:
        """The bytes taken, as far as it is known."""
        with self._counted() as count:
            return _read(count)

    def take(self, size: int) -> None:
        """Counts bytes that are about to be written; the least recently used files are removed where there is no room.

        Raises:
            LimitExceeded: they are more than all files may take.
        """
        if size > self.capacity:
            text = f"{size} bytes are to be kept; the limit {self.limit} is {self.capacity}"
            raise LimitExceeded(self.limit, text)
        with self._counted() as count:
            used = _read(count)
            if used + size > self.capacity:
                used = self._make_room(self.capacity - size - self.capacity // _SLACK)
            _write(count, used + size)

    def give_back(self, size: int) -> None:
        """Counts bytes that are not there any more."""
        with self._counted() as count:
            _write(count, max(0, _read(count) - size))

    def forget(self, path: Path, size: int) -> None:
        """Removes a file of so many bytes after a while, beside all calls: to free them takes time, and that tells."""
        with self._lock:
            self._spent.append((path, size))
            if len(self._spent) == 1:
                timer = threading.Timer(FORGET_SECONDS, self._forget_spent)
                timer.daemon = True
                timer.start()

    def _forget_spent(self) -> None:
        with self._lock:
            spent, self._spent = self._spent, []
        for path, size in spent:
            with suppress(OSError):
                path.unlink()
                self.give_back(footprint(size))

    @contextmanager
    def _counted(self) -> Iterator[int]:
        """The file of the count, for us alone."""
        with self._lock:
            self._root.mkdir(0o700, parents=True, exist_ok=True)
            opened = os.open(self._count, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(opened, fcntl.LOCK_EX)
                if not os.fstat(opened).st_size:
                    _write(opened, sum(size for _, size, _ in self._files()))
                yield opened
            finally:
                os.close(opened)

    def _make_room(self, most: int) -> int:
        """Removes files until they take no more than so much; answers what the others take."""
        files = sorted(self._files())
        used, removed = sum(size for _, size, _ in files), 0
        expired = time.time() - DRAFT_SECONDS
        for used_at, size, path in files:
            drafted = self._drafts in path.parents
            if used <= most and not (drafted and used_at < expired):
                continue
            with suppress(OSError):
                path.unlink(missing_ok=True)
                used, removed = used - size, removed + 1
                if drafted and path.parent != self._drafts:
                    path.parent.rmdir()
        _logger.info("removed %d objects to make room in %s", removed, self._root)
        return used

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """When each file was used last, and what it takes."""
        for folder, _, names in os.walk(self._root):
            if folder == os.fspath(self._root):  # what is there is no object
                continue
            for name in names:
                path = Path(folder, name)
                with suppress(FileNotFoundError):
                    known = path.stat()
                    yield known.st_mtime, footprint(known.st_size), path


def _read(count: int) -> int:
    return int.from_bytes(os.pread(count, 8, 0), "little")


def _write(count: int, used: int) -> None:
    os.pwrite(count, used.to_bytes(8, "little"), 0)
