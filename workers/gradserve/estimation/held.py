"""The vectors that a recurrence holds: in memory while they are few, else in a file that is gone with them.

A file's pages are in memory as long as nobody needs that for anything else; so what is held there takes room on a disk,
and time, but no memory that anyone lacks. The numbers are the same.
"""

from __future__ import annotations

import os
import tempfile

import numpy as np

from gradserve.ir.errors import LimitExceeded
from gradserve.ir.types import Array

IN_MEMORY = 1 << 30
"""Bytes up to which vectors are held in memory."""
MOST_BYTES = 64 << 30
"""Bytes of the longest file."""
_ADVICE = "ask for fewer steps"


def memory(count: int, size: int) -> int:
    """The bytes of memory that so many vectors of this size take."""
    nbytes = 8 * count * size
    return nbytes if nbytes <= IN_MEMORY else 0


def require_room(count: int, size: int) -> None:
    """Refuses vectors that no file may hold.

    Raises:
        LimitExceeded: they are longer.
    """
    if 8 * count * size > MOST_BYTES:
        text = f"{count} vectors of {size} numbers take {8 * count * size / 2**30:.4g} GiB"
        raise LimitExceeded("held_bytes", f"{text} and the limit is {MOST_BYTES >> 30} GiB; {_ADVICE}")


def rows(count: int, size: int) -> Array:
    """Room for so many vectors of this size, as rows of any numbers.

    Raises:
        LimitExceeded: there is none.
    """
    nbytes = 8 * count * size
    if nbytes <= IN_MEMORY:
        return np.empty((count, size))
    try:
        with tempfile.TemporaryFile() as file:  # without a name: what dies takes it along
            os.posix_fallocate(file.fileno(), 0, nbytes)  # all of it now, as a write to a full disk would be fatal
            return np.asarray(np.memmap(file, np.float64, "r+", shape=(count, size)))
    except OSError as error:
        text = f"there is no room for {nbytes / 2**30:.3g} GiB of vectors in {tempfile.gettempdir()}: {error.strerror}"
        raise LimitExceeded("held_bytes", f"{text}; {_ADVICE}") from None
