"""Folders that are this user's alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

OTHERS = 0o077
"""All rights of all others."""
WRITING = 0o022
"""Those to write there."""


def require_own(folder: Path, closed: int = OTHERS) -> None:
    """Refuses a folder that is another's, or that gives others one of these rights.

    Raises:
        OSError: it is such a one.
    """
    known = folder.stat()
    if not stat.S_ISDIR(known.st_mode):
        raise OSError(f"{folder} is no folder; name another")
    if known.st_uid != os.geteuid():
        raise OSError(f"{folder} belongs to user {known.st_uid}; name a folder of our own, such as one below it")
    if known.st_mode & closed:
        raise OSError(f"{folder} is open to other users; close it by chmod 700, or name another")


def require_kept(folder: Path) -> None:
    """Refuses a folder in which others may put a folder of theirs in the place of ours.

    Raises:
        OSError: it is such a one.
    """
    known = folder.stat()
    if known.st_mode & WRITING and not known.st_mode & stat.S_ISVTX:
        raise OSError(f"{folder} lets other users rename what is ours in it; set its sticky bit by chmod +t")
