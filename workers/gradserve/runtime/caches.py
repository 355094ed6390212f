"""A bounded cache."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Lru(Generic[K, V]):
    """The most recently used entries, of a bounded total weight. Safe for threads."""

    def __init__(self, capacity: int) -> None:
        """`capacity` is the largest sum of weights; the newest entry stays even if it alone is heavier."""
        self._capacity = capacity
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._weight = 0
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """The entry under `key`, or None."""
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                return None
            self._entries.move_to_end(key)
            return found[0]

    def put(self, key: K, value: V, weight: int = 1) -> None:
        """Adds or replaces an entry, and drops the oldest ones to make room."""
        with self._lock:
            self._drop(key)
            self._entries[key] = (value, weight)
            self._weight += weight
            while self._weight > self._capacity and len(self._entries) > 1:
                self._drop(next(iter(self._entries)))

    def discard(self, which: Callable[[V], bool]) -> list[V]:
        """Drops all entries of which that is true, and answers them."""
        with self._lock:
            dropped = {key: value for key, (value, _) in self._entries.items() if which(value)}
            for key in dropped:
                self._drop(key)
            return list(dropped.values())

    def _drop(self, key: K) -> None:
        if key in self._entries:
            self._weight -= self._entries.pop(key)[1]

    def __contains__(self, key: K) -> bool:
        with self._lock:
            return key in self._entries

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)
