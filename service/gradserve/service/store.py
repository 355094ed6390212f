"""What the front end remembers between calls: nothing that a client could not send again."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

from gradserve.ir.errors import BlobNotFound, GraphNotRegistered, LimitExceeded
from gradserve.ir.graph import Graph, Literal
from gradserve.runtime.caches import Lru
from gradserve.service.partial import Partial, gap

PARTIAL_SECONDS = 600.0
"""How long a broken-off write can be gone on with."""
MAX_PARTIAL = 1024
"""How many writes may be under way or broken off; the one longest without a byte is forgotten for the next."""
_NODE_BYTES = 2048
"""What a node with its operands and types takes in memory, roughly."""


class GraphStore:
    """Graphs by key: registered ones by their digest, others by the digest of their message. Safe for threads."""

    def __init__(self, capacity: int, max_count: int) -> None:
        """Keeps at most `max_count` graphs, of at most `capacity` bytes in all."""
        self._graphs: Lru[str, Graph] = Lru(capacity)
        self._least = capacity // max_count

    def put(self, key: str, graph: Graph) -> None:
        """Remembers a graph."""
        self._graphs.put(key, graph, max(self._least, size_of(graph)))

    def find(self, key: str) -> Graph | None:
        """The graph, or None."""
        return self._graphs.get(key)

    def get(self, digest: str) -> Graph:
        """The graph registered under a digest.

        Raises:
            GraphNotRegistered: there is none.
        """
        found = self._graphs.get(digest)
        if found is None:
            raise not_registered(digest)
        return found

    def __len__(self) -> int:
        return len(self._graphs)


def not_registered(digest: str) -> GraphNotRegistered:
    """Tells that there is no such graph."""
    return GraphNotRegistered(f"no graph {digest[:64]!r} is registered; register it, or send it inline")


def size_of(graph: Graph) -> int:
    """Roughly the bytes that a graph takes in memory."""
    constants = sum(c.array.nbytes for c in graph.constants if isinstance(c, Literal))
    return constants + _NODE_BYTES * (1 + len(graph.nodes) + len(graph.inputs) + len(graph.constants))


class BlobStore:
    """Blobs by the SHA-256 of their bytes. Safe for threads.

    Blobs under way count as well as whole ones. Memory is taken as bytes arrive, not as a client announces them; when
    it runs out, the least recently used whole blobs are forgotten, then the writes longest without a byte.
    """

    def __init__(self, capacity: int, max_blob: int) -> None:
        """Keeps at most `capacity` bytes, in blobs of at most `max_blob`."""
        self.capacity = capacity
        self.max_blob = min(max_blob, capacity)
        self.bytes = 0
        """Bytes kept."""
        self._whole: OrderedDict[str, bytes] = OrderedDict()
        self._partial: dict[str, Partial] = {}
        self._lock = threading.Lock()

    def get(self, digest: str) -> bytes | None:
        """The blob, or None."""
        with self._lock:
            found = self._whole.get(digest)
            if found is not None:
                self._whole.move_to_end(digest)
            return found

    def read(self, digest: str) -> bytes:
        """The blob.

        Raises:
            BlobNotFound: it is not there.
        """
        found = self.get(digest)
        if found is None:
            raise BlobNotFound([digest])
        return found

    def put(self, digest: str, data: bytes) -> None:
        """Keeps a whole blob whose digest is known to be right.

        Raises:
            LimitExceeded: it is larger than a blob may be.
        """
        self._require_size(len(data))
        with self._lock:
            if digest not in self._whole:
                self._make_room(len(data))
                self._keep(digest, data)

    def offset(self, digest: str) -> int | None:
        """How many leading bytes of a blob are there; None if it is whole."""
        with self._lock:
            self._forget_old()
            if digest in self._whole:
                return None
            found = self._partial.get(digest)
            return found.offset if found else 0

    def begin(self, digest: str, size: int) -> bool:
        """Begins or goes on writing a blob; answers whether it is whole already.

        Raises:
            InvalidRequest: another length was announced before.
            LimitExceeded: it is larger than a blob may be.
        """
        self._require_size(size)
        with self._lock:
            self._forget_old()
            if digest in self._whole:
                return True
            if digest not in self._partial:
                self._require_few()
                self._partial[digest] = Partial(size)
            self._partial[digest].require_size(size)
            return self._finish(digest)

    def append(self, digest: str, offset: int, data: bytes) -> bool:
        """Takes the bytes of a blob from `offset` on, as far as they are new; answers whether it is whole now.

        Raises:
            InvalidRequest: bytes before `offset` are missing, there are too many, or all of them have another digest.
            LimitExceeded: other writes have taken all memory.
        """
        with self._lock:
            if digest in self._whole:
                return True
            partial = self._partial.get(digest)
            if partial is None:
                raise gap(offset, 0)
            new = partial.beyond(offset, data)
            self._make_room(len(new), digest)
            partial.append(new)
            self.bytes += len(new)
            return self._finish(digest)

    def _finish(self, digest: str) -> bool:
        """Keeps a blob all of whose bytes are there; answers whether it is one."""
        partial = self._partial[digest]
        if partial.offset < partial.size:
            return False
        self._drop(digest)
        partial.require_digest(digest)
        self._keep(digest, partial.content())
        return True

    def _keep(self, digest: str, data: bytes) -> None:
        self._whole[digest] = data
        self.bytes += len(data)

    def _drop(self, digest: str) -> None:
        self.bytes -= self._partial.pop(digest).offset

    def _make_room(self, size: int, own: str = "") -> None:
        while self.bytes + size > self.capacity:
            if self._whole:
                self.bytes -= len(self._whole.popitem(last=False)[1])
                continue
            others = [digest for digest, partial in self._partial.items() if digest != own and partial.offset]
            if not others:
                raise LimitExceeded("blob_store_bytes", f"all {self.capacity} bytes for blobs are taken")
            self._drop(min(others, key=lambda digest: self._partial[digest].touched))

    def _require_few(self) -> None:
        """Makes place for one more write under way: even one without a byte takes some memory."""
        if len(self._partial) >= MAX_PARTIAL:
            self._drop(min(self._partial, key=lambda digest: self._partial[digest].touched))

    def _forget_old(self) -> None:
        before = time.monotonic() - PARTIAL_SECONDS
        for digest in [digest for digest, partial in self._partial.items() if partial.touched < before]:
            self._drop(digest)

    def _require_size(self, size: int) -> None:
        if size > self.max_blob:
            raise LimitExceeded("blob_bytes", f"the blob has {size} bytes; at most {self.max_blob} are taken")
