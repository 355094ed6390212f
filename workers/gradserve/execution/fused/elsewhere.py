"""Compiling in another process: what LLVM loses of every compilation goes when that process ends.

`python -m gradserve.execution.fused.elsewhere` compiles what comes on its input until that ends. A message is its
length, in eight bytes, and then its bytes.
"""

from __future__ import annotations

import struct
import subprocess
import sys
from typing import IO

_LENGTH = struct.Struct("<Q")


class Elsewhere:
    """A process that compiles. For one thread at a time."""

    def __init__(self) -> None:
        """Starts it; a session of its own, so that an interrupt at a terminal does not reach it."""
        self.lost = 0
        """What LLVM has lost there."""
        command = [sys.executable, "-P", "-m", "gradserve.execution.fused.elsewhere"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        assert self._process.stdin
        assert self._process.stdout
        self._to, self._from = self._process.stdin, self._process.stdout

    def compiled(self, text: str) -> bytes | None:
        """The machine code of a module; None if the process has ended."""
        try:
            _write(self._to, text.encode())
        except OSError:
            return None
        return _read(self._from)

    def end(self) -> None:
        """Ends it at once."""
        self._process.kill()
        self._process.communicate()


def _write(stream: IO[bytes], data: bytes) -> None:
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def _read(stream: IO[bytes]) -> bytes | None:
    """The next message; None at the end."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = stream.read(length)
    return data if len(data) == length else None


def main() -> None:
    """Compiles until nothing more comes."""
    from gradserve.execution.fused.compiler import compiled  # which imports this module to start the process

    while (text := _read(sys.stdin.buffer)) is not None:
        _write(sys.stdout.buffer, compiled(text.decode()))


if __name__ == "__main__":
    main()
