"""Graphs and blobs are there for who sent them, and for nobody else."""

import hashlib
import os
import stat
import time
from functools import partial
from typing import Any, cast

import grpc
import numpy as np
import pytest

from gradserve import wire
from gradserve.ir.errors import BlobNotFound, GraphNotRegistered, InvalidRequest, LimitExceeded
from gradserve.ir.limits import DEFAULT_LIMITS
from gradserve.ops import OP_SET
from gradserve.service.configuration.settings import Settings
from gradserve.service.identity.tokens import new_token
from gradserve.service.server import Server
from gradserve.service.storage.folder import Folder
from gradserve.service.storage.graphs import Shelf
from gradserve.service.storage.objects import is_empty, is_named, is_sealed
from gradserve.service.storage.owners import Owned
from gradserve.service.storage.space import Space
from gradserve.service.storage.store import BlobStore, GraphStore
from gradserve.text.parsing import parse
from gradserve.v1 import (
    blob_service_pb2,
    derivative_service_pb2,
    execution_pb2,
    graph_service_pb2,
    tensor_pb2,
)
from gradserve.wire.methods import METHODS, full_name, new_request
from tests.service.support import QUADRATIC, Stubs, W, call_of, graph_message, refusal
from tests.service.test_identity import bearing

KIB = 1 << 10


@pytest.fixture(scope="module")
def callers(tmp_path_factory):
    """The file of two callers, and what each bears."""
    file = tmp_path_factory.mktemp("tokens") / "tokens.yaml"
    secrets = {}
    for name in ("alice", "bob"):
        secret, entry = new_token(name, None)
        secrets[name] = bearing(secret)
        with file.open("a") as end:
            end.write(entry)
    return file, secrets


@pytest.fixture(scope="module")
def both(callers):
    """A service, its stubs, and what alice and bob bear."""
    settings = Settings(address="127.0.0.1:0", metrics_port=None, workers=1, token_file=callers[0])
    server = Server(settings).start()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield server, Stubs(channel), callers[1]["alice"], callers[1]["bob"]
    server.stop(0)


@pytest.fixture(scope="module")
def sent(both):
    """A graph and a blob that alice has sent, and bob has not."""
    _, stubs, alice, _ = both
    text = QUADRATIC.replace("mul %0, %0", "add %0, %0")
    return register(stubs, alice, text), write(stubs, alice, W.tobytes())


def register(stubs, who, graph=QUADRATIC):
    request = graph_service_pb2.RegisterGraphRequest(graph=graph_message(graph) if isinstance(graph, str) else graph)
    return stubs.graphs.RegisterGraph(request, metadata=who, timeout=10).digest


def write(stubs, who, data, **more):
    digest = hashlib.sha256(data).hexdigest()
    chunk = blob_service_pb2.WriteBlobRequest(digest=digest, size=len(data), data=data, **more)
    stubs.blobs.WriteBlob(iter([chunk]), metadata=who, timeout=10)
    return digest


def blob_of(digest, count):
    return tensor_pb2.Tensor(element_type=tensor_pb2.ELEMENT_TYPE_FLOAT64, shape=[count], blob=digest)


def naming_blob(blob):
    return execution_pb2.Call(graph=call_of().graph, arguments={"w": blob_of(blob, 3)})


def path_to(kind, wanted, depth=4):
    """The first fields that lead from a kind of message to a message of a wanted one."""
    for field in kind.fields if depth else ():
        if field.message_type is not None and not field.is_repeated:
            if field.message_type.full_name == wanted:
                return (field.name,)
            if more := path_to(field.message_type, wanted, depth - 1):
                return (field.name, *more)
    return ()


ASKING = {name: path for name, m in METHODS.items() if (path := path_to(m.input_type, "gradserve.v1.Call"))}
"""The methods that take a call, with the way to it."""
BY_HAND = {"RegisterGraph", "GetGraph", "CheckGraph", "FindMissingBlobs", "WriteBlob", "ReadBlob"}


def test_no_method_is_left_out():
    assert set(ASKING) | BY_HAND == set(METHODS)
    assert not set(ASKING) & BY_HAND


