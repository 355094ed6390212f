"""Objects on any file system that fsspec knows, by the URL of a folder: `s3://bucket/gradserve`, `memory://here`."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gradserve.ir.errors import LimitExceeded
from gradserve.runtime.caches import Lru
from gradserve.service.storage.objects import Check, Draft, is_digest
from gradserve.service.storage.reach import SECRETS, Reach, moving

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_logger = logging.getLogger(__name__)

REFRESH_SECONDS = 3600.0
"""How old an object may be that is in use: then it is put again, which is all that tells such a place of its use."""
COUNT_SECONDS = 600.0
"""How often the objects are counted anew, for others put some there as well."""
_SLACK = 16
_KNOWN = 1 << 16


def file_system(url: str) -> tuple[AbstractFileSystem, str]:
    """The file system of a URL, and the path in it.

    Raises:
        OSError: fsspec, or what it needs for such URLs, is not installed, or the URL makes no sense to it.
    """
    told = SECRETS.sub("//…@", url)
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise OSError(f"the store {told} needs fsspec: pip install 'gradserve[fsspec]'") from None
    try:
        found: tuple[AbstractFileSystem, str] = url_to_fs(url)
    except Exception as error:  # some connect at once, and fail in their own ways
        why = str(error).replace(url, told) or type(error).__name__
        raise OSError(f"the store {told} cannot be used: {why}; name another store, or none") from None
    _remember_no_lists(found[0])
    return found


def _remember_no_lists(system: Any) -> None:
    """Has what others put and remove be seen at once: most file systems take what they have listed for lasting."""
    while system is not None:
        system.dircache.use_listings_cache = False
        system.dircache.clear()
        system = getattr(system, "fs", None)  # within one that keeps copies


class Remote:
    """Objects as `ab/abcd...` below a path; see `Objects`. There are no drafts: uploads resume at one process alone."""

    def __init__(self, system: AbstractFileSystem, path: str, capacity: int, check: Check, largest: int) -> None:
        """Others that use the same path share the `capacity`, each with what it counted last.

        No object has more than `largest` bytes, whatever lies in its place.
        """
        self._system, self._path, self._check, self._largest = system, path.rstrip("/"), check, largest
        self.capacity, self.limit = capacity, "store_bytes"
        self._reach = Reach()
        self._lock = threading.Lock()
        self.used = 0
        """The bytes there, as counted last."""
        self._counted = -COUNT_SECONDS
        self._put: Lru[str, float] = Lru(_KNOWN)
        """When objects were put, by the clock of the wall, as far as known."""

    def read(self, digest: str) -> bytes | None:
        """The bytes, looked through; None if they are not there, or not any more what they were."""
        if not is_digest(digest):
            return None
        return self._reach(lambda: self._fetch(digest), moving(0))

    def _fetch(self, digest: str) -> bytes | None:
        path = self._place(digest)
        try:
            size = self._size(path)
            if size > self._largest:
                _logger.error(
                    "object %s has %d bytes, where none has over %d: it is left alone", path, size, self._largest
                )
                return None
            # One byte more tells what has grown since; an empty range is an error to some.
            data: bytes = self._system.cat_file(path, 0, size + 1) if size else b""
        except FileNotFoundError:
            return None
        if self._check(digest, data):
            if time.time() - self._put_at(digest) > REFRESH_SECONDS:
                self._send(digest, data)
            return data
        _logger.error("object %s is not what it was and is removed; clients send it again", digest)
        with suppress(FileNotFoundError):
            self._system.rm_file(path)
        return None

    def holds(self, digest: str) -> bool:
        """Whether there seems to be such an object, without looking through it."""
        return is_digest(digest) and self._reach(lambda: bool(self._system.exists(self._place(digest))))

    def touch(self, digest: str) -> None:
        """Does nothing: what is used is put again when it is read."""

    def write(
        self, digest: str, data: bytes, draft: Draft | None = None, lasting: bool = True, anew: bool = False
    ) -> None:
        """Keeps an object whose digest is known to be right, by a single put; raises what `Objects.write` does."""
        if not anew and self.holds(digest):
            return
        if len(data) > self.capacity:
            text = f"{len(data)} bytes are to be kept; the limit {self.limit} is {self.capacity}"
            raise LimitExceeded(self.limit, text)
        self._reach(lambda: self._keep(digest, data), moving(len(data)))

    def _keep(self, digest: str, data: bytes) -> None:
        self._make_room(len(data))
        self._send(digest, data)

    def draft(self, digest: str) -> None:
        """None: an object is put at once."""

    def resumed(self, digest: str) -> None:
        """None."""

    def drafted(self, digest: str) -> int:
        """0."""
        return 0

    def _send(self, digest: str, data: bytes) -> None:
        path = self._place(digest)
        with suppress(FileExistsError):
            self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._system.pipe_file(path, data)
        self._put.put(digest, time.time())

    def _size(self, path: str) -> int:
        """The bytes of an object; the most that one may have, where the file system does not tell."""
        told: int | None = None
        with suppress(FileNotFoundError):  # some say so of all that they cannot reach
            told = self._system.size(path)
        return self._largest if told is None else told

    def _put_at(self, digest: str) -> float:
        known = self._put.get(digest)
        if known is None:
            known = self._time(self._place(digest))
            self._put.put(digest, known)
        return known

    def _time(self, path: str) -> float:
        """When an object was put; now, where the file system does not tell."""
        try:
            modified: Any = self._system.modified(path)
        except (NotImplementedError, FileNotFoundError):
            return time.time()
        return modified.timestamp() if isinstance(modified, datetime) else float(modified)

    def _make_room(self, size: int) -> None:
        """Removes the objects that were put longest ago while there is no room for so many bytes."""
        with self._lock:
            stale = time.monotonic() - self._counted > COUNT_SECONDS
            if stale or self.used + size > self.capacity:
                found = self._objects()
                self.used, self._counted = sum(found.values()), time.monotonic()
                if self.used + size > self.capacity:
                    self._remove_oldest(found, self.capacity - size - self.capacity // _SLACK)
            self.used += size

    def _objects(self) -> dict[str, int]:
        try:
            listed: dict[str, dict[str, Any]] = self._system.find(self._path, detail=True)
        except FileNotFoundError:
            return {}
        return {path: known.get("size") or 0 for path, known in listed.items()}

    def _remove_oldest(self, found: dict[str, int], most: int) -> None:
        for path in sorted(found, key=self._time):
            if self.used <= most:
                break
            with suppress(FileNotFoundError):
                self._system.rm_file(path)
            self.used -= found[path]

    def _place(self, digest: str) -> str:
        return f"{self._path}/{digest[:2]}/{digest}"
