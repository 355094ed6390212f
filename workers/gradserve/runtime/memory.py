"""How much memory this process may take, and what becomes of memory that it frees.

glibc hands large blocks back to the system when they are freed, and gets them again page by page: of the time to encode
a reply of 8 MB, three quarters went into that.

It also keeps arenas, eight for each processor, and threads move between them. As memory is kept, each arena comes to
hold as much as its threads have ever wanted at once, so that a process grows for as long as it lives, by memory of
which nothing is in use. What thousands of connections have taken at once lies free between what is in use, where no
threshold reaches it: so every few seconds somebody looks how much of the process is not in use, and hands back what is
free. Whether the process has grown does not tell it: what is in use today lies free tomorrow in a process as large.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from io import FileIO
from pathlib import Path

KEPT_BYTES = 256 << 20
"""The most that is kept at the end of the heap."""
LARGEST_BLOCK = 32 << 20
"""Larger blocks are the system's; it is the largest figure that every glibc takes."""
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where a container finds its own limit, in the second version of control groups and in the first."""
ARENAS = 2
"""Most who want memory hold the interpreter's lock, one at a time; those that do not are the threads of gRPC."""
MOST_FREE_BYTES = 64 << 20
"""So much may come to lie free before it is handed back: more than calls free and want again."""
LOOK_SECONDS = 10.0
"""How often one looks: handing back and getting again takes some 50 ms for a hundred MiB."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def keep_freed_memory() -> bool:
    """Makes the C library keep what this process frees, up to a bound; answers whether it is one that can.

    For processes that are ours alone: it holds for everything in the process, and for good.
    """
    try:
        library = ctypes.CDLL(None)
        mallopt = library.mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return False
    wanted = ((_MMAP_THRESHOLD, LARGEST_BLOCK), (_TRIM_THRESHOLD, KEPT_BYTES), (_ARENA_MAX, ARENAS))
    keeps = not any(mallopt(parameter, value) == 0 for parameter, value in wanted)
    statm = Path("/proc/self/statm").open("rb", buffering=0)  # noqa: SIM115 -- for good: no descriptor may be left later
    least = _unused(library, statm)  # before anything else is made
    threading.Thread(target=_give_back_now_and_then, args=(library, statm, least), name="memory", daemon=True).start()
    return keeps


def _give_back_now_and_then(library: ctypes.CDLL, statm: FileIO, least: int) -> None:
    while True:
        time.sleep(LOOK_SECONDS)
        if _unused(library, statm) > least + MOST_FREE_BYTES:
            library.malloc_trim(0)
            least = _unused(library, statm)
        least = min(least, _unused(library, statm))


def _unused(library: ctypes.CDLL, statm: FileIO) -> int:
    """The bytes of this process that lie in memory and that nobody has of the C library: free, or never the library's.

    Where the library does not tell what is in use (glibc before 2.33), all of them.
    """
    try:
        told = library.mallinfo2
    except AttributeError:
        return _resident(statm)
    told.restype = _Mallinfo
    found = told()
    return _resident(statm) - int(found.uordblks) - int(found.hblkhd)


class _Mallinfo(ctypes.Structure):
    """What glibc tells of its memory: `uordblks` bytes of its heaps and `hblkhd` bytes of single blocks are in use."""

    _fields_ = [
        ("heaps", ctypes.c_size_t * 4),
        ("hblkhd", ctypes.c_size_t),
        ("fastbins", ctypes.c_size_t * 2),
        ("uordblks", ctypes.c_size_t),
        ("free", ctypes.c_size_t * 2),
    ]


def _resident(statm: FileIO) -> int:
    """The bytes of this process that it shares with nobody and that lie in memory."""
    statm.seek(0)
    _, resident, shared, *_ = map(int, statm.read().split())
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


def memory_limit() -> int:
    """The bytes that this process may take: its container's limit, or else the machine's memory."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *(limit for path in _CGROUP_LIMITS if (limit := _limit_in(Path(path))))])


def _limit_in(path: Path) -> int:
    """The number in a file; 0 if there is none."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max" means no limit
        return 0
