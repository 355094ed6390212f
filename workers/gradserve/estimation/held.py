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
"""Bytes up to which vectors are held in memory, unless told."""
LIMIT = "held_bytes"
"""What limits the longest file."""
FEWER = "ask for fewer steps"


def nbytes_of(count: int, size: int) -> int:
    """The bytes of so many vectors of this size."""
    return 8 * count * size


def memory(count: int, size: int, in_memory: int) -> int:
    """The bytes of memory that they take, if at most so many are held there."""
    nbytes = nbytes_of(count, size)
    return nbytes if nbytes <= in_memory else 0


def rows(count: int, size: int, in_memory: int) -> Array:
    """Room for so many vectors of this size, as rows of any numbers.

    Raises:
        LimitExceeded: there is none.
    """
    nbytes = nbytes_of(count, size)
    if nbytes <= in_memory:
        return np.empty((count, size))
    folder = "any folder"
    try:
        folder = tempfile.gettempdir()
        with tempfile.TemporaryFile(dir=folder) as file:  # without a name: what dies takes it along
            os.posix_fallocate(file.fileno(), 0, nbytes)  # all of it now, as a write to a full disk would be fatal
            return np.asarray(np.memmap(file, np.float64, "r+", shape=(count, size)))
    except OSError as error:
        text = f"there is no room for {nbytes / 2**30:.3g} GiB of vectors in {folder}: {error.strerror}"
        advice = "or have TMPDIR, where it is computed, name a folder on a disk with room"
        raise LimitExceeded(LIMIT, f"{text}; {FEWER}, {advice}") from None
