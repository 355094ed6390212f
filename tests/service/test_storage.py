"""What is kept beyond the memory of one process: whole or not at all, as it was or not at all, and within its limit."""

import errno
import logging
import os
import resource
import shutil
import stat
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from gradserve.ir.errors import GraphNotRegistered, LimitExceeded, Unavailable
from gradserve.ir.limits import DEFAULT_LIMITS
from gradserve.service.configuration.settings import Settings
from gradserve.service.storage import place, space
from gradserve.service.storage.folder import Folder
from gradserve.service.storage.graphs import Shelf
from gradserve.service.storage.objects import is_named, is_sealed
from gradserve.service.storage.space import BLOCK, Space, footprint
from gradserve.service.storage.store import BlobStore, GraphStore
from tests.service.kills import CAPACITY, killed
from tests.service.test_store import digest, graph, write

FREE = 1 << 30


def objects(root: Path, capacity: int = FREE, check=is_named, name="blobs") -> Folder:
    return Folder(root / name, root / "drafts", Space(root, capacity, root / "drafts"), check)


def blobs_at(root: Path, capacity: int = FREE, memory: int = FREE) -> BlobStore:
    blobs = BlobStore(memory, memory)
    blobs.keep_in(objects(root, capacity), shared=True)
    return blobs


def files(root: Path) -> list[Path]:
    return [path for path in sorted(root.rglob("*")) if path.is_file() and path.name != "count"]


def aged(root: Path, name: str, seconds: float) -> None:
    """Makes an object one that was used so long ago."""
    (path,) = (path for path in files(root) if path.name == name)
    known = path.stat()
    os.utime(path, (known.st_atime - seconds, known.st_mtime - seconds))


# ---- blobs


def test_another_process_finds_what_one_has_written(tmp_path):
    data = bytes(range(256)) * 9
    name = write(blobs_at(tmp_path), data, 100)
    other = blobs_at(tmp_path)
    assert other.offset(name) is None
    assert other.begin(name, len(data))
    assert other.read(name) == data


def test_files_are_for_their_user_alone(tmp_path):
    write(blobs_at(tmp_path / "store"), b"hello")
    made = [tmp_path / "store", *(tmp_path / "store").rglob("*")]
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in made} == {0}


def test_an_empty_blob(tmp_path):
    assert blobs_at(tmp_path).begin(digest(b""), 0)
    assert blobs_at(tmp_path).read(digest(b"")) == b""


def test_a_name_that_is_none_is_no_path(tmp_path):
    kept = objects(tmp_path)
    (tmp_path / "secret").write_bytes(b"x")
    for name in ("../../secret", "/etc/passwd", "", "0" * 63, "G" * 64, "0" * 64 + "\n"):
        assert kept.read(name) is None
        assert not kept.holds(name)
        assert kept.resumed(name) is None


def test_a_write_goes_on_where_a_process_ended(tmp_path):
    data = os.urandom(10_000)
    first = blobs_at(tmp_path)
    first.begin(digest(data), len(data))
    first.append(digest(data), 0, data[:6000])
    second = blobs_at(tmp_path)
    assert second.offset(digest(data)) == 6000
    assert not second.begin(digest(data), len(data))
    assert second.append(digest(data), 6000, data[6000:])
    assert blobs_at(tmp_path).read(digest(data)) == data
    assert [path.name for path in files(tmp_path)] == [digest(data)]
    assert first.append(digest(data), 6000, data[6000:])  # who had begun it ends it as well
    assert blobs_at(tmp_path).read(digest(data)) == data


def test_a_write_that_was_gone_on_with_elsewhere_goes_on_here_too(tmp_path):
    data = os.urandom(9000)
    first, second = blobs_at(tmp_path), blobs_at(tmp_path)
    first.begin(digest(data), len(data))
    first.append(digest(data), 0, data[:3000])
    second.begin(digest(data), len(data))
    first.append(digest(data), 3000, data[3000:6000])
    second.append(digest(data), 3000, data[3000:4000])
    assert first.append(digest(data), 6000, data[6000:])
    assert blobs_at(tmp_path).read(digest(data)) == data


