"""Services that find what others have been told, or what they themselves knew before they ended."""

import resource
from functools import partial

import grpc
import numpy as np
import pytest

from gradserve import wire
from gradserve.service.identity.tokens import new_token
from gradserve.v1 import blob_service_pb2, graph_service_pb2
from gradserve.v1 import derivative_service_pb2 as pb
from tests.service.support import SCALED, VECTOR, Stubs, call_of, graph_message, refusal
from tests.service.test_blobs import MIB, blob, chunks, digest, missing, read


@pytest.fixture
def store(tmp_path):
    return str(tmp_path / "store")


def registered(stubs: Stubs, text: str) -> str:
    request = graph_service_pb2.RegisterGraphRequest(graph=graph_message(text))
    return str(stubs.graphs.RegisterGraph(request).digest)


def gradient(stubs: Stubs, graph: str, arguments):
    request = pb.GradientRequest(call=call_of(graph, arguments), wrt=["w"])
    return wire.decode_tensor(stubs.derivatives.Gradient(request).gradients["w"])


def broken_off(data):
    """The first of the chunks, and then no more."""
    yield next(iter(chunks(data)))


W = np.array([1.0, -2.0, 3.0])
ARGUMENTS = {"w": W, "scale": 0.5, "count": np.int64(4)}


def test_what_one_service_is_told_another_finds(start, store):
    (_, one), (_, other) = start(store=store), start(store=store)
    graph, data = registered(one, SCALED), blob(1)
    one.blobs.WriteBlob(chunks(data))
    assert gradient(other, graph, ARGUMENTS).tolist() == (4 * W).tolist()
    assert other.graphs.GetGraph(graph_service_pb2.GetGraphRequest(digest=graph)).text
    assert missing(other, digest(data)) == {}
    assert read(other, digest(data), 5) == data[5:]


def test_a_service_that_comes_back_has_lost_nothing(start, store):
    first, stubs = start(store=store)
    graph, data, more = registered(stubs, SCALED), blob(1), blob(2)
    stubs.blobs.WriteBlob(chunks(data))
    assert refusal(lambda: stubs.blobs.WriteBlob(broken_off(more))).violations
    assert first.stop(5)
    _, stubs = start(store=store)
    assert gradient(stubs, graph, ARGUMENTS).tolist() == (4 * W).tolist()
    assert read(stubs, digest(data)) == data
    assert missing(stubs, digest(more)) == {digest(more): MIB}
    stubs.blobs.WriteBlob(chunks(more, MIB))
    assert read(stubs, digest(more)) == more


def test_results_of_one_service_are_read_at_another(start, store):
    (_, one), (_, other) = start(store=store, inline_limit=1000), start(store=store)
    w = np.arange(300.0)
    text = VECTOR.replace("f64[3]", "f64[300]")
    value = one.derivatives.Evaluate(pb.EvaluateRequest(call=call_of(text, {"w": w}))).outputs["y"]
    assert np.frombuffer(read(other, value.blob)).tolist() == (w * w).tolist()


def test_a_corrupt_blob_is_sent_again(start, store, tmp_path):
    (_, one), (_, other) = start(store=store), start(store=store)
    data = blob(3)
    one.blobs.WriteBlob(chunks(data))
    (path,) = (path for path in tmp_path.rglob(digest(data)))
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert refusal(lambda: read(other, digest(data))).info.reason == "BLOB_NOT_FOUND"
    assert missing(other, digest(data)) == {digest(data): 0}
    other.blobs.WriteBlob(chunks(data))
    assert read(start(store=store)[1], digest(data)) == data


