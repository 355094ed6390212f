"""Large arrays: written once, in chunks, under the digest of their bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np

from gradserve import wire
from gradserve.client.transport.memory import Lease
from gradserve.client.transport.replies import wrong
from gradserve.client.transport.steps import Begin, Next, Send, Steps
from gradserve.ir.errors import InvalidRequest, Unavailable, Violation, shown
from gradserve.ir.graph import BlobRef
from gradserve.ir.types import Array, TensorType, type_of
from gradserve.questions.call import Argument
from gradserve.v1 import blob_service_pb2 as pb
from gradserve.v1 import tensor_pb2
from gradserve.wire.source import fill_inline
from gradserve.wire.tensors import encode_constant

CHUNK_BYTES = 1 << 20
INLINE_BYTES = 16 << 20
"""Arguments above this travel as blobs."""
REQUEST_BYTES = 32 << 20
"""What the arguments inside one request may take together; further ones travel as blobs."""


class Blobs:
    """The blobs of one server, as far as this client has written them. Safe for threads."""

    def __init__(self) -> None:
        """Nothing is known to be there."""
        self._written: set[str] = set()

    def forget(self) -> None:
        """Assumes no longer that the server has anything."""
        self._written = set()

    def write(self, contents: Mapping[str, Array]) -> Steps[None]:
        """Sees to it that the server has these arrays, given by digest; what it has of them is not sent again."""
        wanted = {digest: array for digest, array in contents.items() if digest not in self._written}
        if not wanted:
            return
        reply = yield Send("FindMissingBlobs", pb.FindMissingBlobsRequest(digests=list(wanted)))
        for blob in reply.missing:
            array = wanted.get(blob.digest)
            if array is None or not 0 <= blob.offset <= array.nbytes:
                text = f"it lacks {shown(blob.digest)} from byte {blob.offset} on, which it was not asked about"
                raise wrong("FindMissingBlobs", [Violation("missing", "A3", text)])
            yield from _write(blob.digest, array, blob.offset)
        self._written.update(wanted)

    def read(self, digest: str) -> Steps[bytes]:
        """The bytes of a blob. A read that breaks off is gone on with, as long as that brings more bytes.

        Raises:
            BlobNotFound: it is not there.
            InvalidReply: what comes is another one, or has no end.
        """
        data = bytearray()
        while True:
            have = len(data)
            try:
                stream = yield Begin("ReadBlob", pb.ReadBlobRequest(digest=digest, offset=have))
                size = have + 1
                while (reply := (yield Next(stream))) is not None:
                    data += _next(reply, len(data))
                    size = reply.size
                if len(data) < size:
                    raise Unavailable(f"the service ended blob {digest} after {len(data)} bytes")
                return _whole(digest, bytes(data))
            except Unavailable:
                if len(data) == have:
                    raise


def _write(digest: str, array: Array, offset: int) -> Steps[None]:
    """Writes an array from `offset` on, or anew if what the service had before that is gone meanwhile."""
    try:
        yield Send("WriteBlob", _chunks(digest, array, offset))
    except InvalidRequest as error:
        if not (offset and any(each.field == "offset" for each in error.violations)):
            raise
        yield Send("WriteBlob", _chunks(digest, array, 0))


class Filler:
    """Puts the arrays of one request into its messages: small ones inline, of large ones place or digest."""

    def __init__(self, lease: Lease | None = None, narrows: bool = False) -> None:
        """There is room for `REQUEST_BYTES`, besides what lies in shared memory, if there is any.

        With `narrows` float64 is sent as float32 where that has all numbers of an array.
        """
        self._lease, self._narrows = lease, narrows
        self._room = REQUEST_BYTES
        self.large: dict[str, Array] = {}
        """Those that the server must have before it gets the request, by digest."""

    def __call__(self, message: tensor_pb2.Tensor, argument: Argument) -> None:
        """Fills an empty message."""
        if self._lease is not None and self._lease.fill(message, argument):
            return
        narrow = None
        if self._narrows and not isinstance(argument, TensorType):
            narrow = wire.narrowed(argument)
        self._put(message, argument if narrow is None else narrow)
        if narrow is not None:
            wire.mark_narrow(message)

    def _put(self, message: tensor_pb2.Tensor, argument: Argument) -> None:
        if isinstance(argument, TensorType) or argument.nbytes <= min(INLINE_BYTES, self._room):
            self._room -= 0 if isinstance(argument, TensorType) else argument.nbytes
            fill_inline(message, argument)
            return
        array = np.ascontiguousarray(argument)
        digest = hashlib.sha256(array.data).hexdigest()
        self.large[digest] = array
        message.CopyFrom(encode_constant(BlobRef(type_of(array), digest), 0))


def _next(chunk: pb.ReadBlobResponse, have: int) -> bytes:
    """The bytes of a chunk that comes after so many."""
    end = have + len(chunk.data)
    if chunk.offset != have or end > chunk.size or (end == have and have < chunk.size):
        text = f"{len(chunk.data)} bytes of {chunk.size} come at {chunk.offset}, where {have} are there"
        raise wrong("ReadBlob", [Violation("offset", "A3", text)])
    return chunk.data


def _whole(digest: str, data: bytes) -> bytes:
    """The bytes, if they are those of that name."""
    if hashlib.sha256(data).hexdigest() != digest:
        raise wrong("ReadBlob", [Violation("data", "A3", f"{len(data)} bytes came that are not those of {digest}")])
    return data


def _chunks(digest: str, array: Array, offset: int) -> Iterator[pb.WriteBlobRequest]:
    """The bytes of an array from `offset` on; the first chunk says which blob it is and how long."""
    view = array.data.cast("B")
    first = bytes(view[offset : offset + CHUNK_BYTES])
    yield pb.WriteBlobRequest(digest=digest, size=len(view), offset=offset, data=first)
    for start in range(offset + CHUNK_BYTES, len(view), CHUNK_BYTES):
        yield pb.WriteBlobRequest(offset=start, data=bytes(view[start : start + CHUNK_BYTES]))
