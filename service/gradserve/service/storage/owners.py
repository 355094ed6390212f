"""Whose graphs and blobs are whose: what a caller has not sent himself is not there for him.

The same bytes of two callers are kept once. For who names a digest that he has not sent, the stores are not even asked,
so that neither the answer nor the time that it takes tells whether others have sent it; and when he sends it, it is
kept by the same work as if nobody had. A service that asks nobody who he is has one caller, whose name is empty, and
everything is his.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict

from gradserve.ir.errors import BlobNotFound, LimitExceeded, Unavailable
from gradserve.ir.graph import Graph
from gradserve.service.storage.objects import Objects, is_digest, of_caller
from gradserve.service.storage.store import BlobStore, GraphStore, not_registered

_logger = logging.getLogger(__name__)


class Owners:
    """Who has sent what: as far as is remembered, and as is kept in a place beyond memory. Safe for threads.

    When there is too much of it in memory, who has sent the most is forgotten what he used longest ago: nobody can make
    the service forget what others have sent.
    """

    def __init__(self, most: int) -> None:
        """Remembers so many pairs of a caller and what he sent."""
        self._most = most
        self._count = 0
        self._sent: dict[str, OrderedDict[str, None]] = {}
        self._lock = threading.Lock()
        self._claims: Objects | None = None
        self._realm = ""

    def keep_in(self, claims: Objects, realm: str) -> None:
        """Keeps what callers have sent there as well, each pair as an object without bytes that is named by both.

        In another `realm` the same names are other callers.
        """
        self._claims, self._realm = claims, realm

    def add(self, caller: str, key: str, kept: bool = True) -> None:
        """Takes down that a caller has sent something; beyond memory too if that is where it is `kept`."""
        if not caller:
            return
        self._remember(caller, key)
        if self._claims is None or not kept or not is_digest(key):
            return
        try:
            self._claims.write(self._claim(caller, key), b"", lasting=False)
        except (LimitExceeded, Unavailable) as error:
            _logger.warning("whose %s is stays in memory alone: %s", key, error.message)

    def has(self, caller: str, key: str) -> bool:
        """Whether he has."""
        if not caller:
            return True
        with self._lock:
            sent = self._sent.get(caller)
            found = sent is not None and key in sent
            if sent is not None and found:
                sent.move_to_end(key)
        if self._claims is None or not is_digest(key):
            return found
        claim = self._claim(caller, key)
        if found:
            self._claims.touch(claim)
        elif self._claims.holds(claim):
            self._remember(caller, key)
            return True
        return found

    def _claim(self, caller: str, key: str) -> str:
        return of_caller(f"{self._realm}\0{caller}", key)

    def _remember(self, caller: str, key: str) -> None:
        with self._lock:
            sent = self._sent.setdefault(caller, OrderedDict())
            self._count += key not in sent
            sent[key] = None
            sent.move_to_end(key)
            if self._count > self._most:
                self._forget_one()

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
        self._store.put(key, graph, anew=not self._owners.has(self._caller, key))
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

    def __init__(self, store: BlobStore, owners: Owners, caller: str) -> None:
        """`store` has everybody's."""
        self._store, self._owners, self._caller = store, owners, caller

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
        kept = self._store.put(digest, data, anew=not self._owners.has(self._caller, digest))
        self._owners.add(self._caller, digest, kept)

    def offset(self, digest: str) -> int | None:
        """How many leading bytes he has sent; None if it is whole."""
        return None if self._is_whole(digest) else self._store.offset(digest, self._caller)

    def begin(self, digest: str, size: int) -> bool:
        """Begins or goes on writing a blob; answers whether it is whole already. Raises what `BlobStore.begin` does."""
        return self._is_whole(digest) or self._taken(digest, self._store.begin(digest, size, self._caller))

    def append(self, digest: str, offset: int, data: bytes) -> bool:
        """Takes the next bytes; answers whether the blob is whole now. Raises what `BlobStore.append` does."""
        return self._is_whole(digest) or self._taken(digest, self._store.append(digest, offset, data, self._caller))

    def _taken(self, digest: str, whole: bool) -> bool:
        """Makes a blob his once all of its bytes have come; answers whether they have."""
        if whole:
            self._owners.add(self._caller, digest)
        return whole

    def _is_whole(self, digest: str) -> bool:
        """Whether a caller with a name has sent all of it; of others the store knows."""
        return bool(self._caller) and self._owners.has(self._caller, digest) and self._store.holds(digest)


class Owned:
    """The stores, by caller."""

    def __init__(self, graphs: GraphStore, blobs: BlobStore, most: int) -> None:
        """Remembers so many pairs of a caller and what he sent."""
        self._graphs, self._blobs, self.owners = graphs, blobs, Owners(most)

    def graphs(self, caller: str) -> OwnedGraphs:
        """His graphs."""
        return OwnedGraphs(self._graphs, self.owners, caller)

    def blobs(self, caller: str) -> OwnedBlobs:
        """His blobs."""
        return OwnedBlobs(self._blobs, self.owners, caller)
