"""A Ray cluster on this machine and for this user alone, in a process of its own that ends with ours.

Ray forks its processes, and Python code runs in them before they become what they are. In a process with threads, such
as those of gRPC, the fork may find a lock held that nobody will ever release.

Whoever may talk to a Ray cluster may run commands as its user. So every socket of this one is bound to the loopback
interface and asks for a token, which lies with Ray's Unix sockets and logs in a folder that other users cannot enter.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ray._private import services

from gradserve.ir.errors import Unavailable
from gradserve.pools.ray.bare_node import BareNode
from gradserve.runtime.folders import require_kept, require_own
from gradserve.runtime.standing_back import session_stands_back
from gradserve.runtime.still import stands_still

_READY = re.compile(r"gradserve-head at (\S+) of ([\d ]+)")
_END_SECONDS = 10.0
_LEAST_DISK_BYTES = 32 << 20
"""What Ray's logs and sockets need for a beginning: without room its processes end one after the other."""
_PREFIX = "gradserve-ray-"
_SHORT = Path("/tmp")  # what is made there is closed to others
_SOCKET_BYTES = 107
"""What the kernel takes for the name of a socket."""
_NAME = f"/{_PREFIX}8letters/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
"""The longest that a socket has within the folder for what passes."""
_LONGEST = _SOCKET_BYTES - len(_NAME)
"""The most bytes that the name of that folder may have."""
_ELSE = "name another folder by TMPDIR, or serve with --no-ray"
_REGISTER_SECONDS = 60
_LINES_KEPT = 2
_LOST = "gradserve-head lost: "
_PARTS = ("gcs_server", "raylet")
"""What the cluster cannot do without."""
_LOOK_SECONDS = 0.05
_STILL_SECONDS = 1.0
"""How long a part of the cluster may stand still, stopped by a signal; then it is made to go on."""
_LOST_SECONDS = 3.0
"""The same until the cluster counts as lost."""
_LOOPBACK = "127.0.0.1"
_KEEP_TO_LOOPBACK = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's switch, on any system, for the loopback address as the node's own
    "RAY_enable_metrics_collection": "0",  # nobody asks for them, and the agent that would take them is off
    "RAY_USAGE_STATS_ENABLED": "0",
}


class LocalHead:
    """A running cluster of one machine."""

    def __init__(
        self, cpus: int, object_store_bytes: int | None = None, lost: Callable[[str], None] = lambda _: None
    ) -> None:
        """Starts it. `lost` is called with the reason if it ends before it is closed, from a thread of its own.

        Raises:
            Unavailable: it did not start; says what it said last.
            OSError: the disk has no room for it.
        """
        self._folder = _own_folder()
        token = self._folder / "token"
        token.touch(0o600, exist_ok=False)
        token.write_text(secrets.token_hex(32))
        self.environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        """The variables of a process that may connect."""
        self.inherited = {**_KEEP_TO_LOOPBACK, **self.environment}
        """The variables with which a process that has yet to import Ray connects by the address alone."""
        command = [sys.executable, "-P", "-m", __name__, f"--cpus={cpus}", f"--folder={self._folder}"]
        command += [f"--object-store-bytes={object_store_bytes}"] if object_store_bytes else []
        others = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_TOKEN"}  # it would win
        # A session of its own, so that an interrupt at a terminal reaches it through `close` only.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**others, **self.inherited},
        )
        self._lost, self._closing = lost, False
        self._looking = threading.Lock()
        self._said: deque[str] = deque(maxlen=_LINES_KEPT)
        self._watched: list[int] = []
        self._watcher = threading.Thread(target=self._watch, name="gradserve-ray-head", daemon=True)
        found = next(filter(None, map(_READY.match, self._lines())), None)
        if found is None:
            self.close()
            raise Unavailable(f"no Ray cluster could be started here: {' / '.join(self._said)}")
        self.address = found[1]
        """The address of the cluster."""
        self._watched = [os.pidfd_open(int(pid)) for pid in found[2].split()]
        self._watcher.start()

    def is_whole(self) -> bool:
        """Whether nothing of it has ended by this moment."""
        with self._looking:
            if self._closing:
                return False
            parts = select.poll()  # one serves one thread at a time, and many ask
            for part in self._watched:
                parts.register(part, select.POLLIN)
            return not parts.poll(0)

    def close(self) -> None:
        """Ends the cluster."""
        assert self._process.stdin
        assert self._process.stdout
        with self._looking:
            self._closing = True
        self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._watcher.is_alive() and self._watcher is not threading.current_thread():
            self._watcher.join(_END_SECONDS)
        self._process.stdout.close()
        for part in self._watched:
            os.close(part)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _lines(self) -> Iterator[str]:
        assert self._process.stdout
        for line in self._process.stdout:
            self._said.append(line.strip())
            yield line

    def _watch(self) -> None:
        """Tells at once when the cluster is lost: Ray ends a process that hands it an array then."""
        told = next((line for line in self._lines() if line.startswith(_LOST)), f"{_LOST}its process has ended")
        if not self._closing:
            self._lost(told.removeprefix(_LOST).strip())


