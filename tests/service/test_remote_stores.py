"""Objects at a URL, on fsspec's own file system in memory: the same for all who use it in this process."""

import logging
import socket
from contextlib import ExitStack

import fsspec
import grpc
import pytest

from gradserve import wire
from gradserve.ir.errors import LimitExceeded, Unavailable
from gradserve.service.settings import Settings
from gradserve.service.storage import place, remote
from gradserve.service.storage.folder import Folder
from gradserve.service.storage.objects import is_named
from gradserve.service.storage.remote import Remote
from gradserve.service.store import BlobStore
from gradserve.v1 import blob_service_pb2, graph_service_pb2
from gradserve.v1 import derivative_service_pb2 as pb
from tests.service.support import SCALED, call_of, refusal
from tests.service.test_shared_stores import ARGUMENTS, W, gradient, registered
from tests.service.test_store import digest, write


@pytest.fixture
def system():
    made = fsspec.filesystem("memory")
    made.store.clear()
    made.pseudo_dirs[:] = [""]
    return made


def objects(system, capacity=1 << 20):
    return Remote(system, "/bucket/blobs", capacity, is_named)


def blobs_in(system):
    blobs = BlobStore(1 << 20, 1 << 20)
    blobs.keep_in(objects(system), shared=True)
    return blobs


def test_another_process_finds_what_one_has_written(system):
    name = write(blobs_in(system), b"hello" * 100)
    other = blobs_in(system)
    assert other.offset(name) is None
    assert other.read(name) == b"hello" * 100
    assert other.get("0" * 64) is None
    assert other.get("../x") is None


def test_a_corrupt_object_counts_as_missing_and_is_healed(system):
    name = write(blobs_in(system), b"hello")
    (path,) = system.find("/bucket")
    system.pipe_file(path, b"hellO")
    assert blobs_in(system).get(name) is None
    assert system.find("/bucket") == []
    write(blobs_in(system), b"hello")
    assert blobs_in(system).read(name) == b"hello"


def test_what_is_in_use_outlives_what_is_not(system, monkeypatch):
    store = objects(system, 1000)
    names = [write(blobs_in(system), bytes([k]) * 300, 300) for k in range(3)]
    monkeypatch.setattr(remote, "REFRESH_SECONDS", -1.0)
    assert store.read(names[0])
    objects(system, 1000).write(digest(b"x" * 300), b"x" * 300)
    left = {path.rpartition("/")[2] for path in system.find("/bucket")}
    assert left == {names[0], names[2], digest(b"x" * 300)} - ({names[2]} if len(left) == 2 else set())
    assert store.used <= 1000


def test_more_than_all_may_take_is_refused(system):
    with pytest.raises(LimitExceeded) as refused:
        objects(system, 10).write(digest(bytes(20)), bytes(20))
    assert refused.value.limit == "store_bytes"


def test_a_place_that_cannot_be_reached_is_told(system, monkeypatch):
    def fails(*_, **__):
        raise ConnectionError("bucket is gone")

    for name in ("cat_file", "exists"):
        monkeypatch.setattr(type(system), name, fails)
    with pytest.raises(Unavailable, match="cannot be reached: ConnectionError"):
        blobs_in(system).get("0" * 64)
    with pytest.raises(Unavailable):
        objects(system).write("0" * 64, b"")


def test_services_share_a_url(start, system):
    (_, one), (_, other) = start(store="memory://bucket"), start(store="memory://bucket")
    graph = registered(one, SCALED)
    assert gradient(other, graph, ARGUMENTS).tolist() == (4 * W).tolist()


def test_urls_of_files_are_folders(tmp_path):
    tmp_path.chmod(0o700)
    with ExitStack() as running:
        found = place.opened(Settings(store=f"file://{tmp_path}"), running)
    assert found is not None
    assert isinstance(found.blobs, Folder)


def test_a_place_that_cannot_be_reached_is_named_without_its_password():
    with pytest.raises(OSError, match=r"the store ftp://…@127.0.0.1:1/x cannot be used: ") as refused:
        remote.file_system("ftp://alice:secret@127.0.0.1:1/x")
    assert "secret" not in str(refused.value)


def listening_nowhere():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_a_url_that_nobody_answers_is_told_in_one_line(start, caplog):
    """What is there in memory is answered; of what is not the caller is told that it may be there later."""
    _, stubs = start(store=f"http://alice:secret@127.0.0.1:{listening_nowhere()}/x")
    reply = stubs.derivatives.Gradient(pb.GradientRequest(call=call_of()))
    assert wire.decode_tensor(reply.value) == 14.0
    for act in (
        lambda: list(stubs.blobs.ReadBlob(blob_service_pb2.ReadBlobRequest(digest="0" * 64))),
        lambda: stubs.graphs.GetGraph(graph_service_pb2.GetGraphRequest(digest="0" * 64)),
    ):
        told = refusal(act)
        assert told.code is grpc.StatusCode.UNAVAILABLE
        assert told.message == "the store of graphs and blobs cannot be reached: ClientConnectorError"
    lines = [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert len([record for record in lines if "cannot be reached" in record.getMessage()]) == 2
    assert not any(record.exc_info for record in lines)
    assert not any("secret" in record.getMessage() or "\n" in record.getMessage() for record in caplog.records)


def test_a_file_system_that_only_reads_is_told_apart(system, monkeypatch):
    def lacks(*_, **__):
        raise NotImplementedError

    monkeypatch.setattr(type(system), "pipe_file", lacks)
    with pytest.raises(Unavailable, match="does not take what is to be kept: NotImplementedError"):
        objects(system).write("0" * 64, b"")