def send(stubs, method, call, who):
    """The replies of a method to a request with this call and nothing else."""
    request = inner = new_request(method)
    for name in ASKING[method]:
        inner = getattr(inner, name)
    inner.CopyFrom(call)
    descriptor = METHODS[method]
    kind = "stream" if descriptor.client_streaming else "unary"
    kind += "_stream" if descriptor.server_streaming else "_unary"
    ask = getattr(stubs.channel, kind)(f"/{full_name(method)}")
    data = request.SerializeToString()
    reply = ask(iter([data]) if descriptor.client_streaming else data, metadata=who, timeout=10)
    return list(reply) if descriptor.server_streaming else reply


def told(act):
    """All that one is told of a refusal."""
    found = refusal(act)
    return found.code, found.message, found.info, found.violations


@pytest.mark.parametrize("method", ASKING)
def test_graphs_and_blobs_of_another_are_as_if_they_were_not_there(both, sent, method):
    _, stubs, _, bob = both
    named: dict[str, Any] = {"graph": (call_of, sent[0], "0" * 64), "blob": (naming_blob, sent[1], "1" * 64)}
    if method in ("ExplainGraph", "StreamGradient"):
        del named["blob"]  # neither reads the elements of arrays in its first message
    for call, theirs, none in named.values():
        of_another, of_nobody = (told(partial(send, stubs, method, call(digest), bob)) for digest in (theirs, none))
        assert of_another[0] in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)
        assert str(of_another).replace(theirs, none) == str(of_nobody)


@pytest.mark.parametrize("call", [call_of, naming_blob])
def test_that_is_seen_by_what_their_owner_gets(both, sent, call):
    """The planted case: the same requests by who may."""
    _, stubs, alice, bob = both
    theirs = sent[0] if call is call_of else sent[1]
    assert send(stubs, "Gradient", call(theirs), alice)
    assert told(lambda: send(stubs, "Gradient", call(theirs), bob))[0] is grpc.StatusCode.NOT_FOUND


def get_graph(stubs, digest, who):
    return stubs.graphs.GetGraph(graph_service_pb2.GetGraphRequest(digest=digest), metadata=who, timeout=10)


def read_blob(stubs, digest, who):
    reply = stubs.blobs.ReadBlob(blob_service_pb2.ReadBlobRequest(digest=digest), metadata=who, timeout=10)
    return b"".join(chunk.data for chunk in reply)


def offsets(stubs, digests, who):
    request = blob_service_pb2.FindMissingBlobsRequest(digests=digests)
    return {m.digest: m.offset for m in stubs.blobs.FindMissingBlobs(request, metadata=who, timeout=10).missing}


@pytest.mark.parametrize("act", [get_graph, read_blob])
def test_reading(both, sent, act):
    _, stubs, alice, bob = both
    theirs, none = sent[0] if act is get_graph else sent[1], "0" * 64
    assert act(stubs, theirs, alice)
    of_another, of_nobody = told(lambda: act(stubs, theirs, bob)), told(lambda: act(stubs, none, bob))
    assert of_another[0] is grpc.StatusCode.NOT_FOUND
    assert str(of_another).replace(theirs, none) == str(of_nobody)


def test_finding_missing_blobs(both, sent):
    _, stubs, alice, bob = both
    blob = sent[1]
    assert offsets(stubs, [blob, "0" * 64], bob) == {blob: 0, "0" * 64: 0}
    assert offsets(stubs, [blob, "0" * 64], alice) == {"0" * 64: 0}


def test_what_two_have_sent_is_kept_once(both):
    server, stubs, alice, bob = both
    data = bytes(100 * KIB)
    first = (write(stubs, alice, data), register(stubs, alice))
    kept = server.blobs.held_bytes, len(server.graphs)
    assert (write(stubs, bob, data), register(stubs, bob)) == first
    assert (server.blobs.held_bytes, len(server.graphs)) == kept
    assert send(stubs, "Gradient", call_of(first[1]), bob)


