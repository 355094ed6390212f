"""Machine code that was compiled before, on disk: by what it was compiled from, for which processor, and by what.

Whoever can write there can run code as us. So only a folder is used that is ours and that nobody else may enter.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

FOLDER = "GRADSERVE_KERNELS"
"""The variable that names the folder; `~/.cache/gradserve/kernels` unless it is set, and none if it is empty."""
_MOST_FILES = 2000
_PRIVATE = 0o700
_SUM = 32
"""Bytes of a digest before the code: what is damaged is made again."""


def stored(key: str, make: Callable[[], bytes]) -> bytes:
    """The machine code of this key: from the folder, or made now and left there."""
    name = hashlib.sha256(key.encode()).hexdigest()
    folder = _folder()
    if folder is None:
        return make()
    file = folder / f"{name}.o"
    with contextlib.suppress(OSError):
        whole = file.read_bytes()
        if hashlib.sha256(whole[_SUM:]).digest() == whole[:_SUM]:
            return whole[_SUM:]
    code = make()
    with contextlib.suppress(OSError):  # a full disk costs time, and nothing else
        _write(file, code)
    return code


def _folder() -> Path | None:
    """The folder, made if there is none; None if it is not ours alone."""
    named = os.environ.get(FOLDER)
    if named == "":
        return None
    try:
        folder = Path(named) if named else Path.home() / ".cache" / "gradserve" / "kernels"
        folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        found = folder.lstat()
    except (OSError, RuntimeError):
        return None
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    return folder if ours and not stat.S_IMODE(found.st_mode) & ~_PRIVATE else None


def _write(file: Path, code: bytes) -> None:
    """Writes as a whole or not at all; the oldest files make room."""
    handle, temporary = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(handle, "wb") as stream:
        stream.write(hashlib.sha256(code).digest() + code)
    Path(temporary).replace(file)
    files = [entry for entry in os.scandir(file.parent) if entry.name.endswith(".o")]
    if len(files) > _MOST_FILES:
        for entry in sorted(files, key=lambda entry: entry.stat().st_mtime)[: len(files) - _MOST_FILES]:
            Path(entry.path).unlink()
