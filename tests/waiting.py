"""Waiting for what must come, though nobody promised when: a busy machine takes its time."""

import time
from collections.abc import Callable

PATIENCE_SECONDS = 120.0
"""When a test gives up: no law of how soon, which each has that asserts one."""


def comes(holds: Callable[[], object], pause: float = 0.01) -> bool:
    """Whether something comes to hold."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True
