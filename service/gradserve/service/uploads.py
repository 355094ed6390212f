"""Blobs on their way from callers who must show that they have them: each caller's apart from all others'."""

from __future__ import annotations

import threading
import time
from collections import Counter

from gradserve.ir.errors import LimitExceeded
from gradserve.service.partial import Partial, gap
from gradserve.service.store import MAX_PARTIAL, PARTIAL_SECONDS

_Key = tuple[str, str]
"""A caller and the digest that he says the blob has."""


class Uploads:
    """Blobs under way by caller and digest. Safe for threads.

    Memory is taken as bytes arrive. When it runs out, who holds the most of it loses what he wrote to longest ago: so
    nobody can make another's uploads fail by beginning many.
    """

    def __init__(self, capacity: int, max_blob: int) -> None:
        """Keeps at most `capacity` bytes, of blobs of at most `max_blob`."""
        self._capacity, self._max_blob = capacity, min(max_blob, capacity)
        self._partial: dict[_Key, Partial] = {}
        self._held: Counter[str] = Counter()
        """Bytes by caller."""
        self._lock = threading.Lock()

    def offset(self, caller: str, digest: str) -> int:
        """How many leading bytes have come."""
        with self._lock:
            self._forget_old()
            found = self._partial.get((caller, digest))
            return found.offset if found else 0

    def begin(self, caller: str, digest: str, size: int) -> bytes | None:
        """Begins or goes on with a blob; its bytes if it is whole, as one without any is.

        Raises:
            InvalidRequest: another length was announced before, or it has another digest.
            LimitExceeded: it is larger than a blob may be.
        """
        if size > self._max_blob:
            raise LimitExceeded("blob_bytes", f"the blob has {size} bytes; at most {self._max_blob} are taken")
        with self._lock:
            self._forget_old()
            key = (caller, digest)
            if key not in self._partial:
                if len(self._partial) >= MAX_PARTIAL:
                    self._drop(self._idlest(self._most_begun()))
                self._partial[key] = Partial(size)
            self._partial[key].require_size(size)
            return self._finished(key)

    def append(self, caller: str, digest: str, offset: int, data: bytes) -> bytes | None:
        """Takes the bytes of a blob from `offset` on, as far as they are new; all of them once it is whole.

        Raises:
            InvalidRequest: bytes before `offset` are missing, there are too many, or all of them have another digest.
            LimitExceeded: this upload alone takes more than there is memory for.
        """
        with self._lock:
            key = (caller, digest)
            partial = self._partial.get(key)
            if partial is None:
                raise gap(offset, 0)
            new = partial.beyond(offset, data)
            self._make_room(len(new), key)
            partial.append(new)
            self._held[caller] += len(new)
            return self._finished(key)

    def _finished(self, key: _Key) -> bytes | None:
        partial = self._partial[key]
        if partial.offset < partial.size:
            return None
        self._drop(key)
        partial.require_digest(key[1])
        return partial.content()

    def _make_room(self, size: int, own: _Key) -> None:
        while self._held.total() + size > self._capacity:
            held = {caller for caller, digest in self._partial if (caller, digest) != own and self._held[caller]}
            if not held:
                raise LimitExceeded("blob_store_bytes", f"all {self._capacity} bytes for uploads are taken")
            # Of two who hold the same, whoever wants more.
            most = max(held, key=lambda caller: (self._held[caller], caller == own[0]))
            self._drop(self._idlest(most, own))

    def _idlest(self, caller: str, own: _Key | None = None) -> _Key:
        """What a caller wrote to longest ago, other than the blob that needs the room."""
        keys = [key for key in self._partial if key[0] == caller and key != own]
        return min(keys, key=lambda key: self._partial[key].touched)

    def _most_begun(self) -> str:
        """The caller with the most blobs under way."""
        return Counter(caller for caller, _ in self._partial).most_common(1)[0][0]

    def _drop(self, key: _Key) -> None:
        self._held[key[0]] -= self._partial.pop(key).offset
        if not self._held[key[0]]:
            del self._held[key[0]]

    def _forget_old(self) -> None:
        before = time.monotonic() - PARTIAL_SECONDS
        for key in [key for key, partial in self._partial.items() if partial.touched < before]:
            self._drop(key)