def test_a_draft_of_another_length_is_left(tmp_path):
    data = os.urandom(5000)
    first = blobs_at(tmp_path)
    first.begin(digest(data), 8000)
    first.append(digest(data), 0, os.urandom(6000))
    assert write(blobs_at(tmp_path), data, 2000) == digest(data)


def test_a_torn_draft_is_refused_and_the_blob_written_again(tmp_path):
    data = os.urandom(9000)
    first = blobs_at(tmp_path)
    first.begin(digest(data), len(data))
    first.append(digest(data), 0, data[:6000])
    (draft,) = files(tmp_path)
    draft.write_bytes(data[:3000] + bytes(3000))
    second = blobs_at(tmp_path)
    second.begin(digest(data), len(data))
    with pytest.raises(Exception, match="write the blob again from its first byte"):
        second.append(digest(data), 6000, data[6000:])
    assert second.offset(digest(data)) == 0
    assert write(second, data, 3000) == digest(data)


@pytest.mark.parametrize("harm", ["flip", "cut", "longer", "empty"])
def test_a_corrupt_blob_counts_as_missing_and_is_healed(tmp_path, harm, caplog):
    data = os.urandom(5000)
    name = write(blobs_at(tmp_path), data, 5000)
    (path,) = files(tmp_path)
    bad = {
        "flip": data[:77] + bytes([data[77] ^ 1]) + data[78:],
        "cut": data[:-1],
        "longer": data + b"x",
        "empty": b"",
    }
    path.write_bytes(bad[harm])
    other = blobs_at(tmp_path)
    with caplog.at_level(logging.ERROR):
        assert other.get(name) is None
    assert "is not what it was" in caplog.text
    assert files(tmp_path) == []
    assert other.offset(name) == 0
    write(other, data, 5000)
    assert blobs_at(tmp_path).read(name) == data


def test_a_blob_that_cannot_be_read_counts_as_missing(tmp_path):
    name = write(blobs_at(tmp_path), b"hello")
    (path,) = files(tmp_path)
    path.unlink()
    path.mkdir()
    assert blobs_at(tmp_path).get(name) is None


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize(
    "put",
    [
        os.mkfifo,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to(path),
        lambda path: os.mknod(path, stat.S_IFSOCK | 0o600),
        sparse,
    ],
    ids=["pipe", "endless", "loop", "socket", "too large"],
)
def test_what_is_no_file_of_ours_is_neither_waited_for_nor_read_and_gives_way(tmp_path, put):
    """A pipe in the place of a blob was waited for beyond deadlines, and longer than the service was to last."""
    name = write(blobs_at(tmp_path), b"hello")
    path = tmp_path / "blobs" / name[:2] / name
    path.unlink()
    put(path)
    other = blobs_at(tmp_path)
    assert other.get(name) is None
    write(other, b"hello")
    assert blobs_at(tmp_path).read(name) == b"hello"


def test_a_folder_in_the_place_of_a_blob_is_told(tmp_path):
    """What was written then was said to be there, and was not."""
    name = write(blobs_at(tmp_path), b"hello")
    path = tmp_path / "blobs" / name[:2] / name
    path.unlink()
    (path / "more").mkdir(parents=True)
    other = blobs_at(tmp_path)
    assert other.get(name) is None
    with pytest.raises(Unavailable, match="cannot be kept"):
        write(other, b"hello")


def test_a_pipe_among_the_drafts_is_not_waited_for(tmp_path):
    name = digest(b"hello")
    drafts = tmp_path / "drafts" / name
    drafts.mkdir(parents=True)
    os.mkfifo(drafts / "another")
    assert write(blobs_at(tmp_path), b"hello") == name
    assert blobs_at(tmp_path).read(name) == b"hello"


def test_a_folder_that_was_removed_is_made_again(tmp_path):
    import shutil

    blobs = blobs_at(tmp_path / "store")
    write(blobs, b"hello")
    shutil.rmtree(tmp_path / "store")
    name = write(blobs, b"world")
    assert blobs_at(tmp_path / "store").read(name) == b"world"


def test_results_stay_in_memory_unless_others_look_for_them(tmp_path):
    for shared in (False, True):
        blobs = BlobStore(1000, 1000)
        blobs.keep_in(objects(tmp_path), shared)
        blobs.put(digest(b"result"), b"result")
        assert blobs.read(digest(b"result")) == b"result"
        assert (blobs_at(tmp_path).get(digest(b"result")) is not None) == shared


