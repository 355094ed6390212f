"""Large arrays over the wire: up, down, broken off, gone on with, corrupt."""

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from gradserve import wire
from gradserve.client import Client
from gradserve.v1 import blob_service_pb2 as pb
from gradserve.v1 import derivative_service_pb2
from tests.service.support import call_of, refusal

MIB = 1 << 20


def digest(data):
    return hashlib.sha256(data).hexdigest()


def blob(seed, size=2 * MIB + 17):
    return np.random.default_rng(seed).bytes(size)


def chunks(data, start=0, name=None, size=None, step=MIB):
    for offset in range(start, max(len(data), start + 1), step):
        first = offset == start
        yield pb.WriteBlobRequest(
            digest=(name or digest(data)) if first else "",
            size=(len(data) if size is None else size) if first else 0,
            offset=offset,
            data=data[offset : offset + step],
        )


def read(stubs, name, offset=0):
    replies = list(stubs.blobs.ReadBlob(pb.ReadBlobRequest(digest=name, offset=offset)))
    assert all(len(reply.data) <= MIB for reply in replies)
    return b"".join(reply.data for reply in replies)


def missing(stubs, *names):
    reply = stubs.blobs.FindMissingBlobs(pb.FindMissingBlobsRequest(digests=names))
    return {blob.digest: blob.offset for blob in reply.missing}


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, 5 * MIB])
def test_up_and_down(stubs, size):
    data = blob(size, size)
    written = stubs.blobs.WriteBlob(chunks(data))
    assert (written.digest, written.size) == (digest(data), size)
    assert missing(stubs, digest(data)) == {}
    assert read(stubs, digest(data)) == data
    assert read(stubs, digest(data), size // 2) == data[size // 2 :]


def test_writing_again_changes_nothing(stubs, server):
    data = blob(1)
    stubs.blobs.WriteBlob(chunks(data))
    kept = server.blobs.held_bytes
    assert stubs.blobs.WriteBlob(chunks(data)).size == len(data)
    assert server.blobs.held_bytes == kept


def test_missing_ones_are_named(stubs):
    data = blob(2)
    stubs.blobs.WriteBlob(chunks(data))
    assert missing(stubs, digest(data), "1" * 64, "2" * 64) == {"1" * 64: 0, "2" * 64: 0}


def test_broken_off_write_goes_on_where_it_ended(stubs, server):
    data = blob(3)

    def broken_off():
        yield next(chunks(data))
        until = time.monotonic() + 10
        while server.blobs.offset(digest(data)) < MIB and time.monotonic() < until:
            time.sleep(0.01)
        raise ConnectionError

    with pytest.raises(grpc.RpcError):
        stubs.blobs.WriteBlob(broken_off())
    assert missing(stubs, digest(data)) == {digest(data): MIB}
    assert stubs.blobs.WriteBlob(chunks(data, start=MIB)).size == len(data)
    assert read(stubs, digest(data)) == data


def test_stream_that_ends_early(stubs):
    data = blob(4)
    refused = refusal(lambda: stubs.blobs.WriteBlob(iter([next(chunks(data))])))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert f"go on at offset {MIB}" in refused.violations["data"]
    assert missing(stubs, digest(data)) == {digest(data): MIB}


def test_corrupt_bytes(stubs):
    data = blob(5)
    wrong = data[:100] + b"!" + data[101:]
    refused = refusal(lambda: stubs.blobs.WriteBlob(chunks(wrong, name=digest(data))))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert digest(wrong) in refused.violations["digest"]
    assert missing(stubs, digest(data)) == {digest(data): 0}
    assert stubs.blobs.WriteBlob(chunks(data)).digest == digest(data)


BAD_CHUNKS = {
    "no digest": (pb.WriteBlobRequest(size=1, data=b"x"), "digest"),
    "no real digest": (pb.WriteBlobRequest(digest="x" * 64, size=1, data=b"x"), "digest"),
    "negative size": (pb.WriteBlobRequest(digest="1" * 64, size=-1), "size"),
    "negative offset": (pb.WriteBlobRequest(digest="1" * 64, size=5, offset=-1, data=b"x"), "offset"),
    "gap": (pb.WriteBlobRequest(digest="2" * 64, size=5, offset=3, data=b"x"), "offset"),
    "too many bytes": (pb.WriteBlobRequest(digest="3" * 64, size=1, data=b"xy"), "data"),
}


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_bad_chunk(stubs, name):
    chunk, field = BAD_CHUNKS[name]
    refused = refusal(lambda: stubs.blobs.WriteBlob(iter([chunk])))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refused.violations) == [field]


def test_stream_without_a_message(stubs):
    assert refusal(lambda: stubs.blobs.WriteBlob(iter([]))).code is grpc.StatusCode.INVALID_ARGUMENT


