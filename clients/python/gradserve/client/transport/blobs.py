"""Large arrays: written once, in chunks, under the digest of their bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import numpy as np

from gradserve import wire
from gradserve.client.transport.connection import Connection
from gradserve.client.transport.deadline import Deadline
from gradserve.ir.errors import Unavailable
from gradserve.ir.graph import BlobRef
from gradserve.ir.types import Array, type_of
from gradserve.v1 import blob_service_pb2 as pb
from gradserve.v1 import blob_service_pb2_grpc, tensor_pb2
from gradserve.wire.tensors import encode_constant

CHUNK_BYTES = 1 << 20
INLINE_BYTES = 16 << 20
"""Arguments above this travel as blobs."""
REQUEST_BYTES = 32 << 20
"""What the arguments inside one request may take together; further ones travel as blobs."""
ATTEMPTS = 4
"""How often a write that breaks off is gone on with."""

FillTensor: TypeAlias = Callable[[tensor_pb2.Tensor, Array], None]


class Blobs:
    """The blobs of one server, as far as this client has written them. Safe for threads."""

    def __init__(self, connection: Connection) -> None:
        """Nothing is known to be there."""
        self._connection = connection
        self._stub = blob_service_pb2_grpc.BlobServiceStub(connection.channel)
        self._written: set[str] = set()

    def forget(self) -> None:
        """Assumes no longer that the server has anything."""
        self._written = set()

    def write(self, contents: Mapping[str, Array], deadline: Deadline) -> None:
        """Sees to it that the server has these arrays, given by digest. A write that breaks off is gone on with."""
        wanted = {digest: array for digest, array in contents.items() if digest not in self._written}
        for attempt in range(ATTEMPTS if wanted else 0):
            request = pb.FindMissingBlobsRequest(digests=list(wanted))
            missing = self._connection.call(self._stub.FindMissingBlobs, request, deadline).missing
            try:
                for blob in missing:
                    chunks = _chunks(blob.digest, wanted[blob.digest], blob.offset)
                    self._connection.call(self._stub.WriteBlob, chunks, deadline)
                self._written.update(wanted)
                return
            except Unavailable:
                if attempt == ATTEMPTS - 1:
                    raise

    def filler(self, deadline: Deadline) -> FillTensor:
        """A function that puts the arrays of one request into messages: small ones inline, large ones as blobs."""
        room = REQUEST_BYTES

        def fill(message: tensor_pb2.Tensor, array: Array) -> None:
            nonlocal room
            if array.nbytes <= min(INLINE_BYTES, room):
                room -= array.nbytes
                wire.write_tensor(message, array)
                return
            array = np.ascontiguousarray(array)
            digest = hashlib.sha256(array.data).hexdigest()
            self.write({digest: array}, deadline)
            message.CopyFrom(encode_constant(BlobRef(type_of(array), digest), 0))

        return fill

    def reader(self, deadline: Deadline) -> wire.Blobs:
        """A function that reads the bytes of a blob."""
        return lambda digest: self.read(digest, deadline)

    def read(self, digest: str, deadline: Deadline) -> bytes:
        """The bytes of a blob. A read that breaks off is gone on with, as long as that brings more bytes.

        Raises:
            BlobNotFound: it is not there.
        """
        data = bytearray()
        while True:
            have = len(data)
            request = pb.ReadBlobRequest(digest=digest, offset=have)
            try:
                for reply in self._connection.stream(self._stub.ReadBlob, request, deadline):
                    data += reply.data
                return bytes(data)
            except Unavailable:
                if len(data) == have:
                    raise


def _chunks(digest: str, array: Array, offset: int) -> Iterator[pb.WriteBlobRequest]:
    """The bytes of an array from `offset` on; the first chunk says which blob it is and how long."""
    view = array.data.cast("B")
    first = bytes(view[offset : offset + CHUNK_BYTES])
    yield pb.WriteBlobRequest(digest=digest, size=len(view), offset=offset, data=first)
    for start in range(offset + CHUNK_BYTES, len(view), CHUNK_BYTES):
        yield pb.WriteBlobRequest(offset=start, data=bytes(view[start : start + CHUNK_BYTES]))
