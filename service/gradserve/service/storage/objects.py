"""What a place to keep bytes in can do, whichever place it is; and how one sees that they are still what they were."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Protocol, TypeAlias

Check: TypeAlias = Callable[[str, bytes], bool]
"""Whether bytes are those that were kept under a name."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SEAL_BYTES = 32


def is_digest(name: str) -> bool:
    """Whether a name can be one of what is kept: no other becomes part of a path."""
    return _DIGEST.fullmatch(name) is not None


def of_caller(caller: str, digest: str) -> str:
    """The name of what a caller does with the bytes of a digest: that digest, if he has no name."""
    return digest if not caller else hashlib.sha256(f"{caller}\0{digest}".encode()).hexdigest()


def is_named(digest: str, data: bytes) -> bool:
    """Whether bytes have the SHA-256 that names them, as those of blobs do."""
    return hashlib.sha256(data).hexdigest() == digest


def is_empty(_digest: str, data: bytes) -> bool:
    """Whether bytes are none, as those of what is there for its name alone."""
    return not data


def sealed(data: bytes) -> bytes:
    """Bytes that carry their SHA-256, for what is named by another digest than that of its bytes."""
    return hashlib.sha256(data).digest() + data


def unsealed(data: bytes) -> bytes:
    """The bytes within."""
    return data[_SEAL_BYTES:]


def is_sealed(_digest: str, data: bytes) -> bool:
    """Whether sealed bytes are as they were."""
    return hashlib.sha256(unsealed(data)).digest() == data[:_SEAL_BYTES]


class Draft(Protocol):
    """The leading bytes of an object that is being written, safe from the end of this process."""

    size: int
    """How many there are; 0 once they have been taken away, and then nothing is added any more."""

    def append(self, data: bytes) -> None:
        """Adds bytes; raises what `Objects.write` does."""
        ...

    def discard(self) -> None:
        """Forgets them."""
        ...


class Objects(Protocol):
    """Bytes by digest, for all processes that keep theirs in the same place. Safe for threads.

    What has been written is there as a whole or not at all, whenever a process is killed; what is not as it was written
    counts as not there. The least recently used are forgotten to make room.
    """

    capacity: int
    """The most bytes."""
    limit: str
    """What says so: `store_bytes`, or `store_disk` where there is less room on the disk."""

    def read(self, digest: str) -> bytes | None:
        """The bytes, looked through; None if they are not there, or not any more what they were."""
        ...

    def holds(self, digest: str) -> bool:
        """Whether there seems to be such an object, without looking through it; it counts as used."""
        ...

    def touch(self, digest: str) -> None:
        """Notes that an object is in use, wherever it was read from."""
        ...

    def write(
        self, digest: str, data: bytes, draft: Draft | None = None, lasting: bool = True, anew: bool = False
    ) -> None:
        """Keeps an object whose digest is known to be right; a `draft` may have its leading bytes.

        A `lasting` one is there even after the machine loses power. With `anew` one that is there already saves no
        work, so that the time does not tell of it.

        Raises:
            LimitExceeded: there is no room, by `limit` or on the disk. What is there stays, the draft too.
            Unavailable: the place cannot be reached.
        """
        ...

    def draft(self, digest: str) -> Draft | None:
        """A new draft; None where there are none."""
        ...

    def resumed(self, digest: str) -> tuple[Draft, bytes] | None:
        """The draft that goes furthest and its bytes, for this process alone from now on; None if there is none."""
        ...

    def drafted(self, digest: str) -> int:
        """How many bytes that one has."""
        ...
