"""Memory that processes of one user share on one Linux machine: without a name in any folder, gone with its owner."""

from __future__ import annotations

import hmac
import mmap
import os
import secrets
import stat
import sys

from gradserve.questions.memory import SharedMemory

if sys.platform == "linux":
    import fcntl

PAGE = mmap.ALLOCATIONGRANULARITY
HEADER = 64
"""The first bytes, which tell what it is, and the secret; what is shared begins at the next page."""
_MAGIC = b"gradserve shared memory, 1".ljust(32, b"\0")
_BLOCK = 512
"""What `stat` counts in."""
_SECRET = HEADER - len(_MAGIC)
AVAILABLE = sys.platform == "linux"


class Segment:
    """Memory of this process. What has not been written to takes none. Ends with the process, or when it is closed."""

    def __init__(self, size: int) -> None:
        """Has at least `size` bytes beside its header.

        Raises:
            OSError: there is no such memory here.
        """
        self.size = PAGE + in_pages(size)
        self._descriptor = os.memfd_create("gradserve", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self._descriptor, self.size)
            # A file that could shrink could end a process that reads it.
            fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, _SEALS)
            self._map = mmap.mmap(self._descriptor, self.size)
        except BaseException:
            os.close(self._descriptor)
            raise
        self.secret = secrets.token_bytes(_SECRET)
        self._map[:HEADER] = _MAGIC + self.secret
        self.process = os.getpid()

    def name(self, room: int = 0) -> SharedMemory:
        """What to tell another process, that it may write from `room` on."""
        return SharedMemory(self.process, self._descriptor, self.secret, room)

    def at(self, offset: int, size: int) -> memoryview:
        """These bytes, to be written and read."""
        return memoryview(self._map)[offset : offset + size]

    def close(self) -> None:
        """Lets go of the memory, once nobody looks at it."""
        os.close(self._descriptor)
        del self._map  # closed by whoever has the last view


class Opened:
    """Memory of another process, which stays what it is as long as this is open. Not for several threads."""

    def __init__(self, descriptor: int, room: int) -> None:
        """Takes the open file."""
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._room = room

    def read(self, offset: int, size: int) -> memoryview | None:
        """These bytes, which cannot be written to; None if they are not all there.

        Nor if its owner has not so many: memory that nobody has written to would be made by looking at it, here.
        """
        if not self._has(offset, size) or os.fstat(self._descriptor).st_blocks * _BLOCK < size:
            return None
        return self._mapped(offset, size, mmap.PROT_READ)

    def room(self, size: int) -> tuple[int, memoryview] | None:
        """Where in the room so many bytes lie from now on, and those bytes; None if it is too small for them."""
        start = self._room
        found = self._mapped(start, size, mmap.PROT_READ | mmap.PROT_WRITE) if self._has(start, size) else None
        if found is None:
            return None
        self._room += in_pages(size)
        return start, found

    def _has(self, offset: int, size: int) -> bool:
        """Whether so many bytes from a place on are what is shared, or part of it."""
        return offset % PAGE == 0 and offset >= PAGE and size > 0 and offset + size <= self._size

    def _mapped(self, offset: int, size: int, access: int) -> memoryview | None:
        """These bytes; None if the system lets nobody look at them so, as where nobody may write to them."""
        flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
        try:
            return memoryview(mmap.mmap(self._descriptor, size, flags, access, offset=offset))
        except (OSError, OverflowError):  # the latter of more than there are addresses
            return None

    def close(self) -> None:
        """Closes the file; bytes that are looked at stay."""
        os.close(self._descriptor)


def opened(name: SharedMemory) -> Opened | None:
    """The memory of that name; None unless it is a segment of this user's, whose secret whoever says the name knows.

    Nothing else is opened: where the name leads is looked at first, without that the file would notice.
    """
    if not AVAILABLE:
        return None
    try:
        found = os.open(f"/proc/{name.process:d}/fd/{name.descriptor:d}", os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _checked(found, name)
    except OSError:
        return None
    finally:
        os.close(found)


def can_open(name: SharedMemory) -> bool:
    """Whether there is memory of that name; see `opened`."""
    memory = opened(name)
    if memory is not None:
        memory.close()
    return memory is not None


def _checked(found: int, name: SharedMemory) -> Opened | None:
    status = os.fstat(found)
    # Nobody can open a file without a name but its owner and whom he lets.
    if not stat.S_ISREG(status.st_mode) or status.st_nlink or status.st_uid != os.geteuid():
        return None
    descriptor = os.open(f"/proc/self/fd/{found}", os.O_RDWR | os.O_CLOEXEC)
    try:
        sealed = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & _SEALS == _SEALS
        if sealed and hmac.compare_digest(os.pread(descriptor, HEADER, 0), _MAGIC + name.secret):
            memory = Opened(descriptor, name.room)
            descriptor = -1
            return memory
        return None
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def in_pages(size: int) -> int:
    """The bytes of as many pages as `size` bytes need."""
    return -(-size // PAGE) * PAGE


_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL if sys.platform == "linux" else 0
