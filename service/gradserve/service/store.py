"""What the front end remembers between calls: nothing that a client could not send again."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict

from gradserve.ir.errors import BlobNotFound, GraphNotRegistered, LimitExceeded, Unavailable
from gradserve.ir.graph import Graph, Literal
from gradserve.runtime.caches import Lru
from gradserve.service.partial import Partial, gap, resumed
from gradserve.service.storage.graphs import Shelf
from gradserve.service.storage.objects import Objects, is_digest

_logger = logging.getLogger(__name__)

PARTIAL_SECONDS = 600.0
"""How long a broken-off write can be gone on with."""
MAX_PARTIAL = 1024
"""How many writes may be under way or broken off; the one longest without a byte is forgotten for the next."""
_NODE_BYTES = 2048
"""What a node with its operands and types takes in memory, roughly."""


class GraphStore:
    """Graphs by key: registered ones by their digest, others by the digest of their message. Safe for threads.

    Those in use are in memory, decoded; registered ones are on a shelf as well, if there is one.
    """

    def __init__(self, capacity: int, max_count: int) -> None:
        """Keeps at most `max_count` graphs in memory, of at most `capacity` bytes in all."""
        self._graphs: Lru[str, Graph] = Lru(capacity)
        self._least = capacity // max_count
        self._shelf: Shelf | None = None

    def keep_on(self, shelf: Shelf) -> None:
        """Keeps registered graphs on a shelf from now on."""
        self._shelf = shelf

    def put(self, key: str, graph: Graph) -> None:
        """Remembers a graph."""
        self._remember(key, graph)
        if self._shelf is not None and is_digest(key):
            self._shelf.write(graph)

    def find(self, key: str) -> Graph | None:
        """The graph, or None."""
        found = self._graphs.get(key)
        if found is None and self._shelf is not None and is_digest(key):
            found = self._shelf.read(key)
            if found is not None:
                self._remember(key, found)
        return found

    def get(self, digest: str) -> Graph:
        """The graph registered under a digest.

        Raises:
            GraphNotRegistered: there is none.
        """
        found = self.find(digest)
        if found is None:
            raise not_registered(digest)
        return found

    def _remember(self, key: str, graph: Graph) -> None:
        self._graphs.put(key, graph, max(self._least, size_of(graph)))

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
    it runs out, the least recently used whole blobs are forgotten, then the writes longest without a byte. What clients
    have written is found again in a place beyond this memory, if there is one, and so is what broke off.
    """

    def __init__(self, capacity: int, max_blob: int) -> None:
        """Keeps at most `capacity` bytes in memory, in blobs of at most `max_blob`."""
        self.capacity = capacity
        self.max_blob = min(max_blob, capacity)
        self.bytes = 0
        """Bytes kept in memory."""
        self._whole: OrderedDict[str, bytes] = OrderedDict()
        self._partial: dict[str, Partial] = {}
        self._lock = threading.Lock()
        self._objects: Objects | None = None
        self._shared = False

    def keep_in(self, objects: Objects, shared: bool) -> None:
        """Keeps blobs there as well from now on: results only if others may look for them, as all can be made again."""
        self._objects, self._shared = objects, shared
        self.max_blob = min(self.max_blob, objects.capacity)

    def get(self, digest: str) -> bytes | None:
        """The blob, or None."""
        with self._lock:
            found = self._whole.get(digest)
            if found is not None:
                self._whole.move_to_end(digest)
        if self._objects is None:
            return found
        if found is not None:
            self._objects.touch(digest)
            return found
        found = self._objects.read(digest)
        if found is not None:
            self._remember(digest, found)
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
            if digest in self._whole:
                return
            self._make_room(len(data))
            self._keep(digest, data)
        if self._objects is not None and self._shared:
            try:
                self._objects.write(digest, data, lasting=False)
            except (LimitExceeded, Unavailable) as error:
                _logger.warning("a result stays in memory alone: %s", error.message)

    def offset(self, digest: str) -> int | None:
        """How many leading bytes of a blob are there; None if it is whole."""
        with self._lock:
            self._forget_old()
            if digest in self._whole:
                return None
            if found := self._partial.get(digest):
                return found.offset
        if self._objects is None:
            return 0
        return None if self._objects.holds(digest) else self._objects.drafted(digest)

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
            partial = self._partial.get(digest)
        if partial is None:
            if self._objects is not None and self._objects.holds(digest):
                return True
            partial = self._begun(digest, resumed(digest, size, self._objects))
        partial.require_size(size)
        with partial.lock:
            return self._finish(digest, partial)

    def append(self, digest: str, offset: int, data: bytes) -> bool:
        """Takes the bytes of a blob from `offset` on, as far as they are new; answers whether it is whole now.

        Raises:
            InvalidRequest: bytes before `offset` are missing, there are too many, or all of them have another digest.
            LimitExceeded: other writes have taken all memory, or there is no room beyond it. What has come stays.
        """
        with self._lock:
            partial = self._partial.get(digest)
            if partial is None and digest not in self._whole:
                raise gap(offset, 0)
        if partial is None:
            return True
        with partial.lock:
            with self._lock:
                if self._partial.get(digest) is not partial:
                    if digest in self._whole:
                        return True
                    raise gap(offset, 0)
                new = partial.beyond(offset, data)
                self._make_room(len(new), digest)
                partial.append(new)
                self.bytes += len(new)
            return self._finish(digest, partial)

    def _begun(self, digest: str, partial: Partial) -> Partial:
        """The blob under way, which is this one unless another writer was faster."""
        with self._lock:
            if digest not in self._partial:
                self._require_few()
                self._make_room(partial.offset)
                self._partial[digest] = partial
                self.bytes += partial.offset
            return self._partial[digest]

    def _finish(self, digest: str, partial: Partial) -> bool:
        """Keeps a blob all of whose bytes are there; answers whether it is one."""
        if partial.offset < partial.size:
            if self._objects is not None and partial.offset:
                partial.save(digest, self._objects)
            return False
        if partial.digest != digest:
            with self._lock:
                self._drop(digest)
            if partial.draft is not None:
                partial.draft.discard()
        partial.require_digest(digest)
        data = partial.content()
        if self._objects is not None:
            self._objects.write(digest, data, partial.draft)
        with self._lock:
            if self._partial.get(digest) is partial:
                self._drop(digest)
            if digest not in self._whole:
                self._make_room(len(data))
                self._keep(digest, data)
        return True

    def _remember(self, digest: str, data: bytes) -> None:
        """Keeps in memory what was read elsewhere, if it takes the place of whole blobs alone."""
        with self._lock:
            under_way = self.bytes - sum(map(len, self._whole.values()))
            if digest not in self._whole and len(data) <= self.capacity - under_way:
                self._make_room(len(data))
                self._keep(digest, data)

    def _keep(self, digest: str, data: bytes) -> None:
        self._whole[digest] = data
        self.bytes += len(data)

    def _drop(self, digest: str) -> None:
        dropped = self._partial.pop(digest, None)
        self.bytes -= dropped.offset if dropped else 0

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
