"""Messages between two processes of this machine: pickles on a socket, and large arrays in memory that goes along.

Such memory is a file without a name, whose descriptor travels with the message: nobody else can get hold of it, it is
gone with its last user, and no folder's size limits it. Where the system has none, arrays travel inside the message.
"""

from __future__ import annotations

import errno
import mmap
import os
import pickle
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.runtime.shared import AVAILABLE

LARGE_BYTES = 64 << 10
"""Smaller arrays travel inside the message."""
MOST_FILES = 128
"""What one message takes along; the system allows 253."""
_HEADER = struct.Struct("<Q")


class Held:
    """An array in memory that may be passed on. Given back with the last reference to it."""

    def __init__(self, array: Array) -> None:
        """Copies the array, in the order that it has: products of matrices may have other last bits in another.

        Raises:
            OSError: there is no room.
        """
        self.file = os.memfd_create("gradserve", os.MFD_CLOEXEC)
        self.dtype, self.shape = array.dtype.str, array.shape
        self.order = "F" if array.flags.fnc else "C"
        rows = np.ascontiguousarray(array.T if array.flags.fnc else array).reshape(-1)
        left = rows.view(np.uint8).data
        while left:  # a write takes two gigabytes at most
            left = left[os.write(self.file, left) :]

    def __del__(self) -> None:
        if hasattr(self, "file"):
            os.close(self.file)


@dataclass(frozen=True, slots=True)
class Along:
    """An array in memory that comes along with the message: which of the files, and what is in it."""

    number: int
    dtype: str
    shape: tuple[int, ...]
    order: Any

    def array(self, file: int) -> Array:
        """The array, read-only, in the memory itself."""
        return np.ndarray(self.shape, self.dtype, mmap.mmap(file, 0, prot=mmap.PROT_READ), order=self.order)


Part: TypeAlias = Array | Along
"""An array as a message has it."""


class Cargo:
    """The arrays of one message, and the memory that goes along with it."""

    def __init__(self, hold: Callable[[str, Array], Held] = lambda _, array: Held(array)) -> None:
        """`hold` finds or makes the memory of a large array by its name."""
        self._hold = hold
        self.held: list[Held] = []

    def parts(self, arrays: Mapping[str, Array]) -> dict[str, Part]:
        """The arrays as the message has them."""
        return {name: self._part(name, array) for name, array in arrays.items()}

    def _part(self, name: str, array: Array) -> Part:
        if not AVAILABLE or array.nbytes < LARGE_BYTES or len(self.held) == MOST_FILES:
            return array
        held = self._hold(name, array)
        self.held.append(held)
        return Along(len(self.held) - 1, held.dtype, held.shape, held.order)


def unloaded(parts: Mapping[str, Part], files: list[int]) -> dict[str, Array]:
    """The arrays of a message whose files these are."""
    return {name: part.array(files[part.number]) if isinstance(part, Along) else part for name, part in parts.items()}


def send(end: socket.socket, message: Any, held: Iterable[Held] = ()) -> None:
    """Sends a message, whole; what it takes along may be let go of then.

    Raises:
        OSError: the other end is gone, or does not read.
    """
    body = pickle.dumps(message, 5)
    files = [each.file for each in held]
    socket.send_fds(end, [_HEADER.pack(len(body))], files)
    end.sendall(body)


def receive(end: socket.socket) -> tuple[Any, list[int]]:
    """The next message, and files that came along; whoever calls closes them.

    Raises:
        EOFError: the other end has been closed.
        OSError: it is gone.
    """
    header, files, flags, _ = socket.recv_fds(end, _HEADER.size, MOST_FILES, socket.MSG_CMSG_CLOEXEC)
    try:
        if flags & socket.MSG_CTRUNC:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        header += _exactly(end, _HEADER.size - len(header))
        return pickle.loads(_exactly(end, _HEADER.unpack(header)[0])), files
    except BaseException:
        close(files)
        raise


def close(files: Iterable[int]) -> None:
    """Closes files; arrays in them stay."""
    for file in files:
        os.close(file)


def _exactly(end: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        got = end.recv_into(view)
        if not got:
            raise EOFError
        view = view[got:]
    return data
