"""Unix domain sockets: files that a service listens on, for the user that it runs as and nobody else."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

T = TypeVar("T")

_SCHEME = "unix:"
_MOST_BYTES = 107
"""What the kernel takes for the path of a socket."""
_SECONDS = 1.0
"""How long a server that is asked whether it lives has for an answer."""


def path_of(address: str) -> Path | None:
    """The file of an address, `unix:/path` or `unix:///path`; None if it is no Unix socket of the file system."""
    if not address.startswith(_SCHEME):
        return None
    path = address.removeprefix(_SCHEME)
    return Path(unquote(path.removeprefix("//") if path.startswith("///") else path))


def listening(path: Path, listen: Callable[[], T]) -> T:
    """What `listen` comes to, which makes the socket: that of a dead server goes before, and only its user may connect.

    Left to itself gRPC takes the place of a server that lives, and lets in whom the umask lets in.

    Raises:
        OSError: a live server listens there, it is another kind of file, or there is no place for one.
    """
    if len(os.fsencode(path)) > _MOST_BYTES:
        raise OSError(f"the path of a Unix socket has at most {_MOST_BYTES} bytes, and {path} has more")
    with _alone(path.parent):
        _make_way(path)
        before = os.umask(0o077)  # from its first moment on
        try:
            found = listen()
        finally:
            os.umask(before)
        path.chmod(0o600)
    return found


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While no other service looks for a place in the folder: two could find the same dead one."""
    import fcntl  # which is where such sockets are

    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise OSError(f"{folder} is no folder for a Unix socket of ours: {error.strerror}; choose another") from None
    try:
        if not os.access(folder, os.W_OK | os.X_OK):  # which gRPC would tell in words of its own
            raise OSError(f"there can be no Unix socket in {folder}, which we may not write to; choose another folder")
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _make_way(path: Path) -> None:
    """Removes the socket of a server that has died."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(f"{path} is there and no socket; it is left alone: remove it, or choose another path")
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(_SECONDS)
        try:
            asking.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as error:
            raise OSError(f"{path} is taken, by whom cannot be told: {error.strerror or error}") from None
    raise OSError(f"{path} is taken by a server that lives; stop it, or choose another path")