def test_memory_holds_what_is_hot_and_no_more(tmp_path):
    blobs = blobs_at(tmp_path, memory=100)
    names = [write(blobs, bytes([k]) * 60, 60) for k in range(3)]
    assert blobs.held_bytes == 60
    assert [blobs.read(name) for name in names] == [bytes([k]) * 60 for k in range(3)]
    assert blobs.held_bytes == 60


def test_what_is_read_takes_no_memory_from_what_is_written(tmp_path):
    name = write(blobs_at(tmp_path), b"x" * 60, 60)
    blobs = blobs_at(tmp_path, memory=100)
    blobs.begin("0" * 64, 90)
    blobs.append("0" * 64, 0, b"y" * 50)
    assert blobs.read(name) == b"x" * 60
    assert blobs.offset("0" * 64) == 50
    assert blobs.held_bytes == 50


# ---- the limit


def test_least_recently_used_goes_first_whoever_used_it(tmp_path):
    store = [objects(tmp_path, 4 * BLOCK) for _ in range(2)]
    data = [bytes([k]) * 100 for k in range(5)]
    for k in range(4):
        store[k % 2].write(digest(data[k]), data[k])
        aged(tmp_path, digest(data[k]), 1000 - k)
    assert objects(tmp_path, 4 * BLOCK).read(digest(data[0]))
    store[0].write(digest(data[4]), data[4])
    left = {path.name for path in files(tmp_path)}
    assert digest(data[0]) in left
    assert digest(data[1]) not in left
    assert sum(footprint(path.stat().st_size) for path in files(tmp_path)) <= 4 * BLOCK


def test_the_limit_holds_for_all_processes_together(tmp_path):
    command = [sys.executable, "-m", "tests.service.kills", "--root", str(tmp_path), "--write", "40", "--seed"]
    writers = [subprocess.Popen([*command, str(k)]) for k in range(2)]
    assert [writer.wait(180) for writer in writers] == [0, 0]
    taken = sum(footprint(path.stat().st_size) for path in files(tmp_path))
    assert 0 < taken <= CAPACITY
    assert taken <= Space(tmp_path, CAPACITY, tmp_path / "drafts").used <= CAPACITY


def test_the_count_is_made_again_when_it_is_lost(tmp_path):
    store = objects(tmp_path)
    store.write(digest(b"x"), b"x")
    (tmp_path / "count").unlink()
    assert Space(tmp_path, FREE, tmp_path / "drafts").used == BLOCK


def test_more_than_all_may_take_is_refused(tmp_path):
    with pytest.raises(LimitExceeded) as refused:
        objects(tmp_path, BLOCK).write(digest(bytes(9000)), bytes(9000))
    assert refused.value.limit == "store_bytes"
    assert files(tmp_path) == []
    with pytest.raises(LimitExceeded) as refused:
        blobs_at(tmp_path, BLOCK).begin("0" * 64, 9000)
    assert refused.value.limit == "store_bytes"


def test_a_disk_with_less_room_than_all_may_take_is_named(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2 * BLOCK))
    with ExitStack() as running:
        found = place.opened(Settings(store=str(tmp_path / "store")), running)
        assert found is not None
        blobs = BlobStore(FREE, FREE)
        blobs.keep_in(found.blobs, found.shared)
        with pytest.raises(LimitExceeded, match="the limit store_disk is 4096") as refused:
            blobs.begin("0" * 64, BLOCK + 1)
        blobs.begin("1" * 64, BLOCK)
    assert refused.value.limit == "store_disk"
    assert "half of what is free on the disk" in caplog.text


def test_what_was_written_for_nothing_is_soon_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(space, "FORGET_SECONDS", 0.05)
    store = objects(tmp_path)
    for _ in range(3):
        store.write(digest(bytes(9000)), bytes(9000), anew=True)
    until = time.monotonic() + 10
    while Space(tmp_path, FREE, tmp_path / "drafts").used > footprint(9000) and time.monotonic() < until:
        time.sleep(0.01)
    assert Space(tmp_path, FREE, tmp_path / "drafts").used == footprint(9000)
    assert [path.name for path in files(tmp_path)] == [digest(bytes(9000))]
    assert store.read(digest(bytes(9000))) == bytes(9000)


