"""Machines that can be cut off: Ray nodes in network namespaces of their own, joined by a bridge. Needs root."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4, "RAY_USAGE_STATS_ENABLED": "0"}
_NETWORK = "10.214.77"
_BRIDGE = "gs-bridge"
_HEAD_PORT = 6399


class Machine:
    """A Ray node with one processor behind a cable of its own."""

    def __init__(self, number: int, stack: ExitStack) -> None:
        """Joins the cluster of the head; ends with the stack."""
        self.name, self._cable = f"gs-machine-{number}", f"gs-cable-{number}"
        ip = f"{_NETWORK}.{number}"
        _ip("netns", "add", self.name)
        stack.callback(self._end)
        _ip("link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        stack.callback(_ip, "link", "del", self._cable)  # its namespace lasts as long as a process that is ending
        _ip("link", "set", self._cable, "master", _BRIDGE, "up")
        _ip("-n", self.name, "addr", "add", f"{ip}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _ip("-n", self.name, "link", "set", device, "up")
        own = Path("/etc/netns") / self.name  # Ray asks for the name of the machine, and here no name server answers
        own.mkdir(parents=True)
        (own / "hosts").write_text(f"127.0.0.1 localhost\n{ip} {socket.gethostname()}\n")
        (own / "resolv.conf").write_text("options timeout:1 attempts:1\n")
        within = ("ip", "netns", "exec", self.name)
        node(stack, *within, gcs_address=head(), num_cpus=1, memory=2 << 30, node_ip_address=ip)

    def processes(self) -> list[psutil.Process]:
        """All that run on it."""
        found = []
        for pid in map(int, _ip("netns", "pids", self.name).split()):
            with suppress(psutil.NoSuchProcess):
                found.append(psutil.Process(pid))
        return found

    @contextmanager
    def unplugged(self) -> Iterator[None]:
        """A context in which no packet reaches it or leaves it."""
        _ip("link", "set", self._cable, "down")
        try:
            yield
        finally:
            _ip("link", "set", self._cable, "up")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """A context in which it stands still: the network takes packets, and nobody reads them."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _end(self) -> None:
        self._signal(signal.SIGKILL)
        _ip("netns", "del", self.name)
        shutil.rmtree(Path("/etc/netns") / self.name, ignore_errors=True)


@contextmanager
def machines(count: int) -> Iterator[list[Machine]]:
    """So many of them, and the head of their cluster, which has no processors and is beside us."""
    folder = tempfile.mkdtemp(prefix="gs-", dir="/tmp")  # short, because the names of sockets may not be long
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        _ip("link", "add", _BRIDGE, "type", "bridge")
        stack.callback(_ip, "link", "del", _BRIDGE)
        _ip("addr", "add", f"{_NETWORK}.1/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        node(stack, gcs_server_port=_HEAD_PORT, num_cpus=0, temp_dir=folder, node_ip_address=f"{_NETWORK}.1")
        yield [Machine(number, stack) for number in range(2, 2 + count)]


def head() -> str:
    """The address of the cluster."""
    return f"{_NETWORK}.1:{_HEAD_PORT}"


def node(stack: ExitStack, *within: str, **options: object) -> None:
    """Starts a Ray node, and returns when it is there."""
    command = [*within, sys.executable, "-m", "tests.system.bare", json.dumps(options)]
    process = started(stack, *command)
    assert process.stdout
    assert process.stdout.readline() == b"there\n"


def started(stack: ExitStack, *command: str) -> subprocess.Popen[bytes]:
    """A process that knows the cluster's token, and ends with the stack."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **TOKEN},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    stack.callback(process.wait)
    stack.callback(os.killpg, process.pid, signal.SIGKILL)
    return process


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout
