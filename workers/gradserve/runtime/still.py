"""Processes that a signal has stopped: they neither work nor die, and nobody is told."""

from __future__ import annotations

import os


def stands_still(pid: int) -> bool:
    """Whether a signal has stopped this child of ours."""
    try:
        return os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # it has ended
        return False