def test_what_was_written_for_nothing_is_never_among_what_is_whole(tmp_path):
    """A process that is killed before it removes that leaves a draft, which is the first to go."""
    store = objects(tmp_path)
    store.write(digest(b"x"), b"x")
    draft = store.draft(digest(b"x"))
    draft.append(b"x")
    for written in (None, draft):
        store.write(digest(b"x"), b"x", written, anew=True)
    kept = Counter("whole" if path.name == digest(b"x") else path.parent.name for path in files(tmp_path))
    assert kept == {"whole": 1, "drafts": 2}


def test_drafts_of_others_are_not_looked_through(tmp_path, monkeypatch):
    store = objects(tmp_path)
    for k in range(5):
        store.draft(digest(bytes([k]))).append(b"x")
    looked, real = [], os.scandir

    def scandir(path):
        looked.append(path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert store.drafted(digest(bytes([3]))) == 1
    assert store.drafted("0" * 64) == 0
    assert len(looked) == 2
    assert all(len(Path(path).name) == 64 for path in looked)


def test_old_drafts_go_when_room_is_needed(tmp_path):
    store = objects(tmp_path, 3 * BLOCK)
    draft = store.draft("0" * 64)
    draft.append(b"x")
    aged(tmp_path, draft.path.name, 100_000)
    for text in (b"1", b"2", b"3"):
        store.write(digest(text), text)
    assert not draft.path.exists()
    draft.append(b"y")
    assert draft.size == 0


# ---- a full disk


@pytest.fixture
def full_disk(monkeypatch):
    """A disk that is full after so many more bytes."""
    left = [0]
    real = os.pwrite

    def pwrite(descriptor, data, offset):
        if len(data) == 8:
            return real(descriptor, data, offset)
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = real(descriptor, memoryview(data)[: left[0]], offset)
        left[0] -= count
        return count

    monkeypatch.setattr(os, "pwrite", pwrite)
    return left


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path, full_disk):
    full_disk[0] = 9000
    blobs, data = blobs_at(tmp_path), os.urandom(8000)
    kept = write(blobs, b"k" * 500, 500)
    blobs.begin(digest(data), len(data))
    blobs.append(digest(data), 0, data[:6000])
    full_disk[0] = 700
    with pytest.raises(LimitExceeded, match="no room on the disk") as refused:
        blobs.append(digest(data), 6000, data[6000:])
    assert refused.value.limit == "store_disk"
    assert blobs_at(tmp_path).read(kept) == b"k" * 500
    assert blobs_at(tmp_path).offset(digest(data)) == 6000
    assert blobs.offset(digest(data)) == 8000
    full_disk[0] = 1 << 20
    assert blobs.begin(digest(data), len(data))
    assert blobs_at(tmp_path).read(digest(data)) == data
    taken = sum(footprint(path.stat().st_size) for path in files(tmp_path))
    assert Space(tmp_path, FREE, tmp_path / "drafts").used == taken


