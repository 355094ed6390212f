"""Objects as files of a folder: each is written beside the others and moved among them when it is whole."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gradserve.ir.errors import LimitExceeded, Unavailable
from gradserve.runtime.caches import Lru
from gradserve.service.storage.objects import Check, Draft, is_digest
from gradserve.service.storage.space import Space, footprint

_logger = logging.getLogger(__name__)

TOUCH_SECONDS = 60.0
"""How much too old the time may be at which a file was used last."""
_WHOLE = "whole-"
"""What the names begin with of files that nobody goes on with: they have all bytes, or their process has ended."""
NO_ROOM = "store_disk"
"""The limit of what there is no room for on the disk."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_TOUCHED = 1 << 16
_PARTS = 1 << 8
"""The folders within a folder, by the first two digits of digests."""


class Folder:
    """Objects as the files `ab/abcd...` of a folder, in a space that it shares; see `Objects`."""

    def __init__(self, path: Path, drafts: Path, space: Space, check: Check) -> None:
        """`drafts` is a folder of the same file system; both are made, for this user alone."""
        self._path, self._drafts, self._space, self._check = path, drafts, space, check
        self.capacity, self.limit = space.capacity, space.limit
        self._touched: Lru[str, float] = Lru(_TOUCHED)
        # All at once: who would have to wait for one to be made could tell that nobody has sent the same.
        for folder in (path, drafts, *(path / f"{first:02x}" for first in range(_PARTS))):
            folder.mkdir(0o700, parents=True, exist_ok=True)

    def read(self, digest: str) -> bytes | None:
        """The bytes, looked through; None if they are not there, or not any more what they were."""
        if not is_digest(digest):
            return None
        try:
            data, known = _contents(self._file(digest), self.capacity)
        except FileNotFoundError:
            return None
        except OSError as error:
            _logger.warning("object %s cannot be read: %s", digest, error)
            return None
        if self._check(digest, data):
            self.touch(digest)
            return data
        _logger.error("object %s is not what it was and is removed; clients send it again", digest)
        self._remove(digest, known)
        return None

    def holds(self, digest: str) -> bool:
        """Whether there seems to be such an object, without looking through it; it counts as used."""
        found = is_digest(digest) and _is_file(self._file(digest))
        if found:
            self.touch(digest)
        return found

    def touch(self, digest: str) -> None:
        """Notes that an object is in use, wherever it was read from."""
        now = time.monotonic()
        if now - (self._touched.get(digest) or -TOUCH_SECONDS) >= TOUCH_SECONDS:
            self._touched.put(digest, now)
            with suppress(OSError):
                os.utime(self._file(digest))

    def write(
        self, digest: str, data: bytes, draft: Draft | None = None, lasting: bool = True, anew: bool = False
    ) -> None:
        """Keeps an object whose digest is known to be right; raises what `Objects.write` does."""
        if not anew and self.holds(digest):
            return
        if isinstance(draft, FileDraft) and draft.size and self._placed(draft, digest, data, lasting):
            return
        fresh = FileDraft(self._drafts, f"{_WHOLE}{secrets.token_hex(8)}", self._space)
        try:
            if not self._placed(fresh, digest, data, lasting):
                raise Unavailable("so much is being kept that others have taken the room; try again")
        except BaseException:
            fresh.discard()
            raise

    def _placed(self, draft: FileDraft, digest: str, data: bytes, lasting: bool) -> bool:
        """Whether the draft, with what it lacks, has become the object; not if it was taken away meanwhile."""
        draft.append(memoryview(data)[draft.size :])
        return draft.size == len(data) and draft.finish(self._file(digest), lasting)

    def draft(self, digest: str) -> FileDraft:
        """A new draft."""
        return FileDraft(self._drafts, f"{digest}/{secrets.token_hex(8)}", self._space)

    def resumed(self, digest: str) -> tuple[Draft, bytes] | None:
        """The draft that goes furthest and its bytes, for this process alone from now on; None if there is none."""
        for _, path in sorted(self._drafts_of(digest), reverse=True):
            draft = self.draft(digest)
            with suppress(OSError):  # another process may be faster; one that wrote it before writes elsewhere then
                path.rename(draft.path)
                data, known = _contents(draft.path, self.capacity)
                if len(data) == known.st_size:
                    draft.size = len(data)
                    return draft, data
        return None

    def drafted(self, digest: str) -> int:
        """How many bytes that one has."""
        return max((size for size, _ in self._drafts_of(digest)), default=0)

    def _drafts_of(self, digest: str) -> Iterator[tuple[int, Path]]:
        with suppress(OSError):  # there are none; who writes next is told of all else
            for entry in os.scandir(self._drafts / digest) if is_digest(digest) else ():
                with suppress(FileNotFoundError):
                    yield entry.stat().st_size, Path(entry.path)

    def _file(self, digest: str) -> Path:
        return self._path / digest[:2] / digest

    def _remove(self, digest: str, known: os.stat_result) -> None:
        """Removes a file unless another has taken its place."""
        path = self._file(digest)
        with suppress(OSError):
            if path.stat().st_ino == known.st_ino:
                path.unlink()
                self._space.give_back(footprint(known.st_size))