def test_a_graph_of_ones_own_does_not_show_blobs_of_another(both):
    """Sent inline by alice it is decoded and remembered, and bob, who knows its message, gets nothing of that."""
    _, stubs, alice, bob = both
    data = np.arange(8.0)
    text = 'graph (%0 "w": f64[8]) {\n  %1: f64[8] = constant [0,1,2,3,4,5,6,7]\n'
    text += '  %2: f64[8] = mul %0, %1\n  %3: f64[] = reduce_sum %2 {axes=[0]}\n  return "loss" %3\n}'
    message = wire.encode_graph(parse(text, OP_SET), 0)
    assert message.constants[0].blob == write(stubs, alice, data.tobytes())
    call = call_of(message, {"w": np.ones(8)})
    assert send(stubs, "Evaluate", call, alice)
    assert told(lambda: send(stubs, "Evaluate", call, bob))[0] is grpc.StatusCode.NOT_FOUND
    assert told(lambda: register(stubs, bob, message))[0] is grpc.StatusCode.NOT_FOUND
    write(stubs, bob, data.tobytes())
    assert send(stubs, "Evaluate", call, bob)


def test_results_left_as_blobs_are_their_askers(both):
    _, stubs, alice, bob = both
    call = call_of()
    call.options.inline_limit = 1
    reply = stubs.derivatives.Gradient(derivative_service_pb2.GradientRequest(call=call), metadata=alice, timeout=10)
    digest = reply.gradients["w"].blob
    assert read_blob(stubs, digest, alice) == (2 * W).tobytes()
    assert told(lambda: read_blob(stubs, digest, bob))[0] is grpc.StatusCode.NOT_FOUND


# ---- the layer by itself


class Asked:
    """A store that notes what it is asked; everything is there."""

    def __init__(self):
        self.asked = []

    def __getattr__(self, name):
        def note(*arguments, **_):
            self.asked.append((name, *arguments))
            return b"data"

        return note


@pytest.mark.parametrize("method", ["get", "begin", "offset", "read"])
def test_the_store_is_not_asked_for_what_a_caller_has_not_sent(method):
    """So that no time tells whether another has: whatever the store does, it does not do it."""
    store: Any = Asked()
    blobs = Owned(GraphStore(KIB, 1), store, 10).blobs("bob")
    asked = ("0" * 64, 0) if method == "begin" else ("0" * 64,)
    if method == "read":
        with pytest.raises(BlobNotFound):
            blobs.read(*asked)
    else:
        getattr(blobs, method)(*asked)
    assert [name for name, *about in store.asked if about[-1] != "bob"] == []  # what he himself is writing it may be
    blobs.put("0" * 64, b"")
    store.asked.clear()
    getattr(blobs, method)(*asked)
    assert [name for name, *about in store.asked if about[-1] != "bob"]  # of what he has sent it is


def test_nor_is_the_store_of_graphs():
    store: Any = Asked()
    graphs = Owned(store, BlobStore(KIB, KIB), 10).graphs("bob")
    assert graphs.find("0" * 64) is None
    with pytest.raises(GraphNotRegistered):
        graphs.get("0" * 64)
    assert store.asked == []


def owned(capacity=100 * KIB, most=1000):
    store = BlobStore(capacity, capacity)
    return store, Owned(GraphStore(KIB, 1), store, most)


def test_all_bytes_must_come_again_before_they_are_his():
    store, layer = owned()
    data = bytes(range(256)) * 4
    digest = hashlib.sha256(data).hexdigest()
    alice, bob = layer.blobs("alice"), layer.blobs("bob")
    assert not alice.begin(digest, len(data))
    assert alice.append(digest, 0, data)
    assert bob.offset(digest) == 0
    assert not bob.begin(digest, len(data))
    with pytest.raises(InvalidRequest, match="leaves a gap"):  # the last bytes alone do not do
        bob.append(digest, len(data) - 1, data[-1:])
    assert not bob.append(digest, 0, data[:512])
    assert (bob.offset(digest), bob.get(digest)) == (512, None)
    assert bob.append(digest, 512, data[512:])
    assert bob.get(digest) == data
    assert store.held_bytes == len(data)


