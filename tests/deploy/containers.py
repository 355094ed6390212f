"""Containers of our images, run by podman and runc, with the rights that production gives them: none."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.deploy.images import Store

CONFINED = (
    *("--read-only", "--read-only-tmpfs=false", "--tmpfs", "/tmp:size=256m,mode=1777"),
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "2048"),
)
"""The options of `podman run` that take away what a container could do."""
# Without CAP_SYS_RESOURCE podman's own limits cannot be set.
_LIMITS = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")


@dataclass(frozen=True)
class Ended:
    """A command that has ended in a container."""

    status: int
    output: str


@dataclass(frozen=True)
class Container:
    """A container that runs, or has run."""

    store: Store
    name: str

    @property
    def ip(self) -> str:
        """Its address on podman's network."""
        found: str = self.inspect()["NetworkSettings"]["IPAddress"]
        return found

    def address(self, port: int) -> str:
        """Where a published port of it is on this machine."""
        return self.store.podman("port", self.name, str(port)).strip()

    def inspect(self) -> dict[str, Any]:
        """All that podman knows of it."""
        (found,) = json.loads(self.store.podman("inspect", self.name))
        assert isinstance(found, dict)
        return found

    def execute(self, *command: str, seconds: float = 120) -> Ended:
        """Runs a command inside."""
        done = self.store.try_podman("exec", self.name, *command, seconds=seconds)
        return Ended(done.returncode, done.stdout + done.stderr)

    def healthy(self) -> bool:
        """Runs its health check once."""
        return self.store.try_podman("healthcheck", "run", self.name).returncode == 0

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.inspect()["State"]["Running"] is True

    def logs(self) -> str:
        """What it has written."""
        done = self.store.try_podman("logs", self.name)
        return done.stdout + done.stderr

    def stop(self, seconds: int) -> int:
        """Sends SIGTERM, after so many seconds SIGKILL; returns the exit status."""
        self.store.podman("stop", "--time", str(seconds), self.name)
        return self.status()

    def status(self) -> int:
        """Waits until it ends; returns the exit status."""
        return int(self.store.podman("wait", self.name))


@contextmanager
def running(
    store: Store, image: str, *command: str, options: Sequence[str], hosts: Mapping[str, str] | None = None
) -> Iterator[Container]:
    """A container while the `with` block runs. `hosts` are names that it can look up."""
    name = f"gradserve-test-{uuid.uuid4().hex[:8]}"
    known = [word for host, ip in (hosts or {}).items() for word in ("--add-host", f"{host}:{ip}")]
    container = Container(store, name)
    try:
        store.podman("run", "--detach", "--name", name, *_LIMITS, *options, *known, image, *command)
        yield container
    finally:
        store.podman("rm", "--force", "--ignore", "--time", "0", name)


def wait_until(true: Callable[[], bool], seconds: float, container: Container) -> float:
    """Seconds until `true()`; fails with the container's log if it ends before, or it takes too long."""
    started = time.monotonic()
    while not true():
        assert container.running, f"it ended: {container.logs()}"
        assert time.monotonic() - started < seconds, f"not within {seconds:g} s: {container.logs()}"
        time.sleep(0.1)
    return time.monotonic() - started
