"""Lanes: how packets reach a worker on the pool's own machine, and its replies the pool, without Ray.

A lane is a pair of connected Unix sockets without a name, one end in either process. A packet goes whole or not at all,
so that nobody waits for a worker that does not read. What a lane does not take goes by Ray: a lane need not be there,
and adds nothing to what happens when a worker dies. Nobody but the two processes can get hold of an end.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

PACKET_BYTES = 1 << 17
"""The longest packet."""
_BUFFER_BYTES = 4 * PACKET_BYTES
"""What the system may hold of packets on their way in one direction; it counts its own part of them as well."""


class LaneEndedError(Exception):
    """The process at the other end has ended, or the lane has been closed."""


class Lane:
    """The pool's end. Safe for threads."""

    def __init__(self, end: socket.socket, name: str) -> None:
        """Replies arrive on a thread with this name."""
        self._end = end
        self._lock = threading.Lock()
        self._waiting: deque[Future[bytes]] = deque()
        threading.Thread(target=self._receive, name=name, daemon=True).start()

    def send(self, packet: bytes) -> Future[bytes] | None:
        """What the worker will reply, or `LaneEndedError`; None if the lane does not take the packet, now or at all."""
        if len(packet) > PACKET_BYTES:
            return None
        future: Future[bytes] = Future()
        with self._lock:
            try:
                self._end.send(packet, socket.MSG_DONTWAIT)
            except OSError:
                return None
            self._waiting.append(future)
        return future

    def close(self) -> None:
        """Ends the lane, and what is awaited with `LaneEndedError`."""
        with contextlib.suppress(OSError):  # the worker may have been first
            self._end.shutdown(socket.SHUT_RDWR)

    def _receive(self) -> None:
        buffer = bytearray(PACKET_BYTES)
        try:
            with self._end, contextlib.suppress(OSError):
                while size := self._end.recv_into(buffer):
                    reply = bytes(memoryview(buffer)[:size])
                    with self._lock:  # a packet is noted only after it was sent
                        future = self._waiting.popleft()
                    future.set_result(reply)
        finally:  # the socket is closed by now, so that nobody can add to these
            with self._lock:
                lost, self._waiting = self._waiting, deque()
            for future in lost:
                future.set_exception(LaneEndedError("its process has ended"))


class Door:
    """Where a worker that starts fetches its end: a socket in a folder that other users cannot enter."""

    def __init__(self) -> None:
        """Opens it; raises OSError where there are no such sockets."""
        self._folder = Path(tempfile.mkdtemp(prefix="gradserve-lane-"))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.path = str(self._folder / "door")
        try:
            self._socket.bind(self.path)
            self._socket.listen(1)
            self._socket.setblocking(False)
        except OSError:
            self.close()
            raise

    def admit(self, name: str) -> Lane | None:
        """The lane to the worker that has knocked; None if none has, or the door is closed."""
        try:
            visitor, _ = self._socket.accept()
        except OSError:
            return None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with visitor, theirs:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
            socket.send_fds(visitor, [b"end"], [theirs.fileno()])
        return Lane(ours, name)

    def close(self) -> None:
        """Removes it, if that has not been done. Lanes stay."""
        self._socket.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def knock(path: str, answer: Callable[[bytes], bytes]) -> None:
    """Answers what comes by the lane from the door at `path` on a thread of its own, one after the other.

    Raises:
        OSError: there is no such door.
    """
    visitor = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    visitor.connect(path)
    threading.Thread(target=_serve, args=(visitor, answer), name="gradserve-lane", daemon=True).start()


def _serve(visitor: socket.socket, answer: Callable[[bytes], bytes]) -> None:
    with visitor:
        _, ends, _, _ = socket.recv_fds(visitor, 8, 1, socket.MSG_CMSG_CLOEXEC)
    for number in ends:
        with socket.socket(fileno=number) as end, contextlib.suppress(OSError):  # the pool ends when it likes
            while packet := end.recv(PACKET_BYTES):
                end.send(answer(packet))