def test_writes_under_way_are_apart():
    _, layer = owned()
    data = b"x" * 100
    digest = hashlib.sha256(data).hexdigest()
    alice, bob = layer.blobs("alice"), layer.blobs("bob")
    alice.begin(digest, 100)
    alice.append(digest, 0, data[:60])
    assert (alice.offset(digest), bob.offset(digest)) == (60, 0)
    bob.begin(digest, 70)  # another length than alice says is no matter
    with pytest.raises(InvalidRequest, match="have the digest"):
        bob.append(digest, 0, b"y" * 70)
    assert alice.append(digest, 60, data[60:])
    assert alice.get(digest) == data
    assert bob.get(digest) is None


class Noting:
    """Objects of a folder, and what was done with them, in order."""

    def __init__(self, folder):
        self._folder = folder
        self.capacity = folder.capacity
        self.done = []

    def __getattr__(self, name):
        act = getattr(self._folder, name)

        def noted(*arguments, **more):
            found = act(*arguments, **more)
            self.done.append((name, [type(each) for each in arguments], more, type(found)))
            return found

        return noted


def kept(root, realm=""):
    """Stores in a folder, as those of a service that has just started, and what is done there."""
    drafts, space = root / "drafts", Space(root, 1 << 30, root / "drafts")
    names = {"blobs": is_named, "graphs": is_sealed, "claims": is_empty}
    parts = {name: Noting(Folder(root / name, drafts, space, check)) for name, check in names.items()}
    blobs, graphs = BlobStore(1 << 20, 1 << 20), GraphStore(1 << 20, 100)
    blobs.keep_in(cast(Any, parts["blobs"]), shared=True)
    graphs.keep_on(Shelf(cast(Any, parts["graphs"]), cast(Any, parts["blobs"]), blobs.get, DEFAULT_LIMITS))
    layer = Owned(graphs, blobs, 100)
    layer.owners.keep_in(cast(Any, parts["claims"]), realm)
    return layer, parts


def send_all(layer, caller):
    """A blob in two pieces, a result and a graph of a caller."""
    blobs, data = layer.blobs(caller), b"x" * 5000
    digest = hashlib.sha256(data).hexdigest()
    assert blobs.offset(digest) == 0
    assert not blobs.begin(digest, len(data))
    assert not blobs.append(digest, 0, data[:3000])
    assert blobs.append(digest, 3000, data[3000:])
    blobs.put(hashlib.sha256(b"result").hexdigest(), b"result")
    graph = parse(QUADRATIC, OP_SET)
    layer.graphs(caller).put(graph.digest, graph)
    return digest, graph.digest


def done_by(tmp_path, before, after, act=send_all):
    """What a caller's sending does to what is kept, after another has sent the same or has not."""
    layer, parts = kept(tmp_path)
    if before:
        act(layer, before)
    for part in parts.values():
        part.done.clear()
    act(layer, after)
    return {name: part.done for name, part in parts.items()}


def test_the_same_is_done_whether_another_has_sent_the_same_or_not(tmp_path):
    """No clock has to be read: every look at the disk and every write to it is the same."""
    alone, second = done_by(tmp_path / "1", "", "bob"), done_by(tmp_path / "2", "alice", "bob")
    assert alone == second
    assert [name for name, *_ in alone["blobs"]].count("write") == 2


def test_planted_a_second_who_has_no_name_does_less(tmp_path):
    def once(layer, caller):
        layer.blobs(caller).put(hashlib.sha256(b"result").hexdigest(), b"result")

    def begun(layer, caller):
        layer.blobs(caller).begin(hashlib.sha256(b"").hexdigest(), 0)

    for act in (once, begun):
        first = done_by(tmp_path / f"1{act.__name__}", "", "bob", act)
        assert done_by(tmp_path / f"2{act.__name__}", "bob", "bob", act) != first


def test_what_was_sent_before_a_restart_is_still_his_alone(tmp_path):
    layer, _ = kept(tmp_path)
    digests = send_all(layer, "alice")
    again, _ = kept(tmp_path)
    alice, bob = again.blobs("alice"), again.blobs("bob")
    assert alice.get(digests[0]) == b"x" * 5000
    assert alice.offset(digests[0]) is None
    assert again.graphs("alice").find(digests[1]) is not None
    assert (bob.get(digests[0]), bob.offset(digests[0]), again.graphs("bob").find(digests[1])) == (None, 0, None)
    elsewhere, _ = kept(tmp_path, "https://another.issuer")
    assert elsewhere.blobs("alice").get(digests[0]) is None  # one of the same name, by another authority


