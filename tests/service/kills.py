"""Writers of blobs that are killed at random moments: `python -m tests.service.kills --kills 500`.

Afterwards every file that stands for a whole blob is compared with its name, with nothing of the store's own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from gradserve.service.storage.folder import Folder
from gradserve.service.storage.objects import is_named
from gradserve.service.storage.space import Space
from gradserve.service.storage.store import BlobStore

CAPACITY = 4 << 20
"""Less than all blobs take together, so that some are written again and again."""
_BLOBS = 24
_LARGEST = 600_000
_PIECE = 1 << 16
_MOMENT = 0.03
_AT_ONCE = 2


def killed(root: Path, kills: int, seed: int = 0, careless: bool = False) -> dict[str, int]:
    """What writers leave in a folder of which so many have been killed, by a process that forks without threads."""
    command = [sys.executable, "-m", "tests.service.kills", "--root", str(root), "--kills", str(kills)]
    command += ["--seed", str(seed), *(["--careless"] if careless else [])]
    found: dict[str, int] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=600).stdout)
    return found


def _kill(root: Path, kills: int, dice: random.Random, write: Callable[[Path, random.Random], None]) -> None:
    """Starts writers, two at a time, and kills each after a moment."""
    for _ in range(-(-kills // _AT_ONCE)):
        writers = []
        for _ in range(_AT_ONCE):
            seed = dice.randrange(1 << 30)
            writer = os.fork()
            if not writer:
                try:
                    write(root, random.Random(seed))
                finally:
                    os._exit(1)  # what the parent has to tidy up is not ours
            writers.append(writer)
        for writer in writers:
            time.sleep(dice.random() * _MOMENT)
            os.kill(writer, signal.SIGKILL)
            _, status = os.waitpid(writer, 0)
            assert os.WTERMSIG(status) == signal.SIGKILL, f"a writer ended by itself: {status}"


def _blobs(root: Path) -> BlobStore:
    space = Space(root, CAPACITY, root / "drafts")
    blobs = BlobStore(_LARGEST, _LARGEST)
    blobs.keep_in(Folder(root / "blobs", root / "drafts", space, is_named), shared=True)
    return blobs


def _content(dice: random.Random) -> bytes:
    known = random.Random(dice.randrange(_BLOBS))
    return known.randbytes(known.randrange(_LARGEST))


def write_some(root: Path, dice: random.Random, count: int = sys.maxsize) -> None:
    """Writes blobs in pieces, going on with what others left."""
    blobs = _blobs(root)
    for _ in range(count):
        data = _content(dice)
        digest = hashlib.sha256(data).hexdigest()
        whole = blobs.begin(digest, len(data))
        while not whole:
            at = blobs.offset(digest)  # none as soon as the other has written all of it
            whole = at is None or blobs.append(digest, at, data[at : at + _PIECE])
        assert blobs.get(digest) in (data, None)  # the other may have made room for its own


def _write_carelessly(root: Path, dice: random.Random) -> None:
    """Writes blobs where they belong from their first byte on: what must be seen."""
    while True:
        data = _content(dice)
        digest = hashlib.sha256(data).hexdigest()
        path = root / "blobs" / digest[:2] / digest
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb", buffering=0) as file:
            for at in range(0, len(data), _PIECE):
                file.write(data[at : at + _PIECE])
                time.sleep(_MOMENT / 4)


def _look(root: Path, kills: int) -> dict[str, int]:
    whole = [path for path in (root / "blobs").rglob("*") if path.is_file()]
    corrupt = [path for path in whole if hashlib.sha256(path.read_bytes()).hexdigest() != path.name]
    readable = sum(_blobs(root).get(path.name) is not None for path in whole)
    return {"kills": kills, "whole": len(whole), "corrupt": len(corrupt), "readable": readable,
            "drafts": sum(1 for _ in root.glob("drafts/*"))}  # fmt: skip


def main() -> None:
    """Prints what there is in the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--write", type=int, help="write so many blobs and kill nobody")
    parser.add_argument("--careless", action="store_true", help="write as one must not")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        root, dice = given.root or Path(made), random.Random(given.seed)
        if given.write is None:
            _kill(root, given.kills, dice, _write_carelessly if given.careless else write_some)
            print(json.dumps(_look(root, given.kills)))
        else:
            write_some(root, dice, given.write)


if __name__ == "__main__":
    main()
