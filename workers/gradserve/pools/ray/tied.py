"""Runs a command that ends with who started it, run by its path: `tied.py COMMAND`, with a pipe as standard input.

Whatever the command has started ends with it, even what it has lost hold of: so nothing is left on the machine of a
process that was killed. What a signal has stopped of it is made to go on: who waits for it would wait for good.
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
_LOOK_SECONDS = 0.5
"""How often one looks for what stands still; what did so the last time is made to go on."""
_PR_SET_CHILD_SUBREAPER = 36
_OF_SIGNALS = 128


def _children(pid: int | str) -> list[int]:
    """Those of a process; of us also those who have lost their parents, whom the system has made ours."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _stopped(pid: int | str) -> set[int]:
    """All that it has started, and they have, of what a signal has stopped."""
    found: set[int] = set()
    for child in _children(pid):
        with suppress(OSError):
            if Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "T":
                found.add(child)
        found |= _stopped(child)
    return found


def _keep_going(over: threading.Event) -> None:
    """Makes go on whatever stands still, until the command is to end."""
    before: set[int] = set()
    while not over.wait(_LOOK_SECONDS):
        stopped = _stopped("self")
        for pid in stopped & before:
            with suppress(OSError):
                os.kill(pid, signal.SIGCONT)
        before = stopped


def _end_descendants() -> None:
    while pids := _children("self"):
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
    threading.Thread(target=_keep_going, args=(over,), daemon=True).start()
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
