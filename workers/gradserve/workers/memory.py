"""Freed memory, kept for the next call.

glibc hands large blocks back to the system when they are freed, and gets them again page by page: of the time to encode
a reply of 8 MB, three quarters went into that.
"""

from __future__ import annotations

import ctypes

KEPT_BYTES = 256 << 20
"""The most that is kept at the end of the heap."""
LARGEST_BLOCK = 32 << 20
"""Larger blocks are the system's; it is the largest figure that every glibc takes."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> bool:
    """Makes the C library keep what this process frees; answers whether it is one that can.

    For processes that are ours alone: it holds for everything in the process, and for good.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGEST_BLOCK)) and bool(mallopt(_TRIM_THRESHOLD, KEPT_BYTES))
