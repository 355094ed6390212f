"""Whose graphs and blobs are whose: what a caller has not sent himself is not there for him.

The same bytes of two callers are kept once. For who names a digest that he has not sent, the stores are not even asked,
so that neither the answer nor the time that it takes tells whether others have sent it. A service that asks nobody who
he is has one caller, whose name is empty, and everything is his.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from gradserve.ir.errors import BlobNotFound
from gradserve.ir.graph import Graph
from gradserve.service.store import BlobStore, GraphStore, not_registered
from gradserve.service.uploads import Uploads


class Owners:
    """Who has sent what, as far as is remembered. Safe for threads.

    When there is too much of it, who has sent the most is forgotten what he used longest ago: nobody can make the
    service forget what others have sent.
    """

    def __init__(self, most: int) -> None:
        """Remembers so many pairs of a caller and what he sent."""
        self._most = most
        self._count = 0
        self._sent: dict[str, OrderedDict[str, None]] = {}
        self._lock = threading.Lock()

    def add(self, caller: str, key: str) -> None:
        """Takes down that a caller has sent something."""
        if not caller:
            return
        with self._lock:
            sent = self._sent.setdefault(caller, OrderedDict())
            self._count += key not in sent
            sent[key] = None
            sent.move_to_end(key)
            if self._count > self._most:
                self._forget_one()

    def has(self, caller: str, key: str) -> bool:
        """Whether he has."""
        if not caller:
            return True
        with self._lock:
            sent = self._sent.get(caller)
            if sent is None or key not in sent:
                return False
            sent.move_to_end(key)
            return True

    def _forget_one(self) -> None:
        caller = max(self._sent, key=lambda caller: len(self._sent[caller]))
        self._sent[caller].popitem(last=False)
        self._count -= 1
        if not self._sent[caller]:
            del self._sent[caller]


class OwnedGraphs:
    """The graphs of one caller: a `GraphStore` that has no others."""

    def __init__(self, store: GraphStore, owners: Owners, caller: str) -> None:
        """`store` has everybody's."""
        self._store, self._owners, self._caller = store, owners, caller

    def put(self, key: str, graph: Graph) -> None:
        """Remembers a graph that he has sent."""
        self._store.put(key, graph)
        self._owners.add(self._caller, key)

    def find(self, key: str) -> Graph | None:
        """The graph, or None."""
        return self._store.find(key) if self._owners.has(self._caller, key) else None

    def get(self, digest: str) -> Graph:
        """The graph registered under a digest.

        Raises:
            GraphNotRegistered: there is none of his.
        """
        if not self._owners.has(self._caller, digest):
            raise not_registered(digest)
        return self._store.get(digest)


class OwnedBlobs:
    """The blobs of one caller: a `BlobStore` that has no others, nor others' writes under way."""

    def __init__(self, store: BlobStore, uploads: Uploads, owners: Owners, caller: str) -> None:
        """`store` has everybody's; in `uploads` is what callers with names are writing."""
        self._store, self._uploads, self._owners, self._caller = store, uploads, owners, caller

    def get(self, digest: str) -> bytes | None:
        """The blob, or None."""
        return self._store.get(digest) if self._owners.has(self._caller, digest) else None

    def read(self, digest: str) -> bytes:
        """The blob.

        Raises:
            BlobNotFound: there is none of his.
        """
        if not self._owners.has(self._caller, digest):
            raise BlobNotFound([digest])
        return self._store.read(digest)

    def put(self, digest: str, data: bytes) -> None:
        """Keeps a whole blob that is his and whose digest is known to be right; raises what `BlobStore.put` does."""
        self._store.put(digest, data)
        self._owners.add(self._caller, digest)

    def offset(self, digest: str) -> int | None:
        """How many leading bytes he has sent; None if it is whole."""
        if not self._caller:
            return self._store.offset(digest)
        return None if self._is_whole(digest) else self._uploads.offset(self._caller, digest)

    def begin(self, digest: str, size: int) -> bool:
        """Begins or goes on writing a blob; answers whether it is whole already. Raises what `BlobStore.begin` does."""
        if not self._caller:
            return self._store.begin(digest, size)
        return self._is_whole(digest) or self._taken(digest, self._uploads.begin(self._caller, digest, size))

    def append(self, digest: str, offset: int, data: bytes) -> bool:
        """Takes the next bytes; answers whether the blob is whole now. Raises what `BlobStore.append` does."""
        if not self._caller:
            return self._store.append(digest, offset, data)
        return self._is_whole(digest) or self._taken(digest, self._uploads.append(self._caller, digest, offset, data))

    def _taken(self, digest: str, data: bytes | None) -> bool:
        """Makes a blob his once all of its bytes have come; answers whether they have."""
        if data is None:
            return False
        self.put(digest, data)
        return True

    def _is_whole(self, digest: str) -> bool:
        return self._owners.has(self._caller, digest) and self._store.offset(digest) is None


class Owned:
    """The stores, by caller."""

    def __init__(self, graphs: GraphStore, blobs: BlobStore, uploads: Uploads, most: int) -> None:
        """Remembers so many pairs of a caller and what he sent."""
        self._graphs, self._blobs, self._uploads, self._owners = graphs, blobs, uploads, Owners(most)

    def graphs(self, caller: str) -> OwnedGraphs:
        """His graphs."""
        return OwnedGraphs(self._graphs, self._owners, caller)

    def blobs(self, caller: str) -> OwnedBlobs:
        """His blobs."""
        return OwnedBlobs(self._blobs, self._uploads, self._owners, caller)
