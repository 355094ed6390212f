"""A Ray node beside a driver in the same container: a driver needs one on its own machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

from gradserve.ir.errors import Unavailable
from gradserve.runtime.memory import memory_limit

START_SECONDS = 60.0
_UP = "Ray runtime started"
_REFUSED = "AuthenticationError"
_SHARED_MEMORY = Path("/dev/shm")
_LEAST_STORE_BYTES = 80 << 20
_PAUSE_SECONDS = 1.0
_END_SECONDS = 10.0
_TIED = (sys.executable, "-I", "-S", str(Path(__file__).with_name("tied.py")))
"""What a command ends with us by, however we end."""
_LINES_KEPT = 2
_COLOURS = re.compile("\x1b\\[[0-9;]*m")


def _store_bytes() -> int:
    """Bytes for what is on its way to workers: a part of the memory, in as much of it as processes can share."""
    shared = shutil.disk_usage(_SHARED_MEMORY).total * 9 // 10 if _SHARED_MEMORY.exists() else memory_limit()
    return max(_LEAST_STORE_BYTES, min(shared, memory_limit() // 4))


class JoinedNode:
    """A Ray node that offers the cluster neither processors nor memory: work never comes to it."""

    def __init__(self, head: str, metrics_port: int, ended: Callable[[str], None]) -> None:
        """Joins the cluster whose head is at `head`, trying again while there is none.

        `ended` is called with the reason if the node ends before it is closed, from a thread of its own.

        Raises:
            Unavailable: it has not joined after `START_SECONDS`.
        """
        self._command = [*_TIED, sys.executable, "-m", "ray.scripts.scripts", "start", f"--address={head}"]
        self._command += ["--num-cpus=0", "--memory=0", f"--object-store-memory={_store_bytes()}"]
        self._command += [f"--metrics-export-port={metrics_port}", "--disable-usage-stats", "--block"]
        self._ended = ended
        self._closing = False
        self._said: deque[str] = deque(maxlen=_LINES_KEPT)
        give_up = time.monotonic() + START_SECONDS
        while not self._start(give_up):
            if time.monotonic() > give_up or any(_REFUSED in line for line in self._said):
                raise Unavailable(f"no Ray cluster at {head} could be joined: {' / '.join(self._said)}")
            time.sleep(_PAUSE_SECONDS)
        threading.Thread(target=self._watch, name="gradserve-ray-node", daemon=True).start()

    def close(self) -> None:
        """Leaves the cluster."""
        self._closing = True
        self._end()

    def _start(self, give_up: float) -> bool:
        """Starts the node; answers whether it has joined. It tries no longer than until the moment `give_up`."""
        self._process = _begun(self._command)
        joined = False
        try:
            impatience = threading.Timer(max(0.0, give_up - time.monotonic()), self._process.terminate)
            impatience.daemon = True  # a signal may end this process before it is cancelled
            impatience.start()
            joined = any(_UP in line for line in self._lines())
            impatience.cancel()
        finally:
            if not joined:
                self._end()
        return joined

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _lines(self) -> Iterator[str]:
        """What the node says, the last of it kept for whoever asks why it ended."""
        assert self._process.stdout
        for line in self._process.stdout:
            self._said.append(_COLOURS.sub("", line.strip()))
            yield line

    def _watch(self) -> None:
        for _ in self._lines():
            pass
        status = self._process.wait()
        if not self._closing:
            self._ended(f"the Ray node beside this service ended with status {status}: {' / '.join(self._said)}")


def _begun(command: Sequence[str]) -> subprocess.Popen[str]:
    """The process of a command, begun by a thread that no signal interrupts: what it began would be forgotten."""
    begun: Future[subprocess.Popen[str]] = Future()

    def begin() -> None:
        try:
            # A session of its own, so that an interrupt at a terminal reaches it through `close` only.
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            begun.set_result(process)
        except OSError as error:
            begun.set_exception(error)

    threading.Thread(target=begin, daemon=True).start()
    try:
        return begun.result()
    except BaseException:
        if begun.exception() is None:
            begun.result().terminate()
        raise