class FileDraft:
    """A file that is written by this process alone; see `Draft`. It is opened for each piece: many may be under way."""

    def __init__(self, drafts: Path, name: str, space: Space) -> None:
        """There is no file yet of such a name in the folder `drafts`."""
        self.path, self._drafts, self._space = drafts / name, drafts, space
        self.size = 0

    def append(self, data: bytes | memoryview) -> None:
        """Adds bytes.

        Raises:
            LimitExceeded, Unavailable: see `Objects.write`; those before stay.
        """
        more = footprint(self.size + len(data)) - (footprint(self.size) if self.size else 0)
        with _room():
            self._space.take(more)
            try:
                self._add(data)
            except BaseException:
                self._space.give_back(more)
                raise

    def _add(self, data: bytes | memoryview) -> None:
        if not self.size:
            self.path.parent.mkdir(0o700, parents=True, exist_ok=True)
        try:
            opened = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC | (0 if self.size else os.O_CREAT), 0o600)
        except FileNotFoundError:
            self.size = 0  # another process goes on with it, or it had to make room
            return
        try:
            at, rest = self.size, memoryview(data)
            while rest:
                count = os.pwrite(opened, rest, at)
                at, rest = at + count, rest[count:]
            self.size = at
        except OSError:
            os.ftruncate(opened, self.size)
            raise
        finally:
            os.close(opened)

    def finish(self, path: Path, lasting: bool) -> bool:
        """Gives the file its place among those that are whole; answers whether it was still there.

        If its place is taken it stays a draft, under another name, and is soon removed: who is to be told nothing by
        the time waits for the same.

        Raises:
            LimitExceeded, Unavailable: see `Objects.write`; the file stays where it is.
        """
        with _room():
            path.parent.mkdir(0o700, parents=True, exist_ok=True)
            spent = self._drafts / f"{_WHOLE}{secrets.token_hex(8)}" if _is_file(path) else None
            place = spent or path
            try:
                if lasting:
                    _sync(self.path)
                self.path.replace(place)
            except FileNotFoundError:
                return False
            self._leave()
            if lasting:  # of a folder that nothing was moved to it would come to nothing, at once
                _sync(place.parent)
            if spent is not None:
                self._space.forget(spent, self.size)
            return True

    def discard(self) -> None:
        """Forgets the bytes."""
        with suppress(OSError):
            self.path.unlink()
            if self.size:
                self._space.give_back(footprint(self.size))
        self.size = 0
        self._leave()

    def _leave(self) -> None:
        """Removes the folder of the drafts of one digest if this was the last."""
        if is_digest(self.path.parent.name):
            with suppress(OSError):
                self.path.parent.rmdir()


def _contents(path: Path, most: int) -> tuple[bytes, os.stat_result]:
    """The bytes of a file of ours, and what it is; of one that is larger than any of ours none.

    Raises:
        OSError: it is not there, or is none: something else may lie in its place, which could be waited for for ever.
    """
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(opened, "rb", buffering=0) as file:
        known = os.fstat(opened)
        if not stat.S_ISREG(known.st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        return file.read() if known.st_size <= most else b"", known


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def _room() -> Iterator[None]:
    """Tells of a disk that is full or fails by name."""
    try:
        yield
    except OSError as error:
        _logger.warning("graphs and blobs cannot be kept: %s", error)
        if error.errno in _FULL:
            text = (
                "there is no room on the disk where graphs and blobs are kept; make some there, or send arrays inline"
            )
            raise LimitExceeded(NO_ROOM, text) from None
        raise Unavailable(f"graphs and blobs cannot be kept: {error.strerror or type(error).__name__}") from None
