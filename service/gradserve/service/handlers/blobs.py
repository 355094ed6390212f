"""Large arrays by content."""

from __future__ import annotations

from collections.abc import Iterator

from gradserve.ir.errors import InvalidRequest, LimitExceeded, Unavailable, Violation
from gradserve.service.calls.rpc import CHUNK_BYTES, Rpc
from gradserve.service.storage.owners import Owned, OwnedBlobs
from gradserve.service.storage.partial import Gap
from gradserve.v1 import blob_service_pb2 as pb
from gradserve.wire.rules import require_count, require_digest

MAX_DIGESTS = 10_000


class BlobHandlers:
    """The methods of BlobService."""

    def __init__(self, owned: Owned) -> None:
        """`owned` is where each caller's blobs are."""
        self._owned = owned

    def find_missing_blobs(self, request: pb.FindMissingBlobsRequest, rpc: Rpc) -> pb.FindMissingBlobsResponse:
        """The blobs that are not there, or not whole."""
        if len(request.digests) > MAX_DIGESTS:
            raise LimitExceeded("digests", f"{len(request.digests)} digests are asked for; at most {MAX_DIGESTS}")
        for position, digest in enumerate(request.digests):
            require_digest(digest, f"digests[{position}]")
        blobs = self._owned.blobs(rpc.caller.name)
        offsets = {digest: blobs.offset(digest) for digest in request.digests}
        return pb.FindMissingBlobsResponse(
            missing=[pb.MissingBlob(digest=d, offset=offset) for d, offset in offsets.items() if offset is not None]
        )

    def write_blob(self, requests: Iterator[pb.WriteBlobRequest], rpc: Rpc) -> pb.WriteBlobResponse:
        """Keeps a blob; what has arrived of it stays for a while if the stream breaks off."""
        chunk = next(requests, None)
        if chunk is None:
            raise InvalidRequest("the stream has no message; the first names the blob and its size")
        digest, size = chunk.digest, chunk.size
        require_digest(digest, "digest")
        require_count(size, "size")
        blobs = self._owned.blobs(rpc.caller.name)
        whole, first, end = blobs.begin(digest, size), chunk.offset, chunk.offset
        while not whole:
            require_count(chunk.offset, "offset")
            if len(data := chunk.data) > CHUNK_BYTES:
                raise LimitExceeded("chunk_bytes", f"the chunk has {len(data)} bytes; at most {CHUNK_BYTES} are taken")
            try:
                whole = blobs.append(digest, chunk.offset, data)
            except Gap:
                if not first < chunk.offset <= end:
                    raise
                text = "what this call has sent of the blob had to make room for others"
                raise Unavailable(f"{text}; ask FindMissingBlobs where to go on") from None
            end = max(end, chunk.offset + len(data))
            if not whole:
                chunk = next(requests, None)
                if chunk is None:
                    raise InvalidRequest("the blob is not whole", [_cut_short(blobs, digest, size)])
        return pb.WriteBlobResponse(digest=digest, size=size)

    def read_blob(self, request: pb.ReadBlobRequest, rpc: Rpc) -> Iterator[pb.ReadBlobResponse]:
        """The blob in chunks; one without bytes if it is empty or all of it was skipped."""
        require_digest(request.digest, "digest")
        data = self._owned.blobs(rpc.caller.name).read(request.digest)
        size, first = len(data), request.offset
        if not 0 <= first <= size:
            text = f"{first} is not among the bytes 0 to {size} of the blob"
            raise InvalidRequest("the request does not fit", [Violation("offset", "B8", text)])
        for offset in range(first, max(size, first + 1), CHUNK_BYTES):
            rpc.control.check()
            yield pb.ReadBlobResponse(offset=offset, size=size, data=data[offset : offset + CHUNK_BYTES])


def _cut_short(blobs: OwnedBlobs, digest: str, size: int) -> Violation:
    have = blobs.offset(digest)
    return Violation("data", "B7", f"the stream ended with {have} of {size} bytes; go on at offset {have}")
