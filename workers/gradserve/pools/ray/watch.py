"""Whether the parts of a Ray cluster answer that others run: its head, and the node of this machine.

A process that a signal has stopped, or that is frozen, takes connections and says nothing on them. Ray's driver waits
for such a one without an end.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import ray
from ray import _raylet
from ray._private import services

from gradserve.ir.errors import Unavailable

_core: Any = _raylet
"""Ray's part in C++, which carries no annotations."""
_untyped: Any = ray
"""Ray's functions without annotations."""
ANSWER_SECONDS = 3.0
"""How long a part may take to answer."""
_LOOK_SECONDS = 0.5
"""How often one is asked whether it does."""
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""What a client of gRPC says first: that it speaks HTTP/2, and has no wishes. Servers answer from threads of gRPC's."""


def greet(address: str, seconds: float = ANSWER_SECONDS) -> None:
    """Returns once whatever serves gRPC at `address` says something, or hangs up.

    Raises:
        OSError: nobody is there, or nobody answers in so many seconds.
        ValueError: it is no `host:port`.
    """
    host, _, port = address.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), seconds) as there:
        there.sendall(_GREETING)
        with suppress(ConnectionResetError):  # who wants TLS hangs up
            there.recv(1)


def require_head(head: str) -> None:
    """Returns if the head at `head` answers.

    Raises:
        Unavailable: it does not; says so at once, where joining would try for long.
    """
    try:
        greet(head)
    except (OSError, ValueError) as error:
        raise Unavailable(f"no Ray cluster answers at {head}: {error}") from None


def require_node(head: str) -> None:
    """Returns if the node of this machine in the cluster of that head answers, and so a driver can use it.

    Raises:
        Unavailable: it does not, or there is none.
    """
    require_head(head)
    try:
        found = services.get_node_to_connect_for_driver(
            _core.GcsClient(address=head), timeout_seconds=int(ANSWER_SECONDS)
        )
    except RuntimeError:
        raise Unavailable(f"the Ray cluster at {head} has no node on this machine") from None
    address = f"{found.node_manager_address}:{found.node_manager_port}"
    try:
        greet(address)
    except OSError as error:
        raise Unavailable(f"the Ray node of this machine does not answer at {address}: {error}") from None


def own_node() -> str:
    """The address of the node that this process belongs to."""
    ours = ray.get_runtime_context().get_node_id()
    (node,) = [node for node in _untyped.nodes() if node["NodeID"] == ours]
    return f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}"


class Watch:
    """Looks again and again whether a part answers."""

    def __init__(self, address: str, silent: Callable[[str], None]) -> None:
        """`silent` is called with the reason, from a thread of its own, at each look at which `address` is silent."""
        self._address, self._silent = address, silent
        self._over = threading.Event()
        threading.Thread(target=self._look, name="gradserve-ray-watch", daemon=True).start()

    def close(self) -> None:
        """Looks no more."""
        self._over.set()

    def _look(self) -> None:
        seconds = ANSWER_SECONDS
        while not self._over.wait(_LOOK_SECONDS):
            try:
                greet(self._address, seconds)
                seconds = ANSWER_SECONDS
            except OSError as error:
                seconds = _LOOK_SECONDS  # who was silent is not waited for as long again
                if not self._over.is_set():
                    self._silent(f"does not answer at {self._address}: {error}")
