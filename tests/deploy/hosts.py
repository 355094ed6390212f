"""Several machines on one: network namespaces on a bridge, each with its own processes, shared memory and Ray folder.

Needs root, as making a network does.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.deploy.kuberay import Process

_BRIDGE = "gsbridge"
_NETWORK = "10.213.77"
GATEWAY = f"{_NETWORK}.1"
"""Where the hosts find this machine."""
# What is mounted here is seen by the host's processes alone, and gone with the last of them.
_PRIVATE = 'mount -t tmpfs tmpfs /dev/shm && mkdir -p /tmp/ray && mount -t tmpfs tmpfs /tmp/ray && exec "$@"'
_STOP_SECONDS = 60


class Host:
    """One machine with an address of its own."""

    def __init__(self, number: int) -> None:
        """Joins the bridge."""
        self.name = f"gshost{number}"
        self.address = f"{_NETWORK}.{number}"
        self._running: list[subprocess.Popen[bytes]] = []
        _ip(f"netns add {self.name}")
        _ip(f"link add {self.name} type veth peer name eth0 netns {self.name}")
        _ip(f"link set {self.name} master {_BRIDGE} up")
        for command in ("link set lo up", "link set eth0 up", f"addr add {self.address}/24 dev eth0"):
            _ip(f"-n {self.name} {command}")
        _ip(f"-n {self.name} route add default via {GATEWAY}")

    def start(self, process: Process, log: Path, **environment: str) -> subprocess.Popen[bytes]:
        """The process as the first one of a container on this host. What it says goes to `log`."""
        command = ["ip", "netns", "exec", self.name, "unshare", "--mount", "--pid", "--fork", "--mount-proc"]
        command += ["--kill-child", "sh", "-c", _PRIVATE, "sh", *process.argv]
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        with log.open("ab") as out:
            started = subprocess.Popen(
                command, stdout=out, stderr=out, env={**os.environ, "PATH": programs, **process.env, **environment}
            )
        self._running.append(started)
        return started

    def fail(self) -> None:
        """The machine is gone from one moment to the next."""
        for process in self._running:
            process.kill()
            process.wait()
        self._running.clear()

    def leave(self) -> None:
        """Ends what runs here and takes the host away."""
        self.fail()
        _ip(f"link del {self.name}")  # now, and not when the kernel comes to clear the namespace away
        _ip(f"netns del {self.name}")


def stop(process: subprocess.Popen[bytes]) -> int:
    """Sends SIGTERM to the first process of a container; its exit status."""
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children():
            child.send_signal(signal.SIGTERM)
    return process.wait(_STOP_SECONDS)


@contextmanager
def network() -> Iterator[Iterator[Host]]:
    """Hosts on a bridge of their own, made one by one as they are asked for and taken away at the end."""
    made: list[Host] = []

    def hosts() -> Iterator[Host]:
        for number in itertools.count(2):
            made.append(Host(number))
            yield made[-1]

    _ip(f"link add {_BRIDGE} type bridge")
    try:
        _ip(f"addr add {GATEWAY}/24 dev {_BRIDGE}")
        _ip(f"link set {_BRIDGE} up")
        yield hosts()
    finally:
        for host in made:
            host.leave()
        _ip(f"link del {_BRIDGE}")


def _ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True)