def test_a_full_disk_is_told_by_name_and_the_service_goes_on(start, store):
    _, stubs = start(store=store)
    kept, data = blob(4, 1000), blob(5)
    stubs.blobs.WriteBlob(chunks(kept))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB + 5000, before[1]))
    try:
        refused = refusal(lambda: stubs.blobs.WriteBlob(chunks(data)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (refused.code.name, refused.limit) == ("RESOURCE_EXHAUSTED", "store_disk")
    assert read(stubs, digest(kept)) == kept
    stubs.blobs.WriteBlob(chunks(data, missing(stubs, digest(data))[digest(data)]))
    assert read(stubs, digest(data)) == data


def test_a_store_in_whose_place_a_file_stands_is_told_and_calls_go_on(start, store, tmp_path):
    _, stubs = start(store=store)
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    (tmp_path / "store").touch()
    data = blob(1)
    assert missing(stubs, digest(data)) == {digest(data): 0}
    refused = refusal(lambda: stubs.blobs.WriteBlob(chunks(data)))
    assert (refused.code, refused.message) == (
        grpc.StatusCode.UNAVAILABLE,
        "graphs and blobs cannot be kept: File exists",
    )
    assert gradient(stubs, registered(stubs, SCALED), ARGUMENTS).tolist() == (4 * W).tolist()


def test_a_service_that_asks_nobody_finds_nothing_of_known_callers(start, store, tmp_path):
    secret, entry = new_token("alice", None)
    (tmp_path / "tokens").write_text(entry)
    _, known = start(store=store, token_file=tmp_path / "tokens")
    data, told = blob(1), [("authorization", f"Bearer {secret}")]
    known.blobs.WriteBlob(chunks(data), metadata=told)
    request = graph_service_pb2.RegisterGraphRequest(graph=graph_message(SCALED))
    graph = known.graphs.RegisterGraph(request, metadata=told).digest
    _, anybody = start(store=store)
    assert missing(anybody, digest(data)) == {digest(data): 0}
    assert refusal(lambda: read(anybody, digest(data))).code is grpc.StatusCode.NOT_FOUND
    asked = graph_service_pb2.GetGraphRequest(digest=graph)
    assert refusal(lambda: anybody.graphs.GetGraph(asked)).code is grpc.StatusCode.NOT_FOUND


def test_what_known_callers_have_sent_is_theirs_after_a_restart_and_at_another_service(start, store, tmp_path):
    secrets, file = {}, tmp_path / "tokens"
    for name in ("alice", "bob"):
        secret, entry = new_token(name, None)
        secrets[name] = [("authorization", f"Bearer {secret}")]
        with file.open("a") as end:
            end.write(entry)
    first, stubs = start(store=store, token_file=file)
    data = blob(1)
    stubs.blobs.WriteBlob(chunks(data), metadata=secrets["alice"])
    request = graph_service_pb2.RegisterGraphRequest(graph=graph_message(SCALED))
    graph = stubs.graphs.RegisterGraph(request, metadata=secrets["alice"]).digest
    _, other = start(store=store, token_file=file)
    first.stop(5)
    _, again = start(store=store, token_file=file)
    asked = pb.GradientRequest(call=call_of(graph, ARGUMENTS), wrt=["w"])
    named = blob_service_pb2.ReadBlobRequest(digest=digest(data))
    for found in (other, again):
        reply = found.derivatives.Gradient(asked, metadata=secrets["alice"])
        assert wire.decode_tensor(reply.gradients["w"]).tolist() == (4 * W).tolist()
        assert b"".join(part.data for part in found.blobs.ReadBlob(named, metadata=secrets["alice"])) == data
        for act in (found.derivatives.Gradient, lambda _, at=found, **who: list(at.blobs.ReadBlob(named, **who))):
            refused = refusal(partial(act, asked, metadata=secrets["bob"]))
            assert refused.code is grpc.StatusCode.NOT_FOUND


def test_a_store_that_cannot_be_is_told_at_once(start):
    with pytest.raises(OSError, match=r"Permission denied|Not a directory|not permitted"):
        start(store="/proc/version/store")
    with pytest.raises(OSError, match="nosuchthing"):
        start(store="nosuchthing://bucket/x")