def _own_folder() -> Path:
    """A new folder that nobody else may enter, nor put another in the place of.

    Raises:
        OSError: there is no room for one, or none where it would be ours alone.
    """
    where = _temporary()
    free = shutil.disk_usage(where).free
    if free < _LEAST_DISK_BYTES:
        raise OSError(
            f"no Ray cluster can be started: {where} has {free} bytes free of at least {_LEAST_DISK_BYTES}; {_ELSE}"
        )
    made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=where))
    try:
        made.chmod(0o700)  # the umask may have taken rights of our own
        require_own(made)
        require_kept(where)
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        raise OSError(f"no Ray cluster can be started: {error}; {_ELSE}") from None
    return made


def _temporary() -> Path:
    """The folder for what passes; if the names of Ray's sockets would be too long there, the one with a short name."""
    given = Path(tempfile.gettempdir())
    for where in (given, _SHORT):
        if len(os.fsencode(where)) <= _LONGEST and os.access(where, os.W_OK | os.X_OK):
            return where
    raise OSError(
        f"no Ray cluster can be started: in {given} the names of Ray's sockets would be too long, of which at most "
        f"{_LONGEST} bytes may be the folder's, and nothing can be written to {_SHORT}; {_ELSE}"
    )


def main() -> None:
    """Starts a cluster, says where it is, and ends it when the standard input does, and so when our parent does."""
    parser = argparse.ArgumentParser(prog=f"python -m {__name__}", description=main.__doc__)
    parser.add_argument("--cpus", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--object-store-bytes", type=int)
    options = parser.parse_args()
    session_stands_back()  # Ray itself has its workers stand back behind the rest of it
    try:
        node = BareNode(
            head=True,
            node_ip_address=_LOOPBACK,
            num_cpus=options.cpus,
            object_store_memory=options.object_store_bytes,
            temp_dir=str(options.folder / "ray"),
        )
        # Who connects waits for this with the interpreter's lock in hand.
        services.wait_for_node(node.gcs_address, node.plasma_store_socket_name, _REGISTER_SECONDS)
        parts = {kind: infos[0].process for kind, infos in node.all_processes.items() if kind in _PARTS}
        print(f"gradserve-head at {node.gcs_address} of", *(part.pid for part in parts.values()), flush=True)
        reason = _end_of(parts)
        if reason:
            print(f"{_LOST}{reason}", flush=True)
        node.kill_all_processes(check_alive=False, allow_graceful=True)
    finally:
        shutil.rmtree(options.folder, ignore_errors=True)


def _tell_end_of_input(told: threading.Event) -> None:
    sys.stdin.read()
    told.set()


def _end_of(parts: Mapping[str, subprocess.Popen[bytes]]) -> str:
    """Returns when our standard input ends, or when a part of the cluster does; then it says which."""
    told = threading.Event()
    threading.Thread(target=_tell_end_of_input, args=(told,), daemon=True).start()
    still = dict.fromkeys(parts, time.monotonic())
    while not told.wait(_LOOK_SECONDS):
        now = time.monotonic()
        for kind, process in parts.items():
            if process.poll() is not None:
                return f"its {kind} ended with status {process.returncode}"
            if not stands_still(process.pid):
                still[kind] = now
            elif now - still[kind] > _LOST_SECONDS:
                return f"its {kind} stood still for {_LOST_SECONDS:g} s, stopped by a signal"
            elif now - still[kind] > _STILL_SECONDS:
                process.send_signal(signal.SIGCONT)
    return ""


if __name__ == "__main__":
    main()