def test_a_file_may_be_too_large_for_its_process(tmp_path):
    """What the kernel says then, without a stand-in for it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(LimitExceeded) as refused:
            write(blobs_at(tmp_path), bytes(20_000), 20_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert refused.value.limit == "store_disk"
    assert files(tmp_path) == []


def test_a_disk_that_fails_is_told(tmp_path, monkeypatch):
    def fails(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pwrite", fails)
    store = objects(tmp_path)
    monkeypatch.setattr(store._space, "take", lambda size: None)
    monkeypatch.setattr(store._space, "give_back", lambda size: None)
    with pytest.raises(Unavailable, match="Input/output error"):
        store.write(digest(b"x"), b"x")


# ---- kills


def test_no_kill_leaves_a_corrupt_blob(tmp_path):
    left = killed(tmp_path, 25)
    assert left["corrupt"] == 0
    assert left["readable"] == left["whole"] > 0


def test_a_writer_that_is_not_careful_would_be_seen(tmp_path):
    """One that writes files in their places, without moving whole ones there; no such file is read for a blob."""
    left = killed(tmp_path, 25, careless=True)
    assert left["corrupt"] > 0
    assert left["readable"] == left["whole"] - left["corrupt"]


# ---- graphs


def shelf(root: Path, blobs: BlobStore) -> Shelf:
    kept = objects(root, check=is_sealed, name="graphs")
    return Shelf(kept, objects(root), blobs.get, DEFAULT_LIMITS)


def graphs_at(root: Path) -> GraphStore:
    graphs = GraphStore(1 << 20, 10)
    graphs.keep_on(shelf(root, blobs_at(root)))
    return graphs


def test_another_process_finds_a_registered_graph(tmp_path):
    made = graph(3)
    graphs_at(tmp_path).put(made.digest, made)
    found = graphs_at(tmp_path).get(made.digest)
    assert found == made
    assert found.digest == made.digest


def test_inline_graphs_stay_in_memory(tmp_path):
    graphs_at(tmp_path).put("inline:" + "0" * 64, graph(3))
    assert files(tmp_path) == []


def test_large_constants_are_blobs(tmp_path):
    import numpy as np

    from gradserve.ops import builder

    g = builder()
    data = np.random.default_rng(0).standard_normal(200_000)
    made = g.build({"y": g.reduce_sum(g.constant(data), axes=(0,))})
    graphs_at(tmp_path).put(made.digest, made)
    assert digest(data.tobytes()) in {path.name for path in files(tmp_path)}
    assert graphs_at(tmp_path).get(made.digest) == made
    (blob,) = (path for path in files(tmp_path) if path.name == digest(data.tobytes()))
    blob.unlink()
    with pytest.raises(GraphNotRegistered):
        graphs_at(tmp_path).get(made.digest)


@pytest.mark.parametrize("at", [0, 31, 32, 60, -1])
def test_a_corrupt_graph_has_to_be_registered_again(tmp_path, at):
    made = graph(3)
    graphs_at(tmp_path).put(made.digest, made)
    (path,) = files(tmp_path)
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(bytes(data))
    assert graphs_at(tmp_path).find(made.digest) is None
    graphs_at(tmp_path).put(made.digest, made)
    assert graphs_at(tmp_path).get(made.digest) == made


def test_a_graph_in_the_place_of_another_is_not_taken_for_it(tmp_path):
    one, other = graph(3), graph(4)
    graphs_at(tmp_path).put(one.digest, one)
    (path,) = files(tmp_path)
    moved = path.parent.parent / other.digest[:2] / other.digest
    moved.parent.mkdir(exist_ok=True)
    path.rename(moved)
    assert graphs_at(tmp_path).find(other.digest) is None


def test_a_full_disk_leaves_graphs_in_memory(tmp_path, full_disk):
    graphs, made = graphs_at(tmp_path), graph(3)
    graphs.put(made.digest, made)
    assert graphs.get(made.digest) == made
    assert graphs_at(tmp_path).find(made.digest) is None


# ---- where


def test_a_folder_that_is_open_to_others_is_refused(tmp_path):
    tmp_path.chmod(0o755)
    with ExitStack() as running, pytest.raises(OSError, match="chmod 700"):
        place.opened(Settings(store=str(tmp_path)), running)


def test_without_a_folder_of_its_own_all_stays_in_memory(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with ExitStack() as running, caplog.at_level(logging.WARNING):
        assert place.opened(Settings(), running) is None
    assert "stay in memory" in caplog.text


def test_each_address_has_a_folder_and_any_port_one_that_passes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with ExitStack() as running:
        named = {place.named(Settings(address=a), running) for a in ("[::1]:50051", "127.0.0.1:50051", "unix:/tmp/a")}
        assert len(named) == 3
        passing = Path(place.named(Settings(address="127.0.0.1:0"), running))
        left = passing.parent / "passing-left"
        left.mkdir()
        assert place.named(Settings(address="127.0.0.1:0"), running) != str(passing)
        assert passing.is_dir()
        assert not left.exists()
    assert not passing.exists()


def test_half_of_what_is_free_is_left(tmp_path):
    import shutil

    with ExitStack() as running:
        tmp_path.chmod(0o700)
        found = place.opened(Settings(store=str(tmp_path), store_bytes=1 << 60), running)
    assert found is not None
    assert 0 < found.blobs.capacity <= shutil.disk_usage(tmp_path).free
