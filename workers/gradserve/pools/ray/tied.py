"""Runs a command that ends with who started it, run by its path: `tied.py COMMAND`, with a pipe as standard input.

Whatever the command has started ends with it, even what it has lost hold of: so nothing is left on the machine of a
process that was killed.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

_END_SECONDS = 6.0
"""How long the command may take to end when told to."""
_TICK_SECONDS = 0.05
_PR_SET_CHILD_SUBREAPER = 36
_OF_SIGNALS = 128


def _descendants() -> list[int]:
    """Our children, and those who have lost their parents, whom the system has made ours."""
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return found


def _end_descendants() -> None:
    while pids := _descendants():
        for pid in pids:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _await_end_of_input(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


def main(command: list[str]) -> int:
    """Runs it until it ends, or until the standard input does or SIGTERM comes; returns its status as a shell does."""
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_await_end_of_input, args=(over,), daemon=True).start()
    while process.poll() is None and not over.wait(_TICK_SECONDS):
        pass
    until = time.monotonic() + _END_SECONDS
    if process.poll() is None:
        process.terminate()
    while process.poll() is None and time.monotonic() < until:
        time.sleep(_TICK_SECONDS)
    process.kill()
    status = process.wait()
    _end_descendants()
    return status if status >= 0 else _OF_SIGNALS - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
