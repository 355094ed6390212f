"""What the front end remembers between calls: nothing that a client could not send again."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict

from gradserve.ir.errors import BlobNotFound, GraphNotRegistered, LimitExceeded, Unavailable
from gradserve.ir.graph import Graph, Literal
from gradserve.runtime.caches import Lru
from gradserve.service.storage.graphs import Shelf
from gradserve.service.storage.objects import Objects, is_digest, of_caller
from gradserve.service.storage.partial import Gap, Partial, resumed
from gradserve.service.storage.uploads import Key, Uploads

_logger = logging.getLogger(__name__)

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

    def put(self, key: str, graph: Graph, anew: bool = False) -> None:
        """Remembers a graph; with `anew` by the same work whether it was there or not."""
        self._remember(key, graph)
        if self._shelf is not None and is_digest(key):
            self._shelf.write(graph, anew)

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
    it runs out, the least recently used whole blobs are forgotten, then writes under way. What clients have written is
    found again in a place beyond this memory, if there is one, and so is what broke off.

    What a caller with a name writes is taken as if it was not there yet, at every step and to the last: he could tell
    by the time whether others have sent it.
    """

    def __init__(self, capacity: int, max_blob: int) -> None:
        """Keeps at most `capacity` bytes in memory, in blobs of at most `max_blob`."""
        self.capacity = capacity
        self._largest = {"max_blob_bytes": max_blob, "blob_store_bytes": capacity}
        """The largest blob, by each limit that there is."""
        self._whole: OrderedDict[str, bytes] = OrderedDict()
        self._whole_bytes = 0
        self._uploads = Uploads()
        self._lock = threading.Lock()
        self._objects: Objects | None = None
        self._shared = False

    @property
    def held_bytes(self) -> int:
        """Bytes kept in memory."""
        return self._whole_bytes + self._uploads.bytes

    def keep_in(self, objects: Objects, shared: bool) -> None:
        """Keeps blobs there as well from now on: results only if others may look for them, as all can be made again."""
        self._objects, self._shared = objects, shared
        self._largest[objects.limit] = objects.capacity

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

    def put(self, digest: str, data: bytes, anew: bool = False) -> bool:
        """Keeps a whole blob whose digest is known to be right; answers whether it is kept beyond memory.

        With `anew` by the same work whether it was there or not.

        Raises:
            LimitExceeded: it is larger than a blob may be.
        """
        self._require_size(len(data))
        with self._lock:
            self._keep(digest, data)
        if self._objects is None or not self._shared:
            return False
        try:
            self._objects.write(digest, data, lasting=False, anew=anew)
        except (LimitExceeded, Unavailable) as error:
            _logger.warning("a result stays in memory alone: %s", error.message)
            return False
        return True

    def holds(self, digest: str) -> bool:
        """Whether there is such a blob."""
        with self._lock:
            if digest in self._whole:
                return True
        return self._objects is not None and self._objects.holds(digest)

    def offset(self, digest: str, caller: str = "") -> int | None:
        """How many leading bytes of a blob have come from a caller; None if it is whole and he has no name."""
        if not caller and self.holds(digest):
            return None
        with self._lock:
            found = self._uploads.find((caller, digest))
        if found is not None or self._objects is None:
            return found.offset if found else 0
        return self._objects.drafted(of_caller(caller, digest))

    def begin(self, digest: str, size: int, caller: str = "") -> bool:
        """Begins or goes on writing a blob; answers whether it is whole already.

        Raises:
            InvalidRequest: another length was announced before.
            LimitExceeded: it is larger than a blob may be.
        """
        self._require_size(size)
        if not caller and self.holds(digest):
            return True
        key = (caller, digest)
        with self._lock:
            partial = self._uploads.find(key)
        if partial is None:
            partial = self._begun(key, resumed(of_caller(caller, digest), size, self._objects))
        partial.require_size(size)
        with partial.lock:
            return self._finish(key, partial)

    def append(self, digest: str, offset: int, data: bytes, caller: str = "") -> bool:
        """Takes the bytes of a blob from `offset` on, as far as they are new; answers whether it is whole now.

        Raises:
            InvalidRequest: bytes before `offset` are missing, there are too many, or all of them have another digest.
            LimitExceeded: other writes have taken all memory, or there is no room beyond it. What has come stays.
        """
        key = (caller, digest)
        with self._lock:
            partial = self._uploads.find(key)
        if partial is not None:
            with partial.lock:
                if self._took(key, partial, offset, data):
                    return self._finish(key, partial)
        if caller or not self.holds(digest):
            raise Gap(offset, 0)
        return True

    def _took(self, key: Key, partial: Partial, offset: int, data: bytes) -> bool:
        """Takes the next bytes of a blob if it is still under way; answers whether it is."""
        with self._lock:
            if self._uploads.find(key) is not partial:
                return False
            new = partial.beyond(offset, data)
            self._make_room(len(new), key)
            self._uploads.take(key, new)
            return True

    def _begun(self, key: Key, partial: Partial) -> Partial:
        """The blob under way, which is this one unless another writer was faster."""
        with self._lock:
            found = self._uploads.find(key)
            if found is None:
                self._make_room(partial.offset, key)
                self._uploads.add(key, partial)
            return found or partial

    def _finish(self, key: Key, partial: Partial) -> bool:
        """Keeps a blob all of whose bytes are there; answers whether it is one."""
        caller, digest = key
        if partial.offset < partial.size:
            if self._objects is not None and partial.offset:
                partial.save(of_caller(caller, digest), self._objects)
            return False
        if partial.digest != digest:
            with self._lock:
                self._uploads.drop(key)
            if partial.draft is not None:
                partial.draft.discard()
        partial.require_digest(digest)
        data = partial.content()
        if self._objects is not None:
            self._objects.write(digest, data, partial.draft, anew=bool(caller))
        with self._lock:
            if self._uploads.find(key) is partial:
                self._uploads.drop(key)
            self._keep(digest, data)
        return True

    def _remember(self, digest: str, data: bytes) -> None:
        """Keeps in memory what was read elsewhere, if it takes the place of whole blobs alone."""
        with self._lock:
            if len(data) <= self.capacity - self._uploads.bytes:
                self._keep(digest, data)

    def _keep(self, digest: str, data: bytes) -> None:
        """Puts a whole blob into memory, in the place of an equal one if there is one."""
        self._whole_bytes -= len(self._whole.pop(digest, b""))
        self._make_room(len(data))
        self._whole[digest] = data
        self._whole_bytes += len(data)

    def _make_room(self, size: int, own: Key = ("", "")) -> None:
        while self.held_bytes + size > self.capacity:
            if self._whole:
                self._whole_bytes -= len(self._whole.popitem(last=False)[1])
            elif not self._uploads.make_way(own):
                raise LimitExceeded("blob_store_bytes", f"all {self.capacity} bytes for blobs are taken")

    def _require_size(self, size: int) -> None:
        most, limit = min((bytes_, name) for name, bytes_ in self._largest.items())
        if size > most:
            raise LimitExceeded(limit, f"the blob has {size} bytes; the limit {limit} is {most}")
