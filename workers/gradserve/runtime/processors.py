"""How many processors this process may use."""

from __future__ import annotations

import os


def processors() -> int:
    """Those that it is allowed to run on, where the system tells: a service may be held to some of a machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
