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

from ray import _raylet
from ray._private import services

from gradserve.ir.errors import Unavailable

_core: Any = _raylet
"""Ray's part in C++, which carries no annotations."""
ANSWER_SECONDS = 3.0
"""How long a part may take to answer."""
_LOOK_SECONDS = 0.5
"""How often the node is asked whether it does."""
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""What a client of gRPC says first: that it speaks HTTP/2, and has no wishes. Servers answer from threads of gRPC's."""


def greet(address: str) -> None:
    """Returns once whatever serves gRPC at `address` says something, or hangs up.

    Raises:
        OSError: nobody is there, or nobody answers.
        ValueError: it is no `host:port`.
    """
    host, _, port = address.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS) as there:
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


class Watch:
    """Looks after a node by which this process is in a cluster that others run."""

    def __init__(self, node: str, lost: Callable[[str], None]) -> None:
        """`lost` is called with the reason, from a thread of its own, when the node at `node` answers no more."""
        self._node, self._lost = node, lost
        self._over = threading.Event()
        threading.Thread(target=self._look, name="gradserve-ray-watch", daemon=True).start()

    def close(self) -> None:
        """Looks no more."""
        self._over.set()

    def _look(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            try:
                greet(self._node)
            except OSError as error:
                if not self._over.is_set():
                    self._lost(f"its node on this machine does not answer at {self._node}: {error}")
                return
