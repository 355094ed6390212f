"""Who waits where processors are short: heavy work, and not what answers small calls."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

NICENESS = 10
"""How far heavy work stands back; small calls wait for the service."""
_TRIES, _PAUSE_SECONDS = 10, 0.11


def process_stands_back() -> None:
    """Lets others go before this process, and what it starts from now on."""
    os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))


def session_stands_back() -> None:
    """Lets others go before the session of this process: Linux may share processors between sessions first."""
    with contextlib.suppress(OSError):  # where it does not
        for _ in range(_TRIES):
            try:
                Path("/proc/self/autogroup").write_text(str(NICENESS))
                return
            except BlockingIOError:  # users may do so ten times a second, all together
                time.sleep(_PAUSE_SECONDS)
