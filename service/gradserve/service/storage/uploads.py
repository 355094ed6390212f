"""Blobs that are being written: each caller's apart from all others'."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from typing import TypeAlias

from gradserve.service.storage.partial import Partial

Key: TypeAlias = tuple[str, str]
"""A caller, whose name is empty where nobody is asked who he is, and the digest that he says the blob has."""

PARTIAL_SECONDS = 600.0
"""How long a broken-off write can be gone on with."""
MAX_PARTIAL = 1024
"""How many writes may be under way or broken off: even one without a byte takes some memory."""


class Uploads:
    """Blobs under way. Not safe for threads.

    When there are too many of them, or no memory, who has the most loses what he wrote to longest ago: nobody can make
    another's uploads fail by beginning many.
    """

    def __init__(self) -> None:
        """There are none."""
        self.bytes = 0
        """All that has come of them."""
        self._partial: OrderedDict[Key, Partial] = OrderedDict()
        """What was written to last comes last."""
        self._held: Counter[str] = Counter()
        """Bytes by caller."""

    def find(self, key: Key) -> Partial | None:
        """What has come of a blob, unless that was too long ago."""
        before = time.monotonic() - PARTIAL_SECONDS
        while self._partial and next(iter(self._partial.values())).touched < before:
            self.drop(next(iter(self._partial)))
        return self._partial.get(key)

    def add(self, key: Key, partial: Partial) -> None:
        """Begins a blob, of which something may be there already."""
        if len(self._partial) >= MAX_PARTIAL:
            most = Counter(caller for caller, _ in self._partial).most_common(1)[0][0]
            self.drop(next(other for other in self._partial if other[0] == most))
        self._partial[key] = partial
        self._count(key, partial.offset)

    def take(self, key: Key, data: bytes) -> None:
        """Adds the next bytes of a blob."""
        self._partial[key].append(data)
        self._partial.move_to_end(key)
        self._count(key, len(data))

    def drop(self, key: Key) -> None:
        """Forgets what has come of a blob, if anything has."""
        dropped = self._partial.pop(key, None)
        if dropped is not None:
            self._count(key, -dropped.offset)

    def make_way(self, own: Key) -> bool:
        """Forgets a blob other than this one, so that there is memory for it; answers whether there was one."""
        others = [key for key, partial in self._partial.items() if key != own and partial.offset]
        if not others:
            return False
        # Of two who hold the same, whoever wants more.
        most = max({caller for caller, _ in others}, key=lambda caller: (self._held[caller], caller == own[0]))
        self.drop(next(key for key in others if key[0] == most))
        return True

    def _count(self, key: Key, size: int) -> None:
        self.bytes += size
        self._held[key[0]] += size
        if not self._held[key[0]]:
            del self._held[key[0]]