def test_large_chunks_and_large_blobs(start):
    _, stubs = start(store="none", max_blob_bytes=5 * MIB)
    chunk = pb.WriteBlobRequest(digest="4" * 64, size=3 * MIB, data=bytes(MIB + 1))
    refused = refusal(lambda: stubs.blobs.WriteBlob(iter([chunk])))
    assert (refused.code, refused.limit) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "chunk_bytes")
    chunk = pb.WriteBlobRequest(digest="5" * 64, size=5 * MIB + 1)
    refused = refusal(lambda: stubs.blobs.WriteBlob(iter([chunk])))
    assert (refused.code, refused.limit) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "max_blob_bytes")


def test_reading_what_is_not_there(stubs):
    refused = refusal(lambda: read(stubs, "1" * 64))
    assert (refused.code, refused.info.reason) == (grpc.StatusCode.NOT_FOUND, "BLOB_NOT_FOUND")
    data = blob(6, 10)
    stubs.blobs.WriteBlob(chunks(data))
    for offset in (-1, 11):
        refused = refusal(lambda: read(stubs, digest(data), offset))  # noqa: B023
        assert (refused.code, list(refused.violations)) == (grpc.StatusCode.INVALID_ARGUMENT, ["offset"])


def test_too_many_digests(stubs):
    refused = refusal(lambda: missing(stubs, *["1" * 64] * 10_001))
    assert refused.limit == "digests"


def test_arguments_and_results_as_blobs(start):
    _, stubs = start(inline_limit=1000)
    w = np.random.default_rng(7).standard_normal(1 << 18)
    text = """graph (%0 "w": f64[n]) {
      %1: f64[n] = mul %0, %0
      %2: f64[] = reduce_sum %1 {axes=[0]}
      return "loss" %2
    }"""
    stubs.blobs.WriteBlob(chunks(w.tobytes()))
    call = call_of(text, {"w": w})
    call.arguments["w"].blob = digest(w.tobytes())
    reply = stubs.derivatives.Gradient(derivative_service_pb2.GradientRequest(call=call))
    gradient = wire.decode_tensor(reply.gradients["w"], lambda name: read(stubs, name))
    np.testing.assert_array_equal(gradient, 2 * w)


def test_blob_that_does_not_fit_its_tensor(stubs):
    data = blob(8, 16)
    stubs.blobs.WriteBlob(chunks(data))
    call = call_of()
    call.arguments["w"].blob = digest(data)
    request = derivative_service_pb2.GradientRequest(call=call)
    refused = refusal(lambda: stubs.derivatives.Gradient(request))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "16 bytes are not the 24 of f64[3]" in refused.violations['call.arguments["w"].blob']


@pytest.mark.parametrize("store", ["none", "here"])
def test_a_write_that_others_have_pushed_out_can_be_tried_again(start, store, tmp_path):
    """What its own call has sent is lost by no fault of the client's; what it leaves out itself is its fault."""
    _, stubs = start(blob_store_bytes=3 * MIB, store=store if store == "none" else str(tmp_path / store))
    data = blob(7)

    def pushed_out():
        parts = chunks(data)
        yield next(parts)
        until = time.monotonic() + 10
        while missing(stubs, digest(data)) != {digest(data): MIB}:
            assert time.monotonic() < until
            time.sleep(0.01)
        for other in (chunks(blob(seed, size)) for seed, size in ((8, 3 * MIB), (9, 3 * MIB))):
            stubs.blobs.WriteBlob(other)
        yield from parts

    refused = refusal(lambda: stubs.blobs.WriteBlob(pushed_out()))
    assert refused.code is grpc.StatusCode.UNAVAILABLE
    assert "had to make room for others; ask FindMissingBlobs" in refused.message
    assert stubs.blobs.WriteBlob(chunks(data)).size == len(data)
    assert read(stubs, digest(data)) == data
    with_a_gap = iter([next(chunks(blob(10))), pb.WriteBlobRequest(offset=MIB + 1, data=b"x")])
    refused = refusal(lambda: stubs.blobs.WriteBlob(with_a_gap))
    assert (refused.code, list(refused.violations)) == (grpc.StatusCode.INVALID_ARGUMENT, ["offset"])


def test_callers_whose_arrays_do_not_fit_at_once_all_come_through(start):
    """Each has 20 MiB to send, and there is room for 24: they push each other out."""
    server, _ = start(blob_store_bytes=24 * MIB, store="none")
    vectors = [np.random.default_rng(k).standard_normal(20 * MIB // 8) for k in range(3)]

    def ask(vector):
        with Client(f"127.0.0.1:{server.port}", share_memory=False, timeout=60) as client:
            f = client.function(lambda w: np.sum(w * w))
            return [float(f(k * vector)) for k in (1.0, 2.0)]

    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(ask, vectors))
    expected = [[float(np.sum((k * v) * (k * v))) for k in (1.0, 2.0)] for v in vectors]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
