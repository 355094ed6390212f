"""Objects at a URL, on fsspec's own file system in memory: the same for all who use it in this process."""

import asyncio
import logging
import socket
import threading
import time
from contextlib import ExitStack
from typing import ClassVar

import fsspec
import grpc
import pytest
from fsspec import AbstractFileSystem

from gradserve import wire
from gradserve.ir.errors import LimitExceeded, Unavailable
from gradserve.service.configuration.settings import Settings
from gradserve.service.storage import place, reach, remote
from gradserve.service.storage.folder import Folder
from gradserve.service.storage.objects import is_named
from gradserve.service.storage.remote import Remote
from gradserve.service.storage.store import BlobStore
from gradserve.v1 import blob_service_pb2, graph_service_pb2
from gradserve.v1 import derivative_service_pb2 as pb
from tests.service.support import SCALED, call_of, refusal
from tests.service.test_shared_stores import ARGUMENTS, W, gradient, registered
from tests.service.test_store import digest, write

LARGEST = 1 << 20


@pytest.fixture
def system():
    made = fsspec.filesystem("memory")
    made.store.clear()
    made.pseudo_dirs[:] = [""]
    return made


def objects(system, capacity=1 << 20):
    return Remote(system, "/bucket/blobs", capacity, is_named, LARGEST)


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


class Listing(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A file system that remembers what it has listed, as that of S3 does; each process has one."""

    protocol = "listing"
    cachable = False
    objects: ClassVar[dict[str, bytes]] = {}

    def ls(self, path, detail=True, **_):
        path = self._strip_protocol(path)
        found = self._ls_from_cache(path)
        if found is None:
            names = {key[: (key + "/").find("/", len(path) + 1)] for key in self.objects if key.startswith(f"{path}/")}
            found = [self._entry(name) for name in names]
            self.dircache[path] = found
        if not found:
            raise FileNotFoundError(path)
        return found

    def _entry(self, name):
        data = self.objects.get(name)
        return {"name": name, "size": len(data or b""), "type": "directory" if data is None else "file"}

    def cat_file(self, path, start=None, end=None, **_):
        data = self.objects.get(self._strip_protocol(path))
        if data is None:
            raise FileNotFoundError(path)
        return data[start:end]

    def pipe_file(self, path, value, **_):
        self.objects[self._strip_protocol(path)] = value

    def rm_file(self, path):
        self.objects.pop(self._strip_protocol(path))

    def modified(self, _path):
        return 0.0


def test_what_others_put_and_remove_is_seen_at_once():
    fsspec.register_implementation("listing", Listing, clobber=True)
    Listing.objects.clear()
    one, other = (Remote(*remote.file_system("listing://bucket/blobs"), 1 << 20, is_named, LARGEST) for _ in range(2))
    names = [digest(bytes([k])) for k in range(2)]
    one.write(names[0], b"\0")  # which counts what is there
    assert other.holds(names[0])
    assert not one.holds(names[1])
    other.write(names[1], b"\1")
    assert one.holds(names[1])
    other._system.rm_file(other._place(names[0]))
    assert not one.holds(names[0])


@pytest.fixture
def hanging(system, monkeypatch):
    """A place that answers nothing until the test ends."""
    monkeypatch.setattr(reach, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(reach, "AT_ONCE", 4)
    found, goes_on = objects(system), threading.Event()
    monkeypatch.setattr(found, "_system", Hanging(goes_on))
    yield found
    goes_on.set()


class Hanging:
    def __init__(self, goes_on):
        self._goes_on = goes_on

    def exists(self, _path):
        self._goes_on.wait()
        return True


def test_no_call_waits_for_a_place_that_hangs(hanging, monkeypatch):
    hanging._reach.__init__()
    began = time.monotonic()
    for _ in range(4):
        with pytest.raises(Unavailable, match="cannot be reached: TimeoutError"):
            hanging._reach(lambda: hanging._system.exists(""), 0.05)
    assert 0.2 <= time.monotonic() - began < 2.0
    monkeypatch.setattr(reach, "LOOK_SECONDS", 60.0)
    began = time.monotonic()
    with pytest.raises(Unavailable, match="does not answer: 4 calls wait for it already"):
        hanging.holds("0" * 64)
    assert time.monotonic() - began < 10.0  # all are late: nobody waits for his turn
    hanging._system._goes_on.set()
    deadline = time.monotonic() + 5.0
    while hanging._reach._late and time.monotonic() < deadline:
        time.sleep(0.01)
    assert hanging.holds("0" * 64)


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyError("x"), SystemExit(3), RecursionError()])
def test_places_fail_in_their_own_ways(system, monkeypatch, error):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(type(system), "cat_file", fails)
    with pytest.raises(Unavailable, match=f"cannot be reached: {type(error).__name__}"):
        objects(system).read("0" * 64)


@pytest.mark.parametrize("data", [None, "text", 7])
def test_what_is_no_bytes_is_no_object(system, monkeypatch, data):
    monkeypatch.setattr(type(system), "size", lambda *_: 3)
    monkeypatch.setattr(type(system), "cat_file", lambda *_, **__: data)
    with pytest.raises(Unavailable, match="cannot be reached: "):
        objects(system).read("0" * 64)


class Endless(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Tells of as many bytes as it is said to, and has as many as anybody asks for."""

    protocol = "endless"
    told: int | None = 0
    fetched: ClassVar[list[int]] = []

    def size(self, path):
        return self.told

    def cat_file(self, path, start=None, end=None, **_):
        assert end is not None
        self.fetched.append(end - (start or 0))
        return bytes(self.fetched[-1])

    def rm_file(self, path):
        pass


@pytest.mark.parametrize(
    ("told", "fetched"), [(0, []), (1000, [1001]), (None, [LARGEST + 1]), (LARGEST + 1, []), (1 << 62, [])]
)
def test_no_more_is_read_than_an_object_has(monkeypatch, told, fetched):
    monkeypatch.setattr(Endless, "told", told)
    monkeypatch.setattr(Endless, "fetched", [])
    assert objects(Endless(), 1 << 40).read(digest(b"x")) is None
    assert Endless.fetched == fetched


@pytest.mark.parametrize("size", [1, LARGEST - 1, LARGEST])
def test_what_is_as_large_as_an_object_may_be_is_read(system, size):
    data = bytes(size)
    objects(system).write(digest(data), data)
    assert objects(system).read(digest(data)) == data


def test_what_is_too_large_for_one_service_is_left_to_others(system, caplog):
    """Who shares a place may take larger blobs."""
    data = bytes(LARGEST + 1)
    Remote(system, "/bucket/blobs", 1 << 22, is_named, 1 << 22).write(digest(data), data)
    assert objects(system).read(digest(data)) is None
    assert "1048577 bytes, where none has over 1048576" in caplog.text
    assert Remote(system, "/bucket/blobs", 1 << 22, is_named, 1 << 22).read(digest(data)) == data


def test_a_service_reads_empty_and_whole_blobs_of_a_url(start):
    (_, one), (_, other) = start(store="memory://sizes"), start(store="memory://sizes")
    for data in (b"", b"x", bytes(1 << 20)):
        one.blobs.WriteBlob(iter([blob_service_pb2.WriteBlobRequest(digest=digest(data), size=len(data), data=data)]))
        replies = other.blobs.ReadBlob(blob_service_pb2.ReadBlobRequest(digest=digest(data)))
        assert b"".join(reply.data for reply in replies) == data
