"""Large arrays: written once, in chunks, under the digest of their bytes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence

import grpc
import numpy as np

from gradserve.client.errors import typed_error
from gradserve.ir import codec
from gradserve.ir.types import Array
from gradserve.v1 import blob_service_pb2 as pb
from gradserve.v1 import blob_service_pb2_grpc, tensor_pb2

CHUNK_BYTES = 1 << 20


class Blobs:
    """The blobs of one server, as far as this client has written them. Safe for threads."""

    def __init__(self, channel: grpc.Channel) -> None:
        """Uses the client's channel."""
        self._stub = blob_service_pb2_grpc.BlobServiceStub(channel)
        self._written: set[str] = set()
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Assumes no longer that the server has anything."""
        with self._lock:
            self._written.clear()

    def write(self, arrays: Sequence[Array], timeout: float) -> list[str]:
        """The digests of the arrays, all of which the server then holds."""
        contents = {_digest(array): array for array in arrays}
        unknown = [digest for digest in contents if digest not in self._written]
        if unknown:
            self._write_missing({digest: contents[digest] for digest in unknown}, timeout)
            with self._lock:
                self._written.update(unknown)
        return list(contents)

    def _write_missing(self, contents: dict[str, Array], timeout: float) -> None:
        request = pb.FindMissingBlobsRequest(digests=list(contents))
        try:
            missing = self._stub.FindMissingBlobs(request, timeout=timeout).missing
            for blob in missing:
                self._stub.WriteBlob(_chunks(blob.digest, contents[blob.digest], blob.offset), timeout=timeout)
        except grpc.RpcError as error:
            raise typed_error(error) from None

    def fill(self, message: tensor_pb2.Tensor, array: Array, inline_limit: int, timeout: float) -> None:
        """Fills a message with the array: inline up to the limit, and as the name of a written blob above it."""
        if array.nbytes > inline_limit:
            self.write([np.ascontiguousarray(array)], timeout)
        codec.write_tensor(message, array, inline_limit)

    def resolver(self, timeout: float) -> Callable[[str], bytes | None]:
        """A function that reads the bytes of a blob."""
        return lambda digest: self.read(digest, timeout)

    def read(self, digest: str, timeout: float) -> bytes:
        """The bytes of a blob."""
        try:
            request = pb.ReadBlobRequest(digest=digest)
            return b"".join(reply.data for reply in self._stub.ReadBlob(request, timeout=timeout))
        except grpc.RpcError as error:
            raise typed_error(error) from None


def _digest(array: Array) -> str:
    return hashlib.sha256(array.data if array.size else b"").hexdigest()


def _chunks(digest: str, array: Array, offset: int) -> Iterator[pb.WriteBlobRequest]:
    view = memoryview(array).cast("B") if array.size else memoryview(b"")
    first = True
    while first or offset < len(view):
        data = bytes(view[offset : offset + CHUNK_BYTES])
        yield pb.WriteBlobRequest(digest=digest if first else "", size=len(view), offset=offset, data=data)
        offset += len(data)
        first = False
