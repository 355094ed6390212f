"""A blob that is being written."""

from __future__ import annotations

import hashlib
import io
import threading
import time

from gradserve.ir.errors import InvalidRequest, Violation
from gradserve.service.storage.objects import Draft, Objects


class Gap(InvalidRequest):
    """Bytes between those that are there and those that come are missing."""

    def __init__(self, offset: int, have: int) -> None:
        """So many are there, and others come at `offset`."""
        text = f"{offset} leaves a gap: the next byte wanted is {have}; ask FindMissingBlobs where to go on"
        super().__init__("the blob does not fit", [Violation("offset", "B4", text)])


class Partial:
    """The leading bytes of a blob, and their digest so far; in a draft as well, if more than one piece makes it."""

    def __init__(self, size: int, draft: Draft | None = None, data: bytes = b"") -> None:
        """A blob of so many bytes, of which `data` has come already and is in the draft."""
        self.size = size
        self.offset = 0
        self.touched = time.monotonic()
        self.lock = threading.Lock()
        """Held by the writer whose bytes come next."""
        self.draft = draft
        self._lost = False
        self._buffer = io.BytesIO()
        self._hash = hashlib.sha256()
        self.append(data)

    def append(self, data: bytes) -> None:
        """Takes the next bytes."""
        self._buffer.write(data)
        self._hash.update(data)
        self.offset += len(data)
        self.touched = time.monotonic()

    def save(self, digest: str, objects: Objects) -> None:
        """Brings the draft up to what has come; raises what `Objects.write` does."""
        if self._lost:
            return
        self.draft = self.draft or objects.draft(digest)
        if self.draft is not None:
            before = self.draft.size
            # A copy: the traceback of a full disk would hold a view, and no buffer grows that is viewed.
            self.draft.append(bytes(self._buffer.getbuffer()[before:]))
            self._lost = before > 0 and not self.draft.size

    @property
    def digest(self) -> str:
        """That of what has come."""
        return self._hash.hexdigest()

    def content(self) -> bytes:
        """What has come."""
        return self._buffer.getvalue()  # shares the buffer: no copy

    def beyond(self, offset: int, data: bytes) -> bytes:
        """The bytes from `offset` on, as far as they are new.

        Raises:
            Gap: bytes before `offset` are missing.
            InvalidRequest: there are too many.
        """
        if offset > self.offset:
            raise Gap(offset, self.offset)
        if offset + len(data) > self.size:
            text = f"the chunk ends at {offset + len(data)} and the blob at {self.size}"
            raise InvalidRequest("the blob does not fit", [Violation("data", "B5", text)])
        return data[self.offset - offset :] if offset < self.offset else data

    def require_size(self, size: int) -> None:
        """Refuses another length than was announced before; raises InvalidRequest."""
        if self.size != size:
            text = f"{size} is not the length that an earlier write announced, {self.size}"
            raise InvalidRequest("the blob does not fit", [Violation("size", "B3", text)])

    def require_digest(self, digest: str) -> None:
        """Refuses bytes that have another digest than they should; raises InvalidRequest."""
        if self.digest != digest:
            text = f"the bytes have the digest {self.digest}; write the blob again from its first byte"
            raise InvalidRequest("the blob does not fit", [Violation("digest", "B6", text)])


def resumed(digest: str, size: int, objects: Objects | None) -> Partial:
    """A blob of so many bytes, from where a process that has ended left it."""
    found = objects.resumed(digest) if objects else None
    if found is None:
        return Partial(size)
    draft, data = found
    if len(data) > size:
        draft.discard()
        return Partial(size)
    return Partial(size, draft, data)
