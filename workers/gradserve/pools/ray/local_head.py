"""A Ray cluster on this machine, in a process of its own that ends with ours.

Ray forks its processes, and Python code runs in them before they become what they are. In a process with threads, such
as those of gRPC, the fork may find a lock held that nobody will ever release.
"""

from __future__ import annotations

import argparse
import logging
import re
import subprocess
import sys
from collections import deque
from collections.abc import Iterator

import ray

from gradserve.ir.errors import Unavailable

_READY = re.compile(r"gradserve-head at (\S+)")
_END_SECONDS = 10.0
_LINES_KEPT = 2


class LocalHead:
    """A running cluster of one machine."""

    def __init__(self, cpus: int, object_store_bytes: int | None) -> None:
        """Starts it.

        Raises:
            Unavailable: it did not start; says what it said last.
        """
        command = [sys.executable, "-m", __name__, f"--cpus={cpus}"]
        command += [f"--object-store-bytes={object_store_bytes}"] if object_store_bytes else []
        # A session of its own, so that an interrupt at a terminal reaches it through `close` only.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        said: deque[str] = deque(maxlen=_LINES_KEPT)
        found = next(filter(None, map(_READY.match, self._lines(said))), None)
        if found is None:
            self.close()
            raise Unavailable(f"no Ray cluster could be started here: {' / '.join(said)}")
        self.address = found[1]
        """The address of the cluster."""

    def close(self) -> None:
        """Ends the cluster."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _lines(self, said: deque[str]) -> Iterator[str]:
        assert self._process.stdout
        for line in self._process.stdout:
            said.append(line.strip())
            yield line


def main() -> None:
    """Starts a cluster, says where it is, and ends it when the standard input does, and so when our parent does."""
    parser = argparse.ArgumentParser(prog=f"python -m {__name__}", description=main.__doc__)
    parser.add_argument("--cpus", type=int, required=True)
    parser.add_argument("--object-store-bytes", type=int)
    options = parser.parse_args()
    ray.init(
        "local",
        num_cpus=options.cpus,
        object_store_memory=options.object_store_bytes,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    print(f"gradserve-head at {ray.get_runtime_context().gcs_address}", flush=True)
    sys.stdin.read()
    ray.shutdown()


if __name__ == "__main__":
    main()