def test_a_write_goes_on_after_a_restart_for_who_began_it(tmp_path):
    data = bytes(range(200)) * 50
    digest = hashlib.sha256(data).hexdigest()
    first, _ = kept(tmp_path)
    first.blobs("alice").begin(digest, len(data))
    first.blobs("alice").append(digest, 0, data[:6000])
    layer, _ = kept(tmp_path)
    assert (layer.blobs("bob").offset(digest), layer.blobs("alice").offset(digest)) == (0, 6000)
    assert not layer.blobs("alice").begin(digest, len(data))
    assert layer.blobs("alice").append(digest, 6000, data[6000:])
    assert layer.blobs("alice").get(digest) == data
    assert [path.name for path in (tmp_path / "drafts").iterdir()] == []


def test_who_has_begun_most_loses_first():
    _, layer = owned(capacity=100)
    alice, bob = layer.blobs("alice"), layer.blobs("bob")
    bob.begin("b" * 64, 50)
    bob.append("b" * 64, 0, bytes(20))
    for name in "cdef":
        alice.begin(name * 64, 50)
        alice.append(name * 64, 0, bytes(20))
    alice.begin("a" * 64, 90)
    alice.append("a" * 64, 0, bytes(75))
    assert bob.offset("b" * 64) == 20
    assert [alice.offset(name * 64) for name in "cdef"] == [0] * 4
    with pytest.raises(LimitExceeded):
        layer.blobs("carol").begin("a" * 64, 101)


def test_who_sends_much_has_nothing_of_others_forgotten():
    _, layer = owned(most=10)
    alice, bob = layer.blobs("alice"), layer.blobs("bob")
    bob.put("b", b"b")
    for number in range(50):
        alice.put(str(number), b"a")
    assert bob.get("b") == b"b"
    assert [number for number in range(50) if alice.get(str(number))] == list(range(41, 50))


def test_what_is_forgotten_is_sent_again():
    _, layer = owned(most=1)
    alice = layer.blobs("alice")
    alice.put("1" * 64, b"1")
    alice.put("2" * 64, b"2")
    assert (alice.get("1" * 64), alice.get("2" * 64)) == (None, b"2")


def test_uploads_broken_off_are_forgotten(monkeypatch):
    _, layer = owned()
    alice = layer.blobs("alice")
    alice.begin("1" * 64, 10)
    alice.append("1" * 64, 0, b"12")
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 10_000)
    assert alice.offset("1" * 64) == 0


def test_without_names_everything_is_everybodys():
    store, layer = owned()
    store.put("1" * 64, b"1")
    assert layer.blobs("").get("1" * 64) == b"1"


def looked_at(tmp_path, monkeypatch, before):
    """What bob's sending asks of the disk: folders that it makes, and whether what it waits for has to be written."""
    layer, _ = kept(tmp_path)
    if before:
        send_all(layer, before)
    time.sleep(0.02)  # so that times tell before from after
    began = time.time_ns() - 10**7
    done: list[tuple[object, ...]] = []
    fsync, mkdir = os.fsync, os.mkdir

    def synced(opened):
        found = os.fstat(opened)
        done.append(("sync", stat.S_ISDIR(found.st_mode), found.st_mtime_ns > began))
        fsync(opened)

    def made(path, *more, **named):
        mkdir(path, *more, **named)  # of those that are there it raises
        done.append(("make", str(path)[len(str(tmp_path)) :].split("/")[1]))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", synced)
        patched.setattr(os, "mkdir", made)
        send_all(layer, "bob")
    return done


def test_the_disk_is_asked_for_the_same_whether_another_has_sent_the_same_or_not(tmp_path, monkeypatch):
    """A folder that nothing was moved to is written in no time, and that tells; so does making one."""
    alone = looked_at(tmp_path / "1", monkeypatch, "")
    assert alone == looked_at(tmp_path / "2", monkeypatch, "alice")
    assert ("sync", True, True) in alone
    assert ("sync", True, False) not in alone
